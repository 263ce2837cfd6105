"""The preset that a corpus and a time limit get."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Counts, Manifest, Shard
from seqline.components.train.recommend import ORDER, recommend, recommend_start
from seqline.components.train.scale import Speed

PEAK = 1e11
FAST = Speed(PEAK)


def corpus(pairs: int, task: str = "translation") -> Manifest:
    shards = [
        Shard("train-00000-of-00002.ids", pairs // 2, 14 * (pairs // 2), 15 * (pairs // 2)),
        Shard("train-00001-of-00002.ids", pairs - pairs // 2, 14 * (pairs - pairs // 2), 15 * (pairs - pairs // 2)),
        Shard("test-00000-of-00001.ids", 10**9, 10**11, 10**11),
    ]
    return Manifest("", {"task": task}, Counts(pairs, pairs, {}, pairs, 0, 0), shards, 8000, "en", "de")


def test_a_small_corpus_gets_a_small_model_with_reasons() -> None:
    found = recommend(corpus(29_000), minutes=0, speed=FAST)
    assert found.preset == "tiny"
    assert found.epochs == math.inf
    first, *refused, last = found.reasons
    assert first == "29,000 training pairs with 899,000 tokens"
    assert [reason.partition(" ")[0] for reason in refused] == ["big", "base", "small"]
    assert all("is too large for the data" in reason for reason in refused)
    assert last.startswith("tiny fits:")
    assert last.endswith("the time is not limited")


def test_a_large_corpus_gets_the_largest_model_on_a_fast_machine() -> None:
    assert recommend(corpus(50_000_000), minutes=0, speed=Speed(1e9 * PEAK)).preset == "big"


def test_without_a_time_limit_the_passes_that_are_needed_may_take_an_hour() -> None:
    manifest, fast, slow = corpus(1_000_000), Speed(100 * PEAK), Speed(PEAK / 1000)
    found = recommend(manifest, minutes=0, speed=fast)
    assert found.preset == recommend(manifest, minutes=60, speed=fast).preset == "small"
    assert any("base is too slow" in reason and "passes in an hour" in reason for reason in found.reasons)
    # The smallest is for short trainings.
    assert recommend(manifest, minutes=0, speed=slow).preset == "tiny"
    assert recommend(manifest, minutes=60, speed=slow).preset == "demo"


def test_a_short_time_limit_gets_a_smaller_model() -> None:
    found = recommend(corpus(1_000_000), minutes=1200, speed=FAST)
    assert found.preset == "tiny"
    assert any("small is too slow" in reason and "passes in 1200 minutes" in reason for reason in found.reasons)
    assert found.epochs >= 10


def test_a_preset_that_does_not_fit_into_the_memory_is_not_recommended() -> None:
    class Small(Speed):
        def sustained(self, preset: str) -> float:
            return 0.0 if preset in ("big", "base") else super().sustained(preset)

    found = recommend(corpus(50_000_000), minutes=0, speed=Small(1e9 * PEAK))
    assert found.preset == "small"
    assert [reason.partition(": ")[0] for reason in found.reasons[1:]] == [
        "big is too large for the memory",
        "base is too large for the memory",
        "small fits",
    ]


@pytest.mark.parametrize(
    ("minutes", "speed", "said"),
    [
        (
            10.0,
            FAST,
            r"demo is the smallest: [\d,]+ weights, \d.\d passes in 10 minutes, fewer than the 10 that transl",
        ),
        (
            0.0,
            Speed(PEAK / 100),
            r"tiny is the smallest: [\d,]+ weights, 0.2 passes in an hour, fewer than the 10 that",
        ),
        (10.0, Speed(0), r"demo is the smallest: [\d,]+ weights, too large for the memory"),
    ],
)
def test_the_smallest_preset_is_not_said_to_fit_if_it_does_not(minutes: float, speed: Speed, said: str) -> None:
    assert re.match(said, recommend(corpus(29_000), minutes, speed).reasons[-1])


@pytest.mark.parametrize(
    ("pairs", "minutes", "translation", "answers", "reason"),
    [
        # The smallest models learn to copy early, and larger ones after a longer plateau.
        (29_000, 25, "demo", "tiny", "tiny is too slow: 8.1 passes in 25 minutes, and translation needs 10"),
        (
            1_000_000,
            6000,
            "small",
            "tiny",
            "small is too slow: 17.6 passes in 6000 minutes, and summarization needs 20",
        ),
    ],
)
def test_tasks_that_copy_from_the_input_need_other_passes(
    pairs: int, minutes: float, translation: str, answers: str, reason: str
) -> None:
    one, other = (recommend(corpus(pairs, task), minutes, FAST) for task in ("translation", "summarization"))
    assert (one.preset, other.preset) == (translation, answers)
    assert reason in one.reasons + other.reasons


@given(pairs=st.integers(1, 10**8), minutes=st.floats(0.1, 10**5), factor=st.floats(1, 100))
def test_more_time_or_a_faster_machine_never_gets_a_smaller_model(pairs: int, minutes: float, factor: float) -> None:
    def size(**given: Any) -> int:
        return -ORDER.index(recommend(corpus(pairs), **given).preset)

    base = size(minutes=minutes, speed=FAST)
    assert size(minutes=minutes * factor, speed=FAST) >= base
    assert size(minutes=minutes, speed=Speed(PEAK * factor)) >= base
    assert recommend(corpus(pairs), minutes, Speed(PEAK * factor)).epochs == pytest.approx(
        recommend(corpus(pairs), minutes * factor, FAST).epochs
    )


@pytest.mark.parametrize(
    ("pairs", "task", "minutes", "memory", "said"),
    [
        (2_000_000, "translation", 0, 0, ["random weights: 2,000,000 pairs are enough"]),
        (
            5_000,
            "translation",
            0,
            0,
            ["marian checkpoint", "all weights (training.fine_tuning=full): the pairs are enough, and it needs 1.2 GB"],
        ),
        (
            5_000,
            "summarization",
            0,
            64e9,
            ["t5 checkpoint", "all weights (training.fine_tuning=full): memory and pairs"],
        ),
        (5_000, "question_answering", 0, 0, ["llama checkpoint", "LoRA (training.fine_tuning=lora): with 5,000 pairs"]),
        (
            50_000,
            "text_generation",
            0,
            2e9,
            ["llama checkpoint", "LoRA (training.fine_tuning=lora): all 135 million weights"],
        ),
        (50_000, "text_generation", 0, 1e8, ["random weights: the smallest llama checkpoint does not fit into 0.1 GB"]),
        (500_000, "translation", 12, 0, ["random weights: 12 minutes are 0.0 passes"]),
    ],
)
def test_weights_are_recommended_with_reasons(
    pairs: int, task: str, minutes: float, memory: float, said: list[str]
) -> None:
    found = recommend_start(corpus(pairs, task), minutes, PEAK / 10, memory)
    assert len(found) == len(said)
    assert all(expected in sentence for expected, sentence in zip(said, found, strict=True))
