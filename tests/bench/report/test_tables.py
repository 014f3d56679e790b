"""Tables of the published scores, against these scores and against the published reports."""

from collections.abc import Callable
from statistics import fmean, stdev

import pandas as pd
import pytest

from fluxbench.bench.config import load
from fluxbench.bench.report.tables import costs, flux, posteriors, recipes, table2
from fluxbench.bench.report.tables.settings import schedules
from tests.bench.report.conftest import RESULTS, Frames, compact, read


@pytest.mark.parametrize("name", ["quick", "flux"])
def test_published_tables_are_those_of_the_published_scores(
    name: str, published: Frames, published_costs: Frames, published_report: Callable[[str], list[str]]
) -> None:
    config, scores, report = load(name), published(name), published_report(name)
    densities = scores[scores["problem"].isin(config.densities.problems)]
    walls = scores[scores["problem"].isin(config.flux.problems)]
    texts = [flux.text(config, walls), posteriors.text(config, walls), costs.text(published_costs(name))]
    if len(densities):
        texts.append(table2.text(config, densities))
    for text in texts:
        lines = [line for line in compact(text) if line.startswith("|")]
        assert len(lines) > 6
        assert [line for line in lines if line not in report] == []


def test_entries_of_table_2_are_means_over_seeds(published: Frames) -> None:
    scores, config = published("table2"), load("table2")
    printed = table2.text(config, scores).splitlines()
    rows = scores.query("recipe == 'tuned' and formulation == 've' and alpha == 0 and metric == 'S1'")
    entries = []
    for problem in config.densities.problems:
        of_problem = rows[rows["problem"] == problem].to_dict("records")
        values = [row["value"] for row in of_problem]
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        floor = fmean(row["floor"] for row in of_problem)
        entries.append(f"**{fmean(values):.3f}**{spread} ({floor:.3f}) [{of_problem[0]['paper']:.3f}]")
    assert f"| VE | ODE | {' | '.join(entries)} |" in printed


def test_table2_csv_is_in_the_papers_terms(published: Frames) -> None:
    """Read and written again, every number keeps its digits."""
    for name in ("quick", "table2"):
        scores = published(name)
        found = table2.in_the_papers_terms(scores[scores["problem"].isin(load(name).densities.problems)])
        assert found.to_csv(index=False) == (RESULTS / name / "table2.csv").read_text()
    assert set(found.loc[found["formulation"] == "ve", "k"]) == {""}
    assert set(found.loc[found["formulation"] == "vp", "k"]) <= {"1", "2", "4", "8"}


@pytest.mark.parametrize("name", ["quick", "flux", "amortised"])
def test_a_frame_of_scores_is_written_as_it_was_read(name: str) -> None:
    path = RESULTS / name / "scores.csv"
    assert read(path).to_csv(index=False) == path.read_text()


def test_what_is_not_known_is_a_dash(published: Frames) -> None:
    """The nonlinear problem has no linear-Gaussian posterior; without noise there is no reference."""
    config, scores = load("flux"), published("flux")
    lines = [line.split(" | ") for line in flux.text(config, scores).splitlines() if line.startswith("| nonlinear")]
    assert lines
    assert {line[7] for line in lines} == {"-"}
    quiet = scores[scores["problem"] == "linear"].assign(noise=0.0, floor=float("nan"), reference="truth")
    both = pd.concat([quiet, scores[scores["problem"] == "linear"]])
    assert "| linear | 0.0 | tuned | VE | ODE | " in flux.text(config, both)
    text = posteriors.text(config, both)
    assert "| linear | 0.0 |" not in text
    assert "| linear | 0.01 |" in text


def test_recipes_are_compared_by_means_over_seeds(published: Frames) -> None:
    scores = published("table2")
    rows = scores[(scores["recipe"] == "tuned") & (scores["sampler"] == "ODE")]
    means = {metric: [] for metric in ("W1", "S1")}
    for _, seed in rows.groupby("seed"):
        for metric, ratios in means.items():
            of_metric = seed[seed["metric"] == metric].to_dict("records")
            floor = fmean(row["floor"] for row in of_metric) if metric == "S1" else 1.0
            ratios.append(fmean(row["value"] for row in of_metric) / floor)
    spreads = [f" ± {stdev(values):.3f}" if len(values) > 1 else "" for values in means.values()]
    w1, s1 = (f"{fmean(values):.3f}{spread}" for values, spread in zip(means.values(), spreads, strict=True))
    assert f"| `tuned` | ODE | {w1} | {s1} | - | - |" in recipes.text(scores).splitlines()


def test_a_report_names_the_schedules_of_its_run() -> None:
    config = load("quick", ["training.formulations=['ve', 've-linear', 'vp-k1', 'vp-k4']"])
    text = schedules(config, "tuned", "densities")
    for schedule in ("geometric VE schedule with sigma_max 120, linear VE schedule", "VP with linear beta;"):
        assert schedule in text
    assert "VP" not in schedules(load("quick", ["training.formulations=['ve']"]), "tuned", "densities")
