"""TensorFlow reads the records that the stage writes without it, and its tokenizer op gives the same tokens."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.encoded import Ragged
from seqline.components.tokenize.examples import tfrecords
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.vocabulary import load, train_tokenizer
from tests.examples import examples

tf = pytest.importorskip("tensorflow")
tf_text = pytest.importorskip("tensorflow_text")

ids = st.lists(st.integers(0, 2**21 - 1), max_size=300)
pairs = st.lists(st.tuples(ids, ids), max_size=4)


def write(path: Path, found: list[tuple[list[int], list[int]]], augmented: bool = False) -> str:
    source, target = (Ragged.of([np.array(pair[side], np.int32) for pair in found]) for side in (0, 1))
    path.write_bytes(b"".join(tfrecords(source, target, np.full(len(found), augmented))))
    return str(path)


@examples(60)
@given(pairs, st.booleans())
def test_records_parse_to_the_same_ids(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[list[int], list[int]]], augmented: bool
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "fuzz.tfrecord", found, augmented)
    examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    features = [example.features.feature for example in examples]
    assert [tuple(list(one[side].int64_list.value) for side in ("source", "target")) for one in features] == found
    assert all(list(one["augmented"].int64_list.value) == [1] * augmented for one in features)


def test_a_dataset_reads_the_records_back(tmp_path: Path) -> None:
    found = [([5, 300], [7]), ([], [69_999, 0]), (list(range(200)), list(range(900)))]
    features = {name: tf.io.RaggedFeature(tf.int64) for name in ("source", "target")}
    data = tf.data.TFRecordDataset(write(tmp_path / "pairs.tfrecord", found))
    records = list(data.map(lambda record: tf.io.parse_single_example(record, features)))
    assert [(list(one["source"].numpy()), list(one["target"].numpy())) for one in records] == found


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def model(request: pytest.FixtureRequest) -> bytes:
    texts = ["Am 5. März", "ein Haus", "한국어 m² … 42"] * 30
    return train_tokenizer(texts, Options(vocabulary_size=400, model_type=request.param))


def test_the_tokenizer_op_gives_the_same_ids_and_texts(model: bytes) -> None:
    chosen = random.Random(9)
    codes = [*range(1, 0x500), *range(0x1100, 0x1200), *range(0x2000, 0x2100), *range(0xAC00, 0xAC40), 0xFEFF, 0x1F600]
    codes += [*range(0x300, 0x370)] * 3
    texts = ["".join(map(chr, chosen.choices(codes, k=chosen.randint(0, 12)))) for _ in range(5000)]
    op = tf_text.SentencepieceTokenizer(model, out_type=tf.int32)
    tokens = load(model).encode(texts)
    assert op.tokenize(texts).to_list() == tokens
    detokenized = op.detokenize(tf.ragged.constant(tokens, dtype=tf.int32)).numpy()
    assert [text.decode() for text in detokenized] == load(model).decode(tokens)
