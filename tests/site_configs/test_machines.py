"""Each machine's Parsl configuration beside what that machine is, and what settings make of it."""

import socket
from types import SimpleNamespace

import pytest
from parsl.executors.status_handling import noop_error_handler
from parsl.launchers import JsrunLauncher, MpiExecLauncher, SrunLauncher
from parsl.providers import LSFProvider, PBSProProvider, SlurmProvider

from site_configs.executors import RETRIES, Purpose, retry_cost
from site_configs.guard import node_folder
from site_configs.sites import config_for, settings_of, site_named
from workflow.config import load_config

ADDRESSES = {"ib0": "10.1.2.3", "hsn0": "10.1.2.4", "bond0": "10.1.2.5"}
MACHINES = ["summit", "frontier", "perlmutter", "polaris", "aurora"]
LONGEST_S = 160.0


@pytest.fixture(autouse=True)
def login_node(monkeypatch, tmp_path_factory):
    """The interfaces of all machines, and no command of any batch system."""
    there = {name: [SimpleNamespace(family=socket.AF_INET, address=address)] for name, address in ADDRESSES.items()}
    monkeypatch.setattr("site_configs.address.psutil.net_if_addrs", lambda: there)
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))


def built(name, tmp_path, **values):
    """The Parsl configuration of a site."""
    site = settings_of({"like": name, "account": "abc123", **values}, "test")
    return config_for(site, Purpose(tmp_path / "parsl", "evo1", LONGEST_S, tmp_path / "jobs.txt"))


def only(config):
    (executor,) = config.executors
    return executor


def cores_of(executor):
    """The cores of each worker as Parsl's workers read them."""
    kind, *parts = executor.cpu_affinity.split(":")
    assert kind == "list"
    return [list(range(int(first), int(last) + 1)) for first, last in (part.split("-") for part in parts)]


def options(executor):
    return executor.provider.launcher.overrides.split()


@pytest.mark.parametrize("name", MACHINES)
def test_all_machines_have_in_common_what_thousands_of_nodes_ask_for(tmp_path, name):
    config = built(name, tmp_path)
    assert config.usage_tracking == 0
    assert config.strategy == "none"
    assert config.run_dir == str(tmp_path / "parsl")
    assert (config.retries, config.retry_handler) == (RETRIES, retry_cost)
    executor = only(config)
    assert executor.label == "evo1-0"
    assert executor.encrypted
    assert executor.prefetch_capacity == 0
    assert (executor.heartbeat_period, executor.heartbeat_threshold) == (60, 300)
    assert executor.block_error_handler is noop_error_handler
    assert executor.available_accelerators == []  # workers choose their own
    assert executor.drain_period == 3600 - 160 - 60
    assert executor.worker_logdir_root == str(node_folder())
    provider = executor.provider
    assert (provider.init_blocks, provider.min_blocks, provider.max_blocks) == (0, 0, 1)
    assert provider.nodes_per_block == (10 if name == "polaris" else 1)  # its queue takes 10 to 496 nodes
    assert (provider.walltime, provider.cmd_timeout) == ("01:00:00", 120)
    assert (provider.poll_s, provider.status_polling_interval) == (60, 60)
    assert provider.ledger.path == tmp_path / "jobs.txt"
    assert provider.resources == {}


MAKES = {
    "summit": ("ib0", "nvidia", LSFProvider, JsrunLauncher),
    "frontier": ("hsn0", "amd", SlurmProvider, SrunLauncher),
    "perlmutter": ("hsn0", "nvidia", SlurmProvider, SrunLauncher),
    "polaris": ("bond0", "nvidia", PBSProProvider, MpiExecLauncher),
    "aurora": ("hsn0", "intel", PBSProProvider, MpiExecLauncher),
}


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_has_its_network_its_gpus_and_its_batch_system(tmp_path, name):
    interface, vendor, provider, launcher = MAKES[name]
    executor = only(built(name, tmp_path))
    assert executor.address == ADDRESSES[interface]
    assert executor.all_addresses == {ADDRESSES[interface]}  # by no other
    assert f"--vendor={vendor} " in executor.launch_cmd
    assert isinstance(executor.provider, provider)
    assert isinstance(executor.provider.launcher, launcher)


GPUS = {"summit": 6, "frontier": 8, "perlmutter": 4, "polaris": 4, "aurora": 12}


@pytest.mark.parametrize(("name", "gpus"), GPUS.items())
@pytest.mark.parametrize("each", [1, 3])
def test_each_gpu_has_its_workers_however_few_cores_parsl_counts(tmp_path, name, gpus, each):
    executor = only(built(name, tmp_path, workers_per_gpu=each))
    assert executor.max_workers_per_node == gpus * each
    assert min(executor.max_workers_per_node, 1 // executor.cores_per_worker) == gpus * each
    assert f"--gpus={gpus} " in executor.launch_cmd
    assert f"--workers-per-gpu={each} " in executor.launch_cmd


@pytest.mark.parametrize("name", ["frontier", "perlmutter", "polaris", "aurora"])
@pytest.mark.parametrize("each", [1, 2])
def test_workers_of_two_gpus_share_no_core(tmp_path, name, each):
    cores = cores_of(only(built(name, tmp_path, workers_per_gpu=each)))
    assert len(cores) == GPUS[name] * each
    of_gpus = [frozenset(own) for own in cores[::each]]
    assert len(frozenset.union(*of_gpus)) == sum(map(len, of_gpus))
    assert all(frozenset(cores[i]) == of_gpus[i // each] for i in range(len(cores)))


def test_summit_s_resource_set_is_a_node_without_the_system_s_cores(tmp_path):
    executor = only(built("summit", tmp_path))
    given = executor.provider.launcher.overrides
    assert given == "-a 1 -c 42 -g 6 -b none"  # 2 sockets of 22 cores, one of each is the system's; 6 V100
    assert executor.cpu_affinity == "block"  # 7 cores for each GPU, and 3 GPUs on a socket
    provider = executor.provider
    assert not provider.bsub_redirection
    assert provider.request_by_nodes
    lines = provider.scheduler_options.split("\n")
    assert '#BSUB -alloc_flags "gpumps smt1 nvme"' in lines
    assert "#BSUB -P abc123" in lines
    assert "#BSUB -nnodes 1" in lines


def test_frontier_s_workers_have_the_cores_nearest_to_their_die(tmp_path):
    executor = only(built("frontier", tmp_path))
    # OLCF's guide: which L3 cache, of 8 cores, is nearest to dies 0 to 7.
    nearest = [6, 7, 2, 3, 0, 1, 4, 5]
    cores = cores_of(executor)
    assert [{core // 8 for core in own} for own in cores] == [{region} for region in nearest]
    reserved = set(range(0, 64, 8))  # by core specialization, the first of each L3 cache
    assert {core for own in cores for core in own} == set(range(64)) - reserved
    assert "--cpus-per-task=56" in options(executor)  # Slurm counts cores there, as one thread of each is the default
    lines = executor.provider.scheduler_options.split("\n")
    wanted = {"--constraint=nvme", "--exclusive", "--partition=batch", "--account=abc123", "--gpus-per-node=8"}
    assert {f"#SBATCH {word}" for word in wanted} <= set(lines)


def test_perlmutter_s_workers_have_the_cores_nearest_to_their_gpu(tmp_path):
    executor = only(built("perlmutter", tmp_path))
    cores = cores_of(executor)
    assert [{core // 16 for core in own} for own in cores] == [{3}, {2}, {1}, {0}]  # domains of 16 cores
    assert sorted(core for own in cores for core in own) == list(range(64))
    assert "--gpu-bind=none" in options(executor)
    lines = executor.provider.scheduler_options.split("\n")
    wanted = {"--constraint=gpu", "--exclusive", "--qos=regular", "--account=abc123", "--gpus-per-node=4"}
    assert {f"#SBATCH {word}" for word in wanted} <= set(lines)
    assert not [line for line in lines if "--partition" in line]  # at NERSC, there are only kinds of service


def test_perlmutter_s_step_has_all_of_a_node(tmp_path):
    # Slurm counts 128 hardware threads of 64 cores, and a step gets no more of them than --cpus-per-task says.
    assert "--cpus-per-task=128" in options(only(built("perlmutter", tmp_path)))


def test_polaris_s_workers_have_the_cores_nearest_to_their_gpu(tmp_path):
    executor = only(built("polaris", tmp_path))
    cores = cores_of(executor)
    assert [{core // 8 for core in own} for own in cores] == [{3}, {2}, {1}, {0}]  # domains of 8 cores
    assert sorted(core for own in cores for core in own) == list(range(32))
    provider = executor.provider
    assert (provider.cpus_per_node, provider.select_options) == (64, "ngpus=4")
    lines = ["#PBS -A abc123", "#PBS -q prod", "#PBS -l filesystems=home:eagle", "#PBS -l place=scatter"]
    assert provider.scheduler_options.split("\n") == lines


def test_aurora_s_workers_have_cores_of_their_tile_s_socket(tmp_path):
    executor = only(built("aurora", tmp_path))
    cores = cores_of(executor)
    assert [len(own) for own in cores] == [8] * 12
    assert [{core // 52 for core in own} for own in cores] == [{0}] * 6 + [{1}] * 6  # sockets of 52 cores
    assert not {0, 52} & {core for own in cores for core in own}  # the system's since March 2025
    provider = executor.provider
    assert provider.cpus_per_node == 208
    lines = ["#PBS -A abc123", "#PBS -q prod", "#PBS -l filesystems=home:flare", "#PBS -l place=scatter"]
    assert provider.scheduler_options.split("\n")[:4] == lines
    assert "export ZE_FLAT_DEVICE_HIERARCHY=FLAT" in provider.worker_init


@pytest.mark.parametrize(("name", "threads"), [("polaris", 64), ("aurora", 208)])
def test_mpiexec_starts_one_pool_on_a_node_with_all_its_threads(tmp_path, name, threads):
    executor = only(built(name, tmp_path))
    assert executor.provider.launcher.bind_cmd == "--cpu-bind"  # followed by none
    assert " ".join(options(executor)).startswith(f"--ppn 1 --depth={threads}")


@pytest.mark.parametrize("name", ["polaris", "aurora"])
def test_mpiexec_lets_a_node_that_fails_take_none_of_the_others_along(tmp_path, name):
    assert "--no-abort-on-failure" in options(only(built(name, tmp_path)))  # by default, PALS ends them all


@pytest.mark.parametrize("name", ["frontier", "perlmutter"])
def test_a_slurm_job_has_all_of_its_nodes_and_one_that_fails_takes_none_of_the_others_along(tmp_path, name):
    executor = only(built(name, tmp_path))
    wanted = {"--no-kill", "--kill-on-bad-exit=0", "--wait=0", "--cpu-bind=none"}
    assert wanted <= set(options(executor))
    wanted = {"#SBATCH --no-kill", "#SBATCH --no-requeue", "#SBATCH --exclusive", "#SBATCH --mem=0"}
    assert wanted <= set(executor.provider.scheduler_options.split("\n"))


@pytest.mark.parametrize("name", ["polaris", "aurora"])
def test_a_pbs_script_says_itself_who_pays_and_where(tmp_path, name):
    provider = only(built(name, tmp_path)).provider
    assert (provider.account, provider.queue) == (None, None)  # else they stand on qsub's command line


OF_QUEUE = {"slurm": ("#SBATCH", "--partition="), "lsf": ("#BSUB", "-q "), "pbs": ("#PBS", "-q ")}


@pytest.mark.parametrize("name", MACHINES)
def test_settings_reach_the_provider(tmp_path, name):
    mark, queue = OF_QUEUE[site_named(name).kind]
    executor = only(
        built(
            name,
            tmp_path,
            walltime="02:30:00",
            nodes_per_block=46,
            min_blocks=2,
            max_blocks=10,
            queue="other",
            scheduler_lines=[f"{mark} --one", f"{mark} --two"],
            launcher_options="--of-mine=1",
            setup=["module load python"],
            heartbeat_s=30,
            poll_s=15,
        )
    )
    provider = executor.provider
    assert (provider.walltime, provider.nodes_per_block) == ("02:30:00", 46)
    assert (provider.min_blocks, provider.max_blocks) == (2, 10)
    assert f"{mark} --one\n{mark} --two" in provider.scheduler_options
    assert f"{mark} {queue}other" in provider.scheduler_options.split("\n")
    own = "".join(f"{line}\n" for line in site_named(name).setup)  # what a machine itself needs goes first
    assert provider.worker_init.startswith(f"{own}module load python\nexport PATH=")
    for line in site_named(name).scheduler_lines:
        assert line in provider.scheduler_options.split("\n")
    assert options(executor)[-1] == "--of-mine=1"
    assert set(site_named(name).launcher_options.split()) < set(options(executor))
    assert (executor.heartbeat_period, executor.heartbeat_threshold) == (30, 150)
    assert provider.status_polling_interval == 15
    assert executor.drain_period == 9000 - 160 - 60


@pytest.mark.parametrize("name", MACHINES)
def test_more_nodes_than_an_executor_can_hold_are_parted(tmp_path, name):
    config = built(name, tmp_path, nodes_per_block=46, min_blocks=7, max_blocks=25, nodes_per_shard=500)
    executors = config.executors
    assert [executor.label for executor in executors] == ["evo1-0", "evo1-1", "evo1-2"]
    assert [executor.provider.max_blocks for executor in executors] == [9, 8, 8]
    assert [executor.provider.min_blocks for executor in executors] == [3, 2, 2]
    assert len({id(executor.provider) for executor in executors}) == 3
    assert {executor.address for executor in executors} == {executors[0].address}


def test_an_evaluation_that_takes_most_of_the_walltime_is_not_waited_for(tmp_path):
    site = settings_of({"like": "frontier", "account": "abc123"}, "test")
    assert only(config_for(site, Purpose(tmp_path, longest_s=3000.0))).drain_period is None


def test_a_plain_cluster_is_asked_for_no_more_than_is_said(tmp_path):
    slurm = only(built("slurm", tmp_path, account=None, interface="ib0"))
    lines = slurm.provider.scheduler_options.split()
    for word in ("--gpus", "--partition", "--account", "--qos", "--constraint"):
        assert not [line for line in lines if line.startswith(word)]
    assert not [word for word in options(slurm) if "cpus" in word]
    lsf = only(built("lsf", tmp_path, account=None, interface="ib0"))
    assert lsf.provider.launcher.overrides == "-a 1 -c ALL_CPUS -g 0 -b none"
    assert lsf.provider.bsub_redirection
    assert "#BSUB -P" not in lsf.provider.scheduler_options
    assert "#BSUB -q" not in lsf.provider.scheduler_options
    pbs = only(built("pbs", tmp_path, account=None, interface="ib0", cores_per_node=32))
    assert (pbs.provider.scheduler_options, pbs.provider.select_options) == ("", "")


def test_a_node_without_gpus_has_a_worker_for_its_threads(tmp_path):
    executor = only(built("slurm", tmp_path, interface="ib0", cores_per_node=64, threads_per_worker=4))
    assert executor.max_workers_per_node == 16
    assert "--threads=4 " in executor.launch_cmd
    assert "--gpus" not in executor.launch_cmd
    unknown = only(built("slurm", tmp_path, interface="ib0", threads_per_worker=4))
    assert (unknown.max_workers_per_node, unknown.cores_per_worker) == (float("inf"), 4.0)  # the node counts


def test_workers_that_share_a_gpu_share_its_service_where_it_is_asked_for(tmp_path):
    assert " --mps " in only(built("perlmutter", tmp_path, mps=True)).launch_cmd
    assert "--mps" not in only(built("perlmutter", tmp_path)).launch_cmd


def test_nodes_do_not_outlive_a_driver_that_they_cannot_see(tmp_path):
    assert "--driver" not in only(built("frontier", tmp_path)).launch_cmd


def test_this_machine_is_one_block_of_one_node(tmp_path):
    values = {"like": "local", "nodes_per_block": 7, "min_blocks": 0, "max_blocks": 900, "nodes_per_shard": 2}
    (executor,) = config_for(settings_of({**values, "workers": 2}, "test"), Purpose(tmp_path)).executors
    provider = executor.provider
    assert (provider.nodes_per_block, provider.min_blocks, provider.max_blocks) == (1, 1, 1)
    site = load_config(None, {"movie": "m.tif", "site": values}).site
    assert (site.nodes_per_block, site.min_blocks, site.max_blocks) == (1, 1, 1)
