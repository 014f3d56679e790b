"""The flux problem of section 6.2.1: the linear one, with each sensor on with probability 0.7."""

from dataclasses import replace

from fluxbench.solvers.problems.linear import LINEAR

PROBLEM = MULTI_OPERATOR = replace(LINEAR, name="multi-operator", sensors_on=0.7)
