"""Shards: parts of the input, each predicted and written atomically."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import uuid4

from fsspec.implementations.local import LocalFileSystem

from seqline.artifacts.predictions import Counts
from seqline.buckets import patiently, remove
from seqline.components.infer.lines import Line, parser_of, read_line
from seqline.errors import UserError
from seqline.inputs.compression import DAMAGED, check_content, compression_of, decompressed
from seqline.inputs.lines import check_encoding, split_lines
from seqline.inputs.storage import fsspec

Result = TypeVar("Result")

SHARD = re.compile(r"/shard-(\d{8,})\.jsonl$")


@dataclass(frozen=True)
class Shard:
    """A part of an input file.

    Attributes:
        number: Its index in the whole input, from 0.
        path: The file to read, not compressed.
        name: The file as the user named it.
        offset: Byte at which it begins.
        size: Its bytes.
        first_line: The number of its first line in the file, from 1.
    """

    number: int
    path: str
    name: str
    offset: int
    size: int
    first_line: int

    def read(self, source_field: str) -> list[Line]:
        """Returns its lines.

        Args:
            source_field: Field of a JSONL object that holds the text.
        """
        parse = parser_of(self.name, source_field)
        with fsspec.open(self.path, "rb") as file:
            file.seek(self.offset)
            lines = split_lines(file.read(self.size))
        return [read_line(line, self.first_line + index == 1, parse) for index, line in enumerate(lines)]


class Work:
    """The folder of the finished shards: `shard-00000012.jsonl`, the counts in its first line, then the predictions.

    A shard is written to a temporary file and renamed, so a reader never sees a part of one.

    Args:
        folder: A path or URL; made when missing.
    """

    def __init__(self, folder: str) -> None:
        self.system, self.path = fsspec.core.url_to_fs(folder)
        self._local = isinstance(self.system, LocalFileSystem)
        self._patiently(lambda: self.system.makedirs(self.path, exist_ok=True))

    def plan(self, files: Sequence[str], shard_lines: int) -> list[Shard]:
        """Divides files into shards; a compressed file, which has no random access, is unpacked into the folder first.

        Args:
            files: The input, in the order of the output.
            shard_lines: Lines of a shard.

        Raises:
            UserError: If a file cannot be read to its end.
        """
        parts = [(name, part) for name in files for part in self._parts(name, shard_lines)]
        return [Shard(number, part[0], name, *part[1:]) for number, (name, part) in enumerate(parts)]

    def finished(self) -> set[int]:
        """Returns the numbers of the finished shards: those whose file has all of its lines."""
        shards = (path for path in self._patiently(self._files) if SHARD.search(path))
        return {int(SHARD.findall(path)[0]) for path in shards if self._patiently(partial(self._read, path))}

    def write(self, number: int, counts: Counts, lines: Sequence[str]) -> None:
        """Writes a finished shard.

        Args:
            number: The shard's number.
            counts: The counts of its lines.
            lines: A JSON text for each of its lines.
        """
        self._write(
            self._shard(number), lambda file: file.write("\n".join([json.dumps(asdict(counts)), *lines, ""]).encode())
        )

    def write_problem(self, problem: str) -> None:
        """Writes a problem of the model, for the driver to raise.

        Args:
            problem: The message for the user.
        """
        self._write(f"{self.path}/problem.txt", lambda file: file.write(problem.encode()))

    def raise_problem(self) -> None:
        """Deletes the problem and raises it.

        Raises:
            UserError: If a worker wrote a problem.
        """
        path = f"{self.path}/problem.txt"
        if self.system.exists(path):
            problem = self.system.cat_file(path).decode()
            self.system.rm(path)
            raise UserError(problem)

    def gather(self, shards: int, output: Path) -> Counts:
        """Joins the finished shards in their order.

        Args:
            shards: Number of shards.
            output: The file to write.

        Returns:
            The counts of all lines.

        Raises:
            UserError: If a shard has not as many predictions as its counts say.
        """
        total = Counts(0, 0)
        with output.open("wb") as joined:
            for number in range(shards):
                shard = self._shard(number)
                counts = self._patiently(partial(self._append, shard, joined, joined.tell()))
                if counts is None:
                    raise UserError(f"the shard {shard} is missing or truncated; run again, which predicts it again")
                total += counts
        return total

    def delete(self) -> None:
        """Deletes the folder, and its parent if that is empty then."""
        if self._local:
            remove(Path(self.path))
        else:
            self.system.rm(self.path, recursive=True)
        parent = self.path.rpartition("/")[0]
        with suppress(FileNotFoundError):  # a mounted bucket forgets a folder with its last file
            if self.system.exists(parent) and not self.system.ls(parent):
                self.system.rmdir(parent)

    def _files(self) -> list[str]:
        # Not glob, which takes a folder that cannot be listed for an empty one: all would be predicted again.
        try:
            return list(self.system.ls(self.path, detail=False))
        except FileNotFoundError:
            return []

    def _append(self, shard: str, joined: IO[bytes], end: int) -> Counts | None:
        """Appends a shard's predictions at an end: a repetition replaces what was read before."""
        joined.seek(end)
        joined.truncate()
        return self._read(shard, joined.write)

    def _read(self, shard: str, write: Callable[[bytes], Any] = len) -> Counts | None:
        """Passes the predictions of a shard on; returns its counts, or None if it has not all of its lines."""
        try:
            with self.system.open(shard, "rb") as file:
                counts, lines, last = Counts.from_json(file.readline().decode(), shard), 0, b"\n"
                while block := file.read(1 << 20):
                    write(block)
                    lines, last = lines + block.count(b"\n"), block[-1:]
        except (FileNotFoundError, UserError, UnicodeDecodeError):
            return None
        return counts if lines == counts.lines and last == b"\n" else None

    def _shard(self, number: int) -> str:
        return f"{self.path}/shard-{number:08}.jsonl"

    def _parts(self, name: str, shard_lines: int) -> list[tuple[str, int, int, int]]:
        """Returns path, offset, size and number of the first line of each part of a file."""
        parts: list[tuple[str, int, int, int]] = []
        offset, first_line = 0, 1
        try:
            path = self._unpack(name) if compression_of(name) else name
            with fsspec.open(path, "rb") as file:
                start = file.read(1024)
                check_content(start, name)
                check_encoding(start, name)
                file.seek(0)
                while lines := list(islice(file, shard_lines)):
                    parts.append((path, offset, sum(map(len, lines)), first_line))
                    offset, first_line = offset + parts[-1][2], first_line + len(lines)
        except DAMAGED as error:
            raise UserError(f"{name} cannot be read: {error}; check whether the file is complete") from error
        return parts

    def _unpack(self, name: str) -> str:
        unpacked = f"{self.path}/{fsspec.utils.tokenize(name)}.unpacked"
        if not self.system.exists(unpacked):

            def unpack(file: IO[bytes]) -> None:
                with fsspec.open(name, "rb") as packed:
                    shutil.copyfileobj(decompressed(packed, compression_of(name)), file, 1 << 20)

            self._write(unpacked, unpack)
        return str(self.system.unstrip_protocol(unpacked))

    def _write(self, path: str, content: Callable[[IO[bytes]], Any]) -> None:
        """Writes a file, which appears only if that ends without an error."""

        def write() -> None:
            unfinished = f"{path}.{uuid4().hex}.unfinished"
            if self._local:  # a mounted bucket may have forgotten the folder while it was empty
                self.system.makedirs(self.path, exist_ok=True)
            with self.system.open(unfinished, "wb") as file:
                content(file)
            self.system.mv(unfinished, path)

        self._patiently(write)

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """Repeats what may fail once in a mounted bucket; the clients of other file systems do so themselves."""
        return patiently(action, self.path) if self._local else action()
