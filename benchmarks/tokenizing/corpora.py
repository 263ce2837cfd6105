"""Large corpora made from small ones: pairs are repeated with some words replaced, so that few are duplicates."""

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
    """Reads the pairs of files.

    Args:
        paths: TSV files, plain or gzipped, or folders with a train.tsv.gz.

    Raises:
        UserError: If a path is missing.
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
    """Writes `count` pairs to TSV files, unless they already exist.

    Args:
        pairs: The pairs to repeat.
        count: Number of pairs to write.

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
    """Yields the pairs unchanged, then repeatedly with a tenth of the words replaced by words of other pairs."""
    chooser = random.Random(1)
    words = [[word for pair in pairs for word in pair[side].split()] for side in (0, 1)]
    for number in range(count):
        source, target = pairs[number % len(pairs)]
        if number >= len(pairs):
            source, target = (
                _replaced(text, choices, chooser) for text, choices in zip((source, target), words, strict=True)
            )
        yield source, target


def _replaced(text: str, choices: list[str], chooser: random.Random) -> str:
    words = text.split()
    for _ in range(1 + len(words) // 10):
        if words:
            words[int(chooser.random() * len(words))] = choices[int(chooser.random() * len(choices))]
    return " ".join(words)
