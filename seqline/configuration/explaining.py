"""What a key of `seqline.yaml`, a parameter or an option means: the answer of `seqline explain`."""

import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from seqline.configuration.model import Configuration
from seqline.errors import UserError
from seqline.names import nearest
from seqline.plugins.registry import TARGETS
from seqline.schema.messages import accepted, fields_at
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, Section

REQUIRED = "required"
ANY = "NAME"  # in a path: a name that the user chooses


@dataclass(frozen=True)
class Explanation:
    """What a key means.

    Attributes:
        path: Its path, as `--set` takes it.
        accepts: What it accepts, in words.
        default: Its default as JSON; `required` if it must be set; empty for a group of keys.
        with_preset: Its default with a fixed preset, if that is another one.
        description: Its description.
        reader: The stage that reads it; empty for a key of the configuration.
        keys: The keys below it.
    """

    path: str
    accepts: str
    default: str
    description: str
    reader: str = ""
    with_preset: str = ""
    keys: tuple["Explanation", ...] = ()


def explain(path: str) -> Explanation:
    """Explains a key.

    Args:
        path: Such as `training.learning_rate`, `dropout`, `data` or `targets.vertex.project`.

    Raises:
        UserError: If there is no such key.
    """
    names = path.removeprefix("parameters.").split(".")
    known = {**_configuration(Configuration), **_parameters()}
    own = [section for section in SECTIONS.values() if not section.field and names[0] in section.fields]
    if names[0] not in known and len(names) == 1 and own:
        if len(own) > 1:
            listed = " or ".join(f"{section.name}.{path}" for section in own)
            raise UserError(f"several sections have an option {path!r}: name {listed}")
        names = [own[0].name, *names]
    if names[0] == "targets" and len(names) > 1 and names[1] in TARGETS.sources():
        known["targets"] = replace(known["targets"], keys=(*known["targets"].keys, _plugin_s_target(names[1])))
    found = Explanation("", "object", "", "", keys=tuple(known.values()))
    for position, name in enumerate(names):
        if position and found.keys[:1] and f".{ANY}." in found.keys[0].path[len(found.path) :]:
            found = replace(found, path=f"{found.path}.{ANY}")  # a name of the user's own
            continue
        below = {key.path.rpartition(".")[2]: key for key in found.keys}
        if name not in below:
            raise UserError(f"there is no key {path!r}; {_suggestion('.'.join(names), name, found)}")
        found = below[name]
    return found


def configuration_keys() -> list[Explanation]:
    """Returns the keys of the configuration, each with those below it; the parameters' are those of the stages."""
    return list(_configuration(Configuration).values())


def _suggestion(path: str, name: str, parent: Explanation) -> str:
    """Names the key whose whole path is closest, or else that with the closest name, or else those beside it."""
    if not parent.keys:
        return f"{parent.path} has no keys below it"
    paths = list(_paths(parent))
    last = {one.rpartition(".")[2]: one for one in reversed(paths)}
    for one in get_close_matches(path, paths, cutoff=0.8):
        if get_close_matches(path.rpartition(".")[2], [one.rpartition(".")[2]]):
            return f"did you mean {one!r}?"
    if close := get_close_matches(name, last, n=1):
        return f"did you mean {last[close[0]]!r}?"
    return nearest(name, [key.path for key in parent.keys])


def _paths(parent: Explanation) -> Iterator[str]:
    for key in parent.keys:
        yield key.path
        yield from _paths(key)


def _parameters() -> dict[str, Explanation]:
    found = {name: _of_field(field, name, "the run") for name, field in RunParameters.model_fields.items()}
    return {**found, **{name: _section(section) for name, section in SECTIONS.items()}}


def _section(section: Section) -> Explanation:
    if section.field:
        field = section.model.model_fields[section.field]
        keys = fields_at(section.model, [section.field, 0])
        own = tuple(_of_field(one, f"{section.name}.{name}", section.stage) for name, one in keys.items())
        return Explanation(section.name, "list of objects", "", field.description or "", section.stage, keys=own)
    fields = {name: section.model.model_fields[name] for name in section.fields}
    own = tuple(
        _selected(_of_field(field, f"{section.name}.{name}", section.stage), section.selected.get(name))
        for name, field in fields.items()
    )
    description = (section.model.__doc__ or "").strip().partition("\n")[0]
    return Explanation(section.name, "object", "", description, section.stage, keys=own)


def _configuration(model: type[BaseModel], prefix: str = "") -> dict[str, Explanation]:
    """The keys of the configuration; those of the parameters are explained by the stages' schemas."""
    found = {}
    for name, field in model.model_fields.items():
        nested = next(_models(field.annotation), None)
        named = f".{ANY}" if nested and typing.get_origin(field.annotation) is dict else ""
        keys = _configuration(nested, f"{prefix}{name}{named}.") if nested else {}
        found[name] = replace(_of_field(field, prefix + name, ""), keys=tuple(keys.values()))
    return found


def _plugin_s_target(name: str) -> Explanation:
    settings = TARGETS.find(name).settings
    description = f"The target {name} of {TARGETS.source(name).distribution}."
    keys = _configuration(settings, f"targets.{name}.")
    return Explanation(f"targets.{name}", "object", "", description, keys=tuple(keys.values()))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _of_field(field: FieldInfo, path: str, reader: str) -> Explanation:
    default = REQUIRED if field.is_required() else _json(field.get_default(call_default_factory=True))
    return Explanation(path, accepted(field), default, " ".join((field.description or "").split()), reader)


def _selected(key: Explanation, default: Any) -> Explanation:
    """The key of an option with the default that it has without a fixed preset; None for the same."""
    return key if default is None else replace(key, default=_json(default), with_preset=key.default)


def _json(value: Any) -> str:
    return json.dumps(value, default=lambda one: one.model_dump() if isinstance(one, BaseModel) else str(one))
