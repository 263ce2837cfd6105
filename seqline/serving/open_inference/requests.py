"""Reads the JSON of inference requests: specification/protocol/inference_rest.md."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from seqline.serving.answers import Parameters
from seqline.serving.contract import DecodingParameters
from seqline.serving.json_reader import LONGEST_NAME, JsonReader, invalid
from seqline.serving.limits import Limits
from seqline.serving.open_inference.tensors import (
    BINARY,
    Inference,
    parameters_of,
    require_input,
    require_outputs,
    require_texts,
)

LONGEST_ID = 256


class InferenceInput(BaseModel):
    """An input tensor: the model has one, named text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    shape: list[int] = Field(description="[n], or [n, 1].")
    datatype: str = Field(description="BYTES: texts in UTF-8.")
    parameters: dict[str, Any] | None = Field(default=None, description="None are supported.")
    data: list[str] | list[list[str]] = Field(description="The texts, flat or nested as in the shape.")


class InferenceOutput(BaseModel):
    """An output to return."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(description="text, score or cut.")
    parameters: dict[str, Any] | None = Field(default=None, description="None are supported.")


class InferenceBody(BaseModel):
    """The body of an inference request. A field that is null is absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str | None = Field(default=None, description="The response repeats it.")
    model_name: str | None = Field(
        default=None, description="The name in the address, which KServe's client repeats here."
    )
    parameters: DecodingParameters | None = Field(default=None, description="How to decode.")
    inputs: list[InferenceInput] = Field(min_length=1, max_length=1)
    outputs: list[InferenceOutput] | None = Field(default=None, description="The outputs to return; default: all.")


def parse_inference(content: bytes | bytearray, limits: Limits) -> Inference:
    """Reads an inference request.

    Args:
        content: JSON.
        limits: The server's limits.

    Raises:
        RequestError: If it is not JSON, has another structure or exceeds a limit; the message names the field.
    """
    return _Reader(content, limits).inference()


class _Reader(JsonReader):
    def inference(self) -> Inference:
        fields = self._fields(InferenceBody.model_fields)
        inputs = fields.get("inputs")
        if not inputs:
            raise invalid("inputs", "Field required")
        if len(inputs) > 1:
            raise invalid("inputs", f"has {len(inputs)} tensors; the model takes one, named text")
        outputs = require_outputs(fields.get("outputs", ()), "outputs")
        return Inference(
            inputs[0], fields.get("parameters", ()), fields.get("id", ""), outputs, fields.get("model_name", "")
        )

    def _id(self) -> str:
        return self._string("id", LONGEST_ID)

    def _model_name(self) -> str:
        return self._string("model_name", LONGEST_NAME)

    def _parameters(self) -> Parameters:
        known = {*DecodingParameters.model_fields, "binary_data_output"}
        names = self._object("parameters", known)
        return parameters_of({name: self._parameter(f"parameters.{name}") for name in names})

    def _parameter(self, path: str) -> Any:
        return self._string(path, LONGEST_NAME) if self._next() == b'"' else self._scalar(path)

    def _inputs(self) -> list[list[str]]:
        return self._array("inputs", lambda path, _: self._input(path))

    def _input(self, path: str) -> list[str]:
        found: dict[str, Any] = {}
        for name in self._object(path, InferenceInput.model_fields):
            if name == "parameters" and self._null():
                continue
            found[name] = getattr(self, f"_input_{name}")(f"{path}.{name}")
        for name in ("name", "datatype", "shape", "data"):
            if name not in found:
                raise invalid(f"{path}.{name}", "Field required")
        require_input(found["name"], found["datatype"], path)
        require_texts(found["shape"], len(found["data"]), path)
        return list(found["data"])

    def _input_name(self, path: str) -> str:
        return self._string(path, LONGEST_NAME)

    _input_datatype = _input_name

    def _input_shape(self, path: str) -> list[int]:
        return self._array(path, lambda where, _: self._size(where))

    def _size(self, path: str) -> int:
        value = self._scalar(path)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise invalid(path, "Input should be a whole number from 0 on")
        return value

    def _input_data(self, path: str) -> list[str]:
        return self._array(path, self._element)

    def _element(self, path: str, index: int) -> str:
        if self._next() != b"[":
            return self._checked(self._string(path, self._longest), index)
        row = self._array(path, lambda where, _: self._checked(self._string(where, self._longest), index))
        if len(row) != 1:
            raise invalid(path, f"has {len(row)} texts; a row has one")
        return row[0]

    def _input_parameters(self, path: str) -> None:
        for name in self._object(path, ("binary_data_size",)):
            raise invalid(f"{path}.{name}", BINARY)

    def _outputs(self) -> list[str]:
        return self._array("outputs", lambda path, _: self._output(path))

    def _output(self, path: str) -> str:
        found = ""
        for name in self._object(path, InferenceOutput.model_fields):
            if name == "name":
                found = self._string(f"{path}.name", LONGEST_NAME)
            elif not self._null():
                self._output_parameters(f"{path}.parameters")
        if not found:
            raise invalid(f"{path}.name", "Field required")
        return found

    def _output_parameters(self, path: str) -> None:
        for name in self._object(path, ("binary_data",)):
            if self._scalar(f"{path}.{name}") is not False:
                raise invalid(f"{path}.{name}", BINARY)
