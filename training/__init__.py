"""Data set to checkpoints: what is trained, how, and where."""
