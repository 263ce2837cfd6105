"""reference.json: what live traffic of the model is compared with."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from seqline.artifacts.corpus import Corpus
from seqline.artifacts.reference import REFERENCE, SOURCES, TOKEN_BUCKETS, Reference, Sources
from seqline.metrics.divergence import Values
from seqline.metrics.surprise import surprise
from seqline.tokenizers.host import HostTokenizer, read_tokenizer

log = logging.getLogger(__name__)

HELD_OUT = 20_000
"""Held-out texts that are read, at most."""
TAIL = 0.01
"""Share of the held-out texts that count as unusual."""
FEWEST = 300
"""With fewer held-out texts the tail is not measured."""


def write_reference(folder: Path, corpus: Corpus, tokenizer: bytes) -> bool:
    """Writes reference.json, unless the corpus is of a version of Seqline that did not count its sources.

    Args:
        folder: The model's folder.
        corpus: The corpus that the model was trained on.
        tokenizer: The tokenizer's file of the model.

    Returns:
        Whether it was written.
    """
    if not (corpus.path / SOURCES).is_file() or corpus.tokenizer.read_bytes() != tokenizer:
        log.info("no %s: the corpus has none of its figures, or another tokenizer; tokenize again for them", REFERENCE)
        return False
    manifest, sources = corpus.read_manifest(), Sources.read(corpus.path / SOURCES)
    texts = [pair["source"] for split in ("valid", "test") for pair in corpus.read_text(split)][:HELD_OUT]  # type: ignore[arg-type]
    encoded = [ids for ids in HostTokenizer(read_tokenizer(tokenizer)).encode_sources(texts) if ids] if texts else []
    limit, unusual = None, 0.0
    if len(encoded) >= FEWEST:
        found = surprise(values_of(encoded), np.array(sources.tokens))
        limit = float(np.quantile(found, 1 - TAIL))
        unusual = float((found > limit).mean())
    Reference(
        corpus_fingerprint=manifest.fingerprint,
        tokenizer=hashlib.sha256(tokenizer).hexdigest(),
        source_language=manifest.source_language,
        sources=sources,
        surprise=limit,
        unusual=unusual,
        held_out=len(encoded),
    ).write(folder / REFERENCE)
    return True


def values_of(encoded: list[list[int]]) -> Values:
    """The token buckets of texts.

    Args:
        encoded: Their token ids, none empty.
    """
    ids = np.concatenate([np.array(row, np.int64) for row in encoded]) % TOKEN_BUCKETS
    return Values(ids, np.array([len(row) for row in encoded], np.int64), TOKEN_BUCKETS)
