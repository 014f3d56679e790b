"""Adaptive Dormand-Prince 5(4) on the probability-flow ODE (Eqs 28, 41), the paper's ODE sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, override

from fluxbench.diffusion.integrators.integrator import Integrator, Samples

if TYPE_CHECKING:
    from torch import Tensor

    from fluxbench.diffusion.formulations import Formulation
    from fluxbench.diffusion.integrators.integrator import Normals, Score


@dataclass(frozen=True)
class RungeKutta(Integrator):
    """Each row has its own step size and stops on its own, at the accuracy of SciPy's ``solve_ivp(rtol, atol)``.

    Attributes:
        alpha: 0, since it integrates the ODE.
        tolerance: relative and absolute.
    """

    method: ClassVar[str] = "runge-kutta"
    title: ClassVar[str] = "Runge-Kutta 5(4)"

    tolerance: float

    @classmethod
    @override
    def ladder(cls) -> Sequence[Self]:
        return [cls(0.0, tolerance) for tolerance in (1e-1, 1e-2, 1e-3, 1e-4)]

    @property
    @override
    def effort(self) -> str:
        return f"at tolerance {self.tolerance:g}"

    @override
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        from fluxbench.diffusion.dormand_prince import dormand_prince  # noqa: PLC0415 - torch

        def flow(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
            return formulation.probability_flow(x, t, score(x, t, rows)).to(x.dtype)

        start = formulation.terminal_std * normals()
        return Samples(*dormand_prince(flow, start, 1.0, t_min, self.tolerance))
