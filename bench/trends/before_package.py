"""Commits before there was a package: today's benchmarks run on their top-level modules, through aliases.

Up to 64f343d the four rooms were four packages, and some of their modules had other names. :func:`prepare` writes a
package ``fluxbench`` of aliases beside the files of such a commit, for the modules that benchmarks import, so that
they and the command line, ``python -m fluxbench.bench.cli``, are found. What has another interface by now fails there.
"""

from pathlib import Path

from fluxbench.storage import write_text

OLD = {
    "": "solvers",  # which set the threads
    "errors": "solvers.errors",
    "bench": "bench",
    "bench.cli": "bench.cli",
    "diffusion": "diffusion",
    "diffusion.integrators": "diffusion.samplers",
    "diffusion.losses": "diffusion.losses",
    "diffusion.networks": "diffusion.networks",
    "solvers": "solvers",
    "solvers.data": "solvers",
    "solvers.data.datasets": "solvers.datasets",
    "solvers.data.generate": "solvers.generate",
    "solvers.fem": "solvers",
    "solvers.fem.nonlinear": "solvers.nonlinear",
    "solvers.fem.simulators": "solvers.simulators",
    "solvers.fem.stock": "solvers.stock",
    "solvers.problems": "solvers.flux_problems",
    "solvers.problems.nonlinear": "solvers.flux_problems.nonlinear",
    "training": "training",
    "training.cells": "training.cells",
    "training.checkpoints": "training.checkpoints",
    "training.recipes": "training.recipes",
    "training.trainer": "training.trainer",
}
"""Modules of ``fluxbench`` that benchmarks import, and what each was called before."""
MORE = {
    "diffusion.integrators": """
from types import SimpleNamespace

Integrator = Samples = object


def _integrator(integrate):
    return lambda *numbers: SimpleNamespace(integrate=lambda *inputs: integrate(*numbers, *inputs))


EulerMaruyama = _integrator(lambda alpha, steps, s, f, z, end: euler_maruyama(s, f, z, alpha, steps, end))
Exponential = _integrator(lambda alpha, steps, s, f, z, end: exponential_multistep(s, f, z, alpha, steps, end))
Heun = _integrator(lambda alpha, steps, s, f, z, end: heun(s, f, z, steps, end))
RungeKutta = _integrator(lambda alpha, tolerance, s, f, z, end: runge_kutta45(s, f, z, end, tolerance))
""",
    "diffusion.networks": """

def given(network, y):
    return lambda x, t, rows: network(x, y[rows], t)
""",
    "solvers.problems": """
flux_problem = FLUX_PROBLEMS.__getitem__
""",
}
"""What an alias adds to the names of the old module."""
ALIASES = "aliases"
"""Folder of a commit's files in which the aliases lie."""
_NAMES = "from {old} import *\n"
_MODULE = """import sys

import {old} as old

if __name__ == "__main__":
    sys.exit(old.main())
sys.modules[__name__] = old
"""
"""The old module itself, in which benchmarks set values."""


def folders(checkout: Path) -> list[Path]:
    """Return the folders in which Python finds a commit's ``fluxbench``; aliases come first, if it has none.

    Args:
        checkout: a commit's files.
    """
    return [checkout / "src"] if (checkout / "src").is_dir() else [checkout / ALIASES, checkout]


def prepare(checkout: Path) -> None:
    """Write the aliases that a commit needs; none if it has the package.

    Args:
        checkout: a commit's files, which may be added to.
    """
    first = folders(checkout)[0]
    if first != checkout / ALIASES:
        return
    for name, old in OLD.items():
        path = first.joinpath("fluxbench", *name.split("."))
        is_package = not name or any(other.startswith(f"{name}.") for other in OLD)
        text = (_NAMES if is_package or name in MORE else _MODULE).format(old=old) + MORE.get(name, "")
        write_text(path / "__init__.py" if is_package else path.with_suffix(".py"), text)
