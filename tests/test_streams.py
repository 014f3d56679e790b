"""Random numbers depend on (seed, stream, index) alone and have the right distribution."""

import numpy as np
from scipy import stats

from fluxbench import streams


def test_a_block_is_a_slice_of_the_whole() -> None:
    whole = streams.uniforms(7, "flux", 0, 1000, 30)
    for start, stop in ((0, 1), (1, 2), (333, 777), (999, 1000)):
        np.testing.assert_array_equal(streams.uniforms(7, "flux", start, stop, 30), whole[start:stop])


def test_seeds_and_streams_are_independent() -> None:
    first = streams.normals(0, "a", 0, 20_000, 1)[:, 0]
    for other in (streams.normals(1, "a", 0, 20_000, 1)[:, 0], streams.normals(0, "b", 0, 20_000, 1)[:, 0]):
        assert abs(np.corrcoef(first, other)[0, 1]) < 4.0 / np.sqrt(20_000)


def test_normals_are_normal() -> None:
    z = streams.normals(3, "a", 0, 50_000, 2)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z.T)[0, 1]) < 4.0 / np.sqrt(50_000)


def test_the_numbers_themselves_never_change() -> None:
    # Published data sets must come out again: a change here is a change of every result.
    expected = [1.190965769869042, -0.17335260498694852, 0.9558250171368913]
    np.testing.assert_allclose(streams.normals(0, "linear/train/flux", 5, 6, 3)[0], expected, rtol=1e-13)
