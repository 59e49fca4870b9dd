"""Settings: defaults, then the file, then options; what is wrong is said in one line."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from data_prep.errors import InputError
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from site_configs.sites import site_named
from workflow.config import load_config
from workflow.fingerprint import fingerprint
from workflow.run_folder import RunFolder, to_toml
from workflow.search_stage import longest_of


@pytest.fixture(autouse=True)
def movie_here(tmp_path_factory, monkeypatch):
    """Run folders look at the files they were given."""
    elsewhere = tmp_path_factory.mktemp("inputs")
    monkeypatch.chdir(elsewhere)
    Path("m.tif").write_bytes(b"a movie")


def write(path, text):
    path.write_text(text)
    return path


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    file = write(tmp_path / "c.toml", 'seed = 3\n[search]\npopulation = 7\n[labels]\nfile = "l.csv"\n')
    config = load_config(file, {"movie": "m.tif", "seed": None, "labels": {"file": None, "defects": ["a"]}})
    assert (config.seed, config.search.population, config.search.most_evaluations) == (3, 7, 35)
    assert config.labels.file == tmp_path / "l.csv"
    assert config.labels.defects == ("a",)
    assert load_config(file, {"movie": "m.tif", "seed": 9}).seed == 9


@pytest.mark.parametrize(
    "asked",
    [
        *("[search]\nevaluations = 50", "[search]\ngenerations = 4", "[search]\nminutes = 2.5\nplateau = 30", ""),
        *("[site]\nlike = 'frontier'\naccount = 'x'", "[site]\nlike = 'pbs'\nneeds = []", "[site]\nmax_blocks = 3"),
    ],
)
def test_what_a_run_keeps_of_its_settings_is_read_back(tmp_path, asked):
    config = load_config(write(tmp_path / "c.toml", asked), {"movie": "m.tif"})
    kept = write(tmp_path / "kept.toml", to_toml(json.loads(config.model_dump_json())))
    assert load_config(kept, {}) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[search]\npoplation = 3", "unknown key 'search.poplation'; did you mean 'population'?"),
        ("colour = 3", "unknown key 'colour'; known are"),
        ("[search]\npopulation = 1", "'search.population'"),
        ("[search]\npopulation = 'many'", "'search.population'"),
        ("[search\n", "is not a TOML file"),
        ("pixel_size_nm = -1", "'pixel_size_nm'"),
        ("[site]\nname = 'moon'", "unknown key 'site.name'; did you mean 'like'?"),
        ("[site]\nlik = 'slurm'", "unknown key 'site.lik'; did you mean 'like'?"),
        ("[site]\nmax_blocks = 0", "'site.max_blocks': "),
        ("[site]\nmin_blocks = 3", "'site': min_blocks 3 is more than max_blocks 1"),
        ("[site]\nneeds = ['moon']", "'site': needs: there is no setting 'moon'"),
        ("site = 3", "'site': "),
        ("tuning = 3", "'tuning': "),
        ("[search]\nseconds = inf", "'search.seconds'"),
        ("[search]\ngenerations = 3\nevaluations = 9", "'search': give generations or evaluations, not both"),
        ("[search]\nlifetime = 5", "'search': a lifetime of 5 networks leaves no population of 12"),
        ("[search]\ntarget_error = 1.5", "'search.target_error'"),
        ("[search]\nscreening = true", "'search.screening': Input should be 'trees', 'svm' or 'off'"),
        ("[labels]\npoints = 'l.csv'", "unknown key 'labels.points'; known are brighter, darker, defects, file"),
        ("[labels]\nframe = []", "'labels.frame': is one frame, or a list of different ones"),
        ("[labels]\nframe = [1, 1]", "'labels.frame': is one frame"),
        ("[labels]\nframe = [0, -1]", "'labels.frame.1'"),
        ("[labels.legend]\nvacancy = 'red'", "'labels.legend': 'vacancy = red' is no name with a colour"),
        ("[tiles]\nsize_px = 4", "'tiles.size_px'"),
        ("[tiles]\nsize_px = 32\nsize_periods = 4.0", "'tiles': give size_px or size_periods, not both"),
        ("[tiles]\nstride_px = 32\nstride_periods = 4.0", "'tiles': give stride_px or stride_periods, not both"),
        ("apply = ['a.tif', 'b.tif']\ntruth = ['a.csv']", "1 truth files for 2 movies"),
    ],
)
@pytest.mark.parametrize("like", [None, "slurm"])
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, said, like):
    file = write(tmp_path / "c.toml", text)
    options = {"movie": "m.tif", "tuning": {"predictor": None}, "site": {"like": like, "workers": None}}
    with pytest.raises(InputError) as error:
        load_config(file, options)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_line_is_blamed_for_what_it_says(tmp_path):
    file = write(tmp_path / "c.toml", "seed = 3")
    with pytest.raises(InputError, match=r"^command line: 'site\.workers'"):
        load_config(file, {"movie": "m.tif", "site": {"workers": 0}})
    with pytest.raises(InputError, match=r"^command line: moon: no such site"):
        load_config(file, {"movie": "m.tif", "site": {"like": "moon"}})


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: no such file"):
        load_config(tmp_path / "none.toml", {"movie": "m.tif"})


def test_resolved_settings_come_back_from_toml():
    import json
    import tomllib

    options = {"movie": 'odd "name" \\ é.tif', "apply": ["b.tif"], "labels": {"defects": ["x", "y"]}}
    options["labels"] |= {"legend": 'Mo on W=#FF0000,a "b"=#00ff00', "frame": [4, 0]}
    options["tiles"] = {"size_periods": 6.5}
    config = load_config(None, options)
    assert config.labels.legend == {"Mo on W": "#ff0000", 'a "b"': "#00ff00"}
    assert config.labels.frame == (0, 4)
    text = to_toml(json.loads(config.model_dump_json()))
    assert type(config).model_validate(tomllib.loads(text)) == config


def test_one_labelled_frame_needs_no_list(tmp_path):
    assert load_config(write(tmp_path / "c.toml", "[labels]\nframe = 3\n"), {"movie": "m.tif"}).labels.frame == (3,)
    assert load_config(None, {"movie": "m.tif"}).labels.frame == (0,)


def test_the_legend_of_the_command_line_wins_as_a_whole(tmp_path):
    file = write(tmp_path / "c.toml", "[labels.legend]\nvacancy = 1\ndopant = 2\n")
    assert load_config(file, {"movie": "m.tif"}).labels.legend == {"vacancy": 1, "dopant": 2}
    options = {"movie": "m.tif", "labels": {"legend": "vacancy=#ff0000"}}
    assert load_config(file, options).labels.legend == {"vacancy": "#ff0000"}
    with pytest.raises(InputError, match=r"^command line: 'labels\.legend': 'vacancy = ' is no name"):
        load_config(file, {"movie": "m.tif", "labels": {"legend": "vacancy"}})


def test_a_folder_goes_on_only_with_the_same_settings(tmp_path):
    folder = RunFolder(tmp_path / "run")
    config = load_config(None, {"movie": "m.tif"})
    with folder.claimed(config):
        folder.journal.touch()
    with folder.claimed(load_config(None, {"movie": "m.tif", "site": {"workers": 3}})):
        pass  # where it is computed may change
    with pytest.raises(InputError, match=r"search\.population: 12 -> 5"):
        folder.claimed(load_config(None, {"movie": "m.tif", "search": {"population": 5}})).__enter__()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        RunFolder(tmp_path).claimed(load_config(None, {"movie": "m.tif"})).__enter__()
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == ["thesis.txt"]


def test_one_driver_at_a_time(tmp_path):
    config = load_config(None, {"movie": "m.tif"})
    with RunFolder(tmp_path / "run").claimed(config), pytest.raises(InputError, match="another evostem"):
        RunFolder(tmp_path / "run").claimed(config).__enter__()


def test_settings_can_be_put_right_until_a_network_was_evaluated(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(load_config(None, {"movie": "m.tif"})):
        folder.labels.touch()
    other = load_config(None, {"movie": "m.tif", "labels": {"frame": 2}})
    with folder.claimed(other):
        assert not folder.labels.exists()
    assert load_config(folder.config, {}) == other


def test_a_stranger_s_folder_is_not_touched(tmp_path):
    (tmp_path / ".lock").write_text("precious")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError):
        RunFolder(tmp_path).claimed(load_config(None, {"movie": "m.tif"})).__enter__()
    assert (tmp_path / ".lock").read_text() == "precious"


def test_a_place_that_cannot_hold_a_run_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot hold a run"):
        RunFolder(tmp_path / "file" / "run").claimed(load_config(None, {"movie": "m.tif"})).__enter__()


def test_a_damaged_config_in_the_folder_is_named(tmp_path):
    folder = RunFolder(tmp_path / "run")
    config = load_config(None, {"movie": "m.tif"})
    with folder.claimed(config):
        pass
    folder.config.write_text("movie = 'm.tif'\ncolour = 3\n")
    with pytest.raises(InputError, match=r"config\.toml: unknown key 'colour'"):
        folder.claimed(config).__enter__()


def test_a_finished_run_keeps_its_environment(tmp_path):
    folder = RunFolder(tmp_path / "run")
    config = load_config(None, {"movie": "m.tif"})
    with folder.claimed(config):
        folder.summary.write_text("{}")
        folder.environment.write_text("as it was")
    with folder.claimed(config):
        pass
    assert folder.environment.read_text() == "as it was"


def test_a_run_goes_on_only_with_the_files_it_was_begun_with(tmp_path):
    config, folder = load_config(None, {"movie": "m.tif"}), RunFolder(tmp_path / "run")
    with folder.claimed(config):
        folder.labels.write_text("made of the first movie")
    Path("m.tif").write_bytes(b"a movie put right")
    with folder.claimed(config):
        assert not folder.labels.exists()  # nothing was evaluated: it begins anew
        Journal(folder.journal).close()
    Path("m.tif").touch()
    with folder.claimed(config):
        pass
    Path("m.tif").write_bytes(b"another movie altogether")
    with pytest.raises(InputError, match=r"begun with other content of .*m\.tif"), folder.claimed(config):
        pass


def test_a_folder_made_for_nothing_is_removed_and_one_with_networks_is_not(tmp_path):
    config, folder = load_config(None, {"movie": "m.tif"}), RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="too few"), folder.claimed(config):
        raise InputError("too few defects")
    assert not folder.path.exists()
    with folder.claimed(config):
        Journal(folder.journal).close()
    with pytest.raises(InputError, match="too few"), folder.claimed(config):
        raise InputError("too few defects")
    assert folder.journal.exists()


@pytest.mark.parametrize("place", [0, 20 << 20, (50 << 20) - 1])
def test_a_change_anywhere_in_a_file_of_some_megabytes_is_seen(tmp_path, place):
    large = tmp_path / "large"
    with large.open("wb") as out:
        out.truncate(50 << 20)
    before = fingerprint(large)
    assert fingerprint(large) == before
    with large.open("r+b") as out:
        out.seek(place)
        out.write(b"x")
    assert fingerprint(large) != before


def test_budgets_may_change_until_the_evolution_is_over(tmp_path):
    def asked(text):
        return load_config(write(tmp_path / "c.toml", text), {"movie": "m.tif"})

    folder = RunFolder(tmp_path / "run")
    with folder.claimed(asked("[search]\ngenerations = 3\n")), closing(Journal(folder.journal)) as journal:
        journal.append([Evaluation(Request(0, "evolution", 0, b"", 0), Status.OK, fitness=0.5)])
    longer = asked("[search]\nevaluations = 90\nminutes = 30\n")
    with folder.claimed(longer):
        assert load_config(folder.config, {}).search == longer.search
    with pytest.raises(InputError, match=r"search\.population: 12 -> 7"):
        folder.claimed(asked("[search]\nevaluations = 90\npopulation = 7\n")).__enter__()
    with closing(Journal(folder.journal)) as journal:
        journal.append([Evaluation(Request(1, "tuning", 0, b"", 0), Status.OK, fitness=0.5)])
    with pytest.raises(InputError, match=r"search\.evaluations: 90 -> 91"):
        folder.claimed(asked("[search]\nevaluations = 91\nminutes = 30\n")).__enter__()
    with folder.claimed(longer):
        pass


def test_what_a_config_says_of_a_site_goes_on_top_of_the_one_that_is_named(tmp_path):
    frontier = site_named("frontier")
    lines = ["account = 'abc123'", "setup = 'module load x'", "scheduler_lines = ['#SBATCH --nice']", "workers = 5"]
    for like in ([], ["like = 'perlmutter'"], ["kind = 'slurm'"]):
        file = write(tmp_path / "c.toml", "\n".join(["[site]", *like, *lines]))
        site = load_config(file, {"movie": "m.tif", "site": {"like": "frontier", "workers": 3}}).site
        assert (site.name, site.account, site.workers, site.queue) == ("frontier", "abc123", 3, frontier.queue)
        assert site.setup == (*frontier.setup, "module load x")
        assert site.scheduler_lines == (*frontier.scheduler_lines, "#SBATCH --nice")


def test_nothing_of_a_site_that_a_run_has_kept_goes_on_top_of_another(tmp_path):
    before = load_config(None, {"movie": "m.tif", "site": {"like": "perlmutter", "account": "abc123"}})
    kept = write(tmp_path / "kept.toml", to_toml(json.loads(before.model_dump_json())))
    assert load_config(kept, {"site": {"like": "frontier"}}).site == site_named("frontier")


def test_the_longest_task_is_a_group_of_networks_or_a_full_training():
    def longest(site, **sections):
        return longest_of(load_config(None, {"movie": "m.tif", "site": {"like": site}, **sections}))

    one = 4 * 12.0 + 60.0
    assert longest("frontier") == longest("frontier", tuning={"together": 8}) == 8 * one
    assert longest("frontier", tuning={"together": 2}) == 2 * one
    assert longest("slurm", tuning={"together": 3}) == 3 * one
    assert longest("slurm") == 160.0  # no GPUs: a network alone, and the training takes longer
    assert longest("frontier", training={"seconds": 3600.0}) == 3660.0
