"""Specs of runs are compiled again only if something changed."""

from pathlib import Path

import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.configuration import Configuration
from seqline.targets.compiled import compiled_once
from seqline.targets.laptop import Laptop


class Compiler:
    """Writes a file and counts how often."""

    def __init__(self, output: Path) -> None:
        self.output, self.times = output, 0

    def __call__(self) -> Path:
        self.times += 1
        self.output.write_text("spec")
        return self.output


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path / "spec.yaml")


def times(compiler: Compiler, pipeline: str = "training", identity: str = "code") -> int:
    assert compiled_once(pipeline, compiler.output, identity, compiler) == compiler.output
    assert compiler.output.read_text() == "spec"
    return compiler.times


def test_an_unchanged_pipeline_is_compiled_once(compiler: Compiler) -> None:
    assert [times(compiler), times(compiler)] == [1, 1]


def test_other_code_or_another_configuration_or_pipeline_is_compiled_again(compiler: Compiler) -> None:
    assert [times(compiler), times(compiler, identity="other"), times(compiler, "batch", "other")] == [1, 2, 3]


@pytest.mark.parametrize("content", [None, "", "edited"])
def test_a_spec_that_was_edited_or_deleted_is_written_again(compiler: Compiler, content: str | None) -> None:
    times(compiler)
    compiler.output.unlink() if content is None else compiler.output.write_text(content)
    assert times(compiler) == 2


def test_a_broken_record_and_a_failed_compilation_leave_nothing_to_reuse(compiler: Compiler) -> None:
    times(compiler)
    compiler.output.with_suffix(".sha256").write_bytes(b"\xff")
    assert times(compiler) == 2

    def fail() -> Path:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        compiled_once("training", compiler.output, "other", fail)
    assert times(compiler) == 3


def test_a_pipeline_of_the_user_is_always_compiled(compiler: Compiler) -> None:
    assert [times(compiler, "my.dag:training"), times(compiler, "my.dag:training")] == [1, 2]


def test_a_laptop_s_spec_follows_the_configuration(tmp_path: Path) -> None:
    def compiled(tag: str) -> bytes:
        values = {"targets": {"laptop": {"home": str(tmp_path)}}, "images": {"repository": "host/p", "tag": tag}}
        laptop = Laptop(Configuration.model_validate(values))
        return laptop.compile("batch", laptop.home.specs / "batch.yaml").read_bytes()

    first, again, other = compiled("1"), compiled("1"), compiled("2")
    configuration = Configuration.model_validate({"images": {"repository": "host/p", "tag": "2"}})
    assert first == again
    assert other == compile_pipeline("batch", tmp_path / "spec.yaml", configuration).read_bytes()
