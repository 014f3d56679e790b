"""Speed over time, by airspeed velocity: ``asv run -E existing``. Each module benchmarks the package of its name."""
