"""The tuning pipeline makes the corpus that the training pipeline would make."""

import inspect

from components.tokenize.component import tokenize
from pipelines.training import training
from pipelines.tuning import tuning


def test_it_takes_every_parameter_of_the_corpus_with_the_same_default() -> None:
    known = inspect.signature(tuning.pipeline_func).parameters
    for name, parameter in inspect.signature(training.pipeline_func).parameters.items():
        if name in (tokenize.component_spec.inputs or {}):
            assert known[name].default == parameter.default, name
