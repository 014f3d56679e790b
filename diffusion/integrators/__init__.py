"""Integrators of the reverse process, one file each; importable without torch, since settings name them anywhere.

| integrator       | alpha | order                              | evaluations                    |
|------------------|-------|------------------------------------|--------------------------------|
| `EulerMaruyama`  | >= 0  | 1 weak (1 strong where alpha = 0)  | one a step                     |
| `RungeKutta`     | 0     | 5, embedded 4 sets the step        | six a step, counted as spent   |
| `Heun`           | 0     | 2                                  | two a step, one in the last    |
| `Exponential`    | >= 0  | 3 where alpha = 0, else 2 weak     | one a step                     |
"""

from importlib import import_module
from pkgutil import iter_modules

from fluxbench.diffusion.integrators.euler_maruyama import EulerMaruyama
from fluxbench.diffusion.integrators.exponential import Exponential
from fluxbench.diffusion.integrators.heun import Heun
from fluxbench.diffusion.integrators.integrator import Integrator, Samples, sampler_label
from fluxbench.diffusion.integrators.runge_kutta import RungeKutta

__all__ = [
    "INTEGRATORS",
    "EulerMaruyama",
    "Exponential",
    "Heun",
    "Integrator",
    "RungeKutta",
    "Samples",
    "sampler_label",
]

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")

INTEGRATORS: dict[str, type[Integrator]] = {each.method: each for each in Integrator.__subclasses__()}
"""By method: every subclass of the files in this folder."""
