"""Posterior samples for a user's own measurement, from a network of a run."""
