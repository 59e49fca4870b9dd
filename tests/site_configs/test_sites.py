"""Sites by name and by file, and what cannot be used of them."""

import re

import pytest

from data_prep.errors import InputError
from site_configs.settings import SiteSettings
from site_configs.sites import BUILT_IN, KINDS, settings_of, site_named
from workflow.config import load_config

CLUSTERS = ["slurm", "lsf", "pbs"]


def write(path, *lines):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def refusal(like, **values):
    with pytest.raises(InputError) as error:
        settings_of({"like": str(like), **values}, "test")
    assert "\n" not in str(error.value)
    return str(error.value)


# ----- by name and by file


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_site_can_be_had_by_its_name(name):
    site = site_named(name)
    assert site.name == name
    assert site.kind in KINDS
    assert site.on_cluster == (name != "local")


def test_without_a_word_it_is_this_machine():
    assert settings_of({}, "test") == site_named("local") == SiteSettings()
    assert settings_of({"workers": 3}, "test") == SiteSettings(workers=3)


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_kind_alone_is_the_site_of_that_name(kind):
    assert settings_of({"kind": kind}, "test") == site_named(kind)
    site = settings_of({"kind": kind, "interface": "ib0"}, "test")
    assert (site.min_blocks, site.heartbeat_s, site.poll_s, site.interface) == (0, 60, 60, "ib0")
    assert settings_of({"kind": kind, "name": "mine"}, "test") == site_named(kind).model_copy(update={"name": "mine"})


def test_what_is_given_goes_before_what_the_site_says():
    frontier = site_named("frontier")
    site = settings_of({"like": "frontier", "account": "abc123", "queue": "extended", "needs": []}, "test")
    changed = {"account": "abc123", "queue": "extended", "needs": ()}
    assert site == frontier.model_copy(update=changed)


MINE = ["#SBATCH --reservation=june", "#SBATCH -x n1"]


def test_lines_and_options_are_added_to_what_the_site_says(tmp_path):
    below = site_named("perlmutter")
    own = [f"scheduler_lines = {MINE}", "setup = ['module load x']", "launcher_options = '--exact'"]
    file = write(tmp_path / "group.toml", 'like = "perlmutter"', *own)
    more = {"scheduler_lines": ["#SBATCH --nice"], "setup": ["module load y"], "launcher_options": "-v"}
    site = settings_of({"like": str(file), **more}, "test")
    assert site.scheduler_lines == (*below.scheduler_lines, *MINE, "#SBATCH --nice")
    assert site.setup == (*below.setup, "module load x", "module load y")
    assert site.launcher_options.split() == [*below.launcher_options.split(), "--exact", "-v"]
    unchanged = settings_of({"like": "perlmutter", "scheduler_lines": [], "launcher_options": ""}, "test")
    assert unchanged == below


def test_options_that_are_no_lines_take_the_place_of_the_site_s(tmp_path):
    file = write(tmp_path / "cluster.toml", 'like = "pbs"', "select_options = 'ngpus=4'", "needs = ['qos']")
    site = settings_of({"like": str(file), "select_options": "ngpus=2", "needs": ["account"]}, "test")
    assert (site.select_options, site.needs) == ("ngpus=2", ("account",))


@pytest.mark.parametrize("like", ["frontier", "aurora", "slurm"])  # with lines, and without any
def test_one_line_may_stand_alone(tmp_path, like):
    below = site_named(like)
    file = write(tmp_path / "cluster.toml", f"like = '{like}'", "setup = 'module load x'")
    assert site_named(str(file)).setup == (*below.setup, "module load x")
    above = write(tmp_path / "above.toml", 'like = "cluster.toml"', "setup = ['module load y']")
    assert site_named(str(above)).setup == (*below.setup, "module load x", "module load y")
    write(tmp_path / "above.toml", 'like = "cluster.toml"', "setup = 'module load y'")
    assert site_named(str(above)).setup == (*below.setup, "module load x", "module load y")


def test_what_a_site_was_has_nothing_added_to_it_when_it_is_read_back():
    own = {"setup": "module load x", "launcher_options": "-v"}
    for like in ("slurm", "perlmutter", "polaris", "aurora"):
        before = settings_of({"like": like, **own}, "test")
        assert settings_of(before.model_dump(mode="json"), "a run's config.toml") == before


def test_a_walltime_may_stand_without_quotes(tmp_path):
    file = write(tmp_path / "cluster.toml", 'like = "slurm"', "walltime = 02:30:00")
    assert (site_named(str(file)).walltime, site_named(str(file)).walltime_s) == ("02:30:00", 9000)
    write(file, 'like = "slurm"', "walltime = 02:30:10")
    assert refusal(file).startswith(f"{file}: 'walltime': '02:30:10' is not HH:MM:00")


def test_a_site_file_says_it_with_a_section_or_without(tmp_path):
    flat = write(tmp_path / "flat.toml", 'like = "frontier"', 'account = "abc123"')
    section = write(tmp_path / "section.toml", "[site]", 'like = "frontier"', 'account = "abc123"')
    for file in (flat, section):
        site = site_named(str(file))
        assert site == settings_of({"like": "frontier", "account": "abc123"}, "test").model_copy(
            update={"name": str(file)}
        )


def test_a_site_file_may_be_like_another_that_lies_beside_it(tmp_path, monkeypatch):
    write(tmp_path / "group" / "shared.toml", 'like = "perlmutter"', 'account = "abc123"', 'queue = "gpu"')
    write(tmp_path / "group" / "mine.toml", "[site]", 'like = "shared.toml"', 'queue = "mine"', "max_blocks = 7")
    elsewhere = write(tmp_path / "elsewhere.toml", 'like = "group/mine.toml"', "max_blocks = 9")
    monkeypatch.chdir(tmp_path)
    for name in ("group/mine.toml", str(tmp_path / "group" / "mine.toml")):
        site = site_named(name)
        assert (site.kind, site.account, site.queue, site.max_blocks) == ("slurm", "abc123", "mine", 7)
        assert (site.gpus_per_node, site.interface) == (4, "hsn0")
        assert site.name == str(tmp_path / "group" / "mine.toml")
    assert (site_named(str(elsewhere)).queue, site_named(str(elsewhere)).max_blocks) == ("mine", 9)


def test_a_config_file_names_a_site_file_that_lies_beside_it(tmp_path, monkeypatch):
    write(tmp_path / "settings" / "cluster.toml", 'like = "slurm"', 'interface = "ib0"', 'queue = "gpu"')
    config = write(
        tmp_path / "settings" / "c.toml", 'movie = "m.tif"', "[site]", 'like = "cluster.toml"', "workers = 3"
    )
    monkeypatch.chdir(tmp_path)
    site = load_config(config, {}).site
    assert (site.kind, site.interface, site.queue, site.workers) == ("slurm", "ib0", "gpu", 3)
    assert site.name == str(tmp_path / "settings" / "cluster.toml")


def test_a_site_keeps_what_it_was_when_its_file_is_gone(tmp_path):
    file = write(tmp_path / "cluster.toml", 'like = "pbs"', 'interface = "ib0"', "needs = []")
    before = site_named(str(file))
    file.unlink()
    assert settings_of(before.model_dump(mode="json"), "a run's config.toml") == before


def test_a_file_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "cluster.toml", 'like = "lsf"', 'interface = "ib0"')
    assert site_named("~/cluster.toml").kind == "lsf"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_site_is_like_decides_whatever_kind_is_said_beside(tmp_path, kind):
    file = write(tmp_path / "cluster.toml", 'like = "frontier"', f'kind = "{kind}"', 'account = "abc123"')
    site = site_named(str(file))
    assert site.model_copy(update={"name": "frontier", "account": None}) == site_named("frontier")
    assert settings_of({"like": "frontier", "kind": kind}, "test") == site_named("frontier")


@pytest.mark.parametrize(
    "site", [['kind = "slurm"', 'interface = "ib0"'], ['like = "perlmutter"', 'kind = "slurm"', "gpus_per_node = 4"]]
)
def test_the_command_line_s_site_takes_the_place_of_the_config_file_s(tmp_path, site):
    config = write(tmp_path / "c.toml", 'movie = "m.tif"', "[site]", *site)
    found = load_config(config, {"site": {"like": "summit"}}).site
    assert (found.name, found.kind, found.cores_per_node) == ("summit", "lsf", 42)


# ----- what cannot be used


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("frontie", "did you mean 'frontier'?"),
        ("Summit", "did you mean 'summit'?"),
        ("titan", "known are local, slurm, lsf, pbs, summit, frontier, perlmutter, polaris, aurora"),
        ("none.toml", "known are local, slurm, lsf, pbs, summit, frontier, perlmutter, polaris, aurora"),
    ],
)
def test_a_site_that_there_is_not_is_told_with_a_hint(name, hint):
    assert refusal(name) == f"test: {name}: no such site, and no such file; {hint}"
    with pytest.raises(InputError, match=f"^{name}: no such site, and no such file; {re.escape(hint)}$"):
        site_named(name)


@pytest.mark.parametrize("name", ["a" * 300, f"{'a' * 300}/site.toml", "zero\0byte.toml", "site.toml/none.toml"])
def test_a_name_that_no_file_can_have_is_told_like_one_that_there_is_not(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "site.toml", 'like = "slurm"')
    assert "no such site, and no such file" in refusal(name)


@pytest.mark.parametrize("kind", ["'moab'", "'frontier'", "''", "3", "['slurm']"])
def test_a_kind_that_there_is_not_is_told(tmp_path, kind):
    file = write(tmp_path / "cluster.toml", f"kind = {kind}")
    assert refusal(file) == f"{file}: kind = {kind} is no kind of site; known are local, slurm, lsf, pbs"


def test_a_site_that_is_like_itself_is_told(tmp_path):
    own = write(tmp_path / "own.toml", 'like = "own.toml"')
    one = write(tmp_path / "one.toml", 'like = "two.toml"')
    write(tmp_path / "two.toml", 'like = "one.toml"')
    assert "like itself" in refusal(own)
    assert "like itself" in refusal(one)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("acount = 'x'", "unknown key 'acount'; did you mean 'account'?"),
        ("max_blocks = 0", "'max_blocks': Input should be greater than or equal to 1"),
        ("max_blocks = 'many'", "'max_blocks': Input should be a valid integer"),
        ("name = 'mine'", "unknown key 'site.name'; did you mean 'like'?"),
        ("walltime = '2h'", "'walltime': '2h' is not HH:MM:00, of a minute at least"),
        ("account = 'a b'", "'account': "),
        ("setup = 3", "'setup': "),
        ("setup = ''", "'setup.0': "),
        ("launcher_options = 3", "'launcher_options': "),
        ("setup = ['module load x', '']", "'setup.1': "),
        ("scheduler_lines = ['#PBS -x']", "scheduler_lines: '#PBS -x' does not begin with #SBATCH"),
        ("min_blocks = 3", "min_blocks 3 is more than max_blocks 1"),
        ("gpus_per_node = 9", "cpu_affinity lists cores for 8 GPUs, and there are 9"),
        ("needs = ['moon']", "needs: there is no setting 'moon'"),
        ("gpu_vendor = 'cray'", "'gpu_vendor': "),
    ],
)
def test_what_is_wrong_in_a_site_file_is_said_to_be_there(tmp_path, line, said):
    file = write(tmp_path / "cluster.toml", 'like = "frontier"', line)
    above = write(tmp_path / "above.toml", f'like = "{file}"', 'account = "abc123"')
    for name in (file, above):
        assert refusal(name).startswith(f"{file}: {said}")
    assert refusal(above, gpus_per_node=8).startswith(f"{file}: {said}")


def test_what_is_wrong_with_the_values_is_said_of_who_gave_them(tmp_path):
    file = write(tmp_path / "cluster.toml", 'like = "slurm"')
    assert refusal(file, acount="x").startswith("test: unknown key 'acount'")
    assert refusal(file, min_blocks=2) == "test: min_blocks 2 is more than max_blocks 1"


def test_a_file_that_is_no_site_file_is_told(tmp_path):
    for content in ("like = slurm", "[site", "\x00"):
        file = write(tmp_path / "cluster.toml", content)
        assert refusal(file).startswith(f"{file}: is not a site file that can be read (")
    file.write_bytes(b"like = '\xff'")
    assert refusal(file).startswith(f"{file}: is not a site file that can be read (")
    assert refusal(tmp_path).startswith(f"{tmp_path}: is not a site file that can be read (")
    write(file, "like = 3")
    assert refusal(file).startswith(f"{file}: like = 3 names no site")


@pytest.mark.parametrize(
    "lines",
    [
        *(["site = 'slurm'"], [], ["account = 'abc123'"], ["[site]"], ["[site]", "account = 'abc123'"]),
        *(["seed = 3", "[site]", "like = 'slurm'"], ["[site]", "like = 'slurm'", "[search]"]),  # a run's settings
    ],
)
def test_a_file_that_does_not_say_what_it_is_like_is_no_site_file(tmp_path, lines):
    file = write(tmp_path / "cluster.toml", *lines)
    assert refusal(file) == f'{file}: is no site file; begin it with like = "slurm", or another site\'s name'


def test_a_home_that_there_is_not_is_told():
    assert "~nobody-of-this-name" in refusal("~nobody-of-this-name/cluster.toml")
