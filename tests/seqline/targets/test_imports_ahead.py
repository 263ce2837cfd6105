"""Which modules a server of stages imports before it runs one."""

from pathlib import Path

from seqline.compiling.compiler import compile_pipeline
from seqline.schema.spec_files import read_documents
from seqline.targets.imports_ahead import imports_ahead


def test_stages_that_run_in_every_run_are_imported_ahead_and_cached_ones_are_not(tmp_path: Path) -> None:
    spec = compile_pipeline("training", tmp_path / "spec.yaml")
    found = set(imports_ahead(next(read_documents(spec.read_text()))))
    stages = ("snapshot", "champion", "bless", "deploy", "summary")
    assert {f"seqline.components.{stage}.stage" for stage in stages} <= found
    assert {module.split(".")[2] for module in found} == set(stages)


def test_components_of_others_name_nothing() -> None:
    task = {"componentRef": {"name": "comp-a"}}
    container = {"command": ["sh", "def a():\n    from os import path\n"]}
    document = {
        "root": {"dag": {"tasks": {"a": task, "b": {"componentRef": {"name": "comp-missing"}}}}},
        "components": {"comp-a": {"executorLabel": "exec-a"}},
        "deploymentSpec": {"executors": {"exec-a": {"container": container}}},
    }
    assert imports_ahead(document) == []
    assert imports_ahead({"root": {}}) == []
