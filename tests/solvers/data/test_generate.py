"""Data sets under real MPI: rank-independent, restartable after kill -9, and guarded against what users get wrong."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fluxbench.bench.stages.mpi import launcher
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.shards import Shards
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.storage import exclusive
from tests.processes import next_file_in

REPOSITORY = Path(__file__).parents[3]


def command(
    out: Path, ranks: int = 1, problem: str = "linear", train: int = 2500, test: int = 300, mesh: str = "aligned"
) -> list[str]:
    sizes = ["--train", str(train), "--test", str(test), "--mesh", mesh]
    return [*launcher(ranks), "-m", "fluxbench.solvers.data.generate", "--problem", problem, *sizes, "--out", str(out)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, **options),  # type: ignore[arg-type]
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def arrays(path: Path) -> dict[str, np.ndarray]:
    dataset = datasets.read(path)
    found = {
        f"{name}/{part}": getattr(getattr(dataset, name), part) for name in ("train", "test") for part in ("x", "y")
    }
    return found | ({} if dataset.operator is None else {"operator": dataset.operator})


def assert_same_bits(one: Path, other: Path) -> None:
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("problem", ["linear", "nonlinear", "spiral"])
def test_one_rank_and_several_write_the_same_bits(problem: str, tmp_path: Path) -> None:
    for ranks in (1, 2, 3):
        done = run(tmp_path / f"{ranks}.h5", ranks, problem)
        assert done.returncode == 0, done.stderr
    assert_same_bits(tmp_path / "1.h5", tmp_path / "2.h5")
    assert_same_bits(tmp_path / "1.h5", tmp_path / "3.h5")
    assert not list(tmp_path.glob("*.shards"))


def test_a_data_set_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "linear.h5"
    assert run(path).returncode == 0
    dataset = datasets.read(path)
    assert dataset.operator is not None
    np.testing.assert_allclose(dataset.train.y, dataset.train.x @ dataset.operator.T, rtol=1e-12)
    assert dataset.train.x.shape == (2500, 30)
    assert dataset.test.y.shape == (300, 30)
    assert dataset.units == {"x": "flux", "y": "concentration"}
    assert dataset.specification["definition"]["kappa"] == 0.016
    assert {"commit", "host", "versions", "seconds", "ranks"} <= dataset.provenance.keys()
    assert not np.isin(dataset.test.x, dataset.train.x[dataset.train.x > 0.0]).any()  # streams of their own


def test_a_larger_data_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    run(tmp_path / "small.h5", train=700)
    run(tmp_path / "large.h5", train=1900)
    small, large = datasets.read(tmp_path / "small.h5"), datasets.read(tmp_path / "large.h5")
    assert small.train.y.tobytes() == large.train.y[:700].tobytes()


def flip_a_bit(path: Path, name: str) -> None:
    with h5py.File(path) as file:
        offset = file[name].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("ranks", [1, 2])
def test_restart_after_kill_9(ranks: int, tmp_path: Path) -> None:
    """Kill every rank when the first shard appears; the same command goes on from there to the bits of a quiet run."""
    size = {"problem": "nonlinear", "train": 12_000}
    shards = tmp_path / "killed.h5.shards"
    with next_file_in(shards) as seen:
        job = subprocess.Popen(command(tmp_path / "killed.h5", ranks, **size), cwd=REPOSITORY)  # type: ignore[arg-type]
        seen()
        subprocess.run(["pkill", "-9", "-f", str(tmp_path / "killed.h5")], check=True)
        job.wait()
    assert not (tmp_path / "killed.h5").exists()
    first = {path.name: path.stat().st_mtime_ns for path in shards.glob("[!.]*.h5")}
    assert first
    done = run(tmp_path / "killed.h5", ranks, **size)
    assert done.returncode == 0, done.stderr
    assert f"resumed from {len(first)} of 7 shards" in done.stdout
    assert run(tmp_path / "quiet.h5", **size).returncode == 0
    assert_same_bits(tmp_path / "killed.h5", tmp_path / "quiet.h5")


def test_the_death_of_a_rank_ends_the_job_and_loses_no_finished_shard(tmp_path: Path) -> None:
    """Kill -9 one of two ranks when the first shard appears: the other does not wait for it for ever."""
    path, size = tmp_path / "orphan.h5", {"problem": "nonlinear", "train": 20_000}
    shards = tmp_path / "orphan.h5.shards"
    with next_file_in(shards) as seen:
        job = subprocess.Popen(command(path, 2, **size), cwd=REPOSITORY)  # type: ignore[arg-type]
        seen()
        subprocess.run(["pkill", "-9", "-n", "-f", str(path)], check=True)  # the newest process: a rank
        assert job.wait(timeout=60) != 0
    assert not path.exists()
    kept = len(list(shards.glob("[!.]*.h5")))
    assert 0 < kept < 11
    assert f"resumed from {kept} of 11 shards" in run(path, 2, **size).stdout  # type: ignore[arg-type]


def test_damaged_shards_are_made_again(tmp_path: Path) -> None:
    run(tmp_path / "quiet.h5")
    run(tmp_path / "hurt.h5")
    shards = Shards(tmp_path / "hurt.h5", datasets.read(tmp_path / "hurt.h5").specification)
    whole = datasets.read(tmp_path / "hurt.h5").train
    for shard in shards.all[:2]:
        shards.write(shard, datasets.Split(whole.x[shard.start : shard.stop], whole.y[shard.start : shard.stop]))
    (tmp_path / "hurt.h5").unlink()
    flipped, cut = (shards.path(shard) for shard in shards.all[:2])
    flip_a_bit(flipped, "y")
    cut.write_bytes(cut.read_bytes()[:5000])
    done = run(tmp_path / "hurt.h5")
    assert done.returncode == 0
    assert "resumed" not in done.stdout
    assert_same_bits(tmp_path / "quiet.h5", tmp_path / "hurt.h5")


def test_unfinished_work_of_another_data_set_is_refused_and_kept(tmp_path: Path) -> None:
    run(tmp_path / "quiet.h5")
    folder = tmp_path / "other.h5.shards"
    shards = Shards(tmp_path / "other.h5", datasets.read(tmp_path / "quiet.h5").specification | {"seed": 1})
    shards.write(shards.all[0], datasets.Split(np.zeros((2000, 30)), np.zeros((2000, 30))))
    line = error_line(run(tmp_path / "other.h5", 2))
    assert f"{folder}: made with seed = 1, but 0 is asked for" in line
    assert shards.path(shards.all[0]).exists()


def test_two_jobs_do_not_make_one_data_set(tmp_path: Path) -> None:
    path = tmp_path / "linear.h5"
    with exclusive(tmp_path / "linear.h5.shards"):
        assert "another fluxbench command is at work here" in error_line(run(path, 2))
    assert run(path, 2).returncode == 0


def test_a_full_disk_is_named_and_keeps_what_is_finished(tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk's: 8 MB hold every shard, not the joined data set."""
    path = tmp_path / "linear.h5"
    limited = f"ulimit -f 8000; exec {shlex.join(command(path, train=20_000))}"
    done = subprocess.run(["bash", "-c", limited], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert error_line(done) == f"fluxbench: error: {path}: cannot be written: File too large"
    assert "resumed from 11 of 11 shards" in run(path, train=20_000).stdout


def test_a_finished_data_set_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "linear.h5"
    run(path)
    before = path.stat().st_mtime_ns
    again = run(path, 2)
    assert "there already" in again.stdout
    assert path.stat().st_mtime_ns == before


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    if "mpiexec" in str(done.args[0]):
        assert done.returncode != 0  # a launcher may end the slower ranks itself, and then says 9
    else:
        assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fluxbench: error: ")]
    return line


@pytest.mark.parametrize("ranks", [1, 2])
def test_another_specification_is_refused(ranks: int, tmp_path: Path) -> None:
    path = tmp_path / "linear.h5"
    run(path)
    line = error_line(run(path, ranks, train=2600))
    assert f"{path}: made with train = 2500, but 2600 is asked for" in line


def test_more_ranks_than_shards_do_no_harm(tmp_path: Path) -> None:
    assert run(tmp_path / "3.h5", 3, train=10, test=10).returncode == 0
    run(tmp_path / "1.h5", 1, train=10, test=10)
    assert_same_bits(tmp_path / "1.h5", tmp_path / "3.h5")


def test_more_ranks_than_samples_are_refused(tmp_path: Path) -> None:
    line = error_line(run(tmp_path / "x.h5", 3, train=1, test=1))
    assert "ranks: expected at most one a sample, found 3 for 2 samples" in line


def package_with(folder: Path, name: str, text: str) -> dict[str, str]:
    """Copy the package, with one more problem file, and return the environment in which it is found first."""
    package = folder / "src" / "fluxbench"
    shutil.copytree(REPOSITORY / "src" / "fluxbench", package, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    (package / "solvers" / "problems" / f"{name}.py").write_text(text)
    return os.environ | {"PYTHONPATH": str(package.parent)}


def test_another_problem_is_one_file(tmp_path: Path) -> None:
    """A bistable reaction in a plug flow with three rows of sensors: nothing else is touched, and MPI ranks know it."""
    text = (
        "from fluxbench.solvers.boundary_flux import FluxProblem, Polynomial\n"
        "PROBLEM = FluxProblem(\n"
        "    'bistable', velocity=Polynomial((3.0,)), kappa=0.5, start=1.0,\n"
        "    reaction=Polynomial((0.0, -0.5, 1.5, -1.0)),\n"
        "    sensor_rows=(0.3, 1.0, 1.7), sensor_columns=(2.0, 5.0, 8.0),\n"
        ")\n"
    )
    path = tmp_path / "bistable.h5"
    environment = package_with(tmp_path, "bistable", text)
    subprocess.run(command(path, 2, "bistable", train=300, test=10), env=environment, check=True)
    dataset = datasets.read(path)
    assert dataset.train.y.shape == (300, 9)
    assert dataset.specification["definition"]["reaction"] == {"coefficients": [0.0, -0.5, 1.5, -1.0]}
    assert (dataset.train.y > 0.0).all()


def test_the_papers_mesh_can_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "linear.h5"
    assert run(path, 2, mesh="paper").returncode == 0
    dataset = datasets.read(path)
    assert dataset.specification["discretisation"]["cells"] == [850, 200]
    assert dataset.operator is not None
    exact = simulator(LINEAR).operator
    assert 1e-5 < np.linalg.norm(dataset.operator - exact) / np.linalg.norm(exact) < 1e-4
    assert 'made with mesh = "paper", but "aligned" is asked for' in error_line(run(path))
    assert "mesh: expected one of aligned, paper, found 'fine'" in error_line(run(path, mesh="fine"))


def test_a_folder_of_the_users_own_does_not_win(tmp_path: Path) -> None:
    for name in ("fluxbench", "solvers", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    subprocess.run(command(tmp_path / "x.h5", 2, train=10, test=10), cwd=tmp_path, check=True)


def test_ranks_that_do_not_know_each_other_are_refused(tmp_path: Path) -> None:
    """What a launcher of another MPI does: several single ranks."""
    alone = [*command(tmp_path / "x.h5"), "--ranks", "2"]
    done = subprocess.run(alone, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "ranks: expected an MPI job of 2, found one of 1" in error_line(done)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "broken.py: expected a problem such as PROBLEM = FluxProblem(...), found None"),
        ("from fluxbench.solvers.problems.linear import PROBLEM\n", "'linear', which is another problem's"),
    ],
)
def test_a_broken_problem_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    environment = package_with(tmp_path, "broken", text)
    line = [sys.executable, "-c", "import fluxbench.solvers.problems"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert "InputError: solvers/problems/" in done.stderr
    assert message in done.stderr


def test_unknown_problems_and_empty_sizes_are_refused(tmp_path: Path) -> None:
    assert "expected one of bimodal, linear, multi-operator, nonlinear, spiral, tanh, found 'heat'" in error_line(
        run(tmp_path / "x.h5", problem="heat")
    )
    assert "--train: expected 1 to 10,000,000 samples, found 0" in error_line(run(tmp_path / "x.h5", train=0))


def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = error_line(run(tmp_path / "file" / "linear.h5", 2))
    assert "cannot be written" in line


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.h5"
    rng = np.random.default_rng(0)
    splits = [datasets.Split(rng.normal(size=(20, 3)), rng.normal(size=(20, 2))) for _ in range(2)]
    specification = {"problem": "test", "seed": 0}
    datasets.write(path, datasets.Dataset(specification, {}, *splits, None, {"x": "1", "y": "1"}))
    return path


def test_truncated_files_are_named(good: Path) -> None:
    content = good.read_bytes()
    good.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"good.h5: expected an HDF5 file, found a damaged or foreign one"):
        datasets.read(good)


def test_a_flipped_bit_is_found_by_the_checksum(good: Path) -> None:
    flip_a_bit(good, "train/x")
    with pytest.raises(InputError, match=r"good.h5: array train/x is missing or damaged"):
        datasets.read(good)


def test_nan_wrong_shapes_and_old_schemas_are_named(good: Path) -> None:
    with h5py.File(good, "a") as file:
        file.attrs["version"] = 0
    with pytest.raises(
        InputError,
        match=r"expected schema fluxbench.dataset version 2, found fluxbench.dataset version 0; remove it",
    ):
        datasets.read(good)
    with h5py.File(good, "a") as file:
        file.attrs["version"] = datasets.VERSION
        file["test/y"][3, 1] = np.nan
    with pytest.raises(InputError, match=r"expected finite numbers in test/y, found NaN or infinity"):
        datasets.read(good)
    with h5py.File(good, "a") as file:
        del file["test/y"]
        file["test/y"] = np.zeros((19, 2))
    with pytest.raises(InputError, match=r"expected as many rows in test/x as in test/y, found shapes"):
        datasets.read(good)
    with pytest.raises(InputError, match=r"nowhere.h5: not found"):
        datasets.read(good.with_name("nowhere.h5"))
