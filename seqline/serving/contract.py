"""Request and response bodies: Vertex's and TensorFlow Serving's."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from seqline.serving.answers import Answer, Parameters
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Answered


def _whole(value: object) -> object:
    """Vertex clients send numbers through protobuf, so 4 arrives as 4.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class Base64(BaseModel):
    """An input as TensorFlow Serving's clients send bytes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    b64: str = Field(description="The text's UTF-8 bytes in base64.", json_schema_extra={"format": "byte"})


class Text(BaseModel):
    """An input as an object."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | Base64


class DecodingParameters(BaseModel):
    """Decoding parameters; omitted ones are those of the export."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    beam_size: Whole | None = Field(default=None, ge=1, description="Hypotheses of the beam search; 1 is greedy.")
    n_best: Whole | None = Field(default=None, ge=1, description="Results per text; at most beam_size unless sampling.")
    min_output_length: Whole | None = Field(default=None, ge=0, description="Smallest number of tokens.")
    max_output_length: Whole | None = Field(default=None, ge=1, description="Largest number of tokens.")
    length_penalty: float | None = Field(default=None, ge=0, le=10, description="Exponent of the length in the score.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=10, description="1 for none.")
    no_repeat_ngram_size: Whole | None = Field(
        default=None, ge=0, le=64, description="Size of n-grams that never repeat; 0 to disable."
    )
    sampling: bool | None = Field(default=None, description="Sample tokens instead of searching for the best output.")
    temperature: float | None = Field(default=None, ge=0.01, le=10, description="Of sampling.")
    top_k: Whole | None = Field(default=None, ge=0, le=2**31 - 1, description="Of sampling; 0 for all tokens.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Of sampling; 1 for all tokens.")
    seed: Whole | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="Of sampling: same text and seed, same output; default: random.",
    )

    def specified(self) -> Parameters:
        """The parameters that the request sets, sorted by name."""
        return tuple(sorted(self.model_dump(exclude_unset=True, exclude_none=True).items()))


class Columns(BaseModel):
    """Inputs by name, TensorFlow Serving's columnar form."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: list[str | Base64] | str | Base64


class PredictRequest(BaseModel):
    """The body of a prediction request: `instances` or `inputs`. A field that is null is absent.

    It documents the format; `seqline.serving.request_body` reads it.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}]},
    )

    instances: list[str | Text | Base64] | None = Field(
        default=None, description="The texts, or objects with the field text."
    )
    inputs: list[str | Base64] | str | Base64 | Columns | None = Field(
        default=None, description="TensorFlow Serving's columnar form."
    )
    parameters: DecodingParameters | None = Field(default=None, description="How to decode.")
    stream: bool | None = Field(default=None, description="Stream the answer as server-sent events, token by token.")
    signature_name: Literal["serving_default", ""] | None = Field(default=None, description="The only signature.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "PredictRequest":
        if (self.instances is None) == (self.inputs is None):
            raise ValueError("set either instances or inputs")
        return self


class Alternative(BaseModel):
    """A further output."""

    text: str
    score: float | None


class Prediction(BaseModel):
    """An answer."""

    text: str
    score: float | None = Field(description="Log probability, normalised by length; higher is better.")
    alternatives: list[Alternative] = Field(default=[], description="Further outputs, with n_best above 1.")
    cut: bool = Field(default=False, description="Whether the text exceeded the model's limit and was truncated.")
    id: str = Field(default="", description="The answer's id for feedback, if the server has sampled it.")


class PredictResponse(BaseModel):
    """The answers, in the order of the instances."""

    predictions: list[Prediction]


class PredictedColumns(BaseModel):
    """The answers as columns, for a request in columns."""

    text: list[str]
    score: list[float | None]
    alternatives: list[list[Alternative]] = []
    cut: list[bool] = []
    id: list[str] = []


class ColumnarResponse(BaseModel):
    """The answers in columns, in the order of the inputs."""

    outputs: PredictedColumns


class Problem(BaseModel):
    """The body of an error response."""

    error: str = Field(description="The error, with the field that it concerns.")


def read_parameters(values: dict[str, Any], prefix: str = "") -> Parameters:
    """Reads decoding parameters.

    Args:
        values: Values by name.
        prefix: Start of a parameter's name in an error.

    Raises:
        RequestError: If one is unknown or has a wrong value; the message names it.
    """
    try:
        return DecodingParameters.model_validate(values).specified()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RequestError(Cause.INVALID, f"{prefix}{first['loc'][0]}: {first['msg']}") from None


def response(answered: Answered, by_column: bool) -> dict[str, Any]:
    """Builds the response body.

    Args:
        answered: The answers.
        by_column: Whether to return TensorFlow Serving's columns instead of rows.
    """
    if not by_column:
        ids = answered.ids.sampled or ("",) * len(answered.answers)
        return {"predictions": [_prediction(*one) for one in zip(answered.answers, ids, strict=True)]}
    columns: dict[str, list[Any]] = {
        "text": [answer.text for answer in answered.answers],
        "score": [answer.score for answer in answered.answers],
    }
    if any(answer.alternatives for answer in answered.answers):
        columns["alternatives"] = [_alternatives(answer) for answer in answered.answers]
    if any(answer.cut for answer in answered.answers):
        columns["cut"] = [answer.cut for answer in answered.answers]
    if answered.ids.request:
        columns["id"] = list(answered.ids.sampled)
    return {"outputs": columns}


def _prediction(answer: Answer, id_: str) -> dict[str, Any]:
    """Omits fields that have their default."""
    fields: dict[str, Any] = {"text": answer.text, "score": answer.score}
    if answer.alternatives:
        fields["alternatives"] = _alternatives(answer)
    if answer.cut:
        fields["cut"] = True
    if id_:
        fields["id"] = id_
    return fields


def _alternatives(answer: Answer) -> list[dict[str, Any]]:
    return [{"text": text, "score": score} for text, score in answer.alternatives]
