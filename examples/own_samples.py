"""Samples of one's own, scored: any sampler's, here least squares with a Gaussian residual, learnt from pairs alone.

With the second moments of pairs (x, y), the best linear estimate of x is m_x + B (y - m_y) with B = C_xy C_yy^-1, and
what is left has covariance R = C_xx - B C_xy^T: samples of N(estimate, R) for the published observations.
"""

import numpy as np
import pandas as pd

import fluxbench

NOISE, OBSERVATIONS, SAMPLES = 0.1, 10, 200


def main() -> pd.DataFrame:
    """Return the scores of least squares on ten observations of the linear problem, beside exact samples."""
    problem = fluxbench.problem("linear")
    x, y, _ = problem.simulate(9_000, NOISE)
    joint = np.cov(np.hstack([x, y]), rowvar=False)
    size = x.shape[1]
    gain = joint[:size, size:] @ np.linalg.inv(joint[size:, size:])
    left = joint[:size, :size] - gain @ joint[size:, :size]

    observed = problem.observations(OBSERVATIONS, NOISE).y
    estimate = x.mean(axis=0) + (observed - y.mean(axis=0)) @ gain.T
    residuals = np.random.default_rng(0).multivariate_normal(np.zeros(size), left, (OBSERVATIONS, SAMPLES))
    return fluxbench.score(estimate[:, None] + residuals, problem, NOISE)


if __name__ == "__main__":
    print(main().to_string(float_format="{:.3f}".format))
