"""Scores: what is known of a set of samples, one number a row.

`densities` and `flux` say which numbers, of generated samples and of what bounds them (exact samples, the prior, the
linear-Gaussian posterior); `costs` judges samplers at several efforts; `table` joins all of a run.
"""
