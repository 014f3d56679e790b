"""Formats of what stages leave for each other: samples, references, scores."""
