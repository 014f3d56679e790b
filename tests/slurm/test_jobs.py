"""The jobs on a real Slurm: kicked in every way that a cluster knows, they end with the numbers of a local run."""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from fluxbench.bench import layout
from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.solvers.data import datasets
from fluxbench.training import checkpoints
from tests.processes import next_file_in
from tests.slurm.private import NETWORK, MissingError, PrivateSlurm, install
from tests.slurm.site import SITE

REPOSITORY = Path(__file__).parents[2]
SMALL = [
    "name=jobs",
    "densities.problems=['tanh']",
    "densities.test_samples=2000",
    "densities.epochs=700",
    "densities.generated=200",
    "flux.problems=['linear']",
    "flux.noise=[0.1]",
    "flux.train_samples=40000",
    "flux.test_samples=60",
    "flux.measurements=10",
    "flux.generated=40",
    "flux.epochs=10",
    "training.formulations=['vp-k2']",
    "training.way='packed'",
    "sampling.alphas=[0.0]",
    "sampling.costs=100",
]
ENOUGH = 400.0
"""Seconds for any of the waits."""


def options(root: Path) -> list[str]:
    return [text for change in (*SMALL, f"root={root}") for text in ("--set", change)]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    try:
        install()
    except MissingError as missing:
        pytest.skip(str(missing))
    with PrivateSlurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def quiet(slurm: PrivateSlurm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by worker processes of this machine; not made where there is nothing to compare it with."""
    root = tmp_path_factory.mktemp("quiet")
    assert main(["run", *options(root), "--address", "none"]) == 0
    return root


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stormy")


class Jobs:
    """The run of a folder, as jobs."""

    def __init__(self, slurm: PrivateSlurm, root: Path, **changes: str) -> None:
        """Submit it, with changes of what stands in site.env."""
        self.slurm, self.logs = slurm, root / "runs" / "jobs" / "logs"
        site = root / "site.env"
        site.write_text(SITE + "".join(f"FLUXBENCH_{name}={value}\n" for name, value in changes.items()))
        scratch = root / "scratch"
        done = slurm.run("slurm/submit.sh", *options(root), FLUXBENCH_SITE=str(site), FLUXBENCH_SCRATCH=str(scratch))
        assert done.returncode == 0, done.stderr
        self.ids = dict(re.findall(r"(\w+): job (\d+)", done.stdout))

    def log(self, name: str) -> str:
        """What a job, or all tasks of an array, have said so far."""
        return "".join(path.read_text() for path in sorted(self.logs.glob(f"{name}-{self.ids[name]}*.log")))

    def show(self, name: str) -> str:
        """What Slurm knows of a job."""
        return self.slurm.run("scontrol", "show", "job", self.ids[name]).stdout

    def until_gone(self) -> None:
        """Wait until no job is left."""
        self.slurm.until(lambda: not self.slurm.run("squeue", "--noheader").stdout, "the end of all jobs", ENOUGH)


def kill_a_rank(root: Path) -> None:
    """``kill -9`` of one process that solves."""
    ranks = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"].startswith("python")
        and {"fluxbench.solvers.data.generate", "mpi4py"} <= set(process.info["cmdline"] or [])
        and str(root / "runs" / "jobs" / "data" / "linear.h5") in (process.info["cmdline"] or [])
    ]
    ranks[-1].kill()


def test_a_rank_that_is_killed_ends_its_job_and_cancels_what_waits_for_it(slurm: PrivateSlurm, stormy: Path) -> None:
    data = stormy / "runs" / "jobs" / "data"
    with next_file_in(data / "linear.h5.shards") as seen:
        jobs = Jobs(slurm, stormy)
        seen()
        kill_a_rank(stormy)
    jobs.until_gone()
    assert "JobState=CANCELLED" in jobs.show("consolidate")
    assert "JobState=CANCELLED" in jobs.show("report")
    assert "the MPI job ended with status" in jobs.log("solve")
    assert re.search(
        rf"put right: FLUXBENCH_SITE=\S+ \S+/slurm/submit.sh --profile quick --set {SMALL[0]}", jobs.log("solve")
    )
    assert not list(data.glob("*.h5"))
    assert list((data / "linear.h5.shards").glob("*.h5"))


def test_a_node_that_crashes_requeues_training_and_scancel_loses_nothing(slurm: PrivateSlurm, stormy: Path) -> None:
    cells = stormy / "runs" / "jobs" / "cells"
    with next_file_in(cells, ".pt") as seen:
        jobs = Jobs(slurm, stormy)
        seen()
    assert "resumed from" in jobs.log("solve")
    slurm.crash("n2")
    slurm.until(lambda: "Restarts=1" in jobs.show("train"), "the requeue", ENOUGH)
    slurm.boot("n2")
    with next_file_in(cells, ".pt") as seen:
        seen()
    assert "start number 2" in jobs.log("train")
    return_of_a_lost_slurmd(slurm, jobs)
    slurm.run("scancel", jobs.ids["train"])
    slurm.until(lambda: "JobState=CANCELLED" in jobs.show("sample"), "the end of what waits for training")


def return_of_a_lost_slurmd(slurm: PrivateSlurm, jobs: Jobs) -> None:
    """``kill -9`` of the slurmd that runs the job's script, while all that it has started works on."""
    slurm.kill_daemon("n1")
    slurm.until(lambda: "Restarts=2" in jobs.show("train"), "the requeue", ENOUGH)
    slurm.start_daemon("n1")


def test_training_that_is_preempted_goes_on(slurm: PrivateSlurm, stormy: Path) -> None:
    """Submitted while the cancelled one may still be ending."""
    cells = stormy / "runs" / "jobs" / "cells"
    with next_file_in(cells, ".pt") as seen:
        jobs = Jobs(slurm, stormy)
        seen()
    done = slurm.run("sbatch", "--wait", "--partition=urgent", "--nodes=2", "--exclusive", "--wrap=true")
    assert done.returncode == 0, done.stderr
    slurm.until(lambda: "Restarts=1" in jobs.show("train"), "the requeue", ENOUGH)
    assert "preempted: the job ends here and goes back into the queue" in jobs.log("train")
    slurm.until(lambda: "JobState=RUNNING" in jobs.show("train"), "the next start", ENOUGH)
    assert "PreemptTime=None" in jobs.show("train")  # or its next failure would be taken for another preemption
    slurm.run("scancel", jobs.ids["train"])
    slurm.until(lambda: "JobState=CANCELLED" in jobs.show("sample"), "the end of what waits for training")


def test_training_that_runs_into_its_time_limit_goes_on_and_ends_as_a_local_run(
    slurm: PrivateSlurm, quiet: Path, stormy: Path
) -> None:
    jobs = Jobs(slurm, stormy, TRAIN="(--nodes=1 --cpus-per-task=2 --time=00:02:00)", WARNING="30")
    slurm.until(lambda: "Restarts=1" in jobs.show("train"), "the requeue", ENOUGH)
    slurm.run("scontrol", "update", f"jobid={jobs.ids['train']}", "TimeLimit=10")
    again = Jobs(slurm, stormy)
    jobs.until_gone()
    assert "JobState=COMPLETED" in again.show("report"), again.log("solve") + again.log("report")
    said = jobs.log("train")
    assert "the time limit is near: the job ends here and goes back into the queue" in said
    assert "fluxbench: interrupted; the same command goes on from here" in said
    assert "start number 2" in said
    assert re.search(r"ssh -N -L 8265:127.0.0.1:1\d+ -J me@login.example.org \w+@n\d", said)
    assert "1 node(s) have joined. Ray attached to: 2 cores" in said
    assert "JobState=COMPLETED" in jobs.show("report"), said + jobs.log("report")
    config = load("quick", options(stormy)[1::2])
    expected = load("quick", options(quiet)[1::2])
    for problem in config.problems:
        made, local = (datasets.read(layout.data_path(each, problem)) for each in (config, expected))
        assert (made.train.x == local.train.x).all()
        assert (made.train.y == local.train.y).all()
    for cell in config.networks():
        trained, local = (checkpoints.load(layout.checkpoint_path(each, cell)) for each in (config, expected))
        assert trained.finished
        assert trained.provenance["slurm_job_partition"] == "work"
        assert all(torch.equal(trained.model[name], weights) for name, weights in local.model.items())
    assert table(stormy) == table(quiet)
    assert not list((stormy / "scratch").iterdir())
    assert not list(Path("/tmp").glob(f"fluxbench-ray-{jobs.ids['train']}-*"))  # noqa: S108 - where the script has it
    left = [path for path in (stormy / "runs").rglob("*") if path.suffix in {".shards", ".blocks", ".tmp"}]
    assert not left


def table(root: Path) -> list[dict[str, str]]:
    """All scores, but for what they cost."""
    with (root / "results" / "jobs" / "scores.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_symmetric_run_says_when_it_is_done(slurm: PrivateSlurm, quiet: Path, stormy: Path) -> None:
    (stormy / "site.env").write_text(SITE.replace("explicit", "symmetric"))
    samples = stormy / "runs" / "jobs" / "samples"
    gone = next(samples.glob("*.h5"))
    gone.unlink()
    command = ["sbatch", "--wait", "--nodes=2", f"--output={stormy / 'symmetric.log'}", "slurm/ray.sbatch"]
    done = slurm.run(*command, "sample", *options(stormy), FLUXBENCH_SITE=str(stormy / "site.env"))
    assert done.returncode == 0, (stormy / "symmetric.log").read_text()
    assert gone.exists()


def test_symmetric_run_saves_what_is_trained_when_its_time_is_near(slurm: PrivateSlurm, stormy: Path) -> None:
    cells, log = stormy / "runs" / "jobs" / "cells", stormy / "warned.log"
    next(cells.glob("tanh*.pt")).unlink()
    with next_file_in(cells, ".pt") as seen:
        command = ["sbatch", "--parsable", "--cpus-per-task=2", f"--output={log}", "slurm/ray.sbatch", "train"]
        job = slurm.run(*command, *options(stormy), FLUXBENCH_SITE=str(stormy / "site.env")).stdout.strip()
        seen()
    slurm.run("scancel", "--batch", "--signal=USR1", job)
    slurm.until(lambda: "Restarts=1" in slurm.run("scontrol", "show", "job", job).stdout, "the requeue", ENOUGH)
    slurm.run("scancel", job)
    assert "fluxbench: interrupted; the same command goes on from here" in log.read_text()


def test_a_refused_submission_names_the_jobs_before_it(slurm: PrivateSlurm, tmp_path: Path) -> None:
    """A job that wants more time than there is."""
    (tmp_path / "site.env").write_text(SITE + "FLUXBENCH_TRAIN=(--nodes=1 --time=2-00:00:00)\n")
    site = str(tmp_path / "site.env")
    done = slurm.run("slurm/submit.sh", *options(tmp_path), FLUXBENCH_SITE=site)
    assert done.returncode == 2
    assert "Requested time limit is invalid" in done.stderr
    ids = re.findall(r"job (\d+)", done.stdout)
    assert re.fullmatch(r"solve: job \d+\nconsolidate: job \d+\n", done.stdout)
    assert (
        f"sbatch refused the job train, see above; to take back those before it: scancel {' '.join(ids)}" in done.stderr
    )
    assert slurm.run("scancel", *ids).returncode == 0


def test_single_ranks_are_not_taken_for_an_mpi_job(slurm: PrivateSlurm, tmp_path: Path) -> None:
    """What a launcher of another MPI makes of it."""
    (tmp_path / "site.env").write_text(SITE.replace("--mpi=pmi2", "--mpi=none"))
    log = tmp_path / "solve.log"
    command = ["sbatch", "--wait", "--nodes=2", "--ntasks=2", f"--output={log}", "slurm/mpi.sbatch"]
    done = slurm.run(*command, "solve", *options(tmp_path), FLUXBENCH_SITE=str(tmp_path / "site.env"))
    assert done.returncode != 0
    assert (
        "ranks: expected an MPI job of 2, found one of 1; is the launcher (FLUXBENCH_MPIEXEC) that of another MPI"
        in log.read_text()
    )


def test_a_node_that_does_not_join_is_named(slurm: PrivateSlurm) -> None:
    """A head alone, where two nodes should be."""
    start = ["ray", "start", "--head", f"--node-ip-address={NETWORK}.254", "--port=10007", "--num-cpus=1"]
    start += ["--min-worker-port=0", "--max-worker-port=0"]  # those it would take by itself begin at 10002
    environment = slurm.environment | {"PATH": f"{Path(sys.executable).parent}:{slurm.environment['PATH']}"}
    environment["RAY_AUTH_MODE"] = "disabled"
    try:
        subprocess.run([*start, "--include-dashboard=false"], env=environment, check=True, capture_output=True)
        command = [sys.executable, "-m", "fluxbench.training.nodes", f"{NETWORK}.254:10007", "2", "1"]
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert re.search(r"expected 2 nodes after 1 s, found \S+$", done.stderr.strip())
    finally:
        subprocess.run(["ray", "stop"], env=environment, check=False, capture_output=True)


def test_the_scripts_pass_shellcheck(slurm: PrivateSlurm) -> None:
    """Which is installed with Slurm."""
    scripts = [*(REPOSITORY / "slurm").glob("*.s*"), *(REPOSITORY / "tests" / "slurm").glob("*.sh")]
    assert len(scripts) > 6
    command = ["shellcheck", "--external-sources", *scripts]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
