"""What runs where only some of the libraries are installed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        (
            (
                "fluxbench.bench.stages.train, fluxbench.bench.stages.sample, fluxbench.training.stacked, "
                "fluxbench.bench.studies.gpu_speed, fluxbench.bench.cli, fluxbench.bench.task"
            ),
            "dolfinx mpi4py petsc4py ufl ray matplotlib pandas",
        ),
        (
            "fluxbench.bench.stages.solve, fluxbench.solvers.data.generate, fluxbench.bench.cli",
            "torch ray matplotlib ot sklearn pandas",
        ),
        (
            "fluxbench.bench.stages.reference, fluxbench.bench.references.generate, fluxbench.bench.cli",
            "torch ray matplotlib ot sklearn pandas",
        ),
        (
            "fluxbench.bench.stages.score, fluxbench.bench.stages.report, fluxbench.bench.infer.infer",
            "dolfinx mpi4py petsc4py ufl ray asv",
        ),
        (
            "fluxbench.bench.status, fluxbench.bench.files.scores, fluxbench.bench.scoring.table, fluxbench.bench.task",
            "torch dolfinx mpi4py petsc4py ray matplotlib",
        ),
    ],
    ids=["training", "solving", "references", "scoring and report", "reading"],
)
def test_nodes_need_only_their_own_libraries(imports: str, absent: str) -> None:
    """A GPU node trains and samples without FEniCS, a solver node solves without torch, scores are read without it."""
    program = f"import sys\nfor name in {absent.split()!r}: sys.modules[name] = None\nimport {imports}\n"
    program += "from fluxbench.bench.config import load\nload('quick')\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
