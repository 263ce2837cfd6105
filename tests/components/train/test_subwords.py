from pathlib import Path

import numpy as np

from seqline.artifacts.corpus import Corpus
from seqline.components.train.batches import Batches
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.records import read_pairs
from seqline.components.train.subwords import Subwords
from seqline.modeling.config import TransformerConfig


def test_every_epoch_has_other_tokens_of_the_same_texts_reproducibly(corpus: Path) -> None:
    pairs, tokenizer = read_pairs(Corpus(corpus).shards("train")), Corpus(corpus).tokenizer
    first, second, again = (Subwords(pairs, tokenizer, 0.1, seed=1).sample(epoch) for epoch in (0, 1, 0))
    for (left, right), (same_left, same_right) in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, same_left)
        np.testing.assert_array_equal(right, same_right)
    assert any(len(one) != len(other) for (_, one), (_, other) in zip(first, second, strict=True))
    detokenizer = Detokenizer(tokenizer)
    texts = [detokenizer.texts([right.tolist() for _, right in one]) for one in (pairs, first, second)]
    assert texts[0] == texts[1] == texts[2]


def test_the_batches_of_other_tokens_have_the_same_shapes(corpus: Path) -> None:
    pairs, tokenizer = read_pairs(Corpus(corpus).shards("train")), Corpus(corpus).tokenizer
    config = TransformerConfig(vocabulary_size=400)
    batches = Batches(pairs, config, 512)
    other = Batches(Subwords(pairs, tokenizer, 0.1, seed=1).sample(3), config, 512, like=batches)
    shapes = {(bucket.rows, bucket.source, bucket.target) for bucket in batches.buckets}
    count = 0
    for (source, entered), expected in other.dataset(1, 3).as_numpy_iterator():
        assert (*source.shape, entered.shape[1]) in shapes
        count += int((expected[:, 0] != config.pad_id).sum())
    assert count == len(pairs)
