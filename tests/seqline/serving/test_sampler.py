"""The sampler by itself, without its thread: what it drops and what it stores."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqline.artifacts.feedback_log import Feedback, read_feedback
from seqline.artifacts.request_log import read_requests
from seqline.artifacts.row_log import now
from seqline.endpoints.sampling import Sampling
from seqline.sampling.recent import Known
from seqline.serving import sampler as module
from seqline.serving.answer_ids import Ids
from seqline.serving.answers import Answer
from seqline.serving.metrics import Metrics
from seqline.serving.sampler import Sampler

Make = Callable[..., Sampler]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    hooks = ModuleType("sampler_hooks")
    hooks.stars = lambda text: text.replace("secret", "***")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sampler_hooks", hooks)

    def made(**settings: Any) -> Sampler:
        sampling = Sampling(1.0, folder=str(tmp_path), **settings)
        return Sampler(sampling, lambda version: None, Metrics(), thread=False)

    return made


def take(sampler: Sampler, *texts: str) -> Ids:
    ids = Ids.draw(len(texts), 1.0)
    sampler.take(ids, 3, "predict", 0.5, texts, [Answer(f"of {text}", -1.0, cut=True) for text in texts], "web")
    return ids


def counted(sampler: Sampler, name: str, **labels: str) -> float:
    return sampler._metrics.registry.get_sample_value(name, labels) or 0.0


def test_what_the_queue_has_no_room_for_is_dropped_and_counted(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE", 2)
    sampler = make()
    ids = take(sampler, "a", "b", "c")
    assert counted(sampler, "seqline_sample_drops_total", reason="queue") == 1
    assert sampler.recent.find(ids.sampled[2]) is None
    assert not sampler.take_feedback(Feedback(ids.sampled[0], now(), "3", rating=1.0))
    sampler.work()
    assert sampler.take_feedback(Feedback(ids.sampled[0], now(), "3", rating=1.0))
    sampler.close()
    assert read_requests(tmp_path).table["id"].to_pylist() == list(ids.sampled[:2])
    assert counted(sampler, "seqline_sampled_texts_total", version="3") == 2


def test_the_characters_that_wait_are_limited_and_freed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUED_CHARACTERS", 10)
    sampler = make()
    for _ in range(3):
        take(sampler, "abc")  # 9 characters with its answer
        sampler.work()
    assert counted(sampler, "seqline_sample_drops_total", reason="queue") == 0
    take(sampler, "abc", "abc")
    assert counted(sampler, "seqline_sample_drops_total", reason="queue") == 1


def test_texts_are_redacted_before_anything_stores_them(make: Make, tmp_path: Path) -> None:
    sampler = make(texts=True, redact="sampler_hooks:stars")
    (id_,) = take(sampler, "my secret").sampled
    fields = {"correction": "no secret", "comment": "secret!", "source": "forged", "output": "forged"}
    sampler.take_feedback(Feedback(id_, now(), "3", **fields))
    sampler.close()
    (row,) = read_requests(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["slice"], row["truncated"]) == ("my ***", "of my ***", "web", True)
    (row,) = read_feedback(tmp_path).table.to_pylist()
    stored = {name: row[name] for name in ("source", "output", "correction", "comment")}
    assert stored == {"source": "my ***", "output": "of my ***", "correction": "no ***", "comment": "***!"}


def test_a_function_that_fails_stores_no_text_but_all_else(make: Make, tmp_path: Path) -> None:
    sampler = make(texts=True, redact="no_such_module:redact")
    (id_,) = take(sampler, "secret").sampled
    sampler.take_feedback(Feedback(id_, now(), "3", rating=1.0, correction="secret", source="secret"))
    sampler.close()
    (row,) = read_requests(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["source_characters"]) == (None, None, 6)
    (row,) = read_feedback(tmp_path).table.to_pylist()
    assert (row["source"], row["correction"], row["rating"]) == (None, None, 1.0)


def test_without_kept_texts_the_client_says_what_its_correction_is_of(make: Make, tmp_path: Path) -> None:
    sampler = make()
    (id_,) = take(sampler, "dog").sampled
    sampler.take_feedback(Feedback(id_, now(), "3", correction="Hund", source="dog", output="of dog"))
    sampler.close()
    (row,) = read_feedback(tmp_path).table.to_pylist()
    assert (row["source"], row["output"], row["correction"]) == ("dog", "of dog", "Hund")


def test_samples_whose_features_cannot_be_computed_are_counted_and_the_next_ones_are_stored(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = make()
    take(sampler, "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(sampler._features, "table", lambda samples: 1 / 0)
        sampler.work()
    take(sampler, "c")
    sampler.close()
    assert counted(sampler, "seqline_sample_drops_total", reason="write") == 2
    assert read_requests(tmp_path).table.num_rows == 1


def test_an_answer_is_found_before_the_thread_has_handled_it(make: Make) -> None:
    sampler = make(texts=True)
    first, second = take(sampler, "dog", "cat").sampled
    assert [sampler.find(id_) for id_ in (second, "another")] == [Known("3"), None]
    assert sampler.recent.count_feedback(second)
    sampler.work()
    assert [sampler.find(id_) for id_ in (first, second)] == [
        Known("3", "dog", "of dog"),
        Known("3", "cat", "of cat", feedback=1),
    ]


def test_more_answers_than_are_computed_together_are_all_stored(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    sampler = make(texts=True)
    ids = take(sampler, "a", "b", "c", "d", "e").sampled
    sampler.take_feedback(Feedback(ids[4], now(), "3", rating=1.0))
    sampler.close()
    assert read_requests(tmp_path).table["id"].to_pylist() == list(ids)
    assert read_feedback(tmp_path).table["source"].to_pylist() == ["e"]


def test_an_answer_of_another_server_is_found_once_its_file_is_written(make: Make) -> None:
    other, sampler = make(texts=True), make(texts=True)
    (id_,) = take(other, "dog").sampled
    assert sampler.look(id_) is None
    other.close()
    assert sampler.look(id_) == Known("3", "dog", "of dog")
    assert sampler.recent.find(id_) == Known("3", "dog", "of dog")


def test_files_are_looked_in_once_a_second(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, now_ = make(), 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now_)
    assert [sampler.may_look(), sampler.may_look()] == [True, False]
    now_ = 101.0
    assert sampler.may_look()


def test_a_folder_that_cannot_be_written_costs_counted_rows(make: Make, tmp_path: Path) -> None:
    sampler = make()
    take(sampler, "a")
    tmp_path.rmdir()
    tmp_path.write_text("")
    sampler.close()
    assert counted(sampler, "seqline_sample_drops_total", reason="write") == 1
