"""The suite's boundary-flux problems, one file each.

A module in this folder that defines ``PROBLEM``, a :class:`~solvers.problems.FluxProblem`, is a problem of the suite:
it can be solved, trained and scored under its name, and no other file needs to know it.
"""

from importlib import import_module
from pkgutil import iter_modules

from solvers.problems import FluxProblem

_problems: list[FluxProblem] = [import_module(f"{__name__}.{file.name}").PROBLEM for file in iter_modules(__path__)]

FLUX_PROBLEMS = {problem.name: problem for problem in _problems}
