"""Compiled templates are stored and reused, and never needed."""

import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, FileSystemLoader

from seqline.html_report.bytecode import TemplateBytecode


def rendered(template: Path, store: Path) -> str:
    environment = Environment(loader=FileSystemLoader(template.parent), bytecode_cache=TemplateBytecode(store))
    return environment.get_template(template.name).render(name="x")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "templates" / "report.html"
    path.parent.mkdir()
    path.write_text("one {{ name }}")
    return path


def test_a_template_is_compiled_once_and_again_after_an_edit(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    store = tmp_path / "store"
    assert rendered(template, store) == "one x"
    (stored,) = store.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(Environment, "_generate", None)  # would compile
        assert rendered(template, store) == "one x"
    template.write_text("two {{ name }}")
    assert rendered(template, store) == "two x"
    assert list(store.iterdir()) == [stored]


def test_a_folder_that_cannot_be_written_to_and_python_s_own_setting_leave_no_file(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert rendered(template, template / "below a file") == "one x"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(template, tmp_path / "store") == "one x"
    assert not (tmp_path / "store").exists()


def test_a_broken_file_is_compiled_again(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    rendered(template, tmp_path / "store")
    (stored,) = (tmp_path / "store").iterdir()
    for content in (b"", b"other", stored.read_bytes()[:-20]):
        stored.write_bytes(content)
        assert rendered(template, tmp_path / "store") == "one x"


def test_two_templates_of_one_text_are_not_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    environment = Environment(
        loader=DictLoader({"a": "{{ 1 }}", "b": "{{ 1 }}"}), bytecode_cache=TemplateBytecode(tmp_path)
    )
    assert [environment.get_template(name).render() for name in "ab"] == ["1", "1"]
    assert len(list(tmp_path.iterdir())) == 2
