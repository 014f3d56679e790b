"""The nonlinear flux problem of section 6.3: advection, diffusion and logistic growth.

kappa, rate and capacity: choice.

From u = 2, the capacity, Newton's method finds the branch that is positive.
"""

from fluxbench.solvers.boundary_flux import FluxProblem, logistic, poiseuille

PROBLEM = NONLINEAR = FluxProblem(
    "nonlinear", velocity=poiseuille(12.0), kappa=2.0, reaction=logistic(rate=2.0, capacity=2.0), start=2.0
)
