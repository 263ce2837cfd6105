"""Sampling of requests and feedback, over the real interfaces in this process."""

import asyncio
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.artifacts.feedback_log import read_feedback
from seqline.artifacts.request_log import read_requests
from seqline.endpoints.sampling import Sampling
from seqline.serving.answer_ids import Ids, id_of, is_sampled
from seqline.serving.answers import Counts
from seqline.serving.app import make_app
from seqline.serving.decoding import DEFAULTS, STREAMING
from seqline.serving.engine import Device
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.service import Service
from seqline.serving.sources import Desired
from seqline.serving.versions import Versions
from tests.servers import InProcess, StandInEngine, client, in_process, until


def engine() -> StandInEngine:
    made = StandInEngine("", ("serving_default", "parameters", *STREAMING))
    made.metadata["json"]["parameters"] = {"inputs": {each: {} for each in DEFAULTS}}
    made.metadata["description"] = {"decoding": {"max_output_length": 9, "beam_size": 1}}
    made.steps = [["Ein"], ["Ein Hund"]]
    made.counts = Counts(4, (3,), (True,))
    return made


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return read_requests(folder).table.to_pylist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sampled") / "samples"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[InProcess]:
    """A server that samples every answer, with its text."""
    sampling = Sampling(1.0, texts=True, folder=str(folder))
    with in_process({1: engine()}, sampling=sampling, body_bytes=100_000, text_characters=1000) as running:
        yield running


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A server that samples every answer, without its text."""
    sampling = Sampling(1.0, folder=str(tmp_path_factory.mktemp("quiet")))
    with in_process({1: engine()}, sampling=sampling) as running:
        yield running


def feedback(server: InProcess, **fields: Any) -> Any:
    return client.post(f"{server.url}/v1/feedback", json=fields)


def switched(server: InProcess, sampling: Sampling) -> None:
    wanted = server.versions.source.wanted = replace(server.versions.source.wanted, sampling=sampling)
    until(lambda: server.versions.applied == wanted)


def test_answers_of_all_interfaces_are_sampled_with_their_ids(tmp_path: Path) -> None:
    from seqline.serving.open_inference.messages import CLASSES

    with in_process({1: engine()}, sampling=Sampling(1.0, texts=True, folder=str(tmp_path))) as server:
        predicted = server.predict("Ein Hund", "ein Haus")
        first, second = (one["id"] for one in predicted.json()["predictions"])
        assert predicted.headers["x-answer-id"] == first
        assert second == f"{first}-1"
        columns = client.post(server.route, json={"inputs": ["a"]}).json()["outputs"]["id"]
        streamed = server.predict("dog", stream=True)
        done = json.loads(streamed.text.split("event: done\ndata: ")[1])["predictions"][0]["id"]
        assert streamed.headers["x-answer-id"] == done
        v2 = client.post(
            f"{server.url}/v2/models/m/infer",
            json={"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["x"]}]},
        )
        completion = client.post(f"{server.url}/v1/completions", json={"model": "m", "prompt": "x"})
        chat = client.post(
            f"{server.url}/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "x"}]}
        )
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            request = CLASSES["ModelInferRequest"](model_name="m")
            request.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"x")
            _, state = call.with_call(request.SerializeToString(), metadata=(("x-slice", "web"),))
            of_grpc = dict(state.trailing_metadata())["x-answer-id"]
    ids = {
        "predict": {first, second, *columns},
        "stream": {done},
        "v2": {v2.headers["x-answer-id"]},
        "completions": {completion.json()["id"].removeprefix("cmpl-")},
        "chat": {chat.json()["id"].removeprefix("chatcmpl-")},
        "grpc": {of_grpc},
    }
    rows = rows_of(tmp_path)
    by_interface = {kind: {row["id"] for row in rows if row["interface"] == kind} for kind in ids}
    assert (by_interface, len(rows)) == (ids, sum(map(len, ids.values())))
    by_id = {row["id"]: row for row in rows}
    assert {key: by_id[first][key] for key in ("version", "source", "output", "copied", "empty", "script")} == {
        "version": "1", "source": "Ein Hund", "output": "Ein Hund", "copied": True, "empty": False, "script": "Latin"
    }  # fmt: skip
    assert (by_id[first]["output_tokens"], by_id[first]["source_tokens"], by_id[first]["score"]) == (2, -1, 0.0)
    assert by_id[done]["output"] == "Ein Hund"
    assert (by_id[of_grpc]["slice"], by_id[first]["slice"]) == ("web", None)


def test_without_the_second_switch_no_text_is_stored(quiet: InProcess) -> None:
    answer = quiet.predict("confidential").json()["predictions"][0]
    folder = Path(quiet.versions.applied.sampling.folder)
    assert feedback(quiet, id=answer["id"], rating=1).status_code == 200
    switched(quiet, Sampling())
    # Sampling that is switched off while the server runs writes what it has.
    until(lambda: quiet.predict("more") and any(folder.glob("requests-*")) and any(folder.glob("feedback-*")))
    assert b"confidential" not in b"".join(path.read_bytes() for path in folder.iterdir())
    assert [(row["source"], row["output"], row["source_characters"]) for row in rows_of(folder)] == [(None, None, 12)]
    assert "id" not in quiet.predict("more").json()["predictions"][0]
    switched(quiet, Sampling(1.0, folder=str(folder)))
    until(lambda: "id" in quiet.predict("more").json()["predictions"][0])


def test_a_share_of_the_answers_is_sampled_as_their_ids_decide(tmp_path: Path) -> None:
    with in_process({1: engine()}, sampling=Sampling(0.25, folder=str(tmp_path))) as server:
        answered = server.predict(*map(str, range(400)))
    predictions, request = answered.json()["predictions"], answered.headers["x-answer-id"]
    ids = [one.get("id", "") for one in predictions]
    assert ids == [id_ if is_sampled(id_, 0.25) else "" for id_ in (id_of(request, index) for index in range(400))]
    assert {row["id"] for row in rows_of(tmp_path)} == {*filter(None, ids)}
    assert 60 <= len([*filter(None, ids)]) <= 140


def test_a_request_without_a_sampled_answer_is_answered_without_ids(tmp_path: Path) -> None:
    with in_process({1: engine()}, sampling=Sampling(1e-12, folder=str(tmp_path))) as server:
        answered, streamed = server.predict("a", "b"), server.predict("a", stream=True)
    assert (answered.status_code, streamed.status_code) == (200, 200)
    assert [set(one) for one in answered.json()["predictions"]] == [{"text", "score"}] * 2
    assert "event: done" in streamed.text
    assert not {"x-answer-id"} & {*answered.headers, *streamed.headers}
    assert rows_of(tmp_path) == []


@settings(max_examples=20)
@given(st.integers(1, 20), st.floats(0, 1))
def test_a_larger_share_samples_the_answers_of_a_smaller_one_too(texts: int, share: float) -> None:
    ids = [id_of(Ids.draw(1, 1.0).request, index) for index in range(texts)]
    assert all(is_sampled(id_, 1.0) and not is_sampled(id_, 0.0) for id_ in ids)
    assert {id_ for id_ in ids if is_sampled(id_, share / 2)} <= {id_ for id_ in ids if is_sampled(id_, share)}


def test_failed_requests_are_not_sampled(tmp_path: Path) -> None:
    failing = engine()
    failing.error = RuntimeError("broken")
    with in_process({1: failing}, sampling=Sampling(1.0, folder=str(tmp_path)), texts=2) as server:
        assert server.predict("a", "b", "c").status_code == 413
    assert rows_of(tmp_path) == []


def test_feedback_is_stored_with_what_was_served(tmp_path: Path) -> None:
    with in_process({1: engine()}, sampling=Sampling(1.0, texts=True, folder=str(tmp_path))) as server:
        id_ = server.predict("dog").json()["predictions"][0]["id"]
        fields = {"rating": -0.5, "correction": "Hund", "comment": "wrong", "source": "forged", "output": "forged"}
        response = feedback(server, id=id_, **fields)
        assert (response.status_code, response.json()) == (200, {"id": id_, "version": "1"})
        metrics = client.get(f"{server.url}/metrics").text
    (row,) = read_feedback(tmp_path).table.drop_columns("time").to_pylist()
    assert row == {
        "id": id_, "version": "1", "rating": -0.5, "correction": "Hund", "source": "dog", "output": "dog",
        "comment": "wrong",
    }  # fmt: skip
    assert 'seqline_feedback_rating_sum{version="1"} -0.5' in metrics
    assert 'seqline_feedback_rating_count{version="1"} 1.0' in metrics
    assert 'seqline_feedback_corrections_total{version="1"} 1.0' in metrics
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_the_id_of_a_chat_takes_feedback_as_it_is(server: InProcess) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    id_ = client.post(f"{server.url}/v1/chat/completions", json=body).json()["id"]
    assert feedback(server, id=id_, rating=1).status_code == 200


def test_a_stream_that_a_stop_sequence_ends_is_answered_and_takes_feedback(server: InProcess) -> None:
    sent = {"model": "m", "prompt": "x", "stop": ["Hund"], "temperature": 1, "stream": True}
    chunks = client.post(f"{server.url}/v1/completions", json=sent).text.split("data: ")
    assert feedback(server, id=json.loads(chunks[1])["id"], correction="y").status_code == 200
    metrics = client.get(f"{server.url}/metrics").text
    assert 'interface="stream",result="gone"' not in metrics


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"id": "0" * 32, "rating": 1}, 404, f"id: there is no sampled answer {'0' * 32}: it was not sampled"),
        ({"id": "1; drop", "rating": 1}, 400, "id: is not the ID of an answer; send the field id of a prediction"),
        ({"rating": 1}, 400, "id: Field required"),
        ({"id": "0" * 32}, 400, "body: set rating, correction or both"),
        ({"id": "0" * 32, "comment": "x"}, 400, "body: set rating, correction or both"),
        ({"id": "0" * 32, "rating": 1.5}, 400, "rating: must be a number from -1 to 1"),
        ({"id": "0" * 32, "rating": True}, 400, "rating: must be a number from -1 to 1"),
        ({"id": "0" * 32, "rating": "good"}, 400, "rating: Input should be a number or a boolean"),
        ({"id": "0" * 32, "correction": " "}, 400, "correction: is blank; write the better output, or omit it"),
        ({"id": "0" * 32, "correction": 1}, 400, "correction: Input should be a valid string"),
        ({"id": "0" * 32, "correction": "x" * 1001}, 413, "correction: has 1001 characters; the limit is 1000"),
        ({"id": "0" * 32, "rating": 1, "comment": "x" * 1001}, 413, "comment: has 1001 characters"),
        ({"id": "0" * 32, "rating": 1, "source": "x" * 99_000}, 413, "source: the string is too long"),
        ({"id": "0" * 32, "correction": "x" * 200_000}, 413, "the body has more than 100000 bytes"),
        ({"id": "0" * 32, "rating": 1, "version": "2"}, 400, "version: is unknown; available: "),
    ],
)
def test_feedback_that_cannot_be_taken_is_refused_with_the_field(
    server: InProcess, fields: dict[str, Any], status: int, message: str
) -> None:
    response = feedback(server, **fields)
    assert response.status_code == status
    assert response.json()["error"].startswith(message)


def test_feedback_on_one_answer_is_limited(server: InProcess) -> None:
    id_ = server.predict("dog").json()["predictions"][0]["id"]
    statuses = [feedback(server, id=id_, rating=1).status_code for _ in range(17)]
    assert statuses == [200] * 16 + [429]


def test_a_server_that_samples_nothing_takes_no_feedback() -> None:
    with in_process({1: engine()}) as server:
        predicted = server.predict("dog")
        assert "id" not in predicted.json()["predictions"][0]
        assert "x-answer-id" not in predicted.headers
        response = feedback(server, id="0" * 32, rating=1)
    assert response.status_code == 404
    assert "does not sample answers, so it accepts no feedback; set serving.sample_requests" in response.json()["error"]


def test_feedback_while_the_first_version_loads_is_refused_and_the_sampler_stays(tmp_path: Path) -> None:
    sampling = Sampling(1.0, folder=str(tmp_path))
    source: Any = SimpleNamespace(desired=lambda: Desired({1: 100}, sampling=sampling), model=lambda version: None)
    versions, limits = Versions(source, Limits(), Device(1, 1)), Limits()
    service = Service("m", versions, limits, Metrics())

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(service, "/healthz", None))
        async with httpx.AsyncClient(transport=transport, base_url="http://m") as sender:
            return await sender.post("/v1/feedback", json={"id": "0" * 32, "rating": 1})

    service.start()
    try:
        refused = asyncio.run(send())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        versions.applied = source.desired()
        assert service.sampler
        assert "there is no sampled answer" in asyncio.run(send()).json()["error"]
    finally:
        service.close()


def test_a_folder_that_cannot_be_made_stops_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with in_process({1: engine()}, sampling=Sampling(1.0, folder=str(tmp_path / "file" / "samples"))) as server:
        assert server.predict("dog").status_code == 200
    assert "answers are not sampled: " in caplog.text
