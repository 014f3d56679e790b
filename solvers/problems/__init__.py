"""The suite's problems, one file each.

Every module in this folder defines ``PROBLEM``: a problem of the suite, which can be solved, trained and scored under
its name, and which no other file needs to know.
"""

import re
from importlib import import_module
from pkgutil import iter_modules

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.joint_density import JointDensity


def _collect() -> dict[str, JointDensity | FluxProblem]:
    found: dict[str, JointDensity | FluxProblem] = {}
    for file in iter_modules(__path__):
        where = f"solvers/problems/{file.name}.py"
        problem = getattr(import_module(f"{__name__}.{file.name}"), "PROBLEM", None)
        if not isinstance(problem, JointDensity | FluxProblem):
            raise InputError(f"{where}: expected it to define PROBLEM, found {problem!r}")
        if problem.name in found:
            raise InputError(f"{where}: expected a name of its own, found {problem.name!r}, which is another problem's")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", problem.name):  # names become files
            raise InputError(f"{where}: expected a name of small letters, digits, '-' and '.', found {problem.name!r}")
        found[problem.name] = problem
    return found


PROBLEMS = _collect()
DENSITIES = {
    name: problem for name in ("tanh", "bimodal", "spiral") if isinstance(problem := PROBLEMS[name], JointDensity)
}
FLUX_PROBLEMS = {name: problem for name, problem in PROBLEMS.items() if isinstance(problem, FluxProblem)}
