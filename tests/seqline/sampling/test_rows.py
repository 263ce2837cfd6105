"""Rows of answers and of feedback: what is stored, and what is counted."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqline.artifacts.feedback_log import read_feedback
from seqline.artifacts.request_log import read_requests
from seqline.endpoints.sampling import Sampling
from seqline.sampling.features import Sample
from seqline.sampling.received_feedback import ReceivedFeedback
from seqline.sampling.rotating import Rotation
from seqline.sampling.rows import Rows


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("rows_hooks")
    module.stars = lambda text: text.replace("secret", "***")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rows_hooks", module)


DEFAULT = Rotation()


def rows(folder: Path, rotation: Rotation = DEFAULT, **settings: Any) -> Rows:
    return Rows(Sampling(1.0, folder=str(folder), **settings), rotation, identify=lambda text: None)


def sample(text: str, version: str = "3") -> tuple[Any, ...]:
    return tuple(Sample(text, 1.0, version, "predict", 0.5, text, f"of {text}", truncated=True, slice="web"))


def feedback(**fields: Any) -> tuple[Any, ...]:
    return tuple(ReceivedFeedback("a", 2.0, "3", **fields))


def test_texts_are_redacted_before_they_are_stored(tmp_path: Path) -> None:
    writer = rows(tmp_path, texts=True, redact="rows_hooks:stars")
    writer.add([sample("my secret")], {"3": None})
    texts = {"source": "my secret", "output": "of my secret", "correction": "no secret", "comment": "secret!"}
    writer.add_feedback(feedback(**texts))
    writer.finish()
    (row,) = read_requests(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["slice"], row["truncated"]) == ("my ***", "of my ***", "web", True)
    (row,) = read_feedback(tmp_path).table.to_pylist()
    assert {name: row[name] for name in texts} == {
        "source": "my ***", "output": "of my ***", "correction": "no ***", "comment": "***!"
    }  # fmt: skip


def test_texts_of_a_file_are_not_redacted_again(tmp_path: Path) -> None:
    writer = rows(tmp_path, texts=True, redact="rows_hooks:stars")
    writer.add_feedback(feedback(source="a secret town", output="secret", correction="secret", redacted=True))
    writer.finish()
    (row,) = read_feedback(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["correction"]) == ("a secret town", "secret", "***")


def test_a_function_that_fails_stores_no_text_but_all_else(tmp_path: Path) -> None:
    writer = rows(tmp_path, texts=True, redact="no_such_module:redact")
    writer.add([sample("secret")], {"3": None})
    writer.add_feedback(feedback(rating=1.0, correction="secret", source="secret"))
    writer.finish()
    (row,) = read_requests(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["source_characters"]) == (None, None, 6)
    (row,) = read_feedback(tmp_path).table.to_pylist()
    assert (row["source"], row["correction"], row["rating"]) == (None, None, 1.0)


def test_rows_are_reported_once_when_they_are_sampled_and_when_they_are_written(tmp_path: Path) -> None:
    writer = rows(tmp_path, Rotation(rows=3))
    writer.add([sample("a"), sample("b", "4")], {"3": None, "4": None})
    assert writer.report() == {"sampled": {"3": 1, "4": 1}}
    writer.add_feedback(feedback(rating=1.0))
    assert writer.report() == {}
    writer.add([sample("c")], {})
    assert writer.report() == {"sampled": {"3": 1}, "settled": {"write": 3}}
    writer.finish()
    assert writer.report() == {"settled": {"feedback": 1}}


def test_what_cannot_be_computed_is_reported_as_lost_and_the_next_rows_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = rows(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(writer._features, "table", lambda samples: 1 / 0)
        writer.add([sample("a"), sample("b")], {"3": None})
    writer.add_feedback(feedback(correction="half of a surrogate pair: \ud800"))
    lost = {"write": 2, "feedback": 1}
    assert writer.report() == {"settled": lost, "lost": lost}
    writer.add([sample("c")], {})
    writer.finish()
    assert read_requests(tmp_path).table.num_rows == 1


def test_rows_that_no_folder_takes_are_reported_as_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = rows(tmp_path / "file")
    writer.add([sample("a")], {"3": None})
    writer.finish()
    assert writer.report() == {"sampled": {"3": 1}, "settled": {"write": 1}, "lost": {"write": 1}}


def test_a_file_is_written_when_it_is_due(tmp_path: Path) -> None:
    writer = rows(tmp_path, Rotation(seconds=0))
    writer.add_feedback(feedback(rating=1.0))
    writer.tick()
    assert read_feedback(tmp_path).table["rating"].to_pylist() == [1.0]
