"""Checkpoints to numbers and pictures, and the command line."""
