"""The bodies of requests and answers: Vertex's and TensorFlow Serving's."""

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from seqline.serving.answers import Answer, Parameters
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Answered


def _whole(value: object) -> object:
    """A client of Vertex sends numbers as protobuf does: 4 arrives as 4.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


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

    beam_size: Whole | None = Field(default=None, ge=1, description="Hypotheses kept; 1 is greedy.")
    n_best: Whole | None = Field(default=None, ge=1, description="Results of each text; at most beam_size, or sampled.")
    min_output_length: Whole | None = Field(default=None, ge=0, description="Pieces, at least.")
    max_output_length: Whole | None = Field(default=None, ge=1, description="Pieces, at most.")
    length_penalty: float | None = Field(default=None, ge=0, le=10, description="Exponent of the length in the score.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=10, description="1 for none.")
    no_repeat_ngram_size: Whole | None = Field(default=None, ge=0, le=64, description="0 for no such rule.")
    sampling: bool | None = Field(default=None, description="Draw pieces in the place of searching for the best.")
    temperature: float | None = Field(default=None, ge=0.01, le=10, description="Of sampling.")
    top_k: Whole | None = Field(default=None, ge=0, le=2**31 - 1, description="Of sampling; 0 for all pieces.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Of sampling; 1 for all pieces.")
    seed: Whole | None = Field(
        default=None, ge=0, le=2**31 - 1, description="Of sampling: same text and seed, same output; else at random."
    )

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
    stream: bool = Field(default=False, description="Answer by server-sent events, piece by piece.")
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
            RequestError: If base64 does not hold a text.
        """
        if self.by_column:
            texts = self.inputs.text if isinstance(self.inputs, Columns) else self.inputs
            return [texts] if isinstance(texts, str) else texts
        return [_text(instance, index) for index, instance in enumerate(self.instances)]


class Alternative(BaseModel):
    """A further output."""

    text: str
    score: float | None


class Prediction(BaseModel):
    """An answer."""

    text: str
    score: float | None = Field(description="Log probability, normalised by length; higher is better.")
    alternatives: list[Alternative] = Field(default=[], description="Further outputs, with n_best above 1.")
    cut: bool = Field(default=False, description="The text is longer than the model reads; its end was cut off.")


class PredictResponse(BaseModel):
    """The answers, in the order of the instances."""

    predictions: list[Prediction]


class PredictedColumns(BaseModel):
    """The answers by name, where the request was in columns."""

    text: list[str]
    score: list[float | None]
    alternatives: list[list[Alternative]] = []
    cut: list[bool] = []


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
        RequestError: If it is none, or not of the form; the message names the field.
    """
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error, "body") from None


def read_parameters(given: dict[str, float | int | bool]) -> Parameters:
    """Reads decoding parameters that came as numbers.

    Args:
        given: By name.

    Raises:
        RequestError: If one is none, or not of its kind; the message names it.
    """
    try:
        return DecodingParameters.model_validate(given).given()
    except ValidationError as error:
        raise _refusal(error, "parameters") from None


def _refusal(error: ValidationError, whole: str) -> RequestError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or whole
    return RequestError(Cause.INVALID, f"{place}: {first['msg'].removeprefix('Value error, ')}")


def response(answered: Answered, by_column: bool) -> dict[str, Any]:
    """Forms the answer's body.

    Args:
        answered: What the model said.
        by_column: TensorFlow Serving's columns instead of rows.
    """
    if not by_column:
        return {"predictions": [_prediction(answer) for answer in answered.answers]}
    columns: dict[str, list[Any]] = {
        "text": [answer.text for answer in answered.answers],
        "score": [answer.score for answer in answered.answers],
    }
    if any(answer.alternatives for answer in answered.answers):
        columns["alternatives"] = [_alternatives(answer) for answer in answered.answers]
    if any(answer.cut for answer in answered.answers):
        columns["cut"] = [answer.cut for answer in answered.answers]
    return {"outputs": columns}


def _prediction(answer: Answer) -> dict[str, Any]:
    """What is as always is left out."""
    told: dict[str, Any] = {"text": answer.text, "score": answer.score}
    if answer.alternatives:
        told["alternatives"] = _alternatives(answer)
    if answer.cut:
        told["cut"] = True
    return told


def _alternatives(answer: Answer) -> list[dict[str, Any]]:
    return [{"text": text, "score": score} for text, score in answer.alternatives]


def _text(instance: str | Text | Base64, index: int) -> str:
    if isinstance(instance, str):
        return instance
    if isinstance(instance, Text):
        return instance.text
    try:
        return base64.b64decode(instance.b64, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise RequestError(Cause.INVALID, f"instances.{index}.b64: is not UTF-8 text in base64") from None
