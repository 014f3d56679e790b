"""One validated configuration: a profile in TOML, changed by ``--set key=value``."""

import os
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fluxbench.bench.references.effort import LARGEST_REFERENCE
from fluxbench.diffusion.formulations import formulation
from fluxbench.diffusion.integrators import INTEGRATORS, Integrator
from fluxbench.errors import InputError
from fluxbench.solvers import problems
from fluxbench.solvers.data.measurements import Noise
from fluxbench.solvers.fem.discretisation import MESHES
from fluxbench.training.cells import Cell, grid
from fluxbench.training.planning import Strategy
from fluxbench.training.recipes import RECIPES

PROFILES = Path(__file__).parent / "profiles"


def _one_of(what: str, names: Callable[[], Iterable[str]]) -> AfterValidator:
    def check(value: str) -> str:
        known = list(names())
        if value not in known:
            raise ValueError(f"expected a {what}, one of {', '.join(known)}")
        return value

    return AfterValidator(check)


def _is_formulation(name: str) -> str:
    return formulation(name, sigma_max=2.0).name


def _is_unique(values: list[Any]) -> list[Any]:
    # Numbers name files by their first six digits.
    if len({f"{value:g}" if isinstance(value, float) else value for value in values}) < len(values):
        raise ValueError("expected each value once")
    return values


Unique = AfterValidator(_is_unique)
NotEmpty = Field(min_length=1)
Count = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]
"""A standard deviation needs two samples."""
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Density = Annotated[str, _one_of("joint density", partial(problems.names, "densities"))]
Recipe = Annotated[str, _one_of("recipe", lambda: RECIPES)]
Flux = Annotated[str, _one_of("flux problem", partial(problems.names, "flux"))]
Formulation = Annotated[str, AfterValidator(_is_formulation)]
ODE_METHODS = [method for method, each in INTEGRATORS.items() if each.ode]
SDE_METHODS = [method for method, each in INTEGRATORS.items() if each.sde]

LEAST_COMPARED = 10
"""Samples that a classifier can be trained on, in five folds."""


class Section(BaseModel):
    """A table of the TOML file; unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Sizes:
    """Sample counts of one problem.

    Attributes:
        train_samples: of the training split.
        test_samples: of the test split.
        measurements: on which its networks are sampled.
        generated: samples for each of these.
    """

    train_samples: int
    test_samples: int
    measurements: int
    generated: int


class Densities(Section):
    """Conditional density estimation (section 6.1)."""

    problems: Annotated[list[Density], Unique] = Field(default_factory=partial(problems.names, "densities"))
    train_samples: Count = 10_000
    test_samples: Count = 100_000
    epochs: Count | None = None
    generated: AtLeastTwo = 10_000
    """Generated samples for each value of y."""

    def sizes_of(self, problem: str) -> Sizes:
        """Return the sample counts of a joint density, which is sampled at its own values of y."""
        values = problems.joint_density(problem).y_values
        return Sizes(self.train_samples, self.test_samples, len(values), self.generated)


class SplitSizes(Section):
    """Sample counts of one flux problem; None is the default of all of them."""

    train_samples: Count | None = None
    test_samples: Count | None = None


class FluxProblems(Section):
    """Boundary-flux inverse problems (sections 6.2, 6.3)."""

    problems: Annotated[list[Flux], Unique] = Field(default_factory=partial(problems.names, "flux"))
    noise: Annotated[list[NotNegative], NotEmpty, Unique] = [0.0, 0.01, 0.03, 0.1, 0.3]
    """Standard deviations in units of the normalised measurement (choice)."""
    train_samples: Count = 9_000
    test_samples: Count = 1_000
    sizes: dict[Flux, SplitSizes] = {}
    """Problems whose sample counts are others than the two above."""
    mesh: Annotated[str, _one_of("mesh", lambda: MESHES)] = "aligned"
    """On which samples are solved; "paper" is the paper's own, of 340,000 linear triangles."""
    epochs: Count | None = None
    amortised: bool = False
    """Whether one more network serves every noise level above 0; the level, like the mask, is part of omega (ours)."""
    measurements: Count = 1_000
    """Test measurements whose posterior is sampled."""
    generated: AtLeastTwo = 1_000
    """Posterior samples for each of them."""
    references: Annotated[int, Field(ge=0)] = 1_000
    """Samples of the exact posterior for each of them, and as many again as a floor, at noise levels above 0; 0 does
    without (ours)."""

    @model_validator(mode="after")
    def _measurements_exist(self) -> Self:
        for problem in self.problems:
            there = self.sizes_of(problem).test_samples
            if self.measurements > there:
                raise ValueError(
                    f"expected measurements of at most test_samples = {there} for {problem}, found {self.measurements}"
                )
        return self

    @model_validator(mode="after")
    def _references_suffice(self) -> Self:
        if self.references > 0 and not LEAST_COMPARED <= self.generated <= self.references <= LARGEST_REFERENCE:
            sizes = f"generated = {self.generated}, references = {self.references}"
            expected = f"{LEAST_COMPARED} <= generated <= references <= {LARGEST_REFERENCE:,}, or references = 0"
            raise ValueError(f"expected {expected}, found {sizes}")
        return self

    @model_validator(mode="after")
    def _some_level_to_amortise(self) -> Self:
        if self.amortised and max(self.noise) == 0.0:
            raise ValueError("expected a noise level above 0 for amortised networks")
        return self

    @property
    def amortised_levels(self) -> list[float]:
        """Noise levels that an amortised network serves: those above 0."""
        return [noise for noise in self.noise if noise > 0.0]

    @property
    def amortised_range(self) -> tuple[float, float]:
        """Least and largest level that an amortised network serves."""
        return min(self.amortised_levels), max(self.amortised_levels)

    def sizes_of(self, problem: str) -> Sizes:
        """Return the sample counts of a flux problem."""
        own = self.sizes.get(problem, SplitSizes())
        train, test = own.train_samples or self.train_samples, own.test_samples or self.test_samples
        return Sizes(train, test, self.measurements, self.generated)


class RecipeGrid(Section):
    """What one recipe is trained on; None is the default of all of them."""

    formulations: Annotated[list[Formulation] | None, NotEmpty, Unique] = None
    seeds: Annotated[list[int] | None, NotEmpty, Unique] = None


class Training(Section):
    """Which networks are trained, and how."""

    recipes: Annotated[list[Recipe], NotEmpty, Unique] = ["tuned"]
    formulations: Annotated[list[Formulation], NotEmpty, Unique] = ["ve", "vp-k2"]
    seeds: Annotated[list[int], NotEmpty, Unique] = [0]
    grids: dict[Recipe, RecipeGrid] = {}
    """Recipes whose formulations or seeds are others than the two above."""
    strategy: Strategy | None = None
    """How Ray trains the networks; by default what pays, see :mod:`fluxbench.training.planning`."""
    world_size: Count | None = None
    """Processes a network (DDP); by default as many as pay."""

    def formulations_of(self, recipe: str) -> list[str]:
        """Return the forward processes with which a recipe is trained."""
        return self.grids.get(recipe, RecipeGrid()).formulations or self.formulations

    def seeds_of(self, recipe: str) -> list[int]:
        """Return the training seeds of a recipe."""
        return self.grids.get(recipe, RecipeGrid()).seeds or self.seeds


class Sampling(Section):
    """How trained networks are sampled: recipe `paper` with the paper's methods, others with the exponential one."""

    alphas: Annotated[list[NotNegative], NotEmpty, Unique] = [0.0, 1.0]
    """0 is the probability-flow ODE, 1 the reverse SDE of Song et al.; any number above 0 an SDE between or beyond."""
    ode: Annotated[str, _one_of("method for the ODE", lambda: ODE_METHODS)] | None = None
    sde: Annotated[str, _one_of("method for the SDE", lambda: SDE_METHODS)] | None = None
    tolerance: Annotated[float, Field(gt=0.0, lt=1.0)] = 1e-5
    """Of Runge-Kutta."""
    ode_steps: AtLeastTwo = 16
    """Of the exponential method and of Heun's."""
    sde_steps: AtLeastTwo = 64
    """Of the exponential method."""
    costs: Annotated[int, Field(ge=0)] = 0
    """Samples a problem by every sampler at several lengths, for accuracy against cost; 0 does without (ours)."""
    euler_maruyama_steps: Count = 1_000
    """The paper's number is lost (choice)."""

    def integrators(self, recipe: str) -> list[Integrator]:
        """Return how the networks of a recipe are sampled, one integrator a value of alpha."""
        ode, sde = ("runge-kutta", "euler-maruyama") if recipe == "paper" else ("exponential", "exponential")
        methods = {alpha: self.ode or ode if alpha == 0.0 else self.sde or sde for alpha in self.alphas}
        settings = self.model_dump()
        return [INTEGRATORS[method].configured(alpha, settings) for alpha, method in methods.items()]


class Config(Section):
    """A run: what is solved, trained, sampled and scored.

    Attributes:
        name: names the run's directories, ``runs/<name>`` and ``results/<name>``.
        seed: of the data, and of the random numbers in sampling.
        ranks: MPI ranks that solve.
        workers: processes that train, sample and score on this machine; "auto" is one a core.
        address: of the Ray cluster that trains and samples: "local" starts one here, "auto" finds one that runs, "none"
            does without Ray.
        device: where networks are evaluated; "auto" takes a GPU where there is one.
        root: where ``runs`` and ``results`` lie.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: int = 0
    ranks: Count = 2
    workers: Count | Literal["auto"] = "auto"
    address: Annotated[str, NotEmpty] = "local"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    root: str = "."
    densities: Densities = Densities()
    flux: FluxProblems = FluxProblems()
    training: Training = Training()
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.problems:
            raise ValueError("expected at least one problem in densities.problems or flux.problems")
        return self

    @property
    def runs(self) -> Path:
        """Scratch: data sets, checkpoints, samples; absolute, since processes of a cluster work elsewhere."""
        return Path(self.root).resolve() / "runs" / self.name

    @property
    def results(self) -> Path:
        """Tables and figures."""
        return Path(self.root) / "results" / self.name

    @property
    def problems(self) -> list[str]:
        """Every problem that is solved."""
        return [*self.densities.problems, *self.flux.problems]

    def sizes(self, problem: str) -> Sizes:
        """Return a problem's sample counts."""
        return (self.densities if problem in self.densities.problems else self.flux).sizes_of(problem)

    @property
    def worker_count(self) -> int:
        """Number of processes that train, sample and score."""
        return len(os.sched_getaffinity(0)) if self.workers == "auto" else self.workers

    def cells(self) -> list[Cell]:
        """Return every network of this run."""
        training, densities, flux = self.training, self.densities, self.flux
        noises: list[Noise] = [*flux.noise, *([flux.amortised_range] if flux.amortised else [])]
        cells: list[Cell] = []
        for recipe in training.recipes:
            formulations, seeds = training.formulations_of(recipe), training.seeds_of(recipe)
            cells += grid(densities.problems, formulations, [0.0], recipe, seeds, densities.epochs)
            cells += grid(flux.problems, formulations, noises, recipe, seeds, flux.epochs)
        return cells


def profiles() -> list[str]:
    """Return the names of the profiles that come with the suite."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load(profile: str, changes: Sequence[str] = ()) -> Config:
    """Read a profile by name or path and apply changes of the form ``key=value``.

    Keys are dotted (``flux.noise``); values are TOML (``0.1``, ``[0.0, 0.1]``, ``true``), bare words are strings.

    Raises:
        InputError: naming the key, what was found and what was expected.
    """
    path = Path(profile) if profile.endswith(".toml") else PROFILES / f"{Path(profile).name}.toml"
    if not path.is_file():
        raise InputError(f"--profile: expected one of {', '.join(profiles())} or a TOML file, found {profile!r}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML: {error}") from error
    for change in changes:
        _apply(values, change)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError("; ".join(dict.fromkeys(_explain(each) for each in error.errors()))) from error


def _apply(values: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise InputError(f"--set: expected key=value, found {change!r}")
    *tables, last = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {key}: {table} is a value, not a table")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text.strip()


def _explain(error: Any) -> str:
    """One line for one error of pydantic's: full key, expectation, finding."""
    key = ""
    for part in error["loc"]:
        # A union's branches add their type names to the location; keys and indices are what a user wrote.
        if isinstance(part, int):
            key += f"[{part}]"
        elif (
            part in problems.PROBLEMS
            or part in RECIPES
            or (part.isidentifier() and part not in ("int", "float", "str"))
        ):
            key += f".{part}" if key else part
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if error["type"] == "missing":
        return f"{key}: missing"
    if error["type"] in {"model_type", "dict_type"}:
        return f"{key}: expected a table, found {error['input']!r}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("a valid ")
    if not message.startswith(("expected", "no ")):
        message = f"expected {message[0].lower()}{message[1:]}"
    if isinstance(error["input"], dict):  # a check of several keys names what it found itself
        return f"{key}: {message}" if key else message
    return f"{key}: {message}, found {error['input']!r}"
