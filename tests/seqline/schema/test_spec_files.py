"""Compiled pipelines, read by libyaml."""

from pathlib import Path

import pytest
import yaml

from seqline.compiling.compiler import compile_pipeline
from seqline.pipelines import PIPELINES
from seqline.schema.spec_files import read_documents
from seqline.targets.kfp_local import load_pipeline


@pytest.fixture(scope="module", params=PIPELINES)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline(request.param, tmp_path_factory.mktemp("spec") / "spec.yaml")


def test_the_content_is_that_of_pyyamls_own_parser(spec: Path) -> None:
    text = spec.read_text(encoding="utf-8")
    assert list(read_documents(text)) == list(yaml.load_all(text, yaml.SafeLoader))


def test_kfp_loads_the_same_pipeline(spec: Path) -> None:
    from kfp import components
    from kfp.dsl import structures

    loaded, expected = load_pipeline(spec), components.load_component_from_file(str(spec))
    assert loaded.pipeline_spec == expected.pipeline_spec
    assert loaded.platform_spec == expected.platform_spec
    assert structures.yaml is yaml


def test_a_reader_may_change_what_it_gets() -> None:
    text = "a: {b: [1]}\n---\nc: 2\n"
    next(read_documents(text))["a"]["b"].append(2)
    assert list(read_documents(text)) == [{"a": {"b": [1]}}, {"c": 2}]
    with pytest.raises(yaml.YAMLError):
        list(read_documents("a: ["))
