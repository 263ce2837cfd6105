"""Large corpora made of small ones: pairs repeated with other words in them, so that hardly two are the same."""

import gzip
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.environments import FOLDER
from seqline.atomic import atomic_write
from seqline.errors import UserError

FILES = 8


def read(paths: list[Path]) -> list[tuple[str, str]]:
    """The pairs of some files.

    Args:
        paths: TSV files, plain or gzipped, or folders that hold a train.tsv.gz.

    Raises:
        UserError: A path is missing.
    """
    pairs: list[tuple[str, str]] = []
    for path in paths:
        file = path / "train.tsv.gz" if path.is_dir() else path
        if not file.is_file():
            raise UserError(f"{path}: no such corpus; give a .tsv or .tsv.gz file, or a folder with a train.tsv.gz")
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for line in content.decode().splitlines():
            source, _, target = line.partition("\t")
            pairs.append((source, target))
    return pairs


def varied(pairs: list[tuple[str, str]], count: int) -> Path:
    """Writes `count` pairs to TSV files, or finds those that were written before.

    Args:
        pairs: The pairs to repeat.
        count: How many to write.

    Returns:
        The folder, with files part-*.tsv.
    """
    identity = hashlib.sha256(repr((count, FILES, pairs)).encode()).hexdigest()[:8]
    folder = (FOLDER / f"pairs-{count}-{identity}").resolve()
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        files = [(folder / f"part-{number}.tsv").open("w", encoding="utf-8") for number in range(FILES)]
        for number, (source, target) in enumerate(_repeated(pairs, count)):
            files[number % FILES].write(f"{source}\t{target}\n")
        for file in files:
            file.close()
        atomic_write(folder / "ready", "")
    return folder


def _repeated(pairs: list[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """The pairs as they are, then again and again with every tenth word of each side from another pair."""
    chooser = random.Random(1)
    words = [[word for pair in pairs for word in pair[side].split()] for side in (0, 1)]
    for number in range(count):
        source, target = pairs[number % len(pairs)]
        if number >= len(pairs):
            source, target = (
                _exchanged(text, choices, chooser) for text, choices in zip((source, target), words, strict=True)
            )
        yield source, target


def _exchanged(text: str, choices: list[str], chooser: random.Random) -> str:
    words = text.split()
    for _ in range(1 + len(words) // 10):
        if words:
            words[int(chooser.random() * len(words))] = choices[int(chooser.random() * len(choices))]
    return " ".join(words)
