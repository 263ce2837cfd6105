"""Ids of models: the endpoint's name for the traffic split, or NAME:VERSION and NAME:ALIAS for one version."""

from datetime import datetime
from typing import Any

from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Service
from seqline.serving.versions import Loaded

LONGEST_NUMBER = 10
"""Most digits of a version's number; Python refuses to read thousands."""


def choose(service: Service, model: str) -> Loaded:
    """Chooses the version that answers.

    Args:
        service: The server.
        model: The model's id.

    Raises:
        RequestError: If there is no such model, or it is not loaded.
    """
    name, _, which = model.partition(":")
    if name != service.name:
        raise RequestError(Cause.UNKNOWN, f"model: there is no model {model!r}; this server has {service.name!r}")
    if which.isdecimal() and len(which) <= LONGEST_NUMBER:
        return service.choose(version=int(which))
    return service.choose(alias=which or None)


def listing(service: Service) -> dict[str, Any]:
    """The body of `/v1/models`: the endpoint itself, then its loaded versions, then its aliases."""
    loaded = {each.version: each for each in service.versions.loaded}
    aliases = {alias: loaded[number] for alias, number in service.versions.applied.aliases.items() if number in loaded}
    ids = {str(number): each for number, each in loaded.items()} | aliases
    newest = max((created(each) for each in loaded.values()), default=0)
    own = [_entry(service.name, newest)] if loaded else []
    return {"object": "list", "data": own + [_entry(f"{service.name}:{name}", created(ids[name])) for name in ids]}


def entry(service: Service, model: str) -> dict[str, Any]:
    """Describes a model.

    Args:
        service: The server.
        model: The model's id.

    Raises:
        RequestError: If there is no such model, or it is not loaded.
    """
    return _entry(model, created(choose(service, model)))


def created(loaded: Loaded) -> int:
    """The time of a version's export, in seconds since 1970; 0 if it is unknown."""
    text = loaded.batcher.engine.metadata["description"].get("created", "")
    return int(datetime.fromisoformat(text).timestamp()) if text else 0


def _entry(model: str, when: int) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": when, "owned_by": "seqline"}
