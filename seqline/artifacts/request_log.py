"""The log of sampled requests: Parquet files with a row for each answered text.

    requests-20261130T010203Z-20261130T011203Z-1f0c9a2b.parquet

A server writes them when it samples (docs/monitoring.md); the pipeline `monitoring` reads them. Texts are in them only
where `sample_texts` is set. `seqline.artifacts.row_log` writes and reads the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.artifacts.row_log import TIME, RowLog

TOKEN_BUCKETS = 1024
"""Number of buckets of the token ids: a histogram that says nothing of the order of the tokens of a vocabulary, and
hardly lets a text be read back."""


@dataclass(frozen=True)
class SampledRequest:
    """A row: one text and its answer. The fields are the columns, in their order.

    Attributes:
        id: The answer's id, which the client got: 32 random hexadecimal digits. Feedback names it.
        time: When the answer was ready, in UTC.
        version: The version that answered, such as "3".
        interface: By which the request came: predict, stream, completions, chat, v2, grpc, or vertex for the log of
            Vertex AI.
        latency_ms: From the request's body to the answer, in milliseconds: of the whole request, if it has several
            texts. 0 where it is not known.
        source_characters: Characters of the text.
        source_tokens: Tokens of the text, without the end of sentence; -1 where the model has no tokenizer on the host.
        output_characters: Characters of the output.
        output_tokens: Tokens of the output, without the end of sentence: as the model returned them, else those of the
            tokenizer on the host; -1 without both.
        unknown_tokens: Tokens of the text that are unknown, or bytes of characters that have no token; -1 as above.
        script: The Unicode script of most of its letters, such as Latin, Han or Cyrillic; Common without letters.
        language: The language that the text is likely in, by ISO 639-1; null where it was not identified: a text
            without enough letters, or one of more texts a second than are identified.
        truncated: Whether the text exceeded the model's limit and was truncated.
        empty: Whether the output is empty or white space.
        copied: Whether the output equals the text, spaces around them aside, and is not empty.
        score: The output's log probability, normalised by length; null if there is none.
        token_buckets: The id modulo 1024 (`TOKEN_BUCKETS`) of each token of the text, sorted; empty where the model
            has no tokenizer on the host.
        source: The text; null unless texts are kept.
        output: The output; null unless texts are kept.
        slice: A label that the client sent; null without one.
    """

    id: str
    time: datetime
    version: str
    interface: str
    latency_ms: float
    source_characters: int
    source_tokens: int
    output_characters: int
    output_tokens: int
    unknown_tokens: int
    script: str
    language: str | None
    truncated: bool
    empty: bool
    copied: bool
    score: float | None
    token_buckets: Sequence[int] | npt.NDArray[np.int16]
    source: str | None = None
    output: str | None = None
    slice: str | None = None


SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", TIME, nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("interface", pa.string(), nullable=False),
        pa.field("latency_ms", pa.float32(), nullable=False),
        *(
            pa.field(name, pa.int32(), nullable=False)
            for name in ("source_characters", "source_tokens", "output_characters", "output_tokens", "unknown_tokens")
        ),
        pa.field("script", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        *(pa.field(name, pa.bool_(), nullable=False) for name in ("truncated", "empty", "copied")),
        pa.field("score", pa.float32()),
        pa.field("token_buckets", pa.list_(pa.int16()), nullable=False),
        pa.field("source", pa.string()),
        pa.field("output", pa.string()),
        pa.field("slice", pa.string()),
    ]
)

REQUESTS = RowLog("requests", SCHEMA, version=1)
table_of, write_requests, read_requests = REQUESTS.table_of, REQUESTS.write_rows, REQUESTS.read
