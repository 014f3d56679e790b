"""Metrics of posterior samples, mostly one number a measurement, of which a report gives the mean and its error.

`transport` compares samples of scalars with a reference, `marginal` each component of a vector and `joint` all of them
together; `calibration` needs the truths alone.
"""
