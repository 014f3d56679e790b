"""One package: what a wheel puts where, what importing it costs, and whose commit a copy names."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fluxbench import provenance

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a source distribution of the files that git knows, as an index would hand it out."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, files.stdout.split("\0")):
        if not name.startswith(("results/", "tests/")):
            target = folder / "checkout" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "checkout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"fluxbench"}
    for name in (
        "fluxbench/__init__.py",
        "fluxbench/bench/cli.py",
        "fluxbench/bench/profiles/quick.toml",
        "fluxbench/bench/report/page.html",
        "fluxbench/diffusion/integrators/heun.py",
        "fluxbench/solvers/problems/linear.py",
        "fluxbench/training/posterior.py",
    ):
        assert name in names
    assert len(names) == len(set(names))


def test_a_wheel_works_where_there_is_no_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked in a folder of another repository, whose commit it must not take for its own."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    for command in (
        ["init", "--quiet"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    program = "import fluxbench, fluxbench.provenance as p; print(fluxbench.__file__, p.commit(), fluxbench.problems())"
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{site}/fluxbench/__init__.py None ['bimodal', 'linear'")


def test_a_checkout_names_its_commit_and_what_was_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for name in ("code.py", "results/table.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    git("init", "--quiet")
    git("add", "-A")
    git("commit", "--quiet", "--message", "x")
    head = git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "results" / "table.csv").write_text("2")
    assert provenance.commit(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert provenance.commit(tmp_path) == f"{head}-dirty"
    (tmp_path / "below").mkdir()
    assert provenance.commit(tmp_path / "below") is None


def test_provenance_names_the_processor_and_the_threads() -> None:
    made = provenance.provenance()
    assert made["processor"]
    assert made["cores"] >= 1
    assert made["threads"] == 1  # as `fluxbench` sets it where nobody else has


def test_importing_is_quick_and_loads_next_to_nothing() -> None:
    """By the processor's time, the least of several: what else the machine does only makes it longer."""
    program = (
        "import sys, time\n"
        "began = time.process_time()\n"
        "import fluxbench\n"
        "print(time.process_time() - began, *({'torch', 'numpy', 'h5py', 'pandas'} & set(sys.modules)))\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    assert all(len(words) == 1 for words in said), said
    assert min(float(words[0]) for words in said) < 0.2
