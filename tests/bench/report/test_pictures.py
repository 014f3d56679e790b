"""Pictures of the published scores: what they show, and that their letters can be read."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fluxbench.bench.report.labels import method_title
from fluxbench.bench.report.pictures import costs, fluxes, grid, posteriors
from tests.bench.report.conftest import Frames

WIDEST = 12.0
"""Inches that a page still shows in letters of a readable size."""


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of a figure of which one lies over the other: titles, labels, ticks and legend."""
    figure.draw_without_rendering()
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.findobj(Axes):
        if axes.get_visible():
            texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)  # shared axes have none
                texts += [text for place, text in ticks if low <= place <= high]
    shown = [text for text in texts if text.get_visible() and text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [(a, b) for (a, first), (b, second) in combinations(boxes, 2) if first.overlaps(second)]


def lines(axis: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(line.get_label()): (line.get_xdata(), line.get_ydata()) for line in axis.lines}


@pytest.mark.parametrize("name", ["quick", "flux", "ablation"])
def test_no_text_lies_over_another(name: str, published: Frames) -> None:
    scores = published(name)
    recipe = scores[(scores["recipe"] == "tuned") & (scores["seed"] == 0)]
    walls = recipe[recipe["wall"] != ""]
    pictures = [grid.heat_map(grid.compared(scores)), posteriors.excess(recipe)]
    pictures += [fluxes.segments(rows, "error") for _, rows in walls.groupby("problem")]
    for picture in pictures:
        assert overlapping(picture.figure) == [], picture.name
        assert picture.figure.get_size_inches()[0] <= WIDEST


def test_the_check_of_texts_sees_what_it_is_for() -> None:
    figure, axis = plt.subplots(figsize=(3.0, 2.0))
    axis.set_xticks(range(12), [f"multi-operator {i}" for i in range(12)])
    assert len(overlapping(figure)) > 10


@pytest.mark.parametrize("name", ["quick", "flux"])
def test_every_method_has_its_line_of_distance_against_cost(name: str, published_costs: Frames) -> None:
    rows = published_costs(name)
    picture = costs.against_cost(rows)
    assert overlapping(picture.figure) == []
    axes = np.array(picture.figure.axes).reshape(2, -1)
    for column, (_, of_problem) in zip(axes.T, rows.groupby("problem", sort=False), strict=True):
        drawn = lines(column[0])
        for (method, sampler), line in of_problem.groupby(["method", "sampler"]):
            x, y = drawn.pop(f"{method_title(str(method))}, {sampler}")
            expected = line.sort_values("evaluations")
            np.testing.assert_array_equal(x, expected["evaluations"])
            np.testing.assert_array_equal(y, expected["value"])
        assert list(drawn) == ["exact samples"]
    styles = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes[0, 0].lines}
    assert len(styles) == len(axes[0, 0].lines)


def test_segments_are_drawn_beside_what_exact_samples_get(published: Frames) -> None:
    scores = published("flux")
    rows = scores[(scores["problem"] == "linear") & (scores["wall"] != "")]
    figure = fluxes.segments(rows, "std").figure
    assert [axis.get_title() for axis in figure.axes] == [
        f"{name}, {wall} wall" for wall in ("upper", "lower") for name in ("VE", "VP (k = 2)")
    ]
    expected = rows.query("metric == 'std' and alpha == 0 and formulation == 've' and wall == 'upper' and noise == 0.1")
    drawn = lines(figure.axes[0])
    for label, column in (("model, noise 0.1", "value"), ("exact posterior, noise 0.1", "floor")):
        np.testing.assert_array_equal(drawn[label][0], expected["segment"].astype(int))
        np.testing.assert_array_equal(drawn[label][1], expected[column])


def test_without_a_reference_the_linear_gaussian_posterior_is_drawn(published: Frames) -> None:
    scores = published("linear")
    rows = scores[(scores["wall"] != "") & (scores["noise"] == 0.0)]
    assert rows["floor"].isna().all()
    assert "linear-Gaussian, noise 0" in lines(fluxes.segments(rows, "error").figure.axes[0])


def test_the_grid_shows_ratios_to_exact_samples(published: Frames) -> None:
    scores = published("ablation")
    shown = grid.compared(scores)
    texts = [text.get_text() for text in grid.heat_map(shown).figure.axes[0].texts]
    means = (shown["value"] / shown["floor"]).groupby(
        [shown[key] for key in ("recipe", "alpha", "problem", "noise")], sort=False, dropna=False
    )
    assert sorted(texts) == sorted(f"{mean:.2f}" for mean in means.mean())


def test_excess_stands_where_its_level_is(published: Frames) -> None:
    scores = published("flux")
    axis = posteriors.excess(scores).figure.axes[1]
    rows = scores[(scores["metric"] == "mean shift")]
    levels = list(dict.fromkeys(zip(rows["problem"], rows["noise"], strict=True)))
    line = rows.query("formulation == 've' and alpha == 1")
    marks = next(each for each in axis.containers if each.get_label() == "VE, SDE").lines[0]
    assert [levels[round(x)] for x in marks.get_xdata()] == list(zip(line["problem"], line["noise"], strict=True))
    np.testing.assert_array_equal(marks.get_ydata(), line["value"])
