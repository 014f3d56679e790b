"""A problem of one's own: a species that decays on its way through the channel.

    b . grad u - kappa Lap u = -lambda u,    lambda = 0.05, three rows of six sensors.

The problem is linear in the wall flux, so that its posterior is Gaussian but for the prior's clipping at zero: the
posterior mean of a network is compared with that closed form.
"""

from pathlib import Path

import numpy as np

import fluxbench
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.solvers.boundary_flux import FluxProblem, Polynomial, poiseuille
from fluxbench.solvers.data.measurements import MeasurementOperator

DECAY = FluxProblem(
    "decay",
    velocity=poiseuille(0.1),
    kappa=0.016,
    reaction=Polynomial((0.0, -0.05)),
    sensor_rows=(0.4, 1.0, 1.6),
    sensor_columns=(0.5, 2.0, 3.5, 5.0, 6.5, 8.0),
)
NOISE = 0.1


def main(folder: Path | str = "runs/python", epochs: int = 150) -> float:
    """Train a network, and return how far its posterior means are from the closed form's, in prior deviations."""
    problem = fluxbench.problem(DECAY)
    posterior = fluxbench.train(problem, noise=NOISE, epochs=epochs, folder=folder)
    y = problem.observations(20, NOISE).y
    mean = posterior.sample(y, 200).mean(axis=1)

    operator, noise_std = problem.simulator.operator, MeasurementOperator.of(problem.dataset, NOISE).noise_std
    exact = linear_gaussian(DECAY.prior, np.asarray(operator), y, noise_std)
    return float(np.abs(mean - exact.mean).mean() / DECAY.prior.std)


if __name__ == "__main__":
    print(f"mean distance from the linear-Gaussian mean: {main():.3f} prior standard deviations")
