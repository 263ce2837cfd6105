"""Blank texts have blank answers, in their position; the model is not asked."""

from collections.abc import Iterator

import pytest

from seqline.serving.answers import Answer
from seqline.serving.blank_texts import Asked
from seqline.serving.decoding import STREAMING
from tests.servers import InProcess, StandInEngine, client, in_process

METADATA = {"description": {}}


@pytest.fixture(scope="module")
def server() -> Iterator[InProcess]:
    engine = StandInEngine("one ", ("serving_default", *STREAMING))
    engine.steps = [["one"], ["one more"]]
    with in_process({1: engine}) as server:
        yield server


def test_a_blank_text_has_a_blank_answer_in_its_position(server: InProcess) -> None:
    blank = ["", " ", "\u200b", "\u2028\t\x00", "\u3000\ufeff"]
    answers = server.predict("a", *blank, "b").json()["predictions"]
    assert [answer["text"] for answer in answers] == ["one a", "", "", "", "", "", "one b"]
    assert [answer["score"] for answer in answers] == [0.0] * 7


def test_a_request_of_blank_texts_or_of_none_is_answered(server: InProcess) -> None:
    assert [answer["text"] for answer in server.predict("", " ").json()["predictions"]] == ["", ""]
    assert server.predict().json() == {"predictions": []}


@pytest.mark.parametrize(("texts", "end"), [(["", "a"], '"one more"'), ([" "], '"text":""')])
def test_a_stream_has_blank_answers_too(texts: list[str], end: str, server: InProcess) -> None:
    answered = client.post(server.route, json={"instances": texts, "stream": True})
    assert answered.status_code == 200
    assert end in answered.text.replace(": ", ":")


def test_a_model_without_prompts_is_asked_blank_texts() -> None:
    assert Asked(["", "a"], (), {"description": {"without_prompt": True}}).texts == ["", "a"]
    assert Asked(["", "a"], (), METADATA).texts == ["a"]


def test_a_blank_text_has_as_many_results_as_the_others() -> None:
    asked = Asked(["", "a"], (("n_best", 2),), METADATA)
    other = Answer("A", -1.0, (("B", -2.0),))
    blank, given = asked.completed([other])
    assert given == other
    assert (blank.text, blank.alternatives) == ("", (("", 0.0),))
