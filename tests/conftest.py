"""What holds for every test."""

import solvers  # noqa: F401 - its thread settings count only if they come before numpy
