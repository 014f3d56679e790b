"""The jobs on a real Slurm: kicked in every way that a cluster knows, they end with the numbers of a local run.

The tests tell one story, in their order. The run ``stormy`` is submitted three times: the first submission loses a
rank; the second one a node and a slurmd, before it is cancelled; the third one is preempted, runs into its time limit
and ends, while a fourth waits for it. What needs nothing of that run is tested where the story waits for Slurm, and the
local run to compare with is made beside it, from where one core of the two is idle.
"""

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import torch

from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.training import checkpoints
from tests.processes import next_file_in
from tests.slurm.private import NETWORK, MissingError, PrivateSlurm, install
from tests.slurm.site import SITE, WARNING

REPOSITORY = Path(__file__).parents[2]
SMALL = [
    "name=jobs",
    "densities.problems=['tanh']",
    "densities.test_samples=2000",
    "densities.epochs=350",
    "densities.generated=200",
    "flux.problems=['linear']",
    "flux.noise=[0.1]",
    "flux.train_samples=30000",
    "flux.test_samples=60",
    "flux.measurements=10",
    "flux.generated=40",
    "flux.epochs=8",
    "training.formulations=['vp-k2']",
    "training.strategy='packed'",
    "sampling.alphas=[0.0]",
    "sampling.costs=100",
]
"""Of its two networks, tanh is the one that trains for long: 500 steps to its first checkpoint, 3,500 in all."""
ENOUGH = 400.0
"""Seconds for any of the waits."""
WARNED = "the time limit is near: the job ends here and goes back into the queue"
INTERRUPTED = "fluxbench: interrupted; the same command goes on from here"


def options(root: Path) -> list[str]:
    """Return the run's settings, as options of fluxbench, for a run below ``root``."""
    return [text for change in (*SMALL, f"root={root}") for text in ("--set", change)]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    """Start the private Slurm of all these tests."""
    try:
        install()
    except MissingError as missing:
        pytest.skip(str(missing))
    with PrivateSlurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def quiet(slurm: PrivateSlurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Begin the run by worker processes of this machine; what is returned waits for its end and names its folder."""
    root = tmp_path_factory.mktemp("quiet")
    command = [sys.executable, "-P", "-m", "fluxbench.bench.cli", "run", *options(root)]
    command += ["--address", "none", "--set", "workers=1"]
    with (root / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as run:

        def ended() -> Path:
            assert run.wait(ENOUGH) == 0, (root / "log").read_text()
            return root

        yield ended
        run.terminate()


class Jobs:
    """One submission of the run below a folder.

    Args:
        slurm: where to.
        root: folder of the run.
    """

    def __init__(self, slurm: PrivateSlurm, root: Path) -> None:
        self.slurm, self.root, self.site = slurm, root, root / "site.env"
        self.start_ray("explicit")
        scratch = str(root / "scratch")
        done = slurm.run("slurm/submit.sh", *options(root), FLUXBENCH_SITE=str(self.site), FLUXBENCH_SCRATCH=scratch)
        assert done.returncode == 0, done.stderr
        self.ids = dict(re.findall(r"(\w+): job (\d+)", done.stdout))

    def start_ray(self, mode: str) -> None:
        """Let the jobs that start from now on start Ray in another mode."""
        new = self.site.with_suffix(".new")
        new.write_text(SITE.replace("explicit", mode))
        new.replace(self.site)

    def log(self, name: str) -> str:
        """Return what a job, or all tasks of an array, have said so far."""
        logs = self.root / "runs" / "jobs" / "logs"
        return "".join(path.read_text() for path in sorted(logs.glob(f"{name}-{self.ids[name]}*.log")))

    def show(self, name: str) -> str:
        """Return what Slurm knows of a job."""
        return self.slurm.run("scontrol", "show", "job", self.ids[name]).stdout

    def until(self, name: str, state: str) -> None:
        """Wait until Slurm says this of a job, which must not have failed."""

        def reached() -> bool:
            shown = self.show(name)
            assert "JobState=FAILED" not in shown, self.log(name)
            return state in shown

        self.slurm.until(reached, f"{state} of the job {name}", ENOUGH)

    def until_it_trains(self, start: int) -> None:
        """Wait until the job ``train``, started so often, has begun to train: a network's statistics are rewritten."""

        def trains() -> bool:
            if self.log("train").count("networks, packed") < start:
                return False
            (began,) = re.findall(r"StartTime=(\S+)", self.show("train"))
            statistics = (self.root / "runs" / "jobs" / "cells").glob("*.jsonl")
            return any(path.stat().st_mtime > datetime.fromisoformat(began).timestamp() for path in statistics)

        self.slurm.until(trains, f"training, start number {start}", ENOUGH)

    def until_gone(self) -> None:
        """Wait until no job is left, of this submission or of another."""
        self.slurm.until(lambda: not self.slurm.run("squeue", "--noheader").stdout, "the end of all jobs", ENOUGH)


class Story:
    """The run that everything happens to, and its submissions, the last one at the end."""

    def __init__(self, slurm: PrivateSlurm, root: Path) -> None:
        self.slurm, self.root = slurm, root
        self.submissions: list[Jobs] = []

    def submit(self) -> Jobs:
        """Submit the run, once more."""
        self.submissions.append(Jobs(self.slurm, self.root))
        return self.submissions[-1]

    @property
    def jobs(self) -> Jobs:
        """The jobs of the submission that goes on."""
        if not self.submissions:
            pytest.skip("the run was not submitted: run the tests before this one too")
        return self.submissions[-1]


@pytest.fixture(scope="module")
def stormy(slurm: PrivateSlurm, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Return the story before it begins."""
    return Story(slurm, tmp_path_factory.mktemp("stormy"))


def kill_a_rank(root: Path) -> None:
    """``kill -9`` one process that solves."""
    ranks = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"].startswith("python")
        and {"fluxbench.solvers.data.generate", "mpi4py"} <= set(process.info["cmdline"] or [])
        and str(root / "runs" / "jobs" / "data" / "linear.h5") in (process.info["cmdline"] or [])
    ]
    ranks[-1].kill()


def test_a_rank_that_is_killed_ends_its_job_and_cancels_what_waits_for_it(stormy: Story) -> None:
    data = stormy.root / "runs" / "jobs" / "data"
    with next_file_in(data / "linear.h5.shards") as seen:
        jobs = stormy.submit()
        seen()
        kill_a_rank(stormy.root)
    jobs.until_gone()
    assert "JobState=CANCELLED" in jobs.show("consolidate")
    assert "JobState=CANCELLED" in jobs.show("report")
    assert "the MPI job ended with status" in jobs.log("solve")
    assert re.search(
        rf"put right: FLUXBENCH_SITE=\S+ \S+/slurm/submit.sh --profile quick --set {SMALL[0]}", jobs.log("solve")
    )
    assert not list(data.glob("*.h5"))
    assert list((data / "linear.h5.shards").glob("*.h5"))


def test_a_node_that_crashes_requeues_training_and_scancel_loses_nothing(slurm: PrivateSlurm, stormy: Story) -> None:
    """And the next submission may come while the cancelled one is still ending."""
    cells = stormy.root / "runs" / "jobs" / "cells"
    with next_file_in(cells, ".pt") as seen:
        jobs = stormy.submit()
        seen()
    slurm.until(lambda: bool(list(cells.glob("tanh*.pt"))), "a checkpoint to go on from", ENOUGH)
    assert "resumed from" in jobs.log("solve")
    slurm.crash("n2")
    jobs.until("train", "Restarts=1")
    slurm.boot("n2")
    jobs.until_it_trains(2)
    assert "start number 2" in jobs.log("train")
    return_of_a_lost_slurmd(slurm, jobs)
    slurm.run("scancel", jobs.ids["train"])
    stormy.submit()
    jobs.until("sample", "JobState=CANCELLED")


def return_of_a_lost_slurmd(slurm: PrivateSlurm, jobs: Jobs) -> None:
    """``kill -9`` the slurmd that runs the job's script, while all that it has started works on."""
    slurm.kill_daemon("n1")
    jobs.until("train", "Restarts=2")
    slurm.start_daemon("n1")


def test_a_node_that_does_not_join_is_named(slurm: PrivateSlurm, quiet: Callable[[], Path], stormy: Story) -> None:
    """A cluster of two nodes, where three should be: by the program that every job waits with.

    The local run begins here, because from now on one network alone is left to train, and half of the cores idle.
    """
    jobs = stormy.jobs
    jobs.until_it_trains(1)
    port, head = re.findall(r"ssh -N -L 8265:127.0.0.1:(1\d+) -J me@login.example.org \w+@n(\d)", jobs.log("train"))[0]
    step = ["srun", f"--jobid={jobs.ids['train']}", "--overlap", f"--nodelist=n{head}", "--nodes=1", "--ntasks=1"]
    program = [sys.executable, "-P", "-m", "fluxbench.training.nodes", f"{NETWORK}.{head}:{int(port) - 1}", "3", "1"]
    done = slurm.run(*step, "--mpi=none", *program, RAY_AUTH_MODE="token")
    assert done.returncode == 2, done.stderr
    assert "expected 3 nodes after 1 s, found n1, n2" in done.stderr


def test_training_that_is_preempted_goes_on(slurm: PrivateSlurm, stormy: Story) -> None:
    jobs = stormy.jobs
    jobs.until_it_trains(1)
    done = slurm.run(
        "sbatch", "--wait", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"
    )
    assert done.returncode == 0, done.stderr
    jobs.until("train", "Restarts=1")
    assert "preempted: the job ends here and goes back into the queue" in jobs.log("train")
    jobs.until("train", "JobState=RUNNING")
    assert "PreemptTime=None" in jobs.show("train")  # or its next failure would be taken for another preemption


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


def test_training_that_runs_into_its_time_limit_goes_on(slurm: PrivateSlurm, stormy: Story) -> None:
    """Slurm looks at time limits every 30 seconds; meanwhile the run is submitted once more."""
    jobs = stormy.jobs
    jobs.until_it_trains(2)
    done = slurm.run("scontrol", "update", f"jobid={jobs.ids['train']}", f"EndTime=now+{WARNING + 31}")
    assert done.returncode == 0, done.stderr
    stormy.submit()
    jobs.until("train", "Restarts=2")
    slurm.run("scontrol", "update", f"jobid={jobs.ids['train']}", "TimeLimit=10")
    jobs.start_ray("symmetric")
    said = jobs.log("train")
    assert said.count(WARNED) == 1
    assert said.count(INTERRUPTED) == 1


def test_symmetric_run_saves_what_is_trained_when_its_time_is_near_and_says_when_it_is_done(
    slurm: PrivateSlurm, stormy: Story
) -> None:
    jobs = stormy.submissions[-2]
    jobs.until_it_trains(3)
    slurm.run("scancel", "--batch", "--signal=USR1", jobs.ids["train"])
    jobs.until("train", "Restarts=3")
    assert jobs.log("train").count(WARNED) == 2
    assert jobs.log("train").count(INTERRUPTED) == 2
    jobs.until_it_trains(4)
    jobs.start_ray("explicit")
    jobs.until("train", "JobState=COMPLETED")
    assert "start number 4" in jobs.log("train")


def test_the_run_ends_as_a_local_run(quiet: Callable[[], Path], stormy: Story) -> None:
    """All jobs of the last two submissions, one after the other."""
    jobs, again = stormy.submissions[-2:]
    jobs.until_gone()
    assert "JobState=COMPLETED" in jobs.show("report"), jobs.log("sample") + jobs.log("score") + jobs.log("report")
    assert "JobState=COMPLETED" in again.show("report"), again.log("solve") + again.log("report")
    assert re.search(r"ssh -N -L 8265:127.0.0.1:1\d+ -J me@login.example.org \w+@n\d", jobs.log("sample"))
    assert "1 node(s) have joined. Ray attached to: 2 cores" in jobs.log("sample")
    runs = [Run(load("quick", options(root)[1::2])) for root in (stormy.root, quiet())]
    for problem in runs[0].problems:
        made, local = (run.dataset(problem) for run in runs)
        assert (made.train.x == local.train.x).all()
        assert (made.train.y == local.train.y).all()
    for cell in runs[0].cells:
        trained, local = (checkpoints.load(run.checkpoint_path(cell)) for run in runs)
        assert trained.finished
        assert trained.provenance["slurm_job_partition"] == "work"
        assert all(torch.equal(trained.model[name], weights) for name, weights in local.model.items())
    assert table(stormy.root) == table(quiet())
    assert not list((stormy.root / "scratch").iterdir())
    assert not list(Path("/tmp").glob(f"fluxbench-ray-{jobs.ids['train']}-*"))  # noqa: S108 - where the script has it
    left = [path for path in (stormy.root / "runs").rglob("*") if path.suffix in {".shards", ".blocks", ".tmp"}]
    assert not left


def table(root: Path) -> list[dict[str, str]]:
    """Return all scores, but for what they cost."""
    with (root / "results" / "jobs" / "scores.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_the_scripts_pass_shellcheck(slurm: PrivateSlurm) -> None:
    """Which is installed with Slurm."""
    scripts = [*(REPOSITORY / "slurm").glob("*.s*"), *(REPOSITORY / "tests" / "slurm").glob("*.sh")]
    assert len(scripts) > 6
    command = ["shellcheck", "--external-sources", *scripts]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
