"""The base of every JSON file in an artifact: a dataclass with a schema version, read, written and refused in one way.

@dataclass(frozen=True)
class Deployment(Record):
SCHEMA = Schema(version=2, remedy="deploy again", renamed={"figures": "metrics"})

endpoint: str
version: int

Deployment("demo", 3).write(folder / "deployment.json")
Deployment.read(folder / "deployment.json")
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from seqline.atomic import atomic_write
from seqline.buckets import patiently
from seqline.errors import UserError
from seqline.schema.options import dotted

Kind = TypeVar("Kind", bound="Record")


@dataclass(frozen=True)
class Schema:
    """How a kind of record is versioned.

    Attributes:
        version: Of the layout that is written.
        remedy: What a user does about a file that cannot be read, such as "tokenize again".
        oldest: The oldest version that is still read.
        renamed: Names of fields in older versions, and what they are called now.
    """

    version: int
    remedy: str
    oldest: int = 1
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What a JSON file of an artifact holds; a subclass is a frozen dataclass of JSON values and such dataclasses."""

    SCHEMA: ClassVar[Schema]

    def to_json(self) -> str:
        """Returns the file's text."""
        content = {"schema_version": self.SCHEMA.version, **asdict(self)}
        # JSON has no NaN: other readers would refuse the file.
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Writes the file whole.

        Args:
            path: The file.
        """
        atomic_write(path, self.to_json())

    @classmethod
    def from_json(cls: type[Kind], text: str, origin: str) -> Kind:
        """Reads a file's text.

        Args:
            text: The text.
            origin: Where it comes from, for messages.

        Raises:
            UserError: If it is not a JSON object, has a version that is not read, or lacks a field.
        """
        schema = cls.SCHEMA
        try:
            content = json.loads(text)
            version = content.pop("schema_version", 1) if isinstance(content, dict) else None
        except ValueError:
            content, version = None, None
        if not isinstance(content, dict):
            raise UserError(f"{origin} is not a JSON object; {schema.remedy}") from None
        if not isinstance(version, int) or not schema.oldest <= version <= schema.version:
            raise UserError(
                f"{origin} has schema version {version}, and this Seqline reads "
                f"{f'{schema.oldest} to ' if schema.oldest < schema.version else ''}{schema.version}; {schema.remedy}"
            )
        if version < schema.version:
            content = {schema.renamed.get(name, name): value for name, value in content.items()}
        try:
            found: Kind = _adapter(cls).validate_python(content)  # type: ignore[arg-type]
            return found
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            what = f"{dotted(first['loc'])}: {first['msg'][0].lower()}{first['msg'][1:]}"
            raise UserError(f"{origin} cannot be read ({what}); {schema.remedy}") from None

    @classmethod
    def read(cls: type[Kind], path: Path) -> Kind:
        """Reads the file.

        Args:
            path: The file.

        Raises:
            UserError: If it is missing, or as `from_json` does.
        """
        try:
            text = patiently(lambda: path.read_text(encoding="utf-8"), path)
        except FileNotFoundError:
            raise UserError(f"{_missing(path)}; {cls.SCHEMA.remedy}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read ({error}); {cls.SCHEMA.remedy}") from None
        return cls.from_json(text, str(path))


def _missing(path: Path) -> str:
    """Names the file, or the folder that was not written to its end: the file that is read first is written last."""
    incomplete = path.parent.is_dir() and any(path.parent.iterdir())
    return f"{path.parent} is incomplete: {path.name} is missing" if incomplete else f"{path} is missing"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
