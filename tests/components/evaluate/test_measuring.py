"""Measuring, with a function instead of a model's signature."""

import logging
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqline.artifacts.evaluation import Evaluation, read_sentences
from seqline.artifacts.exported_model import Decoding, Description, ExportedModel
from seqline.components.evaluate import decoding, measuring
from seqline.components.evaluate.options import Options
from seqline.components.evaluate.stage import evaluate
from seqline.errors import UserError
from seqline.metrics.statistics import Tally
from tests.components.evaluate.test_decoding import Model
from tests.components.evaluate.test_evaluate import PAIRS, write_corpus


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    description = Description("model-fingerprint", "en", "de", Decoding(beam_size=3), "c", "2026-01-01", "2")
    ExportedModel(folder).write_description(description)
    (folder / "variables" / "weights").write_bytes(b"x" * 2_000_000)
    signature = Model(lambda text: float("nan") if text.startswith(b"broken") else -0.5)
    signature.model = SimpleNamespace(signatures={})
    monkeypatch.setattr(decoding, "load", lambda _: signature)
    monkeypatch.setattr(decoding, "latencies", lambda _, texts: [float(len(texts))] + [float(n) for n in range(100)])
    return folder


def measure(model: Path, tmp_path: Path, **options: Any) -> Evaluation:
    corpus = write_corpus(tmp_path / "corpus", PAIRS)
    return evaluate(model, corpus, tmp_path / "evaluation", tmp_path / "report.html", Options(**options))


def test_the_evaluation_describes_the_model_and_its_outputs(model: Path, tmp_path: Path) -> None:
    measured = measure(model, tmp_path, min_slice_size=7)
    assert (measured.absent, measured.model_fingerprint, measured.sentences) == (False, "model-fingerprint", 50)
    assert (measured.decoding["beam_size"], measured.min_slice_size, measured.language) == (3, 7, "de")
    assert measured.metrics["bleu"].value == pytest.approx(100)
    found = list(read_sentences(tmp_path / "evaluation"))
    assert [(one.source, one.reference, one.output) for one in found] == [(s, t, s.upper()) for s, t in PAIRS]
    assert {one.score for one in found} == {-0.5}


def test_suspicious_references_and_unused_terms_are_reported(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = write_corpus(tmp_path / "corpus", [(f"dog {n}", f"बगीचे {n} .") for n in range(20)], "en")
    options = Options(terms={"used": ["dog"], "unused": ["cat"]})
    measured = evaluate(model, corpus, tmp_path / "evaluation", tmp_path / "report.html", options)
    expected = ["tokenized period", "only 0% of the letters", "the list 'unused'"]
    for warning, text in zip(measured.warnings, expected, strict=True):
        assert text in warning
        assert warning in caplog.text
    assert "20 of 20 references end in a tokenized period" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_ordinary_references_have_no_warning(model: Path, tmp_path: Path) -> None:
    assert measure(model, tmp_path, terms={"long": ["LONG"]}).warnings == []


def test_latency_and_size_are_those_of_the_whole_test_set_and_all_files(model: Path, tmp_path: Path) -> None:
    metrics = measure(model, tmp_path).metrics
    # 0 to 99 milliseconds, and 50 for the 50 sentences.
    assert (metrics["latency_p50"].value, metrics["latency_p95"].value) == (50, 94)
    size = (2_000_000 + (model / "model.json").stat().st_size) / 1e6
    assert metrics["model_size"].value == pytest.approx(size)
    directions = {name: metrics[name].higher_is_better for name in ("latency_p50", "latency_p95", "model_size")}
    assert not any(directions.values())
    assert metrics["throughput"].higher_is_better


def test_the_slowest_of_few_requests_is_the_95th_percentile(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for times, median, slow in (([7.0], 7, 7), ([9.0, 5.0], 9, 9), ([3.0, 1.0, 2.0], 2, 3)):
        monkeypatch.setattr(decoding, "latencies", lambda _, texts, times=times: times)
        metrics = measure(model, tmp_path / str(len(times))).metrics
        assert (metrics["latency_p50"].value, metrics["latency_p95"].value) == (median, slow)


@pytest.mark.parametrize("chunks", [1, 5])
def test_the_throughput_is_of_decoding_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, chunks: int
) -> None:
    # On a clock that moves on by a step whenever it is read; each chunk is decoded in two steps.
    caplog.set_level(logging.INFO)
    step, read = 1.0064, []
    start = decoding.start_decoding
    monkeypatch.setattr(decoding, "start_decoding", lambda *given: lambda: replace(start(*given)(), seconds=2 * step))
    clock = count(1000.0, step)
    monkeypatch.setattr(measuring, "time", SimpleNamespace(monotonic=lambda: read.append(next(clock)) or read[-1]))
    monkeypatch.setattr(measuring, "CHUNK_SIZE", 50 // chunks)
    measured = measure(model, tmp_path)
    assert measured.metrics["throughput"].value == pytest.approx(50 / chunks / step / 2)
    assert measured.seconds == round(read[-1] - read[0], 3)
    # Waiting for the scores of each chunk, and once for the end.
    assert measured.counting_seconds == round((chunks + 1) * step, 3)
    times = f"{measured.seconds:.1f} s, of which {measured.counting_seconds:.1f} s were spent on scoring alone"
    assert times in caplog.messages


def test_a_broken_score_in_a_later_chunk_names_its_sentence(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "CHUNK_SIZE", 20)
    corpus = write_corpus(tmp_path / "corpus", [*PAIRS[:44], ("broken", "X"), *PAIRS[45:]])
    with pytest.raises(UserError, match="score for test sentence 45 is nan"):
        evaluate(model, corpus, tmp_path / "evaluation", tmp_path / "report.html")


def test_the_next_chunk_is_queued_before_one_is_waited_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, start = [], decoding.start_decoding

    def started(*arguments: Any) -> Any:
        size, finish = len(arguments[2]), start(*arguments)
        events.append(f"start {size}")
        return lambda: (events.append(f"finish {size}"), finish())[1]

    monkeypatch.setattr(measuring, "CHUNK_SIZE", 18)
    monkeypatch.setattr(decoding, "start_decoding", started)
    measure(model, tmp_path)
    warm_up = ["start 1", "finish 1"]
    assert events == [*warm_up, "start 18", "start 18", "finish 18", "start 14", "finish 18", "finish 14"]


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_an_error_in_counting_any_chunk_is_raised(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    add, chunks = Tally.add, count(1)

    def counted(tally: Tally, *args: Any) -> None:
        if next(chunks) == broken:
            raise ZeroDivisionError
        add(tally, *args)

    monkeypatch.setattr(measuring, "CHUNK_SIZE", 20)
    monkeypatch.setattr(Tally, "add", counted)
    with pytest.raises(ZeroDivisionError):
        measure(model, tmp_path)
    assert not (tmp_path / "evaluation").exists()
