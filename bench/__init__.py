"""Checkpoints to numbers and pictures, and the command line."""

import solvers  # noqa: F401 - its thread settings count only if they come before numpy
