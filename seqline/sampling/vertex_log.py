"""Rows of the log of requests from Vertex AI's own log in BigQuery, which `serving.log_requests` turns on.

Vertex writes a row for each request that it logs, with the columns endpoint, deployed_model_id, logging_time,
request_id, and request_payload and response_payload, lists of strings of JSON:
https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging. That is not verified (docs/vertex.md), so
both forms are read: elements that are instances and predictions, and elements that are whole bodies.

What the log does not have: the version and interface of the server, latency, and slices; the reader says the version.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from seqline.sampling.features import Features, Sample, with_texts

INTERFACE = "vertex"
_NAMESPACE = uuid.UUID("5d2a7a3e-6f0d-4a55-9d5e-0f6f4b8b8f11")


@dataclass(frozen=True)
class Logged:
    """A row of the log.

    Attributes:
        time: logging_time, with its time zone.
        request_id: request_id.
        version: The version that deployed_model_id is.
        request: request_payload: strings of JSON, or values.
        response: response_payload, likewise.
    """

    time: datetime
    request_id: str
    version: str
    request: Sequence[Any]
    response: Sequence[Any]


def rows_of(
    logged: Sequence[Logged],
    features: Features,
    texts: bool = False,
    redact: Callable[[str | None], str | None] = lambda text: text,
) -> tuple[pa.Table, list[str]]:
    """Computes the rows of the log of requests.

    Args:
        logged: Rows of Vertex's log.
        features: Computes what is in a row, with the tokenizers of the versions.
        texts: Whether the rows get the texts too.
        redact: What the texts pass before.

    Returns:
        A table with a row for each text, and a message for each request that is not in the form of this server, which
        has none.
    """
    samples, problems = [], []
    for one in logged:
        try:
            samples += _samples(one)
        except _OtherFormError as error:  # noqa: PERF203 (a request is a batch of texts)
            problems.append(f"request {one.request_id} was skipped: {error}")
    table = features.table(samples)
    if texts:
        sources = [redact(sample.source) for sample in samples]
        table = with_texts(table, sources, [redact(sample.output) for sample in samples])
    return table, problems


class _OtherFormError(Exception):
    pass


def _samples(logged: Logged) -> list[Sample]:
    sources = [_source(value) for value in _values(logged.request, "instances", "inputs")]
    answers = [_answer(value) for value in _values(logged.response, "predictions", "outputs")]
    if len(sources) != len(answers):
        raise _OtherFormError(f"it has {len(sources)} texts and {len(answers)} answers")
    samples = []
    for index, (source, answer) in enumerate(zip(sources, answers, strict=True)):
        # The same log gives the same ids, so that reading it twice adds no row.
        id_ = uuid.uuid5(_NAMESPACE, f"{logged.request_id}/{index}").hex
        score = answer.get("score")
        samples.append(
            Sample(
                id_,
                logged.time.timestamp(),
                logged.version,
                INTERFACE,
                0.0,
                source,
                answer["text"],
                truncated=answer.get("cut") is True,
                score=score if isinstance(score, float | int) else None,
            )
        )
    return samples


def _values(payload: Sequence[Any], rows: str, columns: str) -> Iterator[Any]:
    """The instances or predictions: elements of the payload, or of the bodies that its elements are."""
    for element in payload:
        value = _parsed(element)
        if isinstance(value, Mapping) and isinstance(value.get(rows), list):
            yield from value[rows]
        elif isinstance(value, Mapping) and columns in value:
            yield from _by_row(value[columns])
        elif isinstance(value, Mapping) and "error" in value:
            raise _OtherFormError("it was answered with an error")
        else:
            yield value


def _parsed(element: Any) -> Any:
    if not isinstance(element, str):
        return element
    try:
        value = json.loads(element)
    except ValueError:
        return element  # an instance that is a text, as it is
    # A text such as "12" is one, though it is JSON of a number.
    return value if isinstance(value, dict | list | str) else element


def _by_row(columns: Any) -> Iterator[Any]:
    """The rows of a body in columns, which may also be a list of texts, or one."""
    if isinstance(columns, Mapping):
        lists = {name: column if isinstance(column, list) else [column] for name, column in columns.items()}
        for index in range(len(lists.get("text", ()))):
            yield {name: column[index] for name, column in lists.items() if index < len(column)}
    else:
        yield from columns if isinstance(columns, list) else [columns]


def _source(value: Any) -> str:
    if isinstance(value, Mapping) and "b64" in value:
        import base64

        try:
            return base64.b64decode(str(value["b64"])).decode()
        except ValueError:
            raise _OtherFormError("a text is not base64 of UTF-8") from None
    if isinstance(value, Mapping) and "text" in value:
        return _source(value["text"])
    if not isinstance(value, str):
        raise _OtherFormError(f"an instance is a {type(value).__name__}, not a text")
    return value


def _answer(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        raise _OtherFormError("an answer has no text")
    return dict(value)
