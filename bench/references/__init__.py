"""Posteriors that are known: what a perfect sampler would draw.

`gaussian` has a closed form, `hamiltonian` samples the flux problems' posteriors as they are, `tempered` does so by
another method on a few, to check it; `make` makes them and `store` keeps them.
"""
