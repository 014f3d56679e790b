"""Random numbers keyed by (seed, stream, sample index), the same whoever draws them.

Philox is a counter-based generator: word number j of the stream with a given key is a pure function of (key, j).
Sample i of a stream owns the words [i w, (i + 1) w), so ranks, blocks and restarts all see the same numbers
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Normals come from the inverse distribution
function, one word each: the usual rejection methods would consume a varying number of words.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fluxbench.arrays import Floats

WORDS_PER_COUNTER = 4
"""Philox 4x64 yields four 64-bit words for each value of its counter."""


def key(seed: int, stream: str) -> NDArray[np.uint64]:
    """Return the 128-bit Philox key of the stream called ``stream`` under ``seed``, shape (2,)."""
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype=np.uint64)


def generator(seed: int, stream: str) -> np.random.Generator:
    """Return a generator of the stream called ``stream`` under ``seed``, for numbers that are drawn in order."""
    return np.random.Generator(np.random.Philox(key=key(seed, stream)))


def uniforms(seed: int, stream: str, start: int, stop: int, width: int) -> Floats:
    """Draw uniform numbers in the open interval (0, 1) for samples ``start`` to ``stop - 1``.

    Args:
        seed: seed of the run.
        stream: name of what the numbers are for, such as ``"linear/train/flux"``.
        start: index of the first sample.
        stop: one past the index of the last sample.
        width: numbers of each sample.

    Returns:
        Array of shape (stop - start, width).
    """
    counters = -(-width // WORDS_PER_COUNTER)
    bits = np.random.Philox(key=key(seed, stream))
    bits.advance(start * counters)
    words = bits.random_raw((stop - start) * counters * WORDS_PER_COUNTER)
    words = words.reshape(stop - start, counters * WORDS_PER_COUNTER)[:, :width]
    # 52 bits and a half: neither 0 nor 1 can come out, so that the normal quantile is finite.
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: str, start: int, stop: int, width: int) -> Floats:
    """Draw standard normal numbers for samples ``start`` to ``stop - 1``, shape (stop - start, width).

    They are the quantiles at the numbers of :func:`uniforms` for the same arguments.
    """
    return ndtri(uniforms(seed, stream, start, stop, width))
