"""Messages of gRPC beyond the limits, over a real connection: they are refused before they are parsed or decoded."""

from collections.abc import Iterator

import grpc
import pytest

from seqline.serving import grpc_messages as messages
from seqline.serving.grpc_wire import check_size
from seqline.serving.limits import Limits
from seqline.serving.request_errors import RequestError
from tests.servers import InProcess, StandInEngine, in_process

REQUEST = messages.PredictRequest.DESCRIPTOR


@pytest.fixture(scope="module")
def server() -> Iterator[InProcess]:
    with in_process({1: StandInEngine()}, texts=4, text_characters=10, characters=25) as server:
        yield server


def predict(server: InProcess, strings: list[bytes], size: int) -> tuple[str, str]:
    """The status code and its details, or the answers."""
    message = messages.PredictRequest()
    message.model_spec.name = "m"
    tensor = message.inputs.add(key="text").value
    tensor.dtype, tensor.string_val[:] = messages.DT_STRING, strings
    tensor.tensor_shape.dim.add(size=size)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        try:
            response = messages.PredictResponse.FromString(call(message.SerializeToString(), timeout=60))
        except grpc.RpcError as error:
            return error.code().name, error.details()
    (texts,) = (entry.value.string_val for entry in response.outputs if entry.key == "text")
    return "OK", b" ".join(texts).decode()


def test_a_string_that_is_repeated_is_answered_once_for_each(server: InProcess) -> None:
    assert predict(server, [b"a"], 4) == ("OK", "a a a a")


@pytest.mark.parametrize(
    ("strings", "size", "words"),
    [
        # The strings are not UTF-8: an error of the limit shows that they were not decoded before.
        ([b"\xff"], 2**20, "too many texts in one request; the limit is 4"),
        ([b"\xff"], 5, "too many texts in one request; the limit is 4"),
        ([b"\xff"] * 5, 5, "too many texts in one request; the limit is 4"),
        ([b"\xff" * 44], 1, "text 0 has 11 characters; the limit is 10"),
        ([b"a" * 11], 1, "text 0 has 11 characters; the limit is 10"),
        ([b"a" * 9], 3, "too many characters in one request; the limit is 25"),
        ([b"a" * 9, b"b" * 9, b"c" * 9], 3, "too many characters in one request; the limit is 25"),
        # The shape is wrong: an error of the limit shows that the message was not parsed before.
        ([b""] * 1000, 3, "too many elements in one message; the limit is 4 texts"),
    ],
)
def test_a_limit_holds_before_the_message_is_parsed_or_a_string_is_decoded(
    server: InProcess, strings: list[bytes], size: int, words: str
) -> None:
    assert predict(server, strings, size) == ("INVALID_ARGUMENT", words)
    assert predict(server, [b"a"], 1) == ("OK", "a")


def test_a_negative_size_has_no_texts(server: InProcess) -> None:
    assert predict(server, [b"a"], -1) == ("INVALID_ARGUMENT", "text has 1 strings, but its shape is [-1]")


@pytest.mark.parametrize(
    "content",
    [
        b"\x12\x00" * 1000,  # empty inputs
        b"\x12\x0a\x12\x08" + b"\x42\x00" * 4 + b"\x12\x00" * 1000,
        b"\x12\xd6\x08\x12\xd3\x08\x52\xd0\x08" + b"\x00" * 1104,  # packed numbers
        b"\x18\x00" * 1000,  # an unknown field
    ],
)
def test_small_elements_count_whatever_their_field(content: bytes) -> None:
    with pytest.raises(RequestError, match="too many elements"):
        check_size(content, REQUEST, Limits(texts=4))


@pytest.mark.parametrize("content", [b"\x12", b"\x12\x05a", b"\x0b", b"\xff" * 20, b"\x12\x02\x0a\x7f"])
def test_a_malformed_message_is_refused(content: bytes) -> None:
    with pytest.raises(RequestError, match="malformed"):
        check_size(content, REQUEST, Limits())


def test_a_request_at_the_limits_is_within_the_size() -> None:
    message = messages.PredictRequest(output_filter=["text", "score"])
    message.inputs.add(key="text").value.string_val[:] = [b"a"] * 1024
    for number in range(12):
        message.inputs.add(key=str(number)).value.int64_val[:] = [2**62]
    check_size(message.SerializeToString(), REQUEST, Limits())
