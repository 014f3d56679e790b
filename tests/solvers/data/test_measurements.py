"""Normalisation, noise and masks as models see them."""

from dataclasses import replace

import numpy as np
import pytest

from fluxbench.errors import InputError
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import OFF, MeasurementOperator, MinMax


def dataset(problem: str = "linear", size: int = 20_000) -> Dataset:
    rng = np.random.default_rng(1)
    splits = [Split(rng.uniform(2.0, 5.0, (size, 3)), rng.uniform(-10.0, 30.0, (size, 2))) for _ in range(2)]
    return Dataset({"problem": problem, "seed": 4}, {}, splits[0], splits[1], None, {"x": "1", "y": "1"})


def test_training_split_is_mapped_onto_the_unit_interval_and_back() -> None:
    data = dataset()
    operator = MeasurementOperator.of(data, 0.0)
    seen = operator.measure(data.train, "train")
    for values in (seen.x, seen.y):
        assert (values.min(), values.max()) == (0.0, 1.0)
    np.testing.assert_allclose(operator.y_scale.restore(seen.y), data.train.y)
    np.testing.assert_allclose(operator.x_scale.restore(seen.x), data.train.x)


def test_noise_has_the_stated_size_in_both_units() -> None:
    data = dataset()
    operator = MeasurementOperator.of(data, 0.1)
    noise = operator.measure(data.test, "test").y - operator.y_scale.normalise(data.test.y)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 4 * 0.1 / np.sqrt(noise.size)
    physical = operator.y_scale.restore(operator.measure(data.test, "test").y) - data.test.y
    assert physical.std() == pytest.approx(0.1 * operator.y_scale.span, rel=0.02)


def test_noise_belongs_to_the_sample() -> None:
    data = dataset()
    operator = MeasurementOperator.of(data, 0.3)
    whole = operator.measure(data.test, "test").y
    part = operator.measure(Split(data.test.x[:60], data.test.y[:60]), "test").y
    np.testing.assert_array_equal(part, whole[:60])
    clean = operator.y_scale.normalise(data.test.y)
    quieter = MeasurementOperator.of(data, 0.03).measure(data.test, "test").y
    np.testing.assert_allclose((whole - clean) / 10.0, quieter - clean, atol=1e-12)


def test_joint_densities_are_left_as_they_are() -> None:
    data = dataset("tanh")
    seen = MeasurementOperator.of(data, 0.0).measure(data.train, "train")
    np.testing.assert_array_equal(seen.x, data.train.x)
    np.testing.assert_array_equal(seen.y, data.train.y)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise: expected a standard deviation of at least 0, found -0.1"):
        MeasurementOperator.of(dataset(), -0.1)


@pytest.mark.parametrize("probability", [0.3, 0.7])
def test_sensors_are_on_independently_with_the_stated_probability(probability: float) -> None:
    data = dataset()
    mask = MeasurementOperator.of(data, 0.0, probability).measure(data.test, "test").mask
    assert mask is not None
    assert mask.shape == data.test.y.shape
    std = np.sqrt(probability * (1.0 - probability))
    np.testing.assert_allclose(mask.mean(axis=0), probability, atol=4.0 * std / np.sqrt(len(mask)))
    scores = (mask - probability) / std
    assert abs((scores[:, 0] * scores[:, 1]).mean()) < 4.0 / np.sqrt(len(mask))  # of one sensor with the other
    assert abs((scores[1:] * scores[:-1]).mean()) < 4.0 / np.sqrt(scores[1:].size)  # of a sample with the next


def test_a_family_has_its_own_probability_and_a_caller_can_change_it() -> None:
    family, single = dataset("multi-operator"), dataset("linear")
    assert MeasurementOperator.of(family, 0.1).sensors_on == 0.7
    assert MeasurementOperator.of(family, 0.1, 0.4).sensors_on == 0.4
    assert MeasurementOperator.of(single, 0.1).sensors_on == 1.0
    assert MeasurementOperator.of(dataset("tanh"), 0.0).sensors_on == 1.0


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_sensors_that_are_off_read_minus_one_and_the_others_what_they_would(noise: float) -> None:
    data = dataset()
    all_on = MeasurementOperator.of(data, noise).measure(data.test, "test")
    seen = MeasurementOperator.of(data, noise, 0.7).measure(data.test, "test")
    assert all_on.mask is None
    assert seen.mask is not None
    np.testing.assert_array_equal(seen.y[seen.mask], all_on.y[seen.mask])
    np.testing.assert_array_equal(seen.y[~seen.mask], OFF)
    np.testing.assert_array_equal(seen.x, all_on.x)


def test_masks_belong_to_the_sample() -> None:
    """Neither the number of samples nor the noise changes them; a higher probability only switches sensors on."""
    data = dataset()
    operator = MeasurementOperator.of(data, 0.3, 0.7)
    whole = operator.measure(data.test, "test").mask
    part = operator.measure(Split(data.test.x[:60], data.test.y[:60]), "test").mask
    quiet = MeasurementOperator.of(data, 0.0, 0.7).measure(data.test, "test").mask
    more = MeasurementOperator.of(data, 0.0, 0.9).measure(data.test, "test").mask
    assert whole is not None
    assert part is not None
    assert quiet is not None
    assert more is not None
    np.testing.assert_array_equal(part, whole[:60])
    np.testing.assert_array_equal(quiet, whole)
    assert (more >= whole).all()


def test_masks_are_independent_of_noise_split_and_seed() -> None:
    data = dataset()
    operator = MeasurementOperator.of(data, 0.1, 0.7)
    mask = operator.measure(data.test, "test").mask
    noise = MeasurementOperator.of(data, 0.1).measure(data.test, "test").y - operator.y_scale.normalise(data.test.y)
    assert mask is not None
    others = [
        noise / 0.1,
        operator.measure(data.train, "train").mask,
        replace(operator, seed=5).measure(data.test, "test").mask,
        replace(operator, problem="multi-operator").measure(data.test, "test").mask,
    ]
    for other in others:
        assert other is not None
        assert abs(np.corrcoef(mask.ravel(), other.ravel())[0, 1]) < 4.0 / np.sqrt(mask.size)


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_probabilities_are_refused(probability: float) -> None:
    with pytest.raises(
        InputError, match=r"^sensors_on: expected a probability above 0 and at most 1, found [-0-9.na]+$"
    ):
        MeasurementOperator.of(dataset(), 0.1, probability)


def test_scales() -> None:
    scale = MinMax.fit(np.array([2.0, 6.0]))
    assert (scale.low, scale.high, scale.span) == (2.0, 6.0, 4.0)
    assert scale.normalise(np.array([3.0]))[0] == 0.25


def test_a_family_of_operators_has_a_mask_even_when_every_sensor_is_on() -> None:
    data = dataset("multi-operator", 50)
    seen = MeasurementOperator.of(data, 0.0, sensors_on=1.0).measure(data.test, "test")
    assert seen.mask is not None
    assert seen.mask.all()


def test_noise_levels_of_a_range_are_log_uniform_and_scale_the_same_numbers() -> None:
    data = dataset()
    operator = MeasurementOperator.of(data, (0.01, 1.0))
    seen = operator.measure(data.train, "train")
    level = np.log10(seen.noise)
    assert level.min() >= -2.0
    assert level.max() <= 0.0
    quartiles = np.quantile(level, (0.25, 0.5, 0.75))
    np.testing.assert_allclose(quartiles, (-1.5, -1.0, -0.5), atol=0.03)
    one = MeasurementOperator.of(data, 1.0).measure(data.train, "train")
    clean = operator.y_scale.normalise(data.train.y)
    np.testing.assert_allclose((seen.y - clean) / seen.noise[:, None], one.y - clean, rtol=1e-9, atol=1e-9)
    part = operator.measure(Split(data.train.x[:10], data.train.y[:10]), "train")
    np.testing.assert_array_equal(part.noise, seen.noise[:10])


def test_impossible_ranges_of_noise_are_refused() -> None:
    with pytest.raises(InputError, match=r"^noise: expected a range from above 0 upwards, found 0.0 to 0.1$"):
        MeasurementOperator.of(dataset(), (0.0, 0.1))
