"""A configuration that was read, with the source of each of its values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.configuration.arguments import read_arguments
from seqline.configuration.model import Configuration
from seqline.configuration.parameters import Parameters, merge
from seqline.configuration.serving import with_serving_image
from seqline.configuration.yaml_lines import Keys
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.schema.options import Fault, dotted
from seqline.schema.sections import qualify

# First part of the path of a parameter that `--set name=value` sets. No key of the files has this name.
OVERRIDES = "--set"


class ConfigurationError(UserError):
    """The configuration is wrong.

    Args:
        problems: All problems.
        rest: The configuration without the wrong values, in which a check can look for more problems.
    """

    def __init__(self, problems: Sequence[Problem], rest: "Loaded | None" = None) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems, self.rest = list(problems), rest


@dataclass(frozen=True)
class Override:
    """A pipeline parameter that the command line sets.

    Attributes:
        keys: The parameter's name, with or without its section, and keys within its value.
        value: The value, usually `Text`.
        source: The flag as it was given.
    """

    keys: Keys
    value: Any
    source: str


@dataclass(frozen=True)
class Loaded:
    """A configuration with the sources of its values.

    Attributes:
        configuration: The validated configuration.
        files: The files that it was read from.
        lines: File and line, or the flag, by path of keys.
        overrides: Parameters that `--set name=value` sets, in the order of the command line.
    """

    configuration: Configuration = field(default_factory=Configuration)
    files: tuple[Path, ...] = ()
    lines: dict[Keys, str] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()

    def arguments(
        self, known: Parameters, target: str, schedule: str = "", others: bool = False, trigger: str = ""
    ) -> dict[str, Any]:
        """Returns values of a pipeline's parameters: the common ones, the target's, the schedule's, then `--set`.

        Args:
            known: The pipeline's parameters.
            target: The target's name.
            schedule: A schedule's name; empty for a run that a person starts.
            others: Whether the pipeline is not the configuration's own, so that the common values and the target's
                do not apply.
            trigger: A trigger's name, for a run that new data starts.

        Returns:
            The values in the form in which they are submitted: of a section, only what differs from its defaults.

        Raises:
            ConfigurationError: With every unknown name and every value that a stage would reject.
        """
        values: dict[str, Any] = {}
        layers = _layers(target, schedule, others, trigger)
        for layer in layers:
            values = merge(values, _at(self.configuration, layer) or {})
        sources: dict[Keys, str] = {}
        problems = []
        for override in self.overrides:
            try:
                path = (*qualify(override.keys[0], known.types, known.sections), *override.keys[1:])
            except UserError as error:
                problems.append(Problem(str(error), override.source))
                continue
            sources[path] = override.source
            values = merge(values, _nested(path, override.value))
        values = with_serving_image(known, values, self.configuration.images)
        values = {**self._api_address(known, target), **values}
        read = read_arguments(known, values, containers=target != "laptop")
        problems += [self._problem(fault, sources, layers) for fault in read.faults]
        if problems:
            raise ConfigurationError(problems)
        return read.values

    def _api_address(self, known: Parameters, target: str) -> dict[str, str]:
        """The API address of Vertex, where a template was compiled with another one."""
        vertex = self.configuration.targets.vertex
        # Another pipeline's parameter of that name may mean something else.
        if target != "vertex" or vertex is None or not known.sections or "api_endpoint" not in known.types:
            return {}
        same = (known.defaults.get("api_endpoint") or "") == vertex.api_address
        return {} if same else {"api_endpoint": vertex.api_address}

    def _problem(self, fault: Fault, sources: dict[Keys, str], layers: Sequence[Keys]) -> Problem:
        """Returns a fault with the source of the value: the flag, or the last file that sets it."""
        path = tuple(map(str, fault.path))
        for length in range(len(path), 0, -1):
            for keys, source in sources.items():
                if keys == path[:length] or keys[: len(path)] == path:
                    return Problem(str(fault), source)
            for layer in reversed(layers):
                where = self.lines.get((*layer, *path[:length]))
                if where:
                    return Problem(fault.message, where, ".".join((*layer, dotted(fault.path))))
        return Problem(str(fault))

    def source(self, name: str, target: str, schedule: str = "", others: bool = False) -> Keys:
        """Returns the path of the key that sets a parameter of the run.

        Args:
            name: The parameter's name.
            target: As in `arguments`, like the following.
            schedule: A schedule's name.
            others: Whether the pipeline is not the configuration's own.
        """
        if any(override.keys[0] == name for override in self.overrides):
            return (OVERRIDES, name)
        layers = [
            layer for layer in _layers(target, schedule, others) if name in (_at(self.configuration, layer) or {})
        ]
        return (*(layers[-1] if layers else ("parameters",)), name)

    def where(self, *keys: str) -> str:
        """Returns file and line of a key, or of its closest parent; empty for a default.

        Args:
            keys: The path, such as ("parameters", "data").
        """
        return find_line(self.lines, keys)


def find_line(lines: dict[Keys, str], keys: Sequence[str]) -> str:
    """Returns the line of a key, or of its closest parent; empty if there is neither.

    Args:
        lines: Lines by path of keys.
        keys: The path.
    """
    return next(
        (lines[tuple(keys[:length])] for length in range(len(keys), 0, -1) if tuple(keys[:length]) in lines), ""
    )


def _layers(target: str, schedule: str, others: bool, trigger: str = "") -> list[Keys]:
    """Returns the paths at which the configuration sets parameters, the one that takes precedence last."""
    layers: list[Keys] = [] if others else [("parameters",), ("targets", target, "parameters")]
    layers += [("schedules", schedule, "parameters")] if schedule else []
    return layers + ([("triggers", trigger, "parameters")] if trigger else [])


def _at(configuration: Configuration, keys: Keys) -> Any:
    """Returns the value at a path of the configuration; None where a part of it is missing."""
    found: Any = configuration
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
    return found


def _nested(path: Keys, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)
