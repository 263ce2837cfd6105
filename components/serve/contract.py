"""The bodies of requests and answers: Vertex's and TensorFlow Serving's."""

import base64
import binascii
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from components.serve.answers import Parameters
from components.serve.service import Answered, Cause, RefusalError


class Text(BaseModel):
    """An input as an object, as clients of other models send it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


class Base64(BaseModel):
    """An input as TensorFlow Serving's clients send bytes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    b64: str = Field(description="The text's UTF-8 bytes in base64.", json_schema_extra={"format": "byte"})


class DecodingParameters(BaseModel):
    """How to decode; what is left out is as the model was exported."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def given(self) -> Parameters:
        """The parameters that the request sets, sorted by name."""
        return tuple(sorted(self.model_dump(exclude_unset=True, exclude_none=True).items()))


class Columns(BaseModel):
    """Inputs by name, TensorFlow Serving's columnar form."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: list[str] | str


class PredictRequest(BaseModel):
    """The body of a prediction request: `instances` or `inputs`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}]},
    )

    instances: list[str | Text | Base64] = Field(default=[], description="The texts, or objects with the field text.")
    inputs: list[str] | Columns = Field(default=[], description="TensorFlow Serving's columnar form.")
    parameters: DecodingParameters = Field(default=DecodingParameters(), description="How to decode.")
    signature_name: Literal["serving_default"] = Field(default="serving_default", description="The only one.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "PredictRequest":
        if len({"instances", "inputs"} & self.model_fields_set) != 1:
            raise ValueError("give instances, or inputs")
        return self

    @property
    def by_column(self) -> bool:
        """Whether the answer is to be in columns, too."""
        return "inputs" in self.model_fields_set

    def texts(self) -> list[str]:
        """The texts.

        Raises:
            RefusalError: If base64 does not hold a text.
        """
        if self.by_column:
            texts = self.inputs.text if isinstance(self.inputs, Columns) else self.inputs
            return [texts] if isinstance(texts, str) else texts
        return [_text(instance, index) for index, instance in enumerate(self.instances)]


class Prediction(BaseModel):
    """An answer."""

    text: str
    score: float | None = Field(description="Log probability, normalised by length; higher is better.")


class PredictResponse(BaseModel):
    """The answers, in the order of the instances."""

    predictions: list[Prediction]


class PredictedColumns(BaseModel):
    """The answers by name, where the request was in columns."""

    text: list[str]
    score: list[float | None]


class ColumnarResponse(BaseModel):
    """The answers in columns, in the order of the inputs."""

    outputs: PredictedColumns


class Problem(BaseModel):
    """What a request that is not answered gets."""

    error: str = Field(description="What is wrong, and where.")


def read_request(body: bytes) -> PredictRequest:
    """Reads a request's body.

    Args:
        body: JSON, whatever its content type says.

    Raises:
        RefusalError: If it is none, or not of the form; the message names the field.
    """
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise RefusalError(Cause.INVALID, f"{place}: {first['msg'].removeprefix('Value error, ')}") from None


def response(answered: Answered, by_column: bool) -> dict[str, Any]:
    """Forms the answer's body.

    Args:
        answered: What the model said.
        by_column: TensorFlow Serving's columns instead of rows.
    """
    if by_column:
        return {
            "outputs": {
                "text": [answer.text for answer in answered.answers],
                "score": [answer.score for answer in answered.answers],
            }
        }
    return {"predictions": [{"text": answer.text, "score": answer.score} for answer in answered.answers]}


def _text(instance: str | Text | Base64, index: int) -> str:
    if isinstance(instance, str):
        return instance
    if isinstance(instance, Text):
        return instance.text
    try:
        return base64.b64decode(instance.b64, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise RefusalError(Cause.INVALID, f"instances.{index}.b64: is not UTF-8 text in base64") from None
