"""Intervals and tests equal those of sacreBLEU's command line."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.metrics.resampling import bootstrap, compare, interval

NAMES = ("bleu", "chrf", "ter")
FLAGS = ["-m", *NAMES, "--chrf-word-order", "2"]


def spoiled(texts: list[str], seed: int, often: float) -> list[str]:
    chooser = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    return [
        " ".join(chooser.choice(words) if chooser.random() < often else word for word in text.split()) for text in texts
    ]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chooser = random.Random(3)
    words = [
        "Ein",
        "Hund",
        "läuft",
        "schnell",
        "über",
        "die",
        "grüne",
        "Wiese",
        "und",
        "zwei",
        "Kinder",
        "sehen",
        "ihm",
        "lange",
        "nach",
        ".",
    ]
    references = [" ".join(chooser.choices(words, k=chooser.randint(4, 14))) for _ in range(100)]
    folder = tmp_path_factory.mktemp("texts")
    for name, lines in (("r", references), ("a", spoiled(references, 1, 0.3)), ("b", spoiled(references, 2, 0.25))):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def statistics(texts: Path, name: str) -> list[np.ndarray]:
    references, outputs = ((texts / one).read_text(encoding="utf-8").splitlines() for one in ("r", name))
    return [METRICS[metric].counts("de").count(Batch(references, references, outputs)) for metric in NAMES]


def sacrebleu(texts: Path, *flags: str) -> str:
    command = [sys.executable, "-m", "sacrebleu", "r", "-i", *flags]
    return subprocess.run(command, cwd=texts, capture_output=True, text=True, check=True).stdout


def test_intervals_equal_sacrebleus(texts: Path) -> None:
    printed = json.loads(sacrebleu(texts, "a", *FLAGS, "--confidence", "-w", "3"))
    for metric, drawn, theirs in zip(NAMES, bootstrap(statistics(texts, "a")), printed, strict=True):
        scores = METRICS[metric].counts("de").score(drawn)
        low, high = interval(scores)
        assert theirs["confidence"] == f"μ = {scores.mean():.3f} ± {(high - low) / 2:.3f}"


@pytest.mark.parametrize(("flag", "field"), [("--paired-bs", "p_bootstrap"), ("--paired-ar", "p_randomization")])
def test_paired_tests_equal_sacrebleus(texts: Path, flag: str, field: str) -> None:
    printed = re.findall(r"p = (\d\.\d{4})", sacrebleu(texts, "a", "b", *FLAGS, flag, "-f", "text", "-w", "4"))
    counters = [METRICS[metric].counts("de") for metric in NAMES]
    found = compare(counters, statistics(texts, "a"), statistics(texts, "b"))
    assert [f"{getattr(one, field):.4f}" for one in found] == printed
    assert len(printed) == 3


def test_draws_do_not_depend_on_the_block_size(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = statistics(texts, "a"), statistics(texts, "b")
    counters = [METRICS[metric].counts("de") for metric in NAMES]
    whole = compare(counters, before, after, resamples=100, trials=100)
    monkeypatch.setattr("seqline.metrics.resampling.BLOCK", 1)
    assert compare(counters, before, after, resamples=100, trials=100) == whole


def test_equal_systems_do_not_differ(texts: Path) -> None:
    same = statistics(texts, "a")
    (found,) = compare([METRICS["bleu"].counts("de")], same[:1], same[:1], resamples=50, trials=50)
    assert (found.difference, found.low, found.high, found.p_bootstrap, found.p_randomization) == (0, 0, 0, 1, 1)


def test_a_clear_difference_is_significant(texts: Path) -> None:
    before, best = statistics(texts, "a"), statistics(texts, "r")
    (found,) = compare([METRICS["bleu"].counts("de")], before[:1], best[:1], resamples=200, trials=200)
    assert found.low > 0
    assert max(found.p_bootstrap, found.p_randomization) < 0.05
