"""The base of every stage's options: a pydantic model whose errors are messages for the user.

A field is the only place where an option's name, type, default, bounds and description stand:

    class Options(BaseOptions):
        dropout: float = Field(0.1, ge=0, lt=1, description="Share of the activations dropped in training.")
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from seqline.errors import UserError
from seqline.schema.messages import explain
from seqline.schema.transport import LARGEST, unfit

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound="BaseOptions")


@dataclass(frozen=True)
class Fault:
    """One wrong value.

    Attributes:
        path: Where it is: the option's name, then keys and indices within its value.
        message: What is wrong.
        predicate: Whether the message reads on after the option's name; otherwise it is a sentence of its own.
    """

    path: Path
    message: str
    predicate: bool = True

    def __str__(self) -> str:
        return f"{dotted(self.path)}{'' if self.predicate else ':'} {self.message}" if self.path else self.message


class OptionsError(UserError):
    """Values that a stage's options refuse.

    Args:
        faults: All of them.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = list(faults)

    def within(self, *path: str) -> "OptionsError":
        """The same faults, with a path in front of theirs.

        Args:
            *path: Such as the section's name.
        """
        return OptionsError([replace(fault, path=(*path, *fault.path)) for fault in self.faults])


class Part(BaseModel):
    """An object within options; values are checked strictly, and are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BaseOptions(Part):
    """Options with defaults.

    A number without a fraction is taken for a whole one: JSON and protobuf, through which options travel, keep no
    difference.

    Raises:
        OptionsError: With every wrong value.
    """

    def __init__(self, **values: Any) -> None:
        faults: list[Fault] = []
        try:
            super().__init__(**{name: whole_numbers(value) for name, value in values.items()})
        except ValidationError as error:
            faults = _faults(error, type(self))
        known = {fault.path for fault in faults}
        faults += [Fault(path, message) for path, message in unfit(values) if path not in known]
        if faults:
            raise OptionsError(faults)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        return {**cls.implied(values), **values} if isinstance(values, dict) else values

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Other defaults than those of the fields, where some values imply them; none by default.

        Args:
            values: Values by name; what is missing has its field's default.
        """
        return {}

    def faults_in(self, run: Mapping[str, Any]) -> Iterator[Fault]:
        """Yields the options that do not fit the run; none by default.

        Args:
            run: Parameters of the run by name.
        """
        return iter(())

    def changed(self, implied: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """The values that differ from their defaults, as JSON has them.

        Args:
            implied: Other defaults than those of this model, by name.
        """
        values = self.model_dump(mode="json")
        defaults = {
            **{name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()},
            **self.implied(values),
            **implied,
        }
        return {name: value for name, value in values.items() if getattr(self, name) != defaults[name]}

    def with_values(self: Model, **values: Any) -> Model:
        """The same options with some values replaced, and checked again.

        Args:
            **values: The new values by name.
        """
        return type(self)(**{**self.model_dump(), **values})


def dotted(path: Sequence[str | int]) -> str:
    """A path as users write it: ("gate", 0, "metric") is gate[0].metric.

    Args:
        path: Names and indices.
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def whole_numbers(value: Any) -> Any:
    """Turns numbers without a fraction into integers, also inside objects and lists.

    Args:
        value: A JSON value.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST:
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole_numbers(one) for key, one in value.items()}
    return [whole_numbers(one) for one in value] if isinstance(value, list) else value


@contextmanager
def refusing() -> Iterator[None]:
    """Within a validator of pydantic, lets it collect what raises a `UserError`."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from None


def _faults(error: ValidationError, kind: type[BaseModel]) -> list[Fault]:
    details = error.errors(include_url=False)
    return [Fault(tuple(one["loc"]), explain(one, kind), one["type"] != "value_error") for one in details]
