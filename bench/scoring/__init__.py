"""Scores: what is known of a set of samples, one number a row.

`densities` and `flux` say which numbers; `files` keeps them, and what bounds them: the same numbers of exact samples,
of the prior and of the linear-Gaussian posterior, scored as generated ones are.
"""
