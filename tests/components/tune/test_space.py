"""The search space: one declaration for Optuna and Vertex AI, with names and bounds of the training options."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.space import apply, read_space
from seqline.components.tune.study import distribution
from seqline.errors import UserError

FIXED = Training(preset="tiny")


@pytest.mark.parametrize(
    ("name", "given_space", "optuna", "vertex"),
    [
        (
            "learning_rate", {"min": 0.001, "max": 0.01, "scale": "log"}, FloatDistribution(0.001, 0.01, log=True),
            {"double_value_spec": {"min_value": 0.001, "max_value": 0.01}, "scale_type": "UNIT_LOG_SCALE"},
        ),
        (
            "warmup_steps", {"min": 500, "max": 900}, IntDistribution(500, 900),
            {"integer_value_spec": {"min_value": "500", "max_value": "900"}, "scale_type": "UNIT_LINEAR_SCALE"},
        ),
        (
            "batch_tokens", {"values": [8192, 4096]}, CategoricalDistribution((8192, 4096)),
            {"categorical_value_spec": {"values": ["8192", "4096"], "default_value": "4096"}},
        ),
        (
            "dropout", {"values": [0.3, 0.1, 0]}, CategoricalDistribution((0.3, 0.1, 0.0)),
            {"discrete_value_spec": {"values": [0.0, 0.1, 0.3], "default_value": 0.1}},
        ),
        (
            "preset", {"values": ["tiny", "base"]}, CategoricalDistribution(("tiny", "base")),
            {"categorical_value_spec": {"values": ["tiny", "base"], "default_value": "tiny"}},
        ),
    ],
)  # fmt: skip
def test_a_dimension_means_the_same_to_both(name: str, given_space: Any, optuna: Any, vertex: Any) -> None:
    (dimension,) = read_space({name: given_space})
    assert distribution(dimension) == optuna
    assert dimension.parameter(getattr(FIXED, name)) == {"parameter_id": name, **vertex}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"droput": {"min": 0, "max": 1}}, "'droput' cannot be tuned; did you mean 'dropout'"),
        ({"seed": {"values": [1, 2]}}, "'seed' cannot be tuned; "),
        ({"dropout": {"min": 0, "max": 2.0}}, "dropout must be at least 0 and below 1, not 2"),
        ({"warmup_steps": {"min": -1, "max": 9}}, "warmup_steps must be at least 0, not -1"),
        ({"batch_tokens": {"values": [4096, 8]}}, "batch_tokens must be at least 64, not 8"),
        ({"preset": {"values": ["tiny", "smal"]}}, "not 'smal'; did you mean 'small'"),
        ({"dropout": {"min": 0}}, 'dropout must be {"min", "max"}'),
        ({"dropout": [0, 1]}, 'dropout must be {"min", "max"}'),
        ({"dropout": {"min": 0.3, "max": 0.3}}, "min 0.3 must be below max 0.3"),
        ({"dropout": {"min": 0, "max": 0.3, "scale": "log"}}, "on a log scale min must be above 0"),
        ({"dropout": {"min": 0, "max": 0.3, "scale": "exp"}}, "scale must be linear or log, not 'exp'"),
        ({"dropout": {"min": "a", "max": 0.3}}, "min and max must be numbers"),
        ({"preset": {"min": "a", "max": "b"}}, "list its values"),
        (
            {"preset": {"values": ["tiny", "auto"]}},
            "preset: values cannot include auto, which is selected when training",
        ),
        ({"dropout": {"values": [0.1, "auto"]}}, "dropout: values cannot include auto"),
        ({"preset": {"values": []}}, "values must be a list of texts"),
        ({"warmup_steps": {"min": 1.5, "max": 3}}, "min and max must be whole numbers"),
        ({"warmup_steps": {"values": [True]}}, "values must be a list of whole numbers"),
        ({"warmup_steps": {"values": [math.inf]}}, "values must be a list of whole numbers"),
        ({"warmup_steps": {"min": math.nan, "max": 3}}, "min and max must be whole numbers"),
        ({"dropout": {"min": 0, "max": math.nan}}, "min and max must be numbers"),
        ({"dropout": {"values": [-math.inf]}}, "values must be a list of numbers"),
    ],
)
def test_an_invalid_space_is_refused_by_name(space: Any, message: str) -> None:
    for read in (read_space, lambda space: Options(space=space)):
        with pytest.raises(UserError) as refused:
            read(space)
        assert message in str(refused.value)


def test_every_tunable_option_of_the_schema_can_be_searched() -> None:
    for name in Training.search_spaces():
        (dimension,) = read_space({name: {"values": [getattr(FIXED, name)]}})
        assert (dimension.name, dimension.values) == (name, (getattr(FIXED, name),))


def test_an_empty_space_is_the_usual_one() -> None:
    assert [one.name for one in read_space({})] == ["dropout", "learning_rate", "warmup_steps"]


def test_the_options_of_adapters_are_searched_with_adapters_only() -> None:
    lora = Training(preset="tiny", fine_tuning="lora", lora_targets=["queries"])
    assert {one.name for one in read_space({}, lora)} - {one.name for one in read_space({}, FIXED)} == {
        "lora_alpha",
        "lora_rank",
    }
    rank = {"lora_rank": {"values": [4, 8]}}
    assert read_space(rank) == read_space(rank, lora)
    with pytest.raises(UserError, match="lora_rank needs fine_tuning lora, not full"):
        read_space(rank, FIXED)


@pytest.mark.parametrize(("way", "low"), [("full", 1e-5), ("last", 1e-5), ("lora", 1e-4)])
def test_pretrained_weights_are_tuned_at_lower_rates(way: str, low: float) -> None:
    training = Training(pretrained="x", fine_tuning=way)
    (rate,) = (one for one in read_space({}, training) if one.name == "learning_rate")
    assert (rate.low, rate.high, rate.log) == (low, 10 * low, True)
    # The default, in the first trial.
    assert rate.holds(training.learning_rate)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_values_are_converted_to_the_type_of_their_option(steps: int, dropout: float) -> None:
    # Vertex AI returns 400.0 and "4096".
    values = {"warmup_steps": float(steps), "dropout": dropout, "preset": "base", "batch_tokens": "4096"}
    found = apply(Training(preset="tiny", batch_tokens=128, weight_decay=0.5), values)
    assert found == Training(warmup_steps=steps, dropout=dropout, preset="base", batch_tokens=4096, weight_decay=0.5)
    assert type(found.warmup_steps) is int
