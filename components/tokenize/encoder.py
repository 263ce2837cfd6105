"""Text to piece ids, word by word: a corpus says the same words over and over."""

from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.examples import Ragged
from seqline.components.tokenize.vocabulary import load

_MOST_WORDS = 1 << 18
_SPACE = "▁"


class Encoder:
    """Encodes as the model does, and remembers what the pieces of a word are.

    No piece of a usual model goes over a space, so the pieces of a text are those of its words, end to end. A unigram
    model adds up the scores of a whole text in float32, where two ways to cut a word may come out equal that differ by
    less than that rounding; alone the word is cut in the better way.

    Args:
        model: A serialized SentencePiece model.
    """

    def __init__(self, model: bytes) -> None:
        self._processor = load(model)
        pieces = {self._processor.id_to_piece(piece) for piece in range(self._processor.vocab_size())}
        self.by_word = (
            _SPACE in pieces
            and not any(_SPACE in piece[1:] for piece in pieces)
            and self._processor.normalize("a b") == f"{_SPACE}a{_SPACE}b"
        )
        self._places: dict[str, int] = {}
        self._words = Ragged.of([])

    def encode(self, texts: pa.Array) -> Ragged:
        """The piece ids of texts, without begin and end.

        Args:
            texts: Cleaned strings.
        """
        # A text's own ▁ is a space to the model, whose neighbours count.
        if not self.by_word or pc.any(pc.match_substring(texts, _SPACE)).as_py():
            return self._encode(texts.to_pylist())
        split = pc.split_pattern(texts, " ")
        said = split.flatten().dictionary_encode()
        occurrences = self._words_of(said.dictionary.to_pylist(), said.indices.to_numpy())
        words = split.value_lengths().to_numpy()
        return Ragged(occurrences.ids, np.diff(np.append(0, occurrences.ends)[np.append(0, np.cumsum(words))]))

    def _words_of(self, words: list[str], said: npt.NDArray[np.int32]) -> Ragged:
        """The pieces of each word said."""
        places = np.fromiter(map(self._places.get, words, repeat(-1)), np.int64, len(words))
        rows = np.flatnonzero(places < 0)
        new = [words[row] for row in rows.tolist()]
        places[rows] = np.arange(len(new)) + len(self._places)
        pieces = self._words.followed_by(self._encode(new))
        if len(pieces) <= _MOST_WORDS:
            # The usual words of a corpus are among the first.
            self._places.update(zip(new, places[rows].tolist(), strict=True))
            self._words = pieces
        return pieces.take(places[said])

    def _encode(self, texts: list[str]) -> Ragged:
        # For short texts lists of numbers are faster than arrays.
        return Ragged.of(self._processor.encode(texts, num_threads=1))
