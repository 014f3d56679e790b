"""Types of arrays that every room shares."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Real numbers in double precision."""
Reals = NDArray[np.floating[Any]]
"""Real numbers in any precision."""
Mask = NDArray[np.bool_]
"""True where a sensor is on."""
