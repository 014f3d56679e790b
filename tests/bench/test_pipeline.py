"""The whole pipeline through the command line, small: it runs, resumes, reproduces itself and refuses bad input."""

import csv
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.files import samples
from fluxbench.bench.files.samples import PosteriorSamples
from fluxbench.bench.report.pictures import style
from fluxbench.bench.report.write import write_report, write_tables
from fluxbench.bench.run import Run
from fluxbench.bench.scoring.score import bound, score
from fluxbench.diffusion.integrators import EulerMaruyama, Exponential, Heun, Integrator, RungeKutta
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import Measured, observations
from fluxbench.solvers.problems import flux_problem
from fluxbench.storage import exclusive
from fluxbench.training import posterior as posteriors
from fluxbench.training.posterior import Posterior
from tests.bench.conftest import options

FLUX = ["multi-operator", "linear"]
KEYS = ("problem", "noise", "recipe", "formulation", "alpha", "seed", "metric", "wall", "segment")


def table(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "results" / "small" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_lie_between_the_floor_and_nonsense(root: Path) -> None:
    rows = table(root, "table2.csv")
    assert {row["metric"] for row in rows} == {"S1", "S1-pairs", "S2", "W1", "log score"}
    assert {row["recipe"] for row in rows} == {"tuned", "paper"}
    assert {row["sampler"] for row in rows} == {"ODE", "SDE"}
    for row in rows:
        if row["metric"] == "log score":
            continue
        # p(x | y) has standard deviation 0.3; S2 is in units of its square.
        assert 0.5 * float(row["floor"]) < float(row["score"]) < (0.1 if row["metric"] == "S2" else 0.3)
        assert (row["paper"] != "") == (row["metric"] in {"S1", "S1-pairs"})
        assert float(row["score_std"]) > 0.0


def test_flux_errors_are_below_the_priors_and_not_below_the_exact_posteriors(root: Path) -> None:
    rows = [row for row in table(root, "scores.csv") if row["metric"] == "error" and row["wall"]]
    assert len(rows) == 2 * 2 * 2 * 30
    for recipe, problem, sampler in product(("tuned", "paper"), FLUX, ("ODE", "SDE")):
        those = [row for row in rows if (row["recipe"], row["problem"], row["sampler"]) == (recipe, problem, sampler)]
        value, prior, exact = (np.mean([float(row[name]) for row in those]) for name in ("value", "prior", "floor"))
        assert 0.95 * exact < value < (1.25 * exact if recipe == "tuned" else 0.95 * prior)
    assert {(row["wall"], int(row["segment"])) for row in rows} == {
        (w, s) for w in ("lower", "upper") for s in range(1, 16)
    }


def test_every_number_stands_beside_its_bounds_and_its_error(root: Path) -> None:
    rows = table(root, "scores.csv")
    keys = [tuple(row[name] for name in KEYS) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert np.isfinite(float(row["value"])), row
        assert row["floor"], row
        assert (row["value_error"] == "") == row["metric"].endswith("p-value"), row
        assert (row["prior"] == "") == (row["metric"] == "log score"), row
        assert (row["linear_gaussian"] != "") == (row["problem"] in FLUX), row
        assert (row["noise"] == "") == (row["problem"] == "tanh"), row
        assert float(row["seconds"]) > 0.0
        assert float(row["evaluations"]) > 1.0
    assert {row["sensors_on"] for row in rows if row["problem"] == "multi-operator"} == {"0.7"}
    assert {row["reference"] for row in rows} == {
        *("test samples in the band", "exact conditional", "truth", "reference posterior", "")
    }


def test_the_floor_is_near_nothing_and_the_prior_is_not(root: Path) -> None:
    """Exact samples, the linear-Gaussian posterior, networks and the prior, in this order of distance."""
    for row in table(root, "scores.csv"):
        if row["metric"] not in {"excess error", "energy distance", "sliced W1", "marginal W1"}:
            continue
        if row["recipe"] == "paper":
            continue  # after so few epochs it is worse than the prior
        value, floor, prior, gaussian = (float(row[name]) for name in ("value", "floor", "prior", "linear_gaussian"))
        assert abs(floor) < 0.2 * prior
        assert floor - 0.01 < gaussian < 0.5 * prior
        assert floor - 0.01 < value < prior


def test_the_log_score_is_that_of_a_density(root: Path, run: Run) -> None:
    """What the flow says is a density integrates to one, and the exact conditional scores better than any."""
    for row in table(root, "table2.csv"):
        if row["metric"] == "log score":
            assert float(row["floor"]) < float(row["score"]) < float(row["floor"]) + 3.0
    x = np.tile(np.linspace(-3.0, 4.0, 281), (4, 1))
    measured = observations(run.dataset("tanh"), 0.0, 4)
    for recipe in ("tuned", "paper"):
        density = np.exp(posterior_of(run, "tanh", recipe).log_density(x[:, :, None], measured))
        np.testing.assert_allclose(np.trapezoid(density, x, axis=1), 1.0, atol=0.01)


def test_a_posterior_is_asked_in_physical_units(root: Path, run: Run) -> None:
    """Samples and their density are alike, for one measurement or several, and what does not fit is refused."""
    path = next((root / "runs" / "small" / "cells").glob("tanh*tuned*.pt"))
    posterior = Posterior.load(path)
    one, both = posterior.sample(np.array([0.5]), 500), posterior.sample(np.array([[0.5], [-0.5]]), 500)
    assert (one.shape, both.shape) == ((500, 1), (2, 500, 1))
    np.testing.assert_allclose(both[0], one, atol=1e-4)
    inside = posterior.log_prob(one[:50], np.array([0.5]))
    assert inside.shape == (50,)
    assert inside.mean() > posterior.log_prob(one[:50] + 2.0, np.array([0.5])).mean() + 1.0
    with pytest.raises(InputError, match=r"noise: expected 0, the level of this network, found 0.3"):
        posterior.sample(np.array([0.5]), 5, noise=0.3)
    with pytest.raises(InputError, match=r"mask: expected none, the network knows of no sensors that are off"):
        posterior.sample(np.array([0.5]), 5, mask=np.array([True]))


def test_reports_and_figures_are_there(root: Path) -> None:
    results = root / "results" / "small"
    text = (results / "report.md").read_text()
    flux = [
        name.format(problem) for name in ("cases_{}_tuned_vp-k2", "error_{}_paper", "std_{}_tuned") for problem in FLUX
    ]
    for name in ("histograms_paper_vp-k2", *flux):
        assert f"figures/{name}.png" in text
        assert (results / "figures" / f"{name}.png").stat().st_size > 10_000
    assert "floor" in text
    assert "100 epochs (paper: 10,000)" in text


class Page(HTMLParser):
    """What a page refers to, and the text of its tables, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.rows: list[list[str]] = []
        self.cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.links |= {found[name] for name in ("href", "src", "xlink:href") if name in found}
        self.ids += [found["id"]] if "id" in found else []
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.cell = []

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self.cell is not None:
            self.rows[-1].append("".join(self.cell).strip())
            self.cell = None


def test_the_page_holds_all_tables_and_pictures_and_loads_no_others(root: Path) -> None:
    results = root / "results" / "small"
    text, html = (results / "report.md").read_text(), (results / "report.html").read_text()
    page = Page(html)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "@import" not in html
    assert "url(http" not in html
    pictures = {path.stem for path in (results / "figures").glob("*.png")}
    assert pictures >= {
        "processes",
        "densities",
        "instances_linear",
        "calibration_tuned",
        "excess_paper",
        "cost",
        "grid",
    }
    assert pictures == set(re.findall(r'<figure id="([^"]+)"', html))
    loaded = {link for link in page.links if not link.startswith(("#", "data:"))}
    assert loaded == {f"figures/{name}.png" for name in pictures}
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    assert len(lines) > 60
    assert page.rows == [[re.sub(r"[*`]", "", cell).strip() for cell in line[1:-1].split("|")] for line in lines]


def test_a_page_that_stands_alone_has_pictures_inside_that_follow_light_and_dark(root: Path) -> None:
    assert main(["report", "--standalone", *options(root)]) == 0
    results = root / "results" / "small"
    html = (results / "report.html").read_text()
    assert {link for link in Page(html).links if not link.startswith(("#", "data:"))} == set()
    assert html.count("<svg ") == len(list((results / "figures").glob("*.png")))
    for svg in re.findall(r"<svg .*?</svg>", html, re.DOTALL):
        assert "currentColor" in svg
        assert not [colour for colour in (style.INK, *style.COLOURS.values()) if colour in svg]
        used = set(re.findall(r"var\(--(\w+)\)", svg))
        assert used <= set(style.COLOURS)
    for name in style.COLOURS:
        assert html.count(f"--{name}:") == 2  # light, dark


def test_more_evaluations_bring_samples_nearer_to_exact_ones(root: Path) -> None:
    rows = table(root, "costs.csv")
    assert {row["problem"] for row in rows} == {"tanh", "linear", "multi-operator"}
    for problem in ("tanh", "linear"):
        line = {
            int(row["steps"]): (float(row["value"]), float(row["evaluations"]))
            for row in rows
            if (row["problem"], row["method"], row["sampler"]) == (problem, "exponential", "ODE")
        }
        assert line[16][0] < line[4][0]
        assert [spent for _, spent in line.values()] == list(line)
    assert all(float(row["floor"]) > 0.0 for row in rows)
    assert all(float(row["seconds"]) > 0.0 for row in rows)


def test_a_second_run_remakes_nothing_and_lost_files_come_back_the_same(root: Path, run: Run) -> None:
    files = [path for path in (root / "runs").rglob("*") if path.suffix in {".h5", ".pt", ".json", ".jsonl"}]
    before = {path: path.stat().st_mtime_ns for path in files}
    tables = {path: path.read_bytes() for path in (root / "results").rglob("*.csv")}
    each = next(each for each in run.sample_sets if (each.problem, each.integrator.alpha) == ("linear", 1.0))
    lost, kept = run.samples_path(each), run.samples(each).x
    lost.unlink()
    assert main(["run", *options(root, "address=none")]) == 0  # by worker processes, what Ray had made
    after = {path: path.stat().st_mtime_ns for path in files}
    assert [path for path in files if after[path] != before[path]] == [lost]
    np.testing.assert_array_equal(run.samples(each).x, kept)
    assert tables == {path: path.read_bytes() for path in tables}


@pytest.mark.parametrize("recipe", ["tuned", "paper"])
def test_the_family_is_conditioned_on_its_masks(recipe: str, run: Run) -> None:
    """Training, sampling and scoring agree on which sensors are on, and the network uses what it is told."""
    posterior = posterior_of(run, "multi-operator", recipe)
    assert posterior.masked
    assert posterior.y_size == 30
    data = run.dataset("multi-operator")
    assert (len(data.train.x), len(data.test.x)) == (6000, 400)
    expected = observations(data, 0.1, 40)
    each = next(each for each in run.sample_sets if each.cell == posterior.cell)
    drawn = run.samples(each)
    assert drawn.mask is not None
    assert expected.mask is not None
    assert drawn.mask.dtype == np.bool_
    np.testing.assert_array_equal(drawn.mask, expected.mask)
    np.testing.assert_array_equal(drawn.y, expected.y)
    lies = replace(expected, mask=~drawn.mask)
    again, lied = (posterior.draw(seen, 40, each.integrator, run.config.seed)[0] for seen in (expected, lies))
    np.testing.assert_allclose(drawn.x, again, atol=1e-3)
    assert np.abs(drawn.x.mean(axis=1) - lied.mean(axis=1)).mean() > 0.1


def test_problems_without_masks_store_none(run: Run) -> None:
    for each in run.sample_sets:
        assert (run.samples(each).mask is None) == (each.problem != "multi-operator")


def test_a_nonlinear_problem_is_scored_without_a_linear_gaussian_posterior(tmp_path: Path) -> None:
    """On data and samples that cost nothing, since only what comes after them is looked at."""
    changes = ("densities.problems=[]", "flux.problems=['nonlinear']", "flux.references=0")
    run = Run(load("quick", options(tmp_path, *changes)[1::2]))
    write_stand_ins(run, "nonlinear")
    for each in run.sample_sets:
        score(run, each, lambda done: None)
    for problem, noise in run.scored:
        bound(run, problem, noise, lambda done: None)
    write_tables(run)
    text = write_report(run)
    rows = [row for row in table(tmp_path, "scores.csv") if row["wall"]]
    assert {row["linear_gaussian"] for row in rows} == {""}
    # Samples of the prior: their standard deviation is the prior's.
    stds = [(float(row["value"]), float(row["prior"])) for row in rows if row["metric"] == "std"]
    np.testing.assert_allclose(*np.mean(stds, axis=0), rtol=0.05)
    (line,) = [line for line in text.splitlines() if line.startswith("| nonlinear | 0.1 | tuned | VP (k = 2) | ODE |")]
    entries = [entry.strip() for entry in line.strip("|").split("|")]
    assert {entries[i] for i in (6, 7, 10, 11)} == {"-"}
    assert (entries[8], entries[12]) != ("-", "-")
    for name in ("cases_nonlinear_tuned_vp-k2", "error_nonlinear_tuned", "std_nonlinear_tuned"):
        assert (run.results / "figures" / f"{name}.png").stat().st_size > 10_000


def write_stand_ins(run: Run, name: str) -> None:
    """A data set of true fluxes and of readings by a formula, and samples of the prior for every cell."""
    prior, specification = flux_problem(name).prior, run.data_specification(name)

    def split(which: str) -> Split:
        x = prior.sample(run.config.seed, which, 0, specification[which])
        return Split(x, np.tanh(x))

    data = Dataset(specification, {}, split("train"), split("test"), None, {"x": "flux", "y": "concentration"})
    datasets.write(run.data_path(name), data)
    sizes = run.config.sizes(name)
    x = prior.sample(run.config.seed, "samples", 0, sizes.measurements * sizes.generated)
    x = x.reshape(sizes.measurements, sizes.generated, -1).astype(np.float32)
    for each in run.sample_sets:
        parts = samples.blocks(run.samples_path(each), run.samples_specification(each), len(x), len(x))
        samples.write_block(parts, 0, PosteriorSamples(x, data.test.y[: len(x)], None, 1.0, 1.0))
        samples.join(parts)


def posterior_of(run: Run, problem: str, recipe: str) -> Posterior:
    """The trained network of a problem."""
    return run.posterior(next(cell for cell in run.cells if (cell.problem, cell.recipe) == (problem, recipe)))


@pytest.mark.parametrize("recipe", ["tuned", "paper"])
@pytest.mark.parametrize(
    "integrator",
    [
        Exponential(0.0, 24),
        Heun(0.0, 12),
        RungeKutta(0.0, 1e-5),
        Exponential(0.5, 20),
        EulerMaruyama(0.5, 20),
    ],
    ids=lambda integrator: integrator.slug,
)
def test_samples_do_not_depend_on_what_is_sampled_beside_them(
    recipe: str, integrator: Integrator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every measurement has a stream of its own; neither how many there are nor how they are chunked counts."""
    posterior, measured = posterior_of(run, "linear", recipe), observations(run.dataset("linear"), 0.1, 40)
    whole, _ = posterior.draw(measured, 5, integrator, 0)
    fewer, _ = posterior.draw(measured.rows(0, 3), 5, integrator, 0)
    monkeypatch.setitem(posteriors.ROWS, "cpu", 35)
    chunked, _ = posterior.draw(measured, 5, integrator, 0)
    # To rounding: a matrix product depends on the width of its batch in the last bits.
    np.testing.assert_allclose(fewer, whole[:3], atol=1e-3)
    np.testing.assert_allclose(chunked, whole, atol=1e-3)


def test_bad_measurements_are_refused(run: Run) -> None:
    measured = observations(run.dataset("linear"), 0.1, 3)
    for recipe in ("tuned", "paper"):
        posterior = posterior_of(run, "linear", recipe)
        short = Measured(measured.x[:2], measured.y[:2, :29], None, measured.noise[:2])
        with pytest.raises(
            InputError, match=r"measurement: expected 30 values in each row, found an array of shape \(2, 29\)"
        ):
            posterior.draw(short, 5, Exponential(0.0, 4), 0)
        broken = replace(measured, y=measured.y.copy())
        broken.y[1, 4] = np.nan
        with pytest.raises(InputError, match="measurement 1: expected finite numbers, found NaN"):
            posterior.draw(broken, 5, Exponential(0.0, 4), 0)


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a failing command prints."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    captured = capsys.readouterr().err.splitlines()
    (line,) = [text for text in captured if "error: " in text]
    assert "Traceback" not in "".join(captured)
    return line


def test_other_configurations_of_the_same_name_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failing(capsys, "train", *options(root, "flux.epochs=101"))
    assert "cell.hyperparameters.epochs = 100, but 101 is asked for" in line
    line = failing(capsys, "sample", *options(root, "sampling.euler_maruyama_steps=101"))
    assert "integrator.steps = 100, but 101 is asked for" in line
    line = failing(capsys, "score", *options(root, "densities.generated=999"))
    assert "generated = 1000, but 999 is asked for" in line
    line = failing(capsys, "report", *options(root, "sampling.euler_maruyama_steps=101"))
    assert "scored.integrator.steps = 100, but 101 is asked for" in line


def test_stages_out_of_order_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tanh.h5: not found" in failing(capsys, "train", *options(tmp_path))
    assert "expected a score file; `fluxbench score` makes it" in failing(capsys, "report", *options(tmp_path))
    assert main(["solve", *options(tmp_path)]) == 0
    assert "seed-0.pt: not found; `fluxbench train` makes it" in failing(capsys, "sample", *options(tmp_path))
    assert "alpha-0.h5: not found; `fluxbench sample` makes it" in failing(capsys, "score", *options(tmp_path))
    line = failing(capsys, "train", *options(tmp_path, "flux.train_samples=2000"))
    assert "linear.h5: made with train = 3000, but 2000 is asked for" in line


def test_truncated_samples_are_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "runs"
    subprocess.run(["cp", "-r", str(root / "runs"), str(copy)], check=True)
    path = next((copy / "small" / "samples").glob("tanh*alpha-0.h5"))
    path.write_bytes(path.read_bytes()[:1000])
    line = failing(capsys, "score", *options(tmp_path))
    assert f"{path.name}: expected an HDF5 file, found a damaged or foreign one" in line


def test_damaged_headers_are_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["cp", "-r", str(root / "runs"), str(tmp_path / "runs")], check=True)
    path = next((tmp_path / "runs" / "small" / "samples").glob("tanh*alpha-0.h5"))
    (tmp_path / "runs" / "small" / "scores" / f"{path.stem}.json").unlink()
    with h5py.File(path, "a") as file:
        del file.attrs["specification"]
    assert "its specification is missing or damaged" in failing(capsys, "score", *options(tmp_path))


def test_two_commands_in_one_run_do_not_mix(root: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with exclusive(run.folder / "scores"):
        assert "another fluxbench command is at work here" in failing(capsys, "score", *options(root))


def test_nan_in_samples_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["cp", "-r", str(root / "runs"), str(tmp_path / "runs")], check=True)
    path = next((tmp_path / "runs" / "small" / "samples").glob("tanh*alpha-0.h5"))
    (tmp_path / "runs" / "small" / "scores" / f"{path.stem}.json").unlink()
    with h5py.File(path, "a") as file:
        file["x"][0, 0, 0] = np.nan
    assert "expected finite numbers in x, found NaN or infinity" in failing(capsys, "score", *options(tmp_path))


def test_a_gpu_that_is_not_there_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    subprocess.run(["cp", "-r", str(root / "runs"), str(tmp_path / "runs")], check=True)
    for folder, stage in (("samples", "sample"), ("cells", "train")):
        next((tmp_path / "runs" / "small" / folder).glob("tanh*.[hp][5t]")).unlink()
        line = failing(capsys, stage, *options(tmp_path, "device=cuda", "address=none"))
        assert "device: expected a GPU, found none" in line
