"""The formulation that the documentation shows is a formulation."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.integrators import Exponential

PAGE = Path(__file__).parents[2] / "docs" / "diffusion.md"


@pytest.fixture(scope="module")
def cosine() -> Formulation:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module = types.ModuleType("shown_in_the_docs")
    sys.modules[module.__name__] = module  # a dataclass looks its module up
    exec(code, module.__dict__)  # noqa: S102 - our own page
    return module.Cosine()


def test_it_satisfies_the_relations(cosine: Formulation) -> None:
    t = torch.linspace(0.05, 0.95, 10, dtype=torch.float64, requires_grad=True)
    (dm,) = torch.autograd.grad(cosine.m(t).sum(), t)
    (dv,) = torch.autograd.grad((cosine.sigma(t) ** 2).sum(), t)
    t = t.detach()
    # By numpy: torch's own comparison imports sympy, which takes longer than all tests of this folder's formulas.
    np.testing.assert_allclose(dm, -0.5 * cosine.beta(t) * cosine.m(t), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(dv, -cosine.beta(t) * cosine.sigma(t) ** 2 + cosine.g2(t), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(cosine.time(cosine.noise_ratio(t)), t, rtol=1e-7, atol=1e-7)


def test_it_samples(cosine: Formulation) -> None:
    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        m, sigma = cosine.m(t)[:, None], cosine.sigma(t)[:, None]
        return -(x - 0.7 * m) / (0.16 * m**2 + sigma**2)

    normals = torch.randn(20_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = Exponential(0.0, 24).integrate(score, cosine, lambda: normals, cosine.sampling_end(0.0, 1e-3)).x
    assert x.mean().item() == pytest.approx(0.7, abs=0.03)
    assert x.std().item() == pytest.approx(0.4, rel=0.02)
