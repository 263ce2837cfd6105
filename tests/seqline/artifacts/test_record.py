"""Records: JSON files with a schema version, read back as they were written, or refused with what to do."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from seqline.artifacts.record import Record, Schema
from seqline.errors import UserError


@dataclass(frozen=True)
class Part:
    name: str
    value: float | None = None


@dataclass(frozen=True)
class Toy(Record):
    SCHEMA: ClassVar[Schema] = Schema(3, "make it again", oldest=2, renamed={"size": "count"})

    count: int
    parts: list[Part] = field(default_factory=list)
    by_version: dict[int, float] = field(default_factory=dict)


TOY = Toy(3, [Part("ä", 1.5), Part("b")], {2: 0.5})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    TOY.write(tmp_path / "toy.json")
    assert Toy.read(tmp_path / "toy.json") == TOY
    assert json.loads((tmp_path / "toy.json").read_text())["schema_version"] == 3


def test_an_older_version_is_read_under_its_names() -> None:
    assert Toy.from_json('{"schema_version": 2, "size": 3}', "toy.json") == Toy(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 4, "count": 3}', "toy.json has schema version 4, and this Seqline reads 2 to 3"),
        ('{"schema_version": 1, "count": 3}', "toy.json has schema version 1, and this Seqline reads 2 to 3"),
        ('{"schema_version": "3", "count": 3}', "toy.json has schema version 3, and"),
        ('{"schema_version": 3}', "toy.json cannot be read (count: field required)"),
        ('{"schema_version": 3, "count": 3, "parts": [{"value": 1}]}', "toy.json cannot be read (parts[0].name: field"),
        ('{"schema_version": 3, "size": 3}', "toy.json cannot be read ("),
        ("[]", "toy.json is not a JSON object"),
        ("{", "toy.json is not a JSON object"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Toy.from_json(text, "toy.json")
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("; make it again")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"toy\.json is missing; make it again"):
        Toy.read(tmp_path / "toy.json")
    (tmp_path / "toy.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"toy\.json cannot be read \(.*\); make it again"):
        Toy.read(tmp_path / "toy.json")
