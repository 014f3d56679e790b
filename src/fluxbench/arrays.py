"""Types of arrays that all packages share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""An array of real numbers in double precision."""
Reals = NDArray[np.floating[Any]]
"""An array of real numbers in any precision."""
Mask = NDArray[np.bool_]
"""An array of truth values, True where a sensor is on."""
