"""What ``slurm/submit.sh`` says before there is anything to submit; no Slurm is needed for that."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.site import SITE, WARNING

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = (REPOSITORY / "slurm" / "site.env.example").read_text()


def submit(folder: Path, site: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return what a dry run says, called from a folder of the user's own."""
    (folder / "site.env").write_text(site)
    command = [REPOSITORY / "slurm" / "submit.sh", "--dry-run", *arguments]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FLUXBENCH_")}
    settings = ours | {"FLUXBENCH_SITE": "site.env"} | environment
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_a_dry_run_prints_the_jobs_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("fluxbench", "solvers"):  # packages of the user's own do not win
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError")
    (tmp_path / "mine.toml").write_text((REPOSITORY / "bench" / "profiles" / "quick.toml").read_text())
    arguments = ["--account", "X", "--partition", "Y", "--profile", "mine.toml", "--set", f"root={tmp_path}"]
    done = submit(tmp_path, SITE + "FLUXBENCH_ASV=(--exclusive)\n", *arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    logs = [re.search(r"logs/(\w+)-%", line)[1] for line in lines]  # type: ignore[index]
    assert logs == ["solve", "consolidate", "train", "sample", "reference", "score", "report", "asv"]
    names = [re.search(r"--job-name=fluxbench-quick-(\w+)", line)[1] for line in lines]  # type: ignore[index]
    assert names == ["data", "data", "networks", "samples", "references", "scores", "scores", "asv"]
    for line in lines:
        assert "--account=X --partition=Y" in line
        assert "--kill-on-invalid-dep=yes" in line
        assert "--dependency=singleton" in line
        assert f"--signal=B:USR1@{WARNING}" in line
    assert "--array=1-2" in lines[0]
    assert r"afterok:\<solve\> " in lines[1]
    assert r"afterok:\<consolidate\> " in lines[2]
    assert r"afterok:\<train\> " in lines[3]
    assert r"afterok:\<sample\>:\<reference\> " in lines[5]
    assert f"--profile {tmp_path / 'mine.toml'}" in lines[0]
    assert not (tmp_path / "runs").exists()


def test_the_example_is_a_site(tmp_path: Path) -> None:
    done = submit(tmp_path, EXAMPLE.replace(".venv/bin/python", sys.executable))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.parametrize(
    ("site", "arguments", "expected"),
    [
        (SITE.replace("FLUXBENCH_TRAIN", "TRAIN"), [], "FLUXBENCH_TRAIN is not set"),
        (SITE, ["--set", "flux.epoch=1"], "flux.epoch: unknown key"),
        (
            SITE.replace("SOLVE=(--nodes=2 --ntasks=2 --time=00:05:00)", "SOLVE=--ntasks=2"),
            [],
            "FLUXBENCH_SOLVE: expected options of sbatch in parentheses",
        ),
        (SITE.replace("SOLVE_JOBS=2", "SOLVE_JOBS=0"), [], "FLUXBENCH_SOLVE_JOBS: expected a number above 0, found"),
        (
            SITE + 'FLUXBENCH_ASV="--exclusive --time=1"\n',
            [],
            "FLUXBENCH_ASV: expected options of sbatch in parentheses",
        ),
        (SITE.replace("RAY=explicit", "RAY=yes"), [], "FLUXBENCH_RAY: expected explicit or symmetric, found"),
        (SITE.replace(sys.executable, "/no/python"), [], "expected a Python with fluxbench; ./run --help makes"),
        (SITE, ["--set"], "--set: expected a value, found nothing"),
        (SITE, ["--account", "--dry-run"], "--account: expected a value, found --dry-run"),
        (SITE, ["--wibble"], "found --wibble"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(site: str, arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = submit(tmp_path, site, *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_site_that_is_not_described_is_asked_for(tmp_path: Path) -> None:
    done = submit(tmp_path, SITE, FLUXBENCH_SITE="other.env")
    assert done.returncode == 2
    assert "other.env: not found; copy slurm/site.env.example" in done.stderr
