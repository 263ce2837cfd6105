"""The search space: one declaration for Optuna and for Vertex AI.

{"warmup_steps": {"min": 100, "max": 2000, "scale": "log"},
 "dropout": {"min": 0.0, "max": 0.4},
 "batch_tokens": {"values": [2048, 4096, 8192]},
 "preset": {"values": ["tiny", "small"]}}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seqline.components.train.options import PRETRAINED_RATES, WAYS, Options
from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.auto import AUTO
from seqline.schema.transport import LARGEST

Value = float | int | str


@dataclass(frozen=True)
class Dimension:
    """The values that one hyperparameter may take.

    Attributes:
        name: The hyperparameter.
        kind: Its type: float, int or str.
        low: The minimum; None if the values are listed.
        high: The maximum; None if the values are listed.
        log: Whether the range is sampled on a log scale.
        values: The values; empty for a range.
    """

    name: str
    kind: type
    low: float | None = None
    high: float | None = None
    log: bool = False
    values: tuple[Value, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether the dimension includes a value.

        Args:
            value: The value.
        """
        if self.values:
            return value in self.values
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    def parameter(self, default: Any) -> dict[str, Any]:
        """Returns the dimension as a `StudySpec.ParameterSpec` of Vertex AI.

        Args:
            default: The value in the first trial; ignored if the dimension does not include it.
        """
        spec: dict[str, Any]
        if self.values and self.kind is float:
            name, spec = "discrete_value_spec", {"values": sorted(self.values)}
        elif self.values:
            # A discrete value would reach the trainer as 4096.0, which is not a whole number.
            name, spec = "categorical_value_spec", {"values": [str(value) for value in self.values]}
        elif self.kind is int:
            # protobuf's JSON writes int64 as text.
            name, spec = "integer_value_spec", {"min_value": str(self.low), "max_value": str(self.high)}
        else:
            name, spec = "double_value_spec", {"min_value": self.low, "max_value": self.high}
        if self.holds(default):
            spec["default_value"] = default if self.kind is float else str(default)
        scale = {} if self.values else {"scale_type": "UNIT_LOG_SCALE" if self.log else "UNIT_LINEAR_SCALE"}
        return {"parameter_id": self.name, name: spec, **scale}


def default_space(training: Options) -> dict[str, dict[str, Any]]:
    """The search space if none is given, from the training schema.

    Args:
        training: The training options: those of adapters are searched with fine_tuning lora only, and pretrained
            weights are trained at lower rates.
    """
    others = () if training.fine_tuning == "lora" else WAYS["lora"]
    found = {name: search for name, search in Options.search_spaces().items() if search and name not in others}
    if training.pretrained:
        low, high = PRETRAINED_RATES[training.fine_tuning]
        found["learning_rate"] = {"min": low, "max": high, "scale": "log"}
    return found


def read_space(space: Mapping[str, Any], training: Options | None = None) -> list[Dimension]:
    """Checks a declaration.

    Args:
        space: By hyperparameter, `{"min", "max", "scale"}` or `{"values"}`; empty for `default_space`.
        training: The training options that the values replace; None if they are not known.

    Raises:
        UserError: If a hyperparameter is unknown, or its values are not fit for it.
    """
    chosen = space or default_space(training or Options(preset=Options.FIXED_PRESET))
    return [_dimension(name, given, training) for name, given in sorted(chosen.items())]


def apply(options: Options, values: Mapping[str, Any]) -> Options:
    """Replaces training options by a trial's values, converted to the option's type: Vertex AI has only floats.

    Args:
        options: The training options.
        values: The new values by name.
    """
    kinds = {name: type(getattr(options, name)) for name in values}
    return options.with_values(
        **{name: int(float(value)) if kinds[name] is int else kinds[name](value) for name, value in values.items()}
    )


def _dimension(name: str, given: Any, training: Options | None) -> Dimension:
    way: Literal["lora", "full"] = "lora" if name in WAYS["lora"] else "full"
    defaults = training or Options(preset=Options.FIXED_PRESET, fine_tuning=way)
    if name not in Options.search_spaces():
        raise UserError(f"{name!r} cannot be tuned; {nearest(name, Options.search_spaces())}")
    kind = type(getattr(defaults, name))
    forms = ({"values"}, {"min", "max"}, {"min", "max", "scale"})
    if not isinstance(given, dict) or set(given) not in forms:
        raise UserError(f'{name} must be {{"min", "max"}}, with "scale" or without, or {{"values"}}; not {given!r}')
    if "values" in given:
        values = given["values"]
        if isinstance(values, list) and AUTO in values:
            raise UserError(f"{name}: values cannot include auto, which is selected when training starts; remove it")
        if not isinstance(values, list) or not values or not all(_fits(value, kind) for value in values):
            raise UserError(f"{name}: values must be a list of {_words(kind)}, not {values!r}")
        found = Dimension(name, kind, values=tuple(dict.fromkeys(kind(value) for value in values)))
    else:
        found = _range(name, kind, given)
    for value in found.values or (found.low, found.high):
        defaults.with_values(**{name: value})
    return found


def _range(name: str, kind: type, given: Mapping[str, Any]) -> Dimension:
    low, high, scale = given["min"], given["max"], given.get("scale", "linear")
    if kind is str or not (_fits(low, kind) and _fits(high, kind)):
        raise UserError(f"{name}: {'list its values' if kind is str else f'min and max must be {_words(kind)}'}")
    if not low < high:
        raise UserError(f"{name}: min {low} must be below max {high}")
    if scale not in ("linear", "log"):
        raise UserError(f"{name}: scale must be linear or log, not {scale!r}")
    if scale == "log" and low <= 0:
        raise UserError(f"{name}: on a log scale min must be above 0, not {low}")
    return Dimension(name, kind, kind(low), kind(high), scale == "log")


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    if kind is str:
        return isinstance(value, str)
    # Neither NaN nor an infinity is within bounds.
    finite = isinstance(value, (int, float)) and abs(value) <= LARGEST
    return finite and (kind is float or value == int(value))


def _words(kind: type) -> str:
    return {str: "texts", int: "whole numbers", float: "numbers"}[kind]
