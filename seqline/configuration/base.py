"""The base model and the shared types of the configuration."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{0,63}$")]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Labels = Annotated[dict[LabelKey, Label], Field(max_length=64)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
Duration = Annotated[int, Field(ge=60, le=60 * 60 * 24 * 28)]
ParameterValues = dict[str, Any]
NUMBER: Any = Field(json_schema_extra={"type": ["string", "number"]})
"""Metadata of a text that may be written as a number, such as `cpu: 4`, for the JSON schema."""


class Model(BaseModel):
    """A part of the configuration. Unknown keys are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, use_attribute_docstrings=True)
