"""Text to token ids, word by word: a corpus repeats the same words."""

from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sentencepiece

from seqline.artifacts.corpus import id_type
from seqline.artifacts.text_tokenizer import MODEL, Prompt
from seqline.components.tokenize.encoded import Ragged
from seqline.components.tokenize.vocabulary import load
from seqline.tokenizers.host import HostTokenizer, read_tokenizer

_MOST_WORDS = 1 << 18
_SPACE = "▁"


class Encoder:
    """Encodes as the tokenizer does; of a SentencePiece model of our own, it caches the tokens of words.

    In a usual model no token spans a space, so the tokens of a text are those of its words, concatenated. A unigram
    model adds up the scores of a whole text in float32, where the rounding can make two segmentations of a word equal;
    a word alone gets the better one.

    Args:
        content: The tokenizer's file.

    Attributes:
        by_word: Whether words are encoded, since no token spans a space; otherwise whole texts.
        prompt_tokens: Tokens of a prompt without a source.
        ending: Tokens of a prompt behind a source that is truncated.
        id_type: Type of the ids in the corpus's files.
    """

    def __init__(self, content: bytes) -> None:
        description = read_tokenizer(content)
        self.tokenizer = HostTokenizer(description)
        self.by_word = description.own and _by_word(load(description.file(MODEL)))
        self._index: dict[str, int] = {}
        self._cached = Ragged.of([])
        self.prompt_tokens = self.tokenizer.prompt_tokens()
        self.ending = self.tokenizer.ending()
        self.id_type = id_type(description.vocabulary_size)

    def encode_sources(self, texts: pa.Array) -> Ragged:
        """Returns the token ids of sources with their prompt, without begin and end.

        Args:
            texts: Cleaned strings.
        """
        if self.tokenizer.tokenizer.prompt == Prompt():
            return self._encode(texts)
        return Ragged.of(self.tokenizer.encode_sources(texts.to_pylist()))

    def encode_targets(self, texts: pa.Array) -> Ragged:
        """Returns the token ids of targets, without begin and end.

        Args:
            texts: Cleaned strings.
        """
        return self._encode(texts)

    def _encode(self, texts: pa.Array) -> Ragged:
        # The model treats a ▁ in a text as a space, which changes the tokens next to it.
        if not self.by_word or pc.any(pc.match_substring(texts, _SPACE)).as_py():
            return self._encode_whole(texts.to_pylist())
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
        tokens = self._cached.followed_by(self._encode_whole(new))
        if len(tokens) <= _MOST_WORDS:
            # The frequent words of a corpus are among the first.
            self._index.update(zip(new, rows[missing].tolist(), strict=True))
            self._cached = tokens
        return tokens.take(rows[occurrences])

    def _encode_whole(self, texts: list[str]) -> Ragged:
        return Ragged.of(self.tokenizer.encode_targets(texts))


def _by_word(processor: sentencepiece.SentencePieceProcessor) -> bool:
    tokens = {processor.id_to_piece(token) for token in range(processor.vocab_size())}
    return (
        _SPACE in tokens
        and not any(_SPACE in token[1:] for token in tokens)
        and processor.normalize("a b") == f"{_SPACE}a{_SPACE}b"
    )
