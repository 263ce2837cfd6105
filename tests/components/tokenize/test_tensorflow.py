"""TensorFlow's tokenizer op gives the tokens that the stage writes without TensorFlow."""

import random

import pytest

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.vocabulary import load, train_tokenizer

tf = pytest.importorskip("tensorflow")
tf_text = pytest.importorskip("tensorflow_text")


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
