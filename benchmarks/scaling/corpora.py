"""Corpora of many pairs, written in the layout that tokenize writes, and with its writer."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqline.artifacts.corpus import Corpus, Counts, Manifest, Shard, id_type
from seqline.components.tokenize.encoded import Encoded, Ragged
from seqline.components.tokenize.encoder import Encoder
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.shards import ShardWriter
from seqline.components.tokenize.vocabulary import load, train_tokenizer

WORDS, TEXTS, SHARDS, CHUNK, VOCABULARY = 20_000, 20_000, 4, 1 << 16, 8000
MAX_TOKENS = 128


def make(folder: Path, pairs: int, valid_pairs: int = 500) -> Path:
    """Writes a corpus, unless it is there: sentences of made-up words, most of 10 to 40 tokens and some of 128.

    Args:
        folder: Folder of all corpora.
        pairs: Training pairs.
        valid_pairs: Validation pairs.

    Returns:
        The corpus folder.
    """
    path = folder / f"corpus-{pairs}"
    corpus = Corpus(path)
    if corpus.manifest.is_file():
        return path
    path.mkdir(parents=True, exist_ok=True)
    texts = list(_texts(np.random.default_rng(1)))
    model_file = folder / "tokenizer.model"
    if not model_file.is_file():
        model_file.write_bytes(train_tokenizer(texts, Options(vocabulary_size=VOCABULARY)))
    model = model_file.read_bytes()
    encoded = Encoder(model).encode_targets(pa.array(texts, pa.string()))
    encoded = encoded.truncated(MAX_TOKENS)
    size = load(model).vocab_size()
    corpus.path.joinpath("tokenizer.model").write_bytes(model)
    with ProcessPoolExecutor(2) as pool:
        parts = [(f"train-{part:05}-of-{SHARDS:05}", (part + 1) * pairs // SHARDS - part * pairs // SHARDS)
                 for part in range(SHARDS)]  # fmt: skip
        work = [
            pool.submit(_write, path, name, count, encoded, size, seed)
            for seed, (name, count) in enumerate([*parts, ("valid-00000-of-00001", valid_pairs)])
        ]
        shards = [shard for one in work for shard in one.result()]
    counts = Counts(pairs + valid_pairs, pairs + valid_pairs, {}, pairs, valid_pairs, 0)
    options = Options(max_tokens=MAX_TOKENS).content()
    Manifest(f"scale-{pairs}", options, counts, shards, size, "en", "de", id_type(size)).write(corpus.manifest)
    return path


def _texts(random: np.random.Generator) -> list[str]:
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(random.choice(letters, length)) for length in random.integers(2, 10, WORDS)]
    lengths = np.clip(random.lognormal(2.7, 0.5, TEXTS), 3, 100).astype(int)
    # Words are as frequent as in Zipf's law.
    ranks = np.minimum(random.zipf(1.3, int(lengths.sum())), WORDS) - 1
    return [" ".join(words[rank] for rank in part) for part in np.split(ranks, np.cumsum(lengths)[:-1])]


def _write(folder: Path, name: str, pairs: int, texts: Ragged, vocabulary_size: int, seed: int) -> list[Shard]:
    """Writes a shard whose pairs are two of the texts, of about the same length."""
    random = np.random.default_rng(seed)
    by_length = np.argsort(texts.lengths, kind="stable")
    longest = int(by_length[-1])
    with ExitStack() as stack:
        writer = ShardWriter(str(folder), name, id_type(vocabulary_size), stack)
        for first in range(0, pairs, CHUNK):
            count = min(CHUNK, pairs - first)
            ranks = random.integers(0, len(texts), count)
            others = np.clip(ranks + random.integers(-500, 500, count), 0, len(texts) - 1)
            source, target = by_length[ranks], by_length[others]
            # All corpora have the same longest pair, and so the same largest batch.
            source[0] = target[0] = longest
            writer.write(Encoded(texts.take(source), texts.take(target)))
        return writer.written()
