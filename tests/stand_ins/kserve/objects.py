"""The objects of an API server."""

import copy
import itertools
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid", 503: "ServiceUnavailable"}


class ApiError(Exception):
    """An answer that is an error: a Status object, or plain text."""

    def __init__(self, code: int, message: str, details: Object | None = None, plain: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.details, self.plain = code, message, details, plain

    def body(self) -> Object:
        status = {"kind": "Status", "status": "Failure", "code": self.code, "message": self.message}
        return {**status, "reason": REASONS.get(self.code, ""), **({"details": self.details} if self.details else {})}


@dataclass
class Objects:
    """Objects by plural, namespace and name."""

    stored: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def find(self, plural: str, namespace: str, name: str) -> Object | None:
        return self.stored.get((plural, namespace, name))

    def get(self, plural: str, namespace: str, name: str) -> Object:
        found = self.find(plural, namespace, name)
        if found is None:
            raise ApiError(404, f'{plural} "{name}" not found', {"name": name, "kind": plural})
        return found

    def list(self, plural: str, namespace: str, selector: str) -> list[Object]:
        key, _, value = selector.partition("=")
        return [
            found
            for (kind, where, _), found in self.stored.items()
            if (kind, where) == (plural, namespace) and found["metadata"].get("labels", {}).get(key) == value
        ]

    def create(self, plural: str, namespace: str, made: Object) -> Object:
        key = plural, namespace, made["metadata"]["name"]
        if key in self.stored:
            raise ApiError(409, f'{plural} "{key[2]}" already exists')
        stored = copy.deepcopy(made)
        stored["metadata"] |= {"uid": f"uid-{next(self.numbers)}", "generation": 1}
        self.stored[key] = stored
        self.touch(stored)
        return copy.deepcopy(stored)

    def replace(self, plural: str, namespace: str, name: str, made: Object) -> Object:
        current = self.get(plural, namespace, name)
        # Without the version an update would be unconditional.
        if made["metadata"].get("resourceVersion") != current["metadata"]["resourceVersion"]:
            raise ApiError(409, f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified')
        stored = copy.deepcopy(made)
        if "status" in current or plural == "inferenceservices":
            # A subresource: a write of the object leaves the status as it is.
            stored["status"] = current.get("status", {})
        metadata = {**stored["metadata"], "uid": current["metadata"]["uid"]}
        grown = stored.get("spec") != current.get("spec")
        metadata["generation"] = current["metadata"]["generation"] + grown
        stored["metadata"] = metadata
        self.stored[plural, namespace, name] = stored
        self.touch(stored)
        return copy.deepcopy(stored)

    def delete(self, plural: str, namespace: str, name: str) -> Object:
        found = self.get(plural, namespace, name)
        del self.stored[plural, namespace, name]
        return found

    def touch(self, stored: Object) -> None:
        """Every write of an object is a new version."""
        stored["metadata"]["resourceVersion"] = str(next(self.numbers))
