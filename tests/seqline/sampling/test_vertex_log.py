"""Vertex AI's log of requests in BigQuery, as rows of the log of requests."""

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest

from seqline.artifacts.request_log import REQUESTS, SampledRequest
from seqline.sampling.features import Features
from seqline.sampling.vertex_log import Logged, rows_of

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
FEATURES = Features(lambda version: None)


def logged(request: list[Any], response: list[Any], id_: str = "17") -> Logged:
    return Logged(NOON, id_, "3", request, response)


def requests(table: pa.Table) -> list[SampledRequest]:
    return [SampledRequest(**row) for row in table.to_pylist()]


ANSWER = {"text": "Hund", "score": -0.5, "cut": True}


@pytest.mark.parametrize(
    ("request_payload", "response_payload"),
    [
        (['"dog"'], [json.dumps(ANSWER)]),
        (["dog"], [json.dumps(ANSWER)]),
        ([json.dumps({"text": "dog"})], [json.dumps(ANSWER)]),
        ([json.dumps({"b64": base64.b64encode(b"dog").decode()})], [json.dumps(ANSWER)]),
        ([json.dumps({"instances": ["dog"]})], [json.dumps({"predictions": [ANSWER]})]),
        ([{"instances": [{"text": "dog"}]}], [{"predictions": [ANSWER]}]),
        (
            [json.dumps({"inputs": {"text": ["dog"]}})],
            [json.dumps({"outputs": {"text": ["Hund"], "score": [-0.5], "cut": [True]}})],
        ),
        ([json.dumps({"inputs": "dog"})], [json.dumps({"predictions": [ANSWER]})]),
    ],
)
def test_each_form_of_a_request_has_the_same_row(request_payload: list[Any], response_payload: list[Any]) -> None:
    found, problems = rows_of([logged(request_payload, response_payload)], FEATURES, texts=True)
    assert problems == []
    (row,) = requests(found)
    assert (row.source, row.output, row.score, row.truncated) == ("dog", "Hund", -0.5, True)
    assert (row.version, row.interface, row.time, row.latency_ms, row.output_tokens) == ("3", "vertex", NOON, 0, -1)


def test_a_text_that_looks_like_a_number_is_a_text() -> None:
    found, _ = rows_of([logged(["12"], [ANSWER])], FEATURES, texts=True)
    assert found["source"].to_pylist() == ["12"]


def test_texts_are_left_out_or_redacted() -> None:
    one = logged(["dog"], [ANSWER])
    assert rows_of([one], FEATURES)[0]["source"].to_pylist() == [None]
    assert rows_of([one], FEATURES, texts=True, redact=lambda text: "*")[0]["output"].to_pylist() == ["*"]


def test_the_same_log_has_the_same_ids_and_each_text_its_own() -> None:
    one, other = logged(["dog", "cat"], [ANSWER, ANSWER]), logged(["dog"], [ANSWER], "18")
    first, second = (rows_of([one, other], FEATURES)[0]["id"].to_pylist() for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


@pytest.mark.parametrize(
    ("request_payload", "response_payload", "problem"),
    [
        (["dog", "cat"], [ANSWER], "it has 2 texts and 1 answers"),
        ([[1, 2]], [ANSWER], "an instance is a list, not a text"),
        (["dog"], ["Hund"], "an answer has no text"),
        (["dog"], [{"error": "busy"}], "it was answered with an error"),
        ([{"b64": "/w=="}], [ANSWER], "a text is not base64 of UTF-8"),
    ],
)
def test_a_request_in_another_form_is_named_and_the_others_are_read(
    request_payload: list[Any], response_payload: list[Any], problem: str
) -> None:
    found, problems = rows_of(
        [logged(request_payload, response_payload), logged(["dog"], [ANSWER], "18")], FEATURES, texts=True
    )
    assert problems == [f"request 17 was skipped: {problem}"]
    assert found["source"].to_pylist() == ["dog"]


def test_a_log_without_a_request_has_no_rows() -> None:
    found, problems = rows_of([], FEATURES, texts=True)
    assert (found.num_rows, found.schema, problems) == (0, REQUESTS.schema, [])
