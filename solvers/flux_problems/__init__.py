"""The suite's boundary-flux problems, one file each.

Every module in this folder defines ``PROBLEM``, a :class:`~solvers.problems.FluxProblem`: a problem of the suite,
which can be solved, trained and scored under its name, and which no other file needs to know.
"""

import re
from importlib import import_module
from pkgutil import iter_modules

from solvers.densities import DENSITIES
from solvers.errors import InputError
from solvers.problems import FluxProblem


def _collect() -> dict[str, FluxProblem]:
    found: dict[str, FluxProblem] = {}
    for file in iter_modules(__path__):
        where = f"solvers/flux_problems/{file.name}.py"
        problem = getattr(import_module(f"{__name__}.{file.name}"), "PROBLEM", None)
        if not isinstance(problem, FluxProblem):
            raise InputError(f"{where}: expected it to define PROBLEM, a FluxProblem, found {problem!r}")
        if problem.name in found or problem.name in DENSITIES:
            raise InputError(f"{where}: expected a name of its own, found {problem.name!r}, which is another problem's")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", problem.name):  # names become files
            raise InputError(f"{where}: expected a name of small letters, digits, '-' and '.', found {problem.name!r}")
        found[problem.name] = problem
    return found


FLUX_PROBLEMS = _collect()
