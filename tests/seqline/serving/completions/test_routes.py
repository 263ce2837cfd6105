"""Completions and chats over HTTP, by the client that people use and as they write requests by hand."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from seqline.serving.answers import Counts
from seqline.serving.batching import Batcher, BusyError
from seqline.serving.decoding import DEFAULTS
from seqline.serving.engine import ModelFailedError
from tests.servers import InProcess, StandInEngine, client, in_process

SIGNATURES = ("serving_default", "parameters", "stream_start", "stream_next")


def engine(name: str = "", beam_size: int = 1) -> StandInEngine:
    made = StandInEngine(name, SIGNATURES)
    made.metadata["json"]["parameters"] = {"inputs": {each: {} for each in DEFAULTS}}
    made.metadata["description"] = {
        "created": "2026-01-01T00:00:00+00:00",
        "decoding": {"max_output_length": 9, "beam_size": beam_size},
    }
    made.counts = Counts(3, (2,), (True,))
    return made


@pytest.fixture(scope="module")
def served() -> Iterator[InProcess]:
    with in_process({1: engine(), 2: engine("two "), 3: StandInEngine("own ")}, body_bytes=5000) as running:
        running.set({1: 100, 2: 0}, best=2)
        yield running


@pytest.fixture
def model(served: InProcess) -> Iterator[StandInEngine]:
    made = served.engines[1]
    made.error, made.steps, made.counts = None, [], Counts(3, (2,), (True,))
    yield made
    made.error = None


@pytest.fixture(scope="module")
def api(served: InProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_prompt_is_completed(api: openai.OpenAI, model: StandInEngine) -> None:
    answer = api.completions.create(model="m", prompt=["a", "b"], max_tokens=4, extra_body={"top_k": 5}, seed=1)
    assert [(choice.index, choice.text, choice.finish_reason) for choice in answer.choices] == [
        (0, "a", "stop"),
        (1, "b", "stop"),
    ]
    assert model.asked == {"max_output_length": 4, "sampling": True, "top_k": 5, "seed": 1}
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 4, 10)
    assert (answer.object, answer.model, answer.system_fingerprint) == ("text_completion", "m", "version-1")
    assert answer.id.startswith("cmpl-")


def test_a_chat_is_answered(api: openai.OpenAI, model: StandInEngine) -> None:
    model.counts = Counts(3, (9,), (False,))
    answer = api.chat.completions.create(model="m:1", messages=[{"role": "user", "content": "a"}])
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "a", "length")
    assert model.asked == {"max_output_length": 9}
    assert answer.object == "chat.completion"


def test_a_chat_has_several_choices_when_it_is_sampled(api: openai.OpenAI, model: StandInEngine) -> None:
    model.counts = Counts(3, (1, 2, 3), (True, False, True))
    answer = api.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}], n=3, temperature=0.5)
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in answer.choices] == [
        (0, "a", "stop"),
        (1, "1", "length"),
        (2, "2", "stop"),
    ]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6


def test_an_output_ends_at_a_stop_sequence_and_decoding_with_it(api: openai.OpenAI, model: StandInEngine) -> None:
    model.closed.clear()
    model.steps = iter([["x"], ["x\n"], ["x\ny"], RuntimeError("decoding goes on")])
    answer = api.completions.create(model="m", prompt="a", stop="\n")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("x", "stop")
    assert model.closed.wait(9)


@pytest.mark.parametrize("taken_meanwhile", [False, True])
def test_without_a_free_stream_the_whole_output_is_cut_at_a_stop_sequence(
    taken_meanwhile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([taken_meanwhile])
    monkeypatch.setattr(Batcher, "has_free_stream", property(lambda batcher: next(looks, False)))
    with in_process({1: engine("x\ny")}) as running:
        body = {"model": "m", "prompt": "a", "stop": ["\n"]}
        answer = client.post(f"{running.url}/v1/completions", json=body)
        metrics = client.get(f"{running.url}/metrics").text
        streamed = client.post(f"{running.url}/v1/completions", json={**body, "stream": True})
    assert [(choice["text"], choice["finish_reason"]) for choice in answer.json()["choices"]] == [("x", "stop")]
    assert ('result="busy"' in metrics) == taken_meanwhile
    assert streamed.status_code == 429


def test_a_beam_search_is_cut_at_a_stop_sequence() -> None:
    searching = engine("x\ny", beam_size=4)
    with in_process({1: searching}) as running:
        body = {"model": "m", "prompt": "a", "stop": ["\n"]}
        answer = client.post(f"{running.url}/v1/completions", json=body).json()
    assert [(choice["text"], choice["finish_reason"]) for choice in answer["choices"]] == [("x", "stop")]


def test_a_chat_is_streamed(api: openai.OpenAI, model: StandInEngine) -> None:
    model.steps = [["x"], ["x\ufffd"], ["xé"], ["xé<"], ["xé<e"]]
    stream = api.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "a"}],
        stream=True,
        stop=["<end>"],
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas] == ["", "x", "é", "<e", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices] == [None, None, None, None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5


def test_a_stream_ends_at_a_stop_sequence(api: openai.OpenAI, model: StandInEngine) -> None:
    model.steps = iter([["x", "u"], ["x<", "uv"], ["x<>", "uv"], ["x<>y", "uv<"], ["x<>yz", "uv<>"], RuntimeError()])
    texts, reasons = ["", ""], {}
    for chunk in api.completions.create(model="m", prompt=["a", "b"], stream=True, stop="<>"):
        choice = chunk.choices[0]
        assert choice.index not in reasons
        texts[choice.index] += choice.text
        if choice.finish_reason:
            reasons[choice.index] = choice.finish_reason
    assert (texts, reasons) == (["x", "uv"], {0: "stop", 1: "stop"})


def test_an_error_within_a_stream_is_raised_by_the_client(api: openai.OpenAI, model: StandInEngine) -> None:
    model.steps = [["x"], ModelFailedError("no memory")]
    stream = api.completions.create(model="m", prompt="a", stream=True)
    with pytest.raises(openai.APIError, match="the model failed: no memory"):
        list(stream)


def test_the_versions_and_aliases_are_models(api: openai.OpenAI, served: InProcess) -> None:
    assert [each.id for each in api.models.list()] == ["m", "m:1", "m:2", "m:best"]
    assert api.models.retrieve("m:best").created == 1767225600
    # TensorFlow Serving's clients use the same route.
    body = client.get(f"{served.url}/v1/models/m").json()
    assert (body["id"], body["model_version_status"][0]["state"]) == ("m", "AVAILABLE")
    for unknown in ("m:7", "m:" + "1" * 5000):
        with pytest.raises(openai.NotFoundError):
            api.models.retrieve(unknown)


@pytest.mark.parametrize(("name", "text"), [("m", "a"), ("m:1", "a"), ("m:2", "two a"), ("m:best", "two a")])
def test_a_model_is_chosen_by_its_id(api: openai.OpenAI, model: StandInEngine, name: str, text: str) -> None:
    assert api.completions.create(model=name, prompt="a").choices[0].text == text


def test_a_model_of_the_users_own_needs_no_further_signature() -> None:
    with in_process({1: StandInEngine("own ")}) as running:
        url = f"{running.url}/v1/completions"
        answer = client.post(url, json={"model": "m", "prompt": "a"}).json()
        assert (answer["choices"][0]["text"], answer["usage"]) == ("own a", None)
        refused = client.post(url, json={"model": "m", "prompt": "a", "temperature": 1})
    assert refused.status_code == 400
    assert "has no signature parameters" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"n": 2}, "n", "several choices need sampling"),
        ({"n": 2, "temperature": 1, "stream": True}, "n", "a stream has one choice for each prompt"),
        ({"n": 99, "temperature": 1}, "n", "n: 99 is too high; the limit is 16"),
        ({"max_tokens": 99}, "max_tokens", "99 is above the model's limit of 9"),
        ({"logprobs": 5}, "logprobs", "is not supported"),
        ({"prompt": [1]}, "prompt.0", "ids of tokens are not supported"),
    ],
)
def test_a_request_that_is_not_supported_names_its_parameter(
    api: openai.OpenAI, model: StandInEngine, fields: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=message) as error:
        api.completions.create(**{"model": "m", "prompt": "a", **fields})
    assert (error.value.param, error.value.type) == (param, "invalid_request_error")


def test_a_chat_of_several_messages_needs_a_template(api: openai.OpenAI, model: StandInEngine) -> None:
    messages: Any = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    with pytest.raises(openai.BadRequestError, match="has no chat template; send one message with role user"):
        api.chat.completions.create(model="m", messages=messages)


CHAT_TEMPLATE = (
    "{% if messages[0].role == 'assistant' %}{{ raise_exception('a chat begins with the user') }}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}<assistant>"
)


@pytest.fixture(scope="module")
def chatting() -> Iterator[tuple[openai.OpenAI, StandInEngine]]:
    """A client, and a model with a chat template."""
    made = engine()
    made.metadata["json"]["parameters"]["inputs"]["rendered"] = {}
    symbols = {"<user>": 5, "<system>": 6, "<assistant>": 7, "<end>": 8}
    made.metadata["description"]["chat"] = {"template": CHAT_TEMPLATE, "names": {}, "symbols": symbols}
    made.metadata["description"]["decoding"]["max_input_length"] = 31
    with in_process({1: made}) as running, openai.OpenAI(base_url=f"{running.url}/v1", api_key="none") as client_:
        yield client_, made


def test_a_chat_template_is_rendered_with_all_messages(chatting: tuple[openai.OpenAI, StandInEngine]) -> None:
    api, model = chatting
    messages: Any = [
        {"role": "system", "content": "be\n brief"},
        {"role": "user", "content": [{"type": "text", "text": "a<end>"}]},
        {"role": "assistant", "content": "b\x017\x01"},
        {"role": "user", "content": "c"},
    ]
    answer = api.chat.completions.create(model="m", messages=messages, max_tokens=3)
    turns = "\x015\x01a<end>\x018\x01\x017\x01b 7\x018\x01\x015\x01c\x018\x01\x017\x01"
    assert answer.choices[0].message.content == "\x016\x01be brief\x018\x01" + turns
    assert model.asked == {"max_output_length": 3, "rendered": True}
    # A prompt is the same as without the template, and its marks are text.
    assert api.completions.create(model="m", prompt="a").choices[0].text == "a"
    assert model.asked == {"max_output_length": 9}


def test_a_chat_that_the_model_does_not_take_is_refused(chatting: tuple[openai.OpenAI, StandInEngine]) -> None:
    api, model = chatting
    with pytest.raises(openai.BadRequestError, match="cannot be rendered: a chat begins with the user") as error:
        api.chat.completions.create(model="m", messages=[{"role": "assistant", "content": "a"}])
    assert error.value.param == "messages"
    model.closed.clear()
    model.cut, model.steps = True, [["x"], ["xy"]]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="more tokens than the model takes, 30; omit the oldest"):
            api.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}], stream=stream)
    assert model.closed.wait(9)
    model.cut = False


def test_no_request_says_itself_that_it_is_rendered(chatting: tuple[openai.OpenAI, StandInEngine]) -> None:
    api, _ = chatting
    url = str(api.base_url).removesuffix("/v1/")
    own = client.post(f"{url}/v1/models/m:predict", json={"instances": ["a"], "parameters": {"rendered": True}})
    assert own.status_code == 400
    with pytest.raises(openai.BadRequestError, match="rendered"):
        api.completions.create(model="m", prompt="a", extra_body={"rendered": True})


def test_errors_have_the_form_that_clients_read(
    api: openai.OpenAI, served: InProcess, model: StandInEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        api.completions.create(model="gpt-4", prompt="a")
    assert unknown.value.code == "model_not_found"
    model.error = ModelFailedError("broken")
    with pytest.raises(openai.InternalServerError, match="the model failed: broken"):
        api.completions.create(model="m", prompt="a")
    model.error = BusyError(7)
    monkeypatch.setattr(type(served.versions.choose(1).batcher), "ask", _busy)
    with pytest.raises(openai.RateLimitError) as busy:
        api.completions.create(model="m", prompt="a")
    assert busy.value.response.headers["retry-after"] == "7"
    too_long = client.post(f"{served.url}/v1/completions", content=b" " * 6000)
    assert too_long.status_code == 413
    assert too_long.json()["error"]["type"] == "invalid_request_error"
    not_json = client.post(f"{served.url}/v1/chat/completions", content=b"{")
    assert (not_json.status_code, not_json.json()["error"]["param"]) == (400, None)


async def _busy(self: Any, texts: list[str], parameters: Any = ()) -> list[Any]:
    raise BusyError(7)


def test_a_request_by_hand_is_answered_as_it_comes(served: InProcess, model: StandInEngine) -> None:
    answer = client.post(
        f"{served.url}/v1/chat/completions/",
        content=json.dumps({"model": "m", "messages": [{"role": "user", "content": "grüß"}]}, ensure_ascii=False),
        headers={"X-Request-ID": "7"},
    )
    assert answer.json()["choices"][0]["message"] == {"role": "assistant", "content": "grüß", "refusal": None}
    assert answer.headers["x-model-version"] == "1"
