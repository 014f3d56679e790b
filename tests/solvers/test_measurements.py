"""Normalisation and noise as models see them."""

import numpy as np
import pytest

from solvers.datasets import Dataset, Split
from solvers.errors import InputError
from solvers.measurements import MeasurementOperator, MinMax


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
    assert physical.std() == pytest.approx(operator.noise_std, rel=0.02)


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


def test_scales() -> None:
    scale = MinMax.fit(np.array([2.0, 6.0]))
    assert (scale.low, scale.high, scale.span) == (2.0, 6.0, 4.0)
    assert scale.normalise(np.array([3.0]))[0] == 0.25
