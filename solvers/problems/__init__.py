"""The suite's problems, one file each, and those that a program adds.

Every module in this folder defines ``PROBLEM``, a :class:`~fluxbench.solvers.problem.Problem`: it can be solved,
trained and scored under its name, and no other file needs to know it.
"""

import re
from importlib import import_module
from pkgutil import iter_modules

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.joint_density import JointDensity
from fluxbench.solvers.problem import FAMILIES, Family, GivenPairs, Problem

PROBLEMS: dict[str, Problem] = {}
"""By name."""


def register(problem: Problem | None, where: str = "register()") -> Problem:
    """Add a problem under its name, and return it.

    Args:
        problem: what is added.
        where: file or call to name in an error.

    Raises:
        InputError: if it is no problem, or its name is another one's, or not one that files can have.
    """
    name, family = getattr(problem, "name", None), getattr(problem, "family", None)
    if problem is None or family not in FAMILIES or not isinstance(name, str):
        raise InputError(f"{where}: expected a problem such as PROBLEM = FluxProblem(...), found {problem!r}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise InputError(f"{where}: expected a name of small letters, digits, '-' and '.', found {name!r}")
    if name in PROBLEMS:
        raise InputError(f"{where}: expected a name of its own, found {name!r}, which is another problem's")
    PROBLEMS[name] = problem
    return problem


def problem(name: str) -> Problem:
    """Return the problem of a name.

    Raises:
        InputError: if there is none, naming those that there are.
    """
    if name not in PROBLEMS:
        raise InputError(f"problem: expected one of {', '.join(PROBLEMS)}, found {name!r}")
    return PROBLEMS[name]


def names(family: Family) -> list[str]:
    """Return the names of all problems of a family."""
    return [name for name, each in PROBLEMS.items() if each.family == family]


def known(name: str) -> Problem | GivenPairs:
    """Return the problem of a name, or one of given pairs for a name that the suite does not know."""
    return PROBLEMS.get(name, GivenPairs(name))


def flux_problem(name: str) -> FluxProblem:
    """Return the flux problem of a name.

    Raises:
        InputError: if there is none.
    """
    found = problem(name)
    if not isinstance(found, FluxProblem):
        raise InputError(f"problem: expected one of {', '.join(names('flux'))}, found {name!r}")
    return found


def joint_density(name: str) -> JointDensity:
    """Return the joint density of a name.

    Raises:
        InputError: if there is none.
    """
    found = problem(name)
    if not isinstance(found, JointDensity):
        raise InputError(f"problem: expected one of {', '.join(names('densities'))}, found {name!r}")
    return found


for _file in iter_modules(__path__):
    register(getattr(import_module(f"{__name__}.{_file.name}"), "PROBLEM", None), f"solvers/problems/{_file.name}.py")
