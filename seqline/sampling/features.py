"""Rows of sampled requests: what is computed of a text and its answer."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.request_log import TOKEN_BUCKETS, SampledRequest
from seqline.artifacts.text_tokenizer import is_unknown
from seqline.errors import UserError
from seqline.normalization import clean
from seqline.sampling.identification import language_of_text, scripts_of
from seqline.tokenizers.chats import MARK
from seqline.tokenizers.host import HostTokenizer, read_tokenizer

log = logging.getLogger(__name__)

Buckets = npt.NDArray[np.int16]

LANGUAGES_A_SECOND = 10
"""Texts whose language is identified in a second, of all that are sampled: it takes longer than all else together."""


@dataclass(frozen=True)
class Sample:
    """A text and its answer.

    Attributes:
        id: The answer's id.
        time: When the answer was ready.
        version: The version that answered.
        interface: The interface of the request.
        seconds: Time to answer the request.
        source: The text, as the model got it.
        output: The answer.
        output_tokens: Tokens of the output, as the model returned them; -1 if it did not.
        truncated: Whether the text was truncated.
        score: The answer's score.
        slice: The client's label.
    """

    id: str
    time: datetime
    version: str
    interface: str
    seconds: float
    source: str
    output: str
    output_tokens: int = -1
    truncated: bool = False
    score: float | None = None
    slice: str | None = None


class Tokens:
    """A model's tokenizer on the host.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: HostTokenizer) -> None:
        self._tokenizer = tokenizer
        unknown = {id_ for id_, piece in enumerate(tokenizer.pieces()) if is_unknown(piece)}
        self._unknown = np.array(sorted(unknown | {tokenizer.tokenizer.unknown}))

    @classmethod
    def of_model(cls, model: Path | None) -> "Tokens | None":
        """Reads the tokenizer beside an exported model; None if there is none that can be read.

        Args:
            model: The model's folder.
        """
        file = ExportedModel(model).tokenizer if model else None
        if file is None or not file.is_file():
            log.warning("the model has no tokenizer for the host, so samples have no tokens; export it again")
            return None
        try:
            return cls(HostTokenizer(read_tokenizer(file.read_bytes(), str(file))))
        except (UserError, OSError, ImportError) as error:
            log.warning("samples have no tokens: %s", error)
            return None

    def of(self, sources: Sequence[str]) -> list[list[int]]:
        """Returns the tokens of each text, as the model gets them.

        Args:
            sources: The texts; a chat is marked, and its special tokens are left out.
        """
        texts = [" ".join(text.split(MARK)[::2]) if MARK in text else text for text in sources]
        return self._tokenizer.encode_sources([clean(text) for text in texts])

    def of_outputs(self, outputs: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each output.

        Args:
            outputs: The outputs.
        """
        return list(map(len, self._tokenizer.encode_targets(list(outputs)))) if outputs else []

    def counted(self, rows: Sequence[Sequence[int]]) -> tuple[list[int], list[Buckets]]:
        """Counts the tokens of each row that are unknown, or bytes of characters without a token; and their buckets.

        Args:
            rows: Token ids.
        """
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        row_of = np.repeat(np.arange(len(rows)), lengths)
        unknown = np.bincount(row_of, np.isin(ids, self._unknown), len(rows)).astype(int).tolist()
        # Sorted within each row: the rows of all texts at once.
        buckets = (ids % TOKEN_BUCKETS).astype(np.int16)
        buckets = buckets[np.lexsort((buckets, row_of))]
        return unknown, np.split(buckets, np.cumsum(lengths)[:-1]) if rows else []


_Tokens = tuple[int, int, Sequence[int] | Buckets, int]


class Features:
    """Computes rows.

    Args:
        tokens_of: Returns the tokenizer of a version; None if there is none.
        language_of: Identifies the language of a text; None if it is not known.
        languages_a_second: Texts whose language is identified in a second.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        tokens_of: Callable[[str], Tokens | None],
        language_of: Callable[[str], str | None] = language_of_text,
        languages_a_second: float = LANGUAGES_A_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens_of, self._language_of, self._clock = tokens_of, language_of, clock
        self._most = self._allowed = languages_a_second
        self._since = clock()

    def rows(self, samples: Sequence[Sample]) -> list[SampledRequest]:
        """Returns the rows of samples, without their texts.

        Args:
            samples: The samples.
        """
        sources = [sample.source for sample in samples]
        columns = self._tokens(samples), scripts_of(sources), self._languages(sources)
        return [_row(*row) for row in zip(samples, *columns, strict=True)]

    def _tokens(self, samples: Sequence[Sample]) -> list[_Tokens]:
        """The number of tokens, of unknown tokens, the buckets of each, and the number of tokens of the output."""
        found: list[_Tokens] = [(-1, -1, [], sample.output_tokens) for sample in samples]
        for version in dict.fromkeys(sample.version for sample in samples):
            tokens = self._tokens_of(version)
            if tokens is None:
                continue
            rows = [row for row, sample in enumerate(samples) if sample.version == version]
            sources = tokens.of([samples[row].source for row in rows])
            # Most models count their output's tokens themselves.
            uncounted = [row for row in rows if samples[row].output_tokens < 0]
            outputs = dict(zip(uncounted, tokens.of_outputs([samples[row].output for row in uncounted]), strict=True))
            counted = map(len, sources), *tokens.counted(sources)
            for row, length, unknown, buckets in zip(rows, *counted, strict=True):
                found[row] = (length, unknown, buckets, outputs.get(row, samples[row].output_tokens))
        return found

    def _languages(self, texts: Sequence[str]) -> list[str | None]:
        """The language of as many texts as the time allows: which ones does not depend on what they say."""
        now = self._clock()
        self._allowed = min(self._most, self._allowed + (now - self._since) * self._most)
        self._since = now
        count = min(len(texts), int(self._allowed))
        self._allowed -= count
        step = len(texts) / count if count else 1.0
        chosen = {int(number * step) for number in range(count)}
        return [self._language_of(text) if row in chosen else None for row, text in enumerate(texts)]


def _row(sample: Sample, tokens: _Tokens, script: str, language: str | None) -> SampledRequest:
    source, output = sample.source.strip(), sample.output.strip()
    return SampledRequest(
        id=sample.id,
        time=sample.time,
        version=sample.version,
        interface=sample.interface,
        latency_ms=1000 * sample.seconds,
        source_characters=len(sample.source),
        source_tokens=tokens[0],
        output_characters=len(sample.output),
        output_tokens=tokens[3],
        unknown_tokens=tokens[1],
        script=script,
        language=language,
        truncated=sample.truncated,
        empty=not output,
        copied=bool(output) and output == source,
        score=sample.score,
        token_buckets=tokens[2],
        slice=sample.slice,
    )
