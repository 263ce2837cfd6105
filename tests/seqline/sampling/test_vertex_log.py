"""Vertex AI's log of requests in BigQuery, as rows of the log of requests."""

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from seqline.sampling.features import Features
from seqline.sampling.vertex_log import Logged, rows_of

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
FEATURES = Features(lambda version: None)


def logged(request: list[Any], response: list[Any], id_: str = "17") -> Logged:
    return Logged(NOON, id_, "3", request, response)


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
    (row,), problems = rows_of([logged(request_payload, response_payload)], FEATURES, texts=True)
    assert problems == []
    assert (row.source, row.output, row.score, row.truncated) == ("dog", "Hund", -0.5, True)
    assert (row.version, row.interface, row.time, row.latency_ms, row.output_tokens) == ("3", "vertex", NOON, 0, -1)


def test_a_text_that_looks_like_a_number_is_a_text() -> None:
    (row,), _ = rows_of([logged(["12"], [ANSWER])], FEATURES, texts=True)
    assert row.source == "12"


def test_texts_are_left_out_or_redacted() -> None:
    one = logged(["dog"], [ANSWER])
    assert rows_of([one], FEATURES)[0][0].source is None
    assert rows_of([one], FEATURES, texts=True, redact=lambda text: "*")[0][0].output == "*"


def test_the_same_log_has_the_same_ids_and_each_text_its_own() -> None:
    one, other = logged(["dog", "cat"], [ANSWER, ANSWER]), logged(["dog"], [ANSWER], "18")
    first, second = (rows_of([one, other], FEATURES)[0] for _ in range(2))
    assert [row.id for row in first] == [row.id for row in second]
    assert len({row.id for row in first}) == 3


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
    rows, problems = rows_of(
        [logged(request_payload, response_payload), logged(["dog"], [ANSWER], "18")], FEATURES, texts=True
    )
    assert problems == [f"request 17 was skipped: {problem}"]
    assert [row.source for row in rows] == ["dog"]
