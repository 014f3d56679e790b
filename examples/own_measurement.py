"""The posterior of one's own measurement, from a network that ``fluxbench`` has trained.

Thirty concentrations in the channel, here made up from a flux that is high near the inlet of the lower wall, leave the
flux through both walls uncertain: the posterior says by how much, and whether the truth is plausible.
"""

from pathlib import Path

import numpy as np

import fluxbench

NOISE = 0.1


def main(folder: Path | str = "runs/python", epochs: int = 150) -> float:
    """Return the share of flux segments whose true value lies between the 5 and the 95 % quantile of the posterior."""
    problem = fluxbench.problem("linear")
    fluxbench.train(problem, noise=NOISE, epochs=epochs, folder=folder)

    truth = 2.0 + np.concatenate([np.linspace(1.5, -1.0, 15), np.zeros(15)])  # lower wall, then upper wall
    clean = np.asarray(problem.simulator.operator) @ truth
    noise_std = NOISE * np.ptp(problem.dataset.train.y)
    readings = clean + noise_std * np.random.default_rng(1).normal(size=30)

    checkpoint = next(Path(folder).glob("linear_vp-k2_noise-0.1_*.pt"))
    posterior = fluxbench.Posterior.load(checkpoint)
    samples = problem.definition.admissible(posterior.sample(readings, 1_000))
    low, high = np.quantile(samples, (0.05, 0.95), axis=0)
    return float(((low <= truth) & (truth <= high)).mean())


if __name__ == "__main__":
    print(f"{main():.0%} of the segments' fluxes lie in their 90 % interval")
