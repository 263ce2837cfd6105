"""Decoding with functions instead of a model's signatures."""

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

import seqline.progress
from seqline.batch_threads import batch_threads
from seqline.components.evaluate import decoding
from seqline.components.evaluate.decoding import Decoded, Progress, latencies, scoring, start_decoding, start_scoring
from seqline.errors import UserError
from seqline.progress import VARIABLE, newest


class Model:
    """A signature that answers in capitals, with the length of the text as its score, and records its batches."""

    def __init__(self, score: Callable[[bytes], float] = len) -> None:
        self.batches: list[list[str]] = []
        self.score = score

    def __call__(self, text: Any) -> dict[str, Any]:
        texts = text.numpy().tolist()
        self.batches.append([one.decode() for one in texts])
        return {
            "text": tf.constant([one.upper() for one in texts]),
            "score": tf.constant([float(self.score(one)) for one in texts]),
        }


def decode(*arguments: Any, **named: Any) -> tuple[list[str], list[float]]:
    """The outputs and scores."""
    with batch_threads() as threads:
        decoded = start_decoding(threads, *arguments, **named)()
    return decoded.outputs, decoded.scores


def score_references(*arguments: Any, **named: Any) -> Any:
    """The log-probabilities and numbers of tokens."""
    with batch_threads() as threads:
        return start_scoring(threads, *arguments, **named)()


TEXTS = [f"{number:03}" + "x" * (number % 7) for number in range(50)]


def test_batches_have_one_size_similar_lengths_and_long_texts_first() -> None:
    model = Model()
    outputs, scores = decode(model, TEXTS, 16)
    assert outputs == [text.upper() for text in TEXTS]
    assert scores == [len(text) for text in TEXTS]
    assert [len(batch) for batch in model.batches] == [16] * 4
    order = sorted(TEXTS, key=lambda text: (-len(text), text))
    model.batches.sort(key=lambda batch: order.index(batch[0]))  # several run at once
    assert [text for batch in model.batches for text in batch][:50] == order
    # The last batch is filled up with its own texts.
    assert model.batches[3] == order[48:] * 8


@pytest.mark.parametrize(("size", "batches"), [(1, 50), (49, 2), (50, 1), (51, 1)])
def test_every_text_is_decoded_whatever_the_batch_size(size: int, batches: int) -> None:
    model = Model()
    assert decode(model, TEXTS, size)[0] == [text.upper() for text in TEXTS]
    assert [len(batch) for batch in model.batches] == [size] * batches


def test_the_seconds_are_those_from_the_first_batch_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 13.0, 17.0, 25.0, 41.0])
    monkeypatch.setattr(decoding, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with batch_threads(1) as threads:
        first, second = (start_decoding(threads, Model(), TEXTS[:size], 16) for size in (32, 1))
        assert second() == Decoded([TEXTS[0].upper()], [len(TEXTS[0])], 16.0)
        assert first().seconds == 7.0


def test_an_output_that_is_not_utf8_is_shown_with_replacements() -> None:
    def model(text: Any) -> dict[str, Any]:
        return {"text": tf.constant([b"a\xff"]), "score": tf.constant([0.0])}

    assert decode(model, ["a"], 1) == (["a\ufffd"], [0.0])


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_a_number_names_its_sentence(score: float) -> None:
    model = Model(lambda text: score if text == b"002xx" else 0.0)
    with pytest.raises(UserError, match=rf"score for test sentence 3 is {score}, not a number.*'002xx'"):
        decode(model, TEXTS, 8)
    with pytest.raises(UserError, match="score for test sentence 103 is"):
        decode(model, TEXTS, 8, first=101)


def test_a_model_that_fails_gives_the_first_line_of_its_reason() -> None:
    def model(text: Any) -> dict[str, Any]:
        raise tf.errors.InvalidArgumentError(None, None, " the graph is broken\nat node x")

    with pytest.raises(UserError, match=r"^the model fails on the test set: the graph is broken; export it again$"):
        decode(model, ["a"], 1)


def test_the_log_probabilities_are_in_the_order_of_the_pairs() -> None:
    sizes = []

    def score(source: Any, target: Any) -> dict[str, Any]:
        sizes.append([len(one) + len(other) for one, other in zip(source.numpy(), target.numpy(), strict=True)])
        lengths = tf.strings.length(target)
        return {"log_probability": -2.0 * tf.cast(lengths, tf.float32), "tokens": lengths + 1}

    references = [text[::-1] * (number % 3) for number, text in enumerate(TEXTS)]
    found = score_references(score, TEXTS, references, 16)
    assert found.tolist() == [[-2 * len(text), len(text) + 1] for text in references]
    sizes.sort(reverse=True)  # several run at once
    assert [len(batch) for batch in sizes] == [16, 16, 16, 2]
    flat = [size for batch in sizes for size in batch]
    assert flat == sorted(flat, reverse=True)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_log_probability_that_is_not_a_number_names_its_sentence(value: float) -> None:
    def score(source: Any, target: Any) -> dict[str, Any]:
        broken = tf.equal(target, "bad")
        return {"log_probability": tf.where(broken, value, -1.0), "tokens": tf.ones_like(broken, tf.int32)}

    with pytest.raises(UserError, match=rf"reference of test sentence 12 is {value}, not a number.* is 'bad'"):
        score_references(score, ["a"] * 4, ["good", "good", "bad", "bad"], 2, first=10)
    with pytest.raises(UserError, match="reference of test sentence 2 is"):
        score_references(score, ["a"] * 2, ["good", "bad"], 2)


def test_a_model_without_a_scoring_signature_has_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert scoring(SimpleNamespace(model=SimpleNamespace(signatures={"score": "it"}))) == "it"
    assert not caplog.messages
    assert scoring(SimpleNamespace(model=SimpleNamespace(signatures={"serving_default": "other"}))) is None
    assert caplog.messages == ["perplexity is not available: the model has no signature 'score'"]


@pytest.mark.parametrize(
    ("number", "timed"),
    [(1, [0]), (10, list(range(10))), (79, list(range(40))), (80, list(range(0, 80, 2))), (100, list(range(0, 80, 2)))],
)
def test_an_evenly_spaced_sample_is_timed_one_by_one_after_a_warm_up(
    monkeypatch: pytest.MonkeyPatch, number: int, timed: list[int]
) -> None:
    model, clock = Model(), count(step=0.25)
    monkeypatch.setattr(decoding, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    texts = [str(index) for index in range(number)]
    assert latencies(model, texts) == [250.0] * len(timed)
    assert model.batches == [[str(index)] for index in [*timed[:3], *timed]]


def test_progress_is_logged_every_ten_seconds_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(decoding, "time", SimpleNamespace(monotonic=lambda: now))
    caplog.set_level(logging.INFO)
    progress = Progress(100)
    for now, sentences in ((109.0, 10), (110.0, 10), (119.5, 10), (120.0, 30), (121.0, 40)):  # noqa: B007
        progress.advance(sentences)
    assert caplog.messages == [
        "decoded 20 of 100 sentences, 2 per second",
        "decoded 60 of 100 sentences, 3 per second",
        "decoded 100 of 100 sentences, 5 per second",
    ]


def test_progress_is_told_of_every_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqline.progress, "FILE_SECONDS", 0.0)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    progress = Progress(50)
    done = []
    monitored = SimpleNamespace(advance=lambda sentences: (progress.advance(sentences), done.append(progress.done)))
    decode(Model(), TEXTS, 16, monitored)
    assert done == [16, 32, 48, 50]
    assert str(newest(tmp_path)).startswith("decoding 50 of 50 sentences")
