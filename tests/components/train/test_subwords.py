import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqline.artifacts.corpus import Corpus
from seqline.components.train.batches import Batches
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.pairs import StoredPairs, Window
from seqline.components.train.records import read_data, stored
from seqline.components.train.subwords import SampledBatches, Subwords
from seqline.modeling.config import TransformerConfig

CONFIG = TransformerConfig(vocabulary_size=400)


@pytest.fixture
def pairs(corpus: Path) -> StoredPairs:
    """The training pairs, in several windows."""
    return StoredPairs(stored(Corpus(corpus), "train"), window_pairs=40)


@pytest.fixture
def subwords(corpus: Path, pairs: StoredPairs) -> Subwords:
    return Subwords(Corpus(corpus).tokenizer, pairs.table, 0.1)


def targets(window: Window) -> list[list[int]]:
    """The targets of a window's pairs."""
    return [right.tolist() for _, right in window.read().pairs()]


def test_every_epoch_has_other_tokens_of_the_same_texts_reproducibly(
    corpus: Path, pairs: StoredPairs, subwords: Subwords
) -> None:
    windows = [pairs.window(number) for number in range(pairs.windows)]
    first, second, again = (
        [row for number, one in enumerate(windows) for row in targets(subwords.sample(one, (1, epoch, number)))]
        for epoch in (0, 1, 0)
    )
    assert first == again
    assert any(len(one) != len(other) for one, other in zip(first, second, strict=True))
    detokenizer = Detokenizer(Corpus(corpus).tokenizer)
    best = [row for one in windows for row in targets(one)]
    texts = [detokenizer.texts(one) for one in (best, first, second)]
    assert texts[0] == texts[1] == texts[2]


def test_sampled_batches_have_the_shapes_and_the_pairs_of_the_others(
    corpus: Path, pairs: StoredPairs, subwords: Subwords
) -> None:
    batches = Batches(pairs, CONFIG, 512)
    sampled = SampledBatches(batches, subwords)
    shapes = {(bucket.rows, bucket.source, bucket.target) for bucket in batches.buckets}
    texts, lengths, detokenizer = [], [], Detokenizer(Corpus(corpus).tokenizer)
    for step, ((source, entered), expected) in enumerate(sampled.dataset(1, 3).as_numpy_iterator()):
        assert (*source.shape, entered.shape[1]) in shapes
        lengths.append((step, len(sampled)))
        rows = [row[: row.tolist().index(CONFIG.eos_id)] for row in expected if row[0] != CONFIG.pad_id]
        texts += detokenizer.texts(rows)
    listed = read_data(Corpus(corpus)).train.listed()
    assert sorted(texts) == sorted(detokenizer.texts([right for _, right in listed]))
    # An epoch never seems to end before it does.
    assert all(step < length for step, length in lengths)
    assert len(sampled) == len(lengths) <= sampled.limit
    assert 0 < sampled.padding_share < 1


@pytest.mark.parametrize("skip", [0, 3, 11])
def test_a_sampled_epoch_that_resumes_segments_only_the_windows_that_remain(
    pairs: StoredPairs, subwords: Subwords, skip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SampledBatches(Batches(pairs, CONFIG, 512), subwords)
    expected = list(whole.parts(1, 2, 0, [0]))[skip:]
    seeds: list[tuple[int, ...]] = []
    plain = Subwords.sample

    def counting(self: Subwords, window: Window, seed: tuple[int, ...]) -> Any:
        seeds.append(seed)
        return plain(self, window, seed)

    monkeypatch.setattr(Subwords, "sample", counting)
    resumed = SampledBatches(Batches(pairs, CONFIG, 512), subwords, whole.ends)
    assert len(resumed) == len(whole)
    for (_, one), (_, other) in zip(expected, resumed.parts(1, 2, skip, [0]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(seeds) == sum(end > skip for end in whole.ends)


@pytest.mark.parametrize(("limit", "warned"), [(-1.0, True), (9.0, False)])
def test_the_log_says_how_much_longer_sampled_sequences_are(
    corpus: Path,
    pairs: StoredPairs,
    limit: float,
    warned: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seqline.components.train.subwords.LONGER", limit)
    subwords = Subwords(Corpus(corpus).tokenizer, pairs.table, 0.2)
    with caplog.at_level(logging.INFO):
        windows = [pairs.window(number) for number in range(2)]
        longer = subwords.sample(windows[0], (1, 0, 0)).lengths.sum() / windows[0].lengths.sum()
        subwords.sample(windows[1], (1, 0, 1))
    assert caplog.messages[0] == f"subword_sampling 0.2 makes sequences {100 * (longer - 1):.0f}% longer"
    assert len(caplog.messages) == 1 + warned
    assert not warned or "replaces most tokens by short pieces" in caplog.messages[1]
