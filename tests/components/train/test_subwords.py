from pathlib import Path

import numpy as np

from seqline.artifacts.corpus import Corpus
from seqline.components.train.batches import Batches
from seqline.components.train.pieces import Pieces
from seqline.components.train.records import read_pairs
from seqline.components.train.subwords import Subwords
from seqline.modeling.config import TransformerConfig


def test_every_epoch_has_other_pieces_of_the_same_texts_and_again_the_same(corpus: Path) -> None:
    pairs, tokenizer = read_pairs(Corpus(corpus).shards("train")), Corpus(corpus).tokenizer
    first, second, again = (Subwords(pairs, tokenizer, 0.1, seed=1).draw(epoch) for epoch in (0, 1, 0))
    for (left, right), (same_left, same_right) in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, same_left)
        np.testing.assert_array_equal(right, same_right)
    assert any(len(one) != len(other) for (_, one), (_, other) in zip(first, second, strict=True))
    texts = [Pieces(tokenizer).texts([right.tolist() for _, right in drawn]) for drawn in (pairs, first, second)]
    assert texts[0] == texts[1] == texts[2]


def test_the_batches_of_other_pieces_have_the_shapes_of_the_first(corpus: Path) -> None:
    pairs, tokenizer = read_pairs(Corpus(corpus).shards("train")), Corpus(corpus).tokenizer
    config = TransformerConfig(vocabulary_size=400)
    batches = Batches(pairs, config, 512)
    other = Batches(Subwords(pairs, tokenizer, 0.1, seed=1).draw(3), config, 512, like=batches)
    shapes = {(bucket.rows, bucket.source, bucket.target) for bucket in batches.buckets}
    count = 0
    for (source, entered), expected in other.dataset(1, 3).as_numpy_iterator():
        assert (*source.shape, entered.shape[1]) in shapes
        count += int((expected[:, 0] != config.pad_id).sum())
    assert count == len(pairs)
