"""Rows of sampled requests: what is computed of texts and their answers, of many at once and column by column."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.request_log import SCHEMA, TOKEN_BUCKETS
from seqline.artifacts.row_log import TIME
from seqline.artifacts.text_tokenizer import is_unknown
from seqline.errors import UserError
from seqline.normalization import clean
from seqline.sampling.identification import language_of_text, scripts_of
from seqline.tokenizers.chats import MARK
from seqline.tokenizers.host import HostTokenizer, read_tokenizer

log = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]

LANGUAGES_A_SECOND = 10
"""Texts whose language is identified in a second, of all that are sampled: it takes longer than all else together."""


class Sample(NamedTuple):
    """A text and its answer.

    Attributes:
        id: The answer's id.
        time: When the answer was ready, in seconds since 1970.
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
    time: float
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
        self._unknown = _marks(unknown | {tokenizer.tokenizer.unknown})

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

    def counted(self, rows: Sequence[Sequence[int]]) -> tuple[Integers, Integers, pa.ListArray]:
        """Counts the tokens of each row.

        Args:
            rows: Token ids.

        Returns:
            The number of each row's tokens; of those that are unknown, or bytes of characters without a token; and
            their buckets, sorted.
        """
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        row_of = np.repeat(np.arange(len(rows)), lengths)
        # The last mark is that of all ids beyond.
        unknown = np.bincount(row_of[self._unknown.take(ids, mode="clip")], minlength=len(rows))
        # Sorted within each row: the rows of all texts at once.
        buckets = np.sort(row_of * TOKEN_BUCKETS + ids % TOKEN_BUCKETS) % TOKEN_BUCKETS
        ends = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
        return lengths, unknown, pa.ListArray.from_arrays(ends, buckets.astype(np.int16))


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

    def table(self, samples: Sequence[Sample]) -> pa.Table:
        """Returns the rows of samples, without their texts: a table with the columns of the log of requests.

        Args:
            samples: The samples.
        """
        if not samples:
            return SCHEMA.empty_table()
        ids, times, versions, interfaces, seconds, sources, outputs, counts, truncated, scores, slices = zip(
            *samples, strict=True
        )
        stripped = list(map(str.strip, outputs))
        nothing = pa.nulls(len(samples), pa.string())
        columns = {
            "id": ids,
            "time": pa.array(np.rint(np.array(times) * 1e6).astype(np.int64)).cast(TIME),
            "version": versions,
            "interface": interfaces,
            "latency_ms": 1000 * np.array(seconds),
            "source_characters": list(map(len, sources)),
            "output_characters": list(map(len, outputs)),
            "script": scripts_of(sources),
            "language": self._languages(sources),
            "truncated": truncated,
            "empty": [not output for output in stripped],
            "copied": [
                bool(output) and output == source.strip() for source, output in zip(sources, stripped, strict=True)
            ],
            "score": scores,
            "source": nothing,
            "output": nothing,
            "slice": slices,
            **self._tokens(versions, sources, outputs, counts),
        }
        return pa.table(columns, SCHEMA)

    def _tokens(
        self, versions: Sequence[str], sources: Sequence[str], outputs: Sequence[str], counts: Sequence[int]
    ) -> dict[str, pa.ChunkedArray]:
        """The columns of tokens; those of a version's texts at once."""
        parts, order = [], []
        for version in dict.fromkeys(versions):
            rows = [row for row, of in enumerate(versions) if of == version]
            order += rows
            texts, answers = [sources[row] for row in rows], [outputs[row] for row in rows]
            parts.append(_tokens(self._tokens_of(version), texts, answers, [counts[row] for row in rows]))
        table = pa.concat_tables(parts)
        if len(parts) > 1:
            table = table.take(np.argsort(order))
        return dict(zip(table.column_names, table.columns, strict=True))

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


def with_texts(table: pa.Table, sources: Sequence[str | None], outputs: Sequence[str | None]) -> pa.Table:
    """Returns rows with their texts.

    Args:
        table: The rows.
        sources: The text of each, as it is stored.
        outputs: The answer of each, likewise.
    """
    for name, texts in (("source", sources), ("output", outputs)):
        table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), pa.array(texts, pa.string()))
    return table


def _tokens(tokens: Tokens | None, sources: list[str], outputs: list[str], counts: list[int]) -> pa.Table:
    """The columns of tokens of one version's texts."""
    if tokens is None:
        none = np.full(len(sources), -1)
        buckets = pa.array([[]] * len(sources), pa.list_(pa.int16()))
        return _token_columns(none, counts, none, buckets)
    lengths, unknown, buckets = tokens.counted(tokens.of(sources))
    # Most models count their output's tokens themselves.
    uncounted = [row for row, count in enumerate(counts) if count < 0]
    for row, count in zip(uncounted, tokens.of_outputs([outputs[row] for row in uncounted]), strict=True):
        counts[row] = count
    return _token_columns(lengths, counts, unknown, buckets)


def _token_columns(sources: Integers, outputs: list[int], unknown: Integers, buckets: pa.ListArray) -> pa.Table:
    columns = {
        "source_tokens": sources, "output_tokens": outputs, "unknown_tokens": unknown, "token_buckets": buckets
    }  # fmt: skip
    return pa.table(columns, pa.schema([SCHEMA.field(name) for name in columns]))


def _marks(ids: set[int]) -> npt.NDArray[np.bool_]:
    """Whether each id is one of these, and after the last one whether any other is."""
    marks = np.zeros(max(ids, default=-1) + 2, bool)
    marks[sorted(ids)] = True
    return marks
