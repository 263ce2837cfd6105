"""Text to token ids, word by word: a corpus repeats the same words."""

from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.encoded import Ragged
from seqline.components.tokenize.vocabulary import load

_MOST_WORDS = 1 << 18
_SPACE = "▁"


class Encoder:
    """Encodes as the SentencePiece model does, and caches the tokens of words.

    In a usual model no token spans a space, so the tokens of a text are those of its words, concatenated. A unigram
    model adds up the scores of a whole text in float32, where the rounding can make two segmentations of a word equal;
    a word alone gets the better one.

    Args:
        model: A serialized SentencePiece model.

    Attributes:
        by_word: Whether no token spans a space; otherwise whole texts are encoded.
    """

    def __init__(self, model: bytes) -> None:
        self._processor = load(model)
        tokens = {self._processor.id_to_piece(token) for token in range(self._processor.vocab_size())}
        self.by_word = (
            _SPACE in tokens
            and not any(_SPACE in token[1:] for token in tokens)
            and self._processor.normalize("a b") == f"{_SPACE}a{_SPACE}b"
        )
        self._index: dict[str, int] = {}
        self._cached = Ragged.of([])

    def encode(self, texts: pa.Array) -> Ragged:
        """Returns the token ids of texts, without begin and end.

        Args:
            texts: Cleaned strings.
        """
        # The model treats a ▁ in a text as a space, which changes the tokens next to it.
        if not self.by_word or pc.any(pc.match_substring(texts, _SPACE)).as_py():
            return self._encode(texts.to_pylist())
        split = pc.split_pattern(texts, " ")
        words = split.flatten().dictionary_encode()
        tokens = self._encode_words(words.dictionary.to_pylist(), words.indices.to_numpy())
        counts = split.value_lengths().to_numpy()
        return Ragged(tokens.ids, np.diff(np.append(0, tokens.ends)[np.append(0, np.cumsum(counts))]))

    def _encode_words(self, words: list[str], occurrences: npt.NDArray[np.int32]) -> Ragged:
        """The tokens of each occurrence of words, given by their indices."""
        rows = np.fromiter(map(self._index.get, words, repeat(-1)), np.int64, len(words))
        missing = np.flatnonzero(rows < 0)
        new = [words[word] for word in missing.tolist()]
        rows[missing] = np.arange(len(new)) + len(self._index)
        tokens = self._cached.followed_by(self._encode(new))
        if len(tokens) <= _MOST_WORDS:
            # The frequent words of a corpus are among the first.
            self._index.update(zip(new, rows[missing].tolist(), strict=True))
            self._cached = tokens
        return tokens.take(rows[occurrences])

    def _encode(self, texts: list[str]) -> Ragged:
        # For short texts, lists of ids are faster than arrays.
        return Ragged.of(self._processor.encode(texts, num_threads=1))
