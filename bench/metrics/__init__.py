"""Metrics of posterior samples, one number a measurement each: whoever reports them takes the mean and says its error.

`transport` compares samples of scalars, `marginal` each component of a vector and `joint` all of them together with a
reference; `calibration` needs the truths alone.
"""
