"""What may be said of a site, and what follows: workers, executors of many nodes, cores, the time a job is worked."""

from datetime import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from site_configs.executors import affinity, drain_s, shards
from site_configs.settings import SiteSettings

FOUR = "list:24-31:16-23:8-15:0-7"  # cores for each of four GPUs


def refused(said, **values):
    with pytest.raises(ValidationError, match=said):
        SiteSettings(**values)


@pytest.mark.parametrize(
    ("walltime", "seconds"),
    [
        ("01:00:00", 3600),
        ("1:00:00", 3600),
        ("00:01:00", 60),
        ("02:03:00", 2 * 3600 + 3 * 60),
        ("23:59:00", 86_340),
        ("100:00:00", 360_000),
        ("1000:00:00", 3_600_000),
    ],
)
def test_a_walltime_is_hours_and_whole_minutes(walltime, seconds):
    site = SiteSettings(walltime=walltime)
    assert (site.walltime, site.walltime_s) == (walltime, seconds)


@pytest.mark.parametrize(
    "walltime",
    [
        *("", "60", "01:00", "1:0:0", "01:60:00", "01:00:60", "00:00:00", "-1:00:00", "1-00:00:00", "10000:00:00"),
        *("01:00:00 ", " 01:00:00", "01:00:00\n", "01:00:00.5", "one hour", "01.00.00", "\u0660\u0661:00:00"),
        *("02:03:04", "01:00:01", "00:00:30", "00:01:59"),  # batch systems would make other minutes of them
    ],
)
def test_another_form_of_walltime_is_refused(walltime):
    refused("is not HH:MM:00, of a minute at least", walltime=walltime)


@pytest.mark.parametrize(("walltime", "text"), [(time(2, 0), "02:00:00"), (time(23, 59), "23:59:00")])
def test_a_time_of_day_is_a_walltime_as_toml_has_it(walltime, text):
    assert SiteSettings(walltime=walltime).walltime == text


@pytest.mark.parametrize("walltime", [time(0), time(2, 0, 1), time(2, 0, 0, 500), 3600, None])
def test_what_is_no_text_and_no_such_time_is_no_walltime(walltime):
    refused("walltime", walltime=walltime)


def test_one_line_is_a_list_of_one():
    site = SiteSettings(kind="slurm", setup="module load x", scheduler_lines="#SBATCH -x n1")
    assert (site.setup, site.scheduler_lines) == (("module load x",), ("#SBATCH -x n1",))
    refused("setup", setup="")
    refused("setup", setup="one\ntwo")


def test_there_are_no_more_blocks_at_least_than_at_most():
    refused("min_blocks 3 is more than max_blocks 2", min_blocks=3, max_blocks=2)
    assert SiteSettings(min_blocks=2, max_blocks=2).min_blocks == 2
    assert SiteSettings(min_blocks=0).max_blocks == 1
    refused("min_blocks", min_blocks=-1)
    refused("max_blocks", min_blocks=0, max_blocks=0)


@pytest.mark.parametrize(
    "name", ["nodes_per_block", "nodes_per_shard", "workers", "workers_per_gpu", "threads_per_worker", "cores_per_node"]
)
def test_what_is_counted_is_one_at_least(name):
    assert getattr(SiteSettings(**{name: 1}), name) == 1
    refused(name, **{name: 0})


LINES = {"scheduler_lines": "#SBATCH --exclusive", "setup": "module load python"}


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("more", ["", "  ", "\n", "{}\n", "\n{}", "{}\n{}", "{}\r", "{}\t--x", "{}\x1b[0m", "{}\u2028"])
def test_a_line_is_one_line(lines, more):
    good = LINES[lines]
    refused(rf"\b{lines}\.1\b", kind="slurm", **{lines: [good, more.format(good, good)]})
    assert getattr(SiteSettings(kind="slurm", **{lines: [good, good]}), lines) == (good, good)


@pytest.mark.parametrize("name", ["launcher_options", "select_options"])
def test_options_are_one_line_or_none(name):
    for good in ("", "--exact", "--exact --label --comment='two words'"):
        assert getattr(SiteSettings(kind="slurm", **{name: good}), name) == good
    for bad in (" ", "\n", "--exact\n", "--exact\nrm", "--exact\t--label", "\x00"):
        refused(f"{name}\n.*is a line of text", kind="slurm", **{name: bad})


@pytest.mark.parametrize("name", ["account", "queue", "qos"])
def test_a_name_that_goes_into_scripts_is_one_word(name):
    for good in ("abc123", "m1234_g", "gpu-small", "gpu,preempt", "group.x", "a/b", "user@host"):
        assert getattr(SiteSettings(**{name: good}), name) == good
    words = ("", " ", "a b", " a", "a ", "a\n", "\na", "a\tb", "a\nb")
    for bad in (*words, *(f"a{character}b" for character in "$;&|<>`'\"\\")):
        refused(rf"\n{name}\n", **{name: bad})


MARKS = {"slurm": "#SBATCH", "lsf": "#BSUB", "pbs": "#PBS"}


@pytest.mark.parametrize(("kind", "mark"), MARKS.items())
def test_a_line_for_the_batch_system_begins_with_its_mark(kind, mark):
    lines = (f"{mark} -x", f'{mark} -y "two words"')
    assert SiteSettings(kind=kind, scheduler_lines=lines).scheduler_lines == lines
    others = {other for other in MARKS.values() if other != mark}
    for bad in (*others, f" {mark}", mark[1:], f"# {mark[1:]}", f"{mark}S", mark.lower(), "module load"):
        refused(f"scheduler_lines: '{bad} -x' does not begin with {mark}", kind=kind, scheduler_lines=[f"{bad} -x"])
    refused("does not begin with", kind=kind, scheduler_lines=[lines[0], mark])


@pytest.mark.parametrize("kind", ["none", "block", "block-reverse", "alternating"])
def test_cores_are_parted_as_parsl_parts_them(kind):
    assert affinity(SiteSettings(cpu_affinity=kind, gpus_per_node=4, workers_per_gpu=3)) == kind


@pytest.mark.parametrize(
    "cores",
    [
        *("blocks", "Block", "", "list", "list:", "list:a", "list:0-", "list:-7", "list:0-7:", "list::0-7"),
        *("list:0-7,", "0-7"),
        *("list:0 -7", "list:0-7-9", "list: 0-7", "list:0-7;true", "list:0-7\n", "none\n", "list:\u0660"),
        *("list:7-0", "list:0-7:15-8", "list:0,9-8"),  # no core
    ],
)
def test_other_words_for_cores_are_refused(cores):
    refused("cpu_affinity", cpu_affinity=cores, workers=1)


@pytest.mark.parametrize("workers_per_gpu", [1, 2, 3])
def test_cores_are_listed_for_each_gpu_however_many_workers_it_has(workers_per_gpu):
    there = {"gpus_per_node": 4, "workers_per_gpu": workers_per_gpu}
    assert SiteSettings(cpu_affinity=FOUR, **there).workers_per_node == 4 * workers_per_gpu
    refused("lists cores for 3 GPUs, and there are 4", cpu_affinity="list:0-7:8-15:16-23", **there)
    assert affinity(SiteSettings(cpu_affinity=f"{FOUR}:32-39", **there)) == affinity(
        SiteSettings(cpu_affinity=FOUR, **there)
    )


def test_cores_are_listed_for_each_worker_where_there_are_no_gpus():
    assert affinity(SiteSettings(cpu_affinity=FOUR, workers=4)) == FOUR
    assert affinity(SiteSettings(cpu_affinity=FOUR, workers=3)) == "list:24-31:16-23:8-15"
    refused("lists cores for 4 GPUs, and there are more", cpu_affinity=FOUR, workers=5)
    refused("lists cores for 4 GPUs, and there are more", cpu_affinity=FOUR)  # as many as a node has cores


def test_fewer_workers_than_gpus_have_the_cores_of_the_first_gpus():
    site = SiteSettings(cpu_affinity=FOUR, gpus_per_node=4, workers=2)
    assert (site.workers_per_node, affinity(site)) == (2, "list:24-31:16-23")


@pytest.mark.parametrize(
    ("there", "workers"),
    [
        ({}, None),
        ({"threads_per_worker": 4}, None),
        ({"workers": 3}, 3),
        ({"cores_per_node": 42}, 42),
        ({"cores_per_node": 42, "threads_per_worker": 4}, 10),
        ({"cores_per_node": 3, "threads_per_worker": 4}, 1),
        ({"cores_per_node": 42, "workers": 3}, 3),
        ({"gpus_per_node": 0, "cores_per_node": 42}, 42),
        ({"gpus_per_node": 6, "cores_per_node": 42}, 6),
        ({"gpus_per_node": 6, "workers_per_gpu": 3}, 18),
        ({"gpus_per_node": 6, "workers": 4}, 4),
        ({"gpus_per_node": 6, "workers": 40}, 6),
        ({"gpus_per_node": 6, "workers_per_gpu": 2, "workers": 40}, 12),
        ({"gpus_per_node": 6, "workers_per_gpu": 2, "workers": 7}, 7),
    ],
)
def test_workers_are_as_asked_or_by_gpus_or_by_cores(there, workers):
    assert SiteSettings(**there).workers_per_node == workers


def test_only_settings_can_be_needed():
    assert SiteSettings(needs=["account", "interface"]).needs == ("account", "interface")
    refused("needs: there is no setting 'acount'", needs=["account", "acount"])


def test_a_node_is_lost_when_it_misses_five_heartbeats_in_a_row():
    assert SiteSettings(heartbeat_s=60).heartbeat_threshold_s == 300


def test_workers_are_elsewhere_unless_the_site_is_local():
    on_cluster = {kind for kind in ("local", "slurm", "lsf", "pbs") if SiteSettings(kind=kind).on_cluster}
    assert on_cluster == {"slurm", "lsf", "pbs"}


sizes = st.integers(1, 700)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 300), st.floats(0, 1), sizes, sizes)
def test_executors_share_all_blocks_and_none_has_more_nodes_than_it_can_hold(most, least, per_block, per_shard):
    asked = {"max_blocks": most, "min_blocks": int(least * most)}
    shares = list(shards(SiteSettings(nodes_per_block=per_block, nodes_per_shard=per_shard, **asked)))
    assert sum(blocks.most for blocks in shares) == most
    assert sum(blocks.least for blocks in shares) == asked["min_blocks"]
    for blocks in shares:
        assert 0 <= blocks.least <= blocks.most
        assert blocks.most == 1 or 1 <= blocks.most * per_block <= per_shard


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 300), sizes, sizes)
def test_there_are_no_more_executors_than_it_takes_and_they_are_alike(most, per_block, per_shard):
    shares = list(shards(SiteSettings(max_blocks=most, nodes_per_block=per_block, nodes_per_shard=per_shard)))
    held = max(1, per_shard // per_block)
    assert (len(shares) - 1) * held < most <= len(shares) * held
    assert max(b.most for b in shares) - min(b.most for b in shares) <= 1


def test_summit_s_4600_nodes_are_ten_executors():
    shares = list(shards(SiteSettings(nodes_per_block=46, max_blocks=100, min_blocks=0)))
    assert [blocks.most for blocks in shares] == [10] * 10


def ranges(numbers):
    """Cores as Parsl's workers read them."""
    found = []
    for part in numbers.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


some_cores = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20)), min_size=1, max_size=3)


@settings(deadline=None, max_examples=200)
@given(st.lists(some_cores, min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 3), st.integers(1, 60))
def test_each_worker_has_the_cores_of_its_gpu(gpus, workers_per_gpu, too_many, workers):
    listed = [[core for first, more in parts for core in range(first, first + more + 1)] for parts in gpus]
    text = ":".join(",".join(f"{first}-{first + more}" if more else f"{first}" for first, more in g) for g in gpus)
    there = {"gpus_per_node": max(1, len(gpus) - too_many), "workers_per_gpu": workers_per_gpu, "workers": workers}
    site = SiteSettings(cpu_affinity=f"list:{text}", **there)
    kind, *each = affinity(site).split(":")
    assert kind == "list"
    assert len(each) == site.workers_per_node  # with another number, Parsl's workers end as they start
    for number, cores in enumerate(each):
        assert ranges(cores) == listed[number // workers_per_gpu]  # as `apps.placement` chooses its GPU


def hours(number, kind="slurm"):
    return SiteSettings(kind=kind, walltime=f"{number}:00:00")


@pytest.mark.parametrize("kind", ["slurm", "lsf", "pbs"])
def test_a_job_takes_no_more_tasks_when_its_walltime_would_cut_one_off(kind):
    assert drain_s(hours(2, kind), 160) == 7200 - 160 - 60  # a minute until the first evaluation begins
    assert drain_s(hours(1, kind), 1740) == 1800
    assert drain_s(hours(1, kind), 1741) is None
    assert drain_s(hours(1, kind), 5000) is None


def test_workers_of_this_machine_never_stop_taking_tasks():
    assert drain_s(hours(2, "local"), 1.0) is None


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 48 * 60), st.floats(0, 50_000))
def test_the_longest_evaluation_fits_in_what_is_left_or_the_job_is_worked_to_its_end(minutes, longest):
    walltime = 60 * minutes
    after = drain_s(SiteSettings(kind="slurm", walltime=f"{minutes // 60}:{minutes % 60:02}:00"), longest)
    if after is None:
        assert walltime - longest - 60 < walltime / 2
    else:
        assert walltime // 2 <= after
        assert after + longest + 60 <= walltime + 1e-6
