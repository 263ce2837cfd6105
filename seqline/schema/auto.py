"""Options whose value may be `auto`: a stage chooses it once it knows what it depends on.

dropout: AutoShare = Field(0.1, description="...")
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

AUTO: Literal["auto"] = "auto"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class OrAuto:
    """Marks the union of a number or truth value and `auto`: what is not `auto` is checked, and refused, as that."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Returns the schema; called by pydantic.

        Args:
            source: The union.
            handler: Makes the schema of the number.
        """

        def check(value: Any, number: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return value if value == AUTO else number(value)

        as_it_is = core_schema.plain_serializer_function_ser_schema(lambda value: value)
        schema = handler(get_args(source)[0])
        return core_schema.no_info_wrap_validator_function(check, schema, serialization=as_it_is)


AutoShare = Annotated[Annotated[float, Field(ge=0, lt=1)] | Literal["auto"], OrAuto()]
"""A share, at least 0 and below 1, or `auto`."""
AutoCount = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], OrAuto()]
"""A whole number, at least 0, or `auto`."""
AutoTokens = Annotated[Annotated[int, Field(ge=64)] | Literal["auto"], OrAuto()]
"""A number of tokens, at least 64, or `auto`."""
AutoSwitch = Annotated[bool | Literal["auto"], OrAuto()]
"""True, false or `auto`."""


def number(value: Number | Literal["auto"]) -> Number:
    """Returns the number of an option that has been chosen.

    Args:
        value: The option's value.

    Raises:
        ValueError: If it is still `auto`.
    """
    if isinstance(value, str):
        raise ValueError("an option is still auto where its number is needed")
    return value
