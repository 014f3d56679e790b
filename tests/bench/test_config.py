"""Configurations: profiles load, changes apply, and every mistake is one line with the key's full name."""

from pathlib import Path

import pytest

from fluxbench.bench import config
from fluxbench.bench.run import Run
from fluxbench.errors import InputError


@pytest.mark.parametrize("name", config.profiles())
def test_profiles_are_valid(name: str) -> None:
    assert config.load(name).name == name


def test_quick_is_the_product_of_its_settings() -> None:
    cells = config.load("quick").cells()
    assert len(cells) == 3 * 2 + 1 * 2 * 2
    assert len({cell.name for cell in cells}) == len(cells)


def test_changes_apply() -> None:
    changed = config.load(
        "quick", ["flux.noise=[0.0, 0.5]", "name=mine", "training.formulations=['vp-k1']", "workers=3"]
    )
    assert changed.flux.noise == [0.0, 0.5]
    assert changed.runs == Path("runs/mine").absolute()
    assert changed.training.formulations == ["vp-k1"]
    assert changed.worker_count == 3


def test_flux_problems_have_sample_counts_of_their_own() -> None:
    changed = config.load(
        "quick",
        [
            "flux.problems=['linear', 'multi-operator', 'nonlinear']",
            "flux.train_samples=500",
            "flux.sizes.multi-operator.train_samples=700",
            "flux.sizes.nonlinear.test_samples=200",
        ],
    )
    counts = {
        name: (sizes.train_samples, sizes.test_samples) for name in changed.problems if (sizes := changed.sizes(name))
    }
    assert counts["linear"] == (500, 1000)
    assert counts["multi-operator"] == (700, 1000)
    assert counts["nonlinear"] == (500, 200)
    assert counts["tanh"] == (10_000, 100_000)
    assert (changed.sizes("nonlinear").measurements, changed.sizes("nonlinear").generated) == (100, 100)
    assert changed.sizes("tanh").measurements == 4  # its values of y


def test_the_papers_sample_counts() -> None:
    paper = config.load("paper")
    counts = {name: (paper.sizes(name).train_samples, paper.sizes(name).test_samples) for name in paper.flux.problems}
    assert counts == {"linear": (9_000, 1_000), "multi-operator": (36_000, 1_000), "nonlinear": (36_000, 4_000)}


def test_recipes_have_formulations_and_seeds_of_their_own() -> None:
    cells = config.load("table2").cells()
    assert len(cells) == 3 * 4 * 3 + 3 * 2 * 1
    assert {(cell.formulation, cell.seed) for cell in cells if cell.recipe == "paper"} == {("ve", 0), ("vp-k2", 0)}


def test_recipes_are_sampled_with_their_own_methods_unless_told_otherwise() -> None:
    sampling = config.load("quick").sampling
    assert [by.method for by in sampling.integrators("paper")] == ["runge-kutta", "euler-maruyama"]
    assert [by.method for by in sampling.integrators("tuned")] == ["exponential", "exponential"]
    assert [by.steps for by in sampling.integrators("tuned")] == [16, 64]
    chosen = config.load("quick", ["sampling.ode=heun", "sampling.sde=euler-maruyama"]).sampling
    assert [by.method for by in chosen.integrators("tuned")] == ["heun", "euler-maruyama"]


def test_measurements_are_counted_for_the_problems_of_the_run_alone() -> None:
    changes = ["flux.sizes.nonlinear.test_samples=5"]
    assert config.load("quick", changes).sizes("nonlinear").test_samples == 5
    with pytest.raises(InputError, match=r"at most test_samples = 5 for nonlinear, found 100"):
        config.load("quick", [*changes, "flux.problems=['linear', 'nonlinear']"])


def test_the_mesh_belongs_to_what_a_flux_problem_is_solved_with() -> None:
    coarse, fine = (config.load("quick", [f"flux.mesh={mesh}"]) for mesh in ("aligned", "paper"))
    assert Run(coarse).data_specification("linear") != Run(fine).data_specification("linear")
    assert Run(coarse).data_specification("tanh") == Run(fine).data_specification("tanh")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[flux]\nnoise = [0.2]\n')
    assert config.load(str(path)).flux.noise == [0.2]
    path.write_text("name = ")
    with pytest.raises(InputError, match=r"mine.toml: expected TOML"):
        config.load(str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("flux.nois=1", "flux.nois: unknown key"),
        ("fluxes.noise=1", "fluxes: unknown key"),
        ("seed=abc", "seed: expected integer, found 'abc'"),
        ("densities.epochs=1.5", "densities.epochs: expected integer, found 1.5"),
        ("densities.epochs=0", "densities.epochs: expected greater than or equal to 1, found 0"),
        ("flux.noise=[0.1, -1]", "flux.noise[1]: expected greater than or equal to 0, found -1"),
        ("flux.noise=[nan]", "flux.noise[0]: expected a finite number, found nan"),
        ("flux.noise=[]", "flux.noise: expected list should have at least 1 item"),
        ("flux.noise=[0.1, 0.1]", "flux.noise: expected each value once, found [0.1, 0.1]"),
        ("flux.measurements=5000", "flux: expected measurements of at most test_samples = 1000 for linear, found 5000"),
        (
            "flux.generated=2000",
            "flux: expected 10 <= generated <= references <= 2,000, or references = 0, found generated = 2000",
        ),
        ("flux.sizes.linear.test_samples=50", "flux: expected measurements of at most test_samples = 50 for linear"),
        ("flux.sizes.heat.train_samples=5", "flux.sizes.heat: expected a flux problem, one of linear, multi-operator"),
        ("flux.sizes.tanh.train_samples=5", "flux.sizes.tanh: expected a flux problem, one of linear, multi-operator"),
        ("flux.sizes.multi-operator.train=5", "flux.sizes.multi-operator.train: unknown key"),
        (
            "flux.sizes.multi-operator.train_samples=0",
            "flux.sizes.multi-operator.train_samples: expected greater than or equal to 1, found 0",
        ),
        ("flux.sizes.nonlinear=5", "flux.sizes.nonlinear: expected a table, found 5"),
        ("flux.sizes=5", "flux.sizes: expected a table, found 5"),
        ("flux.mesh=coarse", "flux.mesh: expected a mesh, one of aligned, paper, found 'coarse'"),
        ("flux.generated=1", "flux.generated: expected greater than or equal to 2, found 1"),
        ("training.formulations=['vp-k2', 'vp-k2.0']", "training.formulations: expected each value once"),
        ("flux.noise=[0.1, 0.10000001]", "flux.noise: expected each value once"),
        ("flux=3", "flux: expected a table, found 3"),
        ("sampling.alphas=[-0.5]", "sampling.alphas[0]: expected greater than or equal to 0, found -0.5"),
        ("training.formulations=['vp-k0']", "training.formulations[0]: expected k must be positive"),
        (
            "training.recipes=['best']",
            "training.recipes[0]: expected a recipe, one of paper, tuned, tuned-without-",
        ),
        ("training.grids.best.seeds=[1]", "training.grids.best: expected a recipe, one of paper, tuned"),
        ("training.grids.paper.seed=[1]", "training.grids.paper.seed: unknown key"),
        (
            "sampling.ode=euler",
            "sampling.ode: expected a method for the ODE, one of euler-maruyama, exponential, heun, runge-kutta",
        ),
        ("sampling.ode_steps=1", "sampling.ode_steps: expected greater than or equal to 2, found 1"),
        (
            "densities.problems=['heat']",
            "densities.problems[0]: expected a joint density, one of bimodal, spiral, tanh",
        ),
        ("device=tpu", "device: expected 'auto', 'cpu' or 'cuda', found 'tpu'"),
        ("name=a/b", "name: expected string should match pattern"),
        ("seed.x=1", "--set seed.x: seed is a value, not a table"),
        ("seed", "--set: expected key=value, found 'seed'"),
    ],
)
def test_mistakes_are_named(change: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        config.load("quick", [change])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_profiles_are_named() -> None:
    expected = f"--profile: expected one of {', '.join(config.profiles())} or a TOML file, found 'fast'"
    with pytest.raises(InputError, match=expected):
        config.load("fast")


def test_a_run_has_something_to_do() -> None:
    with pytest.raises(InputError, match="expected at least one problem"):
        config.load("quick", ["densities.problems=[]", "flux.problems=[]"])
