"""Score the samples of a run, and what bounds their scores."""

from collections.abc import Callable

from fluxbench.arrays import Floats
from fluxbench.bench.files import scores
from fluxbench.bench.files.samples import PosteriorSamples
from fluxbench.bench.run import Run, SampleSet
from fluxbench.bench.scoring import densities, flux
from fluxbench.solvers import problems
from fluxbench.solvers.data.measurements import observations
from fluxbench.solvers.problems import flux_problem
from fluxbench.storage import Row


def score(run: Run, each: SampleSet, progress: Callable[[int], None]) -> None:
    """Score one set of samples, unless that is done.

    Raises:
        InputError: if an input is missing, damaged or made otherwise.
    """

    def rows() -> list[Row]:
        samples = run.samples(each)
        common = _common(each, samples)
        return [common | row for row in _rows(run, each, samples)]

    scores.ensure(run.scores_path(each), run.scores_specification(each), rows)
    progress(1)


def bound(run: Run, problem: str, noise: float, progress: Callable[[int], None]) -> None:
    """Score what bounds the scores of a problem at a noise level, unless that is done.

    Raises:
        InputError: if an input is missing, damaged or made otherwise.
    """

    def rows() -> list[Row]:
        dataset, sizes = run.dataset(problem), run.config.sizes(problem)
        if problems.problem(problem).closed_form:
            return densities.bounds(dataset, sizes.generated)
        reference = run.reference(problem, noise) if (problem, noise) in run.referenced else None
        return flux.bounds(dataset, noise, (sizes.measurements, sizes.generated), reference)

    scores.ensure(run.bounds_path(problem, noise), run.bounds_specification(problem, noise), rows)
    progress(1)


def _rows(run: Run, each: SampleSet, samples: PosteriorSamples) -> list[Row]:
    dataset = run.dataset(each.problem)
    if not problems.problem(each.problem).closed_form:
        reference = run.reference(each.problem, each.noise) if (each.problem, each.noise) in run.referenced else None
        known = flux.Known.of(dataset, len(samples.x), reference)
        return flux.rows(samples.x, known, flux_problem(each.problem).geometry)

    def log_densities(x: Floats) -> Floats:
        measured = observations(dataset, each.noise, len(x))
        return run.posterior(each.cell).log_density(x[:, :, None], measured)

    # The log-density is that of the flow, whatever solves it.
    is_flow = each.integrator.alpha == 0.0
    return densities.rows(dataset, samples.x[:, :, 0].astype("float64"), log_densities if is_flow else None)


def _common(each: SampleSet, samples: PosteriorSamples) -> Row:
    """What all rows of a set of samples say."""
    cell = each.cell
    return {
        "problem": each.problem,
        "noise": each.noise if problems.problem(each.problem).noisy else None,
        "sensors_on": problems.problem(each.problem).sensors_on,
        "recipe": cell.recipe,
        "amortised": "yes" if cell.amortised else None,
        "formulation": cell.formulation,
        "sampler": each.integrator.label,
        "alpha": each.integrator.alpha,
        "seed": cell.seed,
        "generated": samples.x.shape[1],
        "evaluations": round(samples.evaluations, 1),
        "seconds": round(samples.seconds, 2),
        "epochs": cell.hyperparameters.epochs,
    }
