"""The base model and the shared types of the configuration."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from seqline.schema.texts import takes_text
from seqline.schema.transport import is_utf8

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{0,63}$")]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Labels = Annotated[dict[LabelKey, Label], Field(max_length=64)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
Duration = Annotated[int, Field(ge=60, le=60 * 60 * 24 * 28)]
ParameterValues = dict[str, Any]
NUMBER: Any = Field(json_schema_extra={"type": ["string", "number"]})
"""Metadata of a text that may be written as a number, such as `cpu: 4`, for the JSON schema."""


class Written(str):
    """A number or a date without quotes, as it was written: a tag 1.10 is not 1.1.

    Attributes:
        value: The number, or the text of the date.
    """

    __slots__ = ("value",)
    value: Any

    @classmethod
    def read(cls, text: str, value: Any) -> "Written":
        """Returns a value with its text.

        Args:
            text: The text.
            value: The value.
        """
        made = cls(text)
        made.value = value
        return made


class Model(BaseModel):
    """A part of the configuration. Unknown keys are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Gives a text the digits as they were written, and anything else the number."""
        if isinstance(value, str) and not is_utf8(value):
            raise ValueError(f"is not UTF-8: {value!r}")
        text = takes_text(cls.model_fields[str(info.field_name)].annotation)
        return value.value if isinstance(value, Written) and not text else value
