"""The corpus's test set, read in chunks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.errors import UserError


@dataclass(frozen=True)
class Row:
    """One pair of the test set.

    Attributes:
        source: The model's input.
        reference: The expected output.
        slice: Value of the slice column; empty where there is none.
    """

    source: str
    reference: str
    slice: str = ""


@dataclass(frozen=True)
class TestSet:
    """The test set of a corpus.

    Attributes:
        corpus: The corpus folder.
    """

    __test__ = False  # pytest would collect it by its name

    corpus: Path

    def __iter__(self) -> Iterator[Row]:
        """Reads and checks the rows one by one.

        Raises:
            UserError: If the file is missing, empty or not JSON Lines, or lacks a source or a reference.
        """
        path = Corpus(self.corpus).text("test")
        if not path.is_file():
            raise UserError(f"{self.corpus} is not a complete corpus: {path.name} is missing; tokenize again")
        without_prompt = Corpus(self.corpus).manifest.is_file() and Corpus(self.corpus).read_manifest().without_prompt
        line = 0
        with path.open(encoding="utf-8", newline="\n") as file:
            try:
                for line, text in enumerate(file, start=1):
                    yield _row(json.loads(text), f"{path} line {line}", without_prompt)
            except ValueError as error:
                raise UserError(
                    f"{path} line {line + 1} is not JSON Lines in UTF-8 ({error}): tokenize again"
                ) from error
        if not line:
            raise UserError(f"{path} is empty: tokenize again with more data or a larger test share")

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """Reads the rows in chunks.

        Args:
            size: Maximum number of rows in a chunk.

        Raises:
            UserError: As `__iter__` does.
        """
        rows = iter(self)
        while chunk := list(islice(rows, size)):
            yield chunk


def _row(content: object, where: str, without_prompt: bool) -> Row:
    if not isinstance(content, dict):
        raise UserError(f"{where} is not a JSON object: tokenize again")
    for field in ("source", "target"):
        text = content.get(field)
        may_be_empty = without_prompt and field == "source"
        if not isinstance(text, str) or not (text.strip() or may_be_empty):
            raise UserError(f"{where} has no {field} text: tokenize again")
    return Row(content["source"], content["target"], str(content.get("slice") or ""))
