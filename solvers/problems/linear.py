"""The linear flux problem of section 6.2: advection and diffusion. kappa: choice."""

from fluxbench.solvers.boundary_flux import FluxProblem, poiseuille

PROBLEM = LINEAR = FluxProblem("linear", velocity=poiseuille(0.1), kappa=0.016)
