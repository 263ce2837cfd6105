"""The tuning pipeline makes the corpus, and of the checkpoint the model, that the training pipeline would make."""

import inspect
from typing import Any

import pytest

from components.export.component import export
from components.tokenize.component import tokenize
from components.train.component import train
from pipelines.training import training
from pipelines.tuning import tuning


@pytest.mark.parametrize("stage", [tokenize, train, export])
def test_it_takes_every_parameter_of_a_stage_with_the_same_default(stage: Any) -> None:
    known = inspect.signature(tuning.pipeline_func).parameters
    for name, parameter in inspect.signature(training.pipeline_func).parameters.items():
        if name in (stage.component_spec.inputs or {}):
            assert known[name].default == parameter.default, name
