"""What holds for every test."""

import fluxbench  # noqa: F401 - its thread settings count only if they come before numpy
