"""Why the reference posteriors can be trusted: the evidence, measured and published.

First, make the references that it is about:

    fluxbench solve --profile references
    fluxbench reference --profile references

- Chains agree and mix: largest rank-normalised split R-hat, fewest effective samples, Monte Carlo error of the mean in
  posterior standard deviations, over all measurements and components.
- The truth is one more sample of its posterior: simulation-based calibration of the references themselves.
- Where nothing is clipped the posterior has a closed form: the same sampler, on the linear problem with a prior far
  from zero.
- Another method, which shares nothing but the posterior, agrees on a few measurements.
"""

import time
from dataclasses import replace

import numpy as np
from arviz_stats.base.array import array_stats

from fluxbench.arrays import Floats
from fluxbench.bench.config import load
from fluxbench.bench.metrics import calibration
from fluxbench.bench.references import hamiltonian, tempered
from fluxbench.bench.references.effort import EFFECTIVE, R_HAT
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.references.make import posterior_of
from fluxbench.bench.run import Run
from fluxbench.bench.studies.metric_power import PRIOR
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.solvers.problems import flux_problem
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.storage import Row

TITLE = "Reference posteriors"
PROFILE = "references"
P_VALUE = 0.001
"""Of calibration: exact references fall below it once in a thousand tables."""
SUBSET, PARTICLES = 2, 2_000
LEAST = 0.03
"""Noise level from which on the other method is run: it takes minutes a measurement, and more at lower ones."""


def chains_and_calibration(run: Run) -> list[Row]:
    """Measure how chains agree and mix, and whether the references are calibrated, a row a reference."""
    rows = []
    for problem, noise in run.referenced:
        exact = run.reference(problem, noise)
        truth = run.dataset(problem).test.x[: len(exact.x)].astype(np.float32)
        shares = calibration.ranks(exact.x, truth)
        spread = np.where(exact.std > 0.0, exact.std, 1.0)
        rows.append(
            {"problem": problem, "noise": noise, "measurements": len(exact.x), "samples": exact.x.shape[1]}
            | {
                "R-hat": float(exact.r_hat.max()),
                "effective": float(exact.effective.min()),
                "in tails": float(exact.tail.min()),
            }
            | {"error of mean / std": float((exact.mean_error / spread).max())}
            | {"acceptance": float(exact.acceptance.min()), "most states": int(exact.states.max())}
            | {"core seconds": exact.seconds}
            | {"SBC p": calibration.uniformity(shares)}
            | {"TARP p": calibration.uniformity(calibration.tarp(exact.x, truth)[:, None])}
        )
        print(line(rows[-1]), flush=True)
    return rows


def closed_form(run: Run) -> Row:
    """Compare the sampler with the Gaussian posterior where nothing is clipped, in units of the Monte Carlo error."""
    simulator = LINEAR.simulator(run.config.flux.mesh)
    lowest = min(noise for _, noise in run.referenced)
    posterior, _ = posterior_of(run.dataset("linear"), simulator, lowest, 0, 25)
    if simulator.operator is None:
        raise ValueError("expected a linear problem")
    y = posterior.y + (PRIOR.mean - posterior.prior.mean) * simulator.operator.sum(axis=1)
    posterior = replace(posterior, prior=PRIOR, y=y)
    exact = linear_gaussian(PRIOR, simulator.operator, y, posterior.noise_std)
    g = hamiltonian.sample(posterior, 0, "closed-form", kept=1_000).g
    effective = array_stats.ess(g, chain_axis=1, draw_axis=2)
    samples = g.reshape(len(y), -1, PRIOR.size)
    z = (samples.mean(axis=1) - exact.mean) / exact.std * np.sqrt(effective)
    return {
        "what": "linear, unclipped: mean against closed form, in Monte Carlo errors (root mean square)",
        "value": float(np.sqrt((z**2).mean())),
        "std ratio": float((samples.std(axis=1, ddof=1) / exact.std).mean()),
    }


def two_methods(run: Run) -> list[Row]:
    """Compare Hamiltonian references with tempered particles on a few measurements, a row a reference."""
    rows = []
    for problem, noise in run.referenced:
        if noise < LEAST:
            continue
        exact = run.reference(problem, noise)
        began = time.perf_counter()
        simulator = flux_problem(problem).simulator(run.config.flux.mesh)
        posterior, _ = posterior_of(run.dataset(problem), simulator, noise, 0, SUBSET)
        other = tempered.sample(posterior, 0, f"{problem}/tempered/{noise:g}", PARTICLES)
        x: Floats = np.maximum(other, 0.0)
        std = exact.std[:SUBSET]
        varies = std > 1e-3
        shift = ((x.mean(axis=1) - exact.mean[:SUBSET]) / np.where(varies, std, 1.0))[varies]
        rows.append(
            {"problem": problem, "noise": noise, "measurements": SUBSET, "particles": PARTICLES}
            | {"mean shift / std": float(np.sqrt((shift**2).mean()))}
            | {"std ratio": float((x.std(axis=1, ddof=1)[varies] / std[varies]).mean())}
            | {"seconds": time.perf_counter() - began}
        )
        print(line(rows[-1]), flush=True)
    return rows


def measure(options: Options) -> Findings:
    """Gather the evidence: three tables and six goals.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    run = Run(load(PROFILE, [f"root={options.root}"]))
    chains, closed, pairs = chains_and_calibration(run), closed_form(run), two_methods(run)
    r_hat, effective = max(row["R-hat"] for row in chains), min(row["effective"] for row in chains)
    p_value = min(row[name] for row in chains for name in ("SBC p", "TARP p"))
    shift = max(row["mean shift / std"] for row in pairs)
    spread = max(abs(row["std ratio"] - 1.0) for row in pairs)
    bar = P_VALUE / (2 * len(chains))
    goals = [
        goal("largest R-hat", r_hat, r_hat < R_HAT, f"below {R_HAT}"),
        goal("fewest effective samples", effective, effective >= EFFECTIVE, f"at least {EFFECTIVE:,}"),
        goal("smallest p-value of calibration", p_value, p_value > bar, f"above {bar:.1g}"),
        goal("mean against closed form, Monte Carlo errors", closed["value"], closed["value"] < 1.2, "below 1.2"),
        goal("two methods: shift of the mean / std", shift, shift < 0.1, "below 0.1"),
        goal("two methods: std ratio - 1", spread, spread < 0.05, "below 0.05"),
    ]
    return {"Chains and calibration": chains, "Closed form": [closed], "Two methods": pairs}, goals
