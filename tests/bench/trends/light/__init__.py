"""Benchmarks that cost next to nothing, for a clone whose asv they are put before: see the fixture ``light``."""
