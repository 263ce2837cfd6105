"""Decoding parameters and streams, with an exported model."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

from seqline.serving import decoding
from seqline.serving import grpc_messages as messages
from seqline.serving.answers import Parameters
from seqline.serving.limits import Limits
from seqline.serving.request_body import parse_body
from seqline.serving.request_errors import RequestError
from tests.servers import Server, client, running_as_data
from tests.sharing import running_once

TAKEN: dict[str, Any] = {"inputs": {name: {} for name in ("text", *decoding.DEFAULTS)}}
METADATA = {
    "json": {"serving_default": {}, "parameters": TAKEN, "stream_start": {}, "stream_next": {}},
    "description": {"decoding": {"beam_size": 4, "max_output_length": 16, "length_penalty": 0.6}},
}
TEXTS = ["one house", "red tree and river", ""]


@pytest.mark.parametrize(
    "given",
    [
        (("beam_size", 8), ("n_best", 8)),
        (("n_best", 4),),
        (("n_best", 3), ("sampling", True)),
        (("sampling", True), ("seed", 3), ("top_k", 5)),
        (("max_output_length", 16), ("min_output_length", 16)),
    ],
)
def test_parameters_within_the_limits_are_accepted(given: Parameters) -> None:
    decoding.check(given, METADATA, Limits(beam=8))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((("beam_size", 9),), "parameters.beam_size: 9 is too high; the limit is 8"),
        ((("n_best", 5), ("beam_size", 8)), "parameters.n_best: 5 is too high; the limit is 4"),
        ((("n_best", 3), ("beam_size", 2)), "parameters.n_best: 3 is above beam_size, 2"),
        ((("max_output_length", 17),), "parameters.max_output_length: 17 is above the model's limit of 16"),
        (
            (("max_output_length", 2), ("min_output_length", 3)),
            "parameters.min_output_length: is above max_output_",
        ),
        ((("temperature", 0.5),), "parameters.temperature: has no effect without sampling"),
        ((("beam_size", 2), ("sampling", True)), "parameters.beam_size: sampling has no beam; omit it"),
    ],
)
def test_parameters_beyond_the_limits_are_rejected_by_name(given: Parameters, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decoding.check(given, METADATA, Limits(beam=8, results=4))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"instances": ["a"], "parameters": {"beam_size": 2.5}}', "parameters.beam_size"),
        (b'{"instances": ["a"], "parameters": {"beam_size": true}}', "parameters.beam_size"),
        (b'{"instances": ["a"], "parameters": {"top_p": 0}}', "parameters.top_p"),
        (b'{"instances": ["a"], "parameters": {"beam": 2}}', "parameters.beam"),
    ],
)
def test_an_invalid_parameter_is_named(body: bytes, field: str) -> None:
    with pytest.raises(RequestError, match=field):
        parse_body(body, Limits())


def test_whole_numbers_of_vertex_clients_are_accepted() -> None:
    body = b'{"instances": ["a"], "parameters": {"beam_size": 4.0, "length_penalty": 1}}'
    assert parse_body(body, Limits()).parameters == (("beam_size", 4), ("length_penalty", 1.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [((("beam_size", 2),), "streaming has no beam"), ((("n_best", 2),), "streaming has one result")],
)
def test_a_stream_has_one_hypothesis(given: Parameters, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decoding.check(given, METADATA, Limits(), streaming=True)


def test_a_model_without_the_signatures_rejects_parameters_and_streams(server: Server) -> None:
    response = client.post(server.route, json={"instances": ["a"], "parameters": {"beam_size": 2}})
    assert (response.status_code, response.json()["error"]) == (
        400,
        "parameters: this version's model has no signature parameters; export it again",
    )
    response = client.post(server.route, json={"instances": ["a"], "stream": True})
    assert (response.status_code, response.json()["error"]) == (
        400,
        "stream: this version's model has no signature stream_next; export it again",
    )
    assert client.post(server.route, json={"instances": ["a"], "parameters": {}}).status_code == 200


@pytest.fixture(scope="session")
def exported(exported_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model that has all signatures."""
    model = str(exported_model)
    with running_once(
        tmp_path_factory, "exported-server", lambda folder: running_as_data(folder, model, "--max-beam", "8")
    ) as data:
        yield Server(**data)


def predict(server: Server, texts: list[str], **parameters: Any) -> list[dict[str, Any]]:
    answer = client.post(server.route, json={"instances": texts, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["predictions"])


def stream(server: Server, texts: list[str], **parameters: Any) -> list[tuple[str, dict[str, Any]]]:
    """The events: kind and data."""
    events, kind = [], ""
    body = {"instances": texts, "parameters": parameters, "stream": True}
    with client.stream("POST", server.route, json=body) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-model-version"] == "1"
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                events.append((kind, json.loads(value)))
    return events


@pytest.mark.e2e
def test_concurrent_requests_are_answered_with_their_own_parameters(exported: Server) -> None:
    requests: list[dict[str, Any]] = [{}, {"beam_size": 1}, {"beam_size": 8}, {"max_output_length": 2}] * 4
    alone = {json.dumps(parameters): predict(exported, TEXTS, **parameters) for parameters in requests[:4]}
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda parameters: predict(exported, TEXTS, **parameters), requests))
    for parameters, answer in zip(requests, answers, strict=True):
        expected = alone[json.dumps(parameters)]
        assert [one["text"] for one in answer] == [one["text"] for one in expected]
        assert [one["score"] for one in answer] == pytest.approx([one["score"] for one in expected], abs=1e-4)
    assert alone['{"max_output_length": 2}'] != alone["{}"]


@pytest.mark.e2e
def test_n_best_returns_alternatives_sorted_by_score(exported: Server) -> None:
    (answer,) = predict(exported, ["one house and tree"], beam_size=4, n_best=4)
    scores = [answer["score"], *(other["score"] for other in answer["alternatives"])]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert len({answer["text"], *(other["text"] for other in answer["alternatives"])}) > 1


@pytest.mark.e2e
def test_grpc_takes_the_scalars_of_the_signature_and_returns_its_shape(exported: Server) -> None:
    request = messages.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "model", "parameters"
    tensor = request.inputs.add(key="text").value
    tensor.dtype, tensor.string_val[:] = messages.DT_STRING, [b"one house", b"tree"]
    tensor.tensor_shape.dim.add(size=2)
    for name in ("beam_size", "n_best"):
        scalar = request.inputs.add(key=name).value
        scalar.dtype, scalar.int_val[:] = messages.DT_INT32, [3]
    with grpc.insecure_channel(f"127.0.0.1:{exported.grpc_port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        response = messages.PredictResponse.FromString(call(request.SerializeToString()))
    outputs = {entry.key: entry.value for entry in response.outputs}
    assert [dim.size for dim in outputs["text"].tensor_shape.dim] == [2, 3]
    expected = predict(exported, ["one house", "tree"], beam_size=3, n_best=3)
    flat = [text for one in expected for text in (one["text"], *(other["text"] for other in one["alternatives"]))]
    assert [text.decode() for text in outputs["text"].string_val] == flat


@pytest.mark.e2e
def test_the_same_seed_gives_the_same_sample_and_no_seed_a_new_one(exported: Server) -> None:
    def sample(**parameters: Any) -> str:
        return str(predict(exported, ["one house and tree"], sampling=True, temperature=2.0, **parameters)[0]["text"])

    assert sample(seed=5) == sample(seed=5)
    assert len({sample() for _ in range(6)}) > 1


@pytest.mark.e2e
@pytest.mark.parametrize("sampling", [{}, {"sampling": True, "seed": 3, "min_output_length": 8}])
def test_a_stream_s_deltas_add_up_to_the_answer_without_streaming(exported: Server, sampling: dict[str, Any]) -> None:
    *deltas, (kind, done) = stream(exported, TEXTS, **sampling)
    assert kind == "done"
    assert {kind for kind, _ in deltas} <= {""}
    at_once = predict(exported, TEXTS, **(sampling or {"beam_size": 1}))
    for index, answer in enumerate(at_once):
        text = "".join(event["delta"] for _, event in deltas if event["index"] == index)
        assert text == done["predictions"][index]["text"] == answer["text"]
        assert done["predictions"][index]["score"] == pytest.approx(answer["score"], abs=1e-4)
    if sampling:
        assert len(deltas) > len(TEXTS)  # in several deltas


@pytest.mark.e2e
def test_a_stream_takes_parameters_and_rejects_invalid_ones_with_a_status(exported: Server) -> None:
    _, done = stream(exported, ["one house"], max_output_length=1)[-1]
    assert (
        done["predictions"][0]["text"] == predict(exported, ["one house"], beam_size=1, max_output_length=1)[0]["text"]
    )
    sampled = [stream(exported, ["one house"], sampling=True, seed=3)[-1] for _ in range(2)]
    assert sampled[0] == sampled[1]
    body = {"instances": ["one"], "stream": True, "parameters": {"beam_size": 2}}
    assert client.post(exported.route, json=body).status_code == 400


@pytest.fixture(scope="module")
def api(exported: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{exported.port}/v1", api_key="none", max_retries=0) as made:
        yield made


def streamed(api: openai.OpenAI, **fields: Any) -> tuple[str, str, Any]:
    """Text, reason and usage of a stream."""
    options: Any = {"include_usage": True}
    chunks = list(api.completions.create(model="model", stream=True, stream_options=options, **fields))
    *choices, last = chunks
    text = "".join(chunk.choices[0].text for chunk in choices)
    return text, str(choices[-1].choices[0].finish_reason), last.usage


@pytest.mark.e2e
@pytest.mark.parametrize("fields", [{}, {"max_tokens": 1}, {"min_tokens": 5, "max_tokens": 5}])
def test_a_stream_and_a_whole_answer_count_the_same_tokens(api: openai.OpenAI, fields: dict[str, Any]) -> None:
    # With a temperature this low, sampling is greedy; without one, the whole answer would be a beam search.
    given = {"prompt": "red tree and river", "temperature": 0.01, "seed": 1, "extra_body": {}, **fields}
    given["extra_body"] = {"min_tokens": given.pop("min_tokens")} if "min_tokens" in given else {}
    whole = api.completions.create(model="model", **given)
    choice = whole.choices[0]
    assert streamed(api, **given) == (choice.text, choice.finish_reason, whole.usage)
    assert whole.usage is not None
    assert whole.usage.prompt_tokens > 1
    most = fields.get("max_tokens", 16)
    assert whole.usage.completion_tokens <= most
    if "min_tokens" in fields or most == 1:
        assert (whole.usage.completion_tokens, choice.finish_reason) == (most, "length")


@pytest.mark.e2e
def test_a_stop_sequence_ends_an_output_early(api: openai.OpenAI) -> None:
    given: Any = {"prompt": "red tree and river", "temperature": 0.01, "seed": 1, "extra_body": {"min_tokens": 8}}
    whole = api.completions.create(model="model", **given)
    text = whole.choices[0].text
    stop = text[len(text) // 2]
    ended = api.completions.create(model="model", stop=stop, **given)
    assert (ended.choices[0].text, ended.choices[0].finish_reason) == (text[: text.index(stop)], "stop")
    assert ended.usage is not None
    assert whole.usage is not None
    assert ended.usage.completion_tokens < whole.usage.completion_tokens
    assert streamed(api, stop=stop, **given)[:2] == (ended.choices[0].text, "stop")
