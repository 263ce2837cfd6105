"""The tuning pipeline makes the corpus, and of the checkpoint the model, that the training pipeline would make."""

import inspect
from typing import Any

import pytest

from seqline.components.export.component import export
from seqline.components.tokenize.component import tokenize
from seqline.components.train.component import train
from seqline.pipelines.training import training
from seqline.pipelines.tuning import tuning


@pytest.mark.parametrize("stage", [tokenize, train, export])
def test_it_takes_every_parameter_of_a_stage_with_the_same_default(stage: Any) -> None:
    known = inspect.signature(tuning.pipeline_func).parameters
    for name, parameter in inspect.signature(training.pipeline_func).parameters.items():
        if name in (stage.component_spec.inputs or {}):
            assert known[name].default == parameter.default, name
