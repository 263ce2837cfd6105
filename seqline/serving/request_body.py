"""Reads the body of a prediction request, whose format is `seqline.serving.contract.PredictRequest`."""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from seqline.serving.answers import Parameters
from seqline.serving.body_encoding import unpack
from seqline.serving.contract import DecodingParameters, PredictRequest, read_parameters
from seqline.serving.json_reader import LONGEST_NAME, JsonReader, invalid
from seqline.serving.limits import Limits

# Larger bodies are read in a thread. It holds no lock of the interpreter for long: each call handles one string.
INLINE_BYTES = 16_384

T = TypeVar("T")

_thread = ThreadPoolExecutor(1, "request-bodies")


@dataclass(frozen=True)
class Body:
    """The content of a request.

    Attributes:
        texts: The inputs.
        parameters: The decoding parameters that it sets.
        stream: Whether to stream the answer.
        by_column: Whether the response is in columns, like the request.
    """

    texts: list[str]
    parameters: Parameters
    stream: bool
    by_column: bool


async def read_body(
    content: bytes | bytearray, limits: Limits, packed: bool, parse: Callable[[bytes | bytearray, Limits], T]
) -> T:
    """Reads a request's body; a large one in a thread, so that the event loop answers other requests meanwhile.

    Args:
        content: JSON, with any content type.
        limits: The server's limits.
        packed: Whether it is packed with gzip; then the limit of its size holds for what it unpacks to.
        parse: The function that reads the JSON, such as `parse_body`.

    Raises:
        RequestError: From `parse`, or if it cannot be unpacked.
    """

    def read() -> T:
        return parse(unpack(content, limits.body_bytes) if packed else content, limits)

    if len(content) <= INLINE_BYTES and not packed:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_thread, read)


def parse_body(content: bytes | bytearray, limits: Limits) -> Body:
    """Reads a request's body.

    Args:
        content: JSON.
        limits: The server's limits.

    Raises:
        RequestError: If it is not JSON, has another structure or exceeds a limit; the message names the field.
    """
    return _Parser(content, limits).body()


class _Parser(JsonReader):
    def body(self) -> Body:
        fields = self._fields(PredictRequest.model_fields)
        if len({"instances", "inputs"} & fields.keys()) != 1:
            raise invalid("body", "set either instances or inputs")
        by_column = "inputs" in fields
        texts = fields["inputs" if by_column else "instances"]
        return Body(texts, fields.get("parameters", ()), fields.get("stream", False), by_column)

    def _instances(self) -> list[str]:
        return self._array("instances", self._instance)

    def _inputs(self) -> list[str]:
        if self._next() != b"{":
            return self._column("inputs")
        found: list[list[str]] = []
        for name in self._object("inputs", ("text", "b64")):
            if found:
                raise invalid("inputs", "set either text or b64")
            found.append(self._column("inputs.text") if name == "text" else [self._base64("inputs.b64", 0)])
        if not found:
            raise invalid("inputs.text", "Field required")
        return found[0]

    def _column(self, path: str) -> list[str]:
        """The values of the only input; one without brackets is a column of one."""
        return self._array(path, self._value) if self._next() == b"[" else [self._value(path, 0)]

    def _instance(self, path: str, index: int) -> str:
        following = self._next()
        if following == b'"':
            return self._text(path, index)
        if following != b"{":
            raise invalid(path, "Input should be a text, or an object with text or b64")
        found: list[str] = []
        for name in self._object(path, ("text", "b64")):
            if found:
                raise invalid(path, "set either text or b64")
            found.append((self._value if name == "text" else self._base64)(f"{path}.{name}", index))
        if not found:
            raise invalid(f"{path}.text", "Field required")
        return found[0]

    def _value(self, path: str, index: int) -> str:
        """A text, or the object in which TensorFlow Serving's clients send bytes."""
        if self._next() != b"{":
            return self._text(path, index)
        found = [self._base64(f"{path}.{name}", index) for name in self._object(path, ("b64",))]
        if not found:
            raise invalid(f"{path}.b64", "Field required")
        return found[0]

    def _text(self, path: str, index: int) -> str:
        return self._checked(self._string(path, self._longest), index)

    def _base64(self, path: str, index: int) -> str:
        # TensorFlow Serving takes base64 without padding and with spaces too.
        encoded = "".join(self._string(path, self._longest).split()).rstrip("=")
        try:
            text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        except UnicodeDecodeError:
            raise invalid(path, "is base64 of bytes that are not UTF-8") from None
        except ValueError:
            hint = "; write + and / instead of - and _" if set(encoded) & set("-_") else ""
            raise invalid(path, f"is not base64{hint}") from None
        return self._checked(text, index)

    def _parameters(self) -> Parameters:
        names = self._object("parameters", DecodingParameters.model_fields)
        return read_parameters({name: self._scalar(f"parameters.{name}") for name in names}, "parameters.")

    def _stream(self) -> bool:
        value = self._scalar("stream")
        if not isinstance(value, bool):
            raise invalid("stream", "Input should be a valid boolean")
        return value

    def _signature_name(self) -> str:
        name = self._string("signature_name", LONGEST_NAME)
        if name not in ("", "serving_default"):
            raise invalid("signature_name", "Input should be 'serving_default'")
        return name
