"""TensorFlow reads what the stage writes without it, and its tokenizer op agrees."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tokenize.examples import ExampleEncoder, tfrecords
from components.tokenize.options import Options
from components.tokenize.vocabulary import learn, load

tf = pytest.importorskip("tensorflow")
tf_text = pytest.importorskip("tensorflow_text")

ENCODER = ExampleEncoder(70_000)
ids = st.lists(st.integers(0, 69_999), max_size=300)


@given(ids, ids)
def test_examples_parse_to_the_same_ids(source: list[int], target: list[int]) -> None:
    parsed = tf.train.Example.FromString(ENCODER.encode(source, target)).features.feature
    assert list(parsed) in (["source", "target"], ["target", "source"])
    assert list(parsed["source"].int64_list.value) == source
    assert list(parsed["target"].int64_list.value) == target


def test_a_dataset_reads_the_records_back(tmp_path: Path) -> None:
    pairs = [([5, 300], [7]), ([], [69_999, 0]), (list(range(200)), list(range(900)))]
    file = tmp_path / "pairs.tfrecord"
    file.write_bytes(b"".join(tfrecords(ENCODER.encode(*pair) for pair in pairs)))
    features = {name: tf.io.RaggedFeature(tf.int64) for name in ("source", "target")}
    records = list(tf.data.TFRecordDataset(str(file)).map(lambda record: tf.io.parse_single_example(record, features)))
    assert [(list(one["source"].numpy()), list(one["target"].numpy())) for one in records] == pairs


def test_the_tokenizer_op_gives_the_same_ids_and_texts() -> None:
    model = learn(["Am 5. März", "ein Haus", "한국어 m² … 42"] * 30, Options(vocabulary_size=400))
    chosen = random.Random(9)
    codes = [*range(1, 0x500), *range(0x1100, 0x1200), *range(0x2000, 0x2100), *range(0xAC00, 0xAC40), 0xFEFF, 0x1F600]
    codes += [*range(0x300, 0x370)] * 3
    texts = ["".join(map(chr, chosen.choices(codes, k=chosen.randint(0, 12)))) for _ in range(5000)]
    op = tf_text.SentencepieceTokenizer(model, out_type=tf.int32)
    pieces = load(model).encode(texts)
    assert op.tokenize(texts).to_list() == pieces
    detokenized = op.detokenize(tf.ragged.constant(pieces, dtype=tf.int32)).numpy()
    assert [text.decode() for text in detokenized] == load(model).decode(pieces)
