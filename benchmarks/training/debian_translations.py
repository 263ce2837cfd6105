"""A corpus of translations: the descriptions of Debian's packages, by paragraph.

`python -m benchmarks.training.debian_translations Translation-en.xz Translation-it.bz2 FOLDER` reads two files of
https://deb.debian.org/debian/dists/bookworm/main/i18n/ and writes train.tsv.gz, valid.tsv.gz and test.tsv.gz. A file
may be given several times, such as those of several releases: `--more Translation-en.xz Translation-it.bz2`.
"""

import argparse
import bz2
import gzip
import hashlib
import lzma
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HELD_OUT = 1000
"""Pairs of the validation and of the test split, each."""
OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}


def main() -> None:
    """Writes the corpus."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.training.debian_translations", description=__doc__)
    flags.add_argument("files", type=Path, nargs=2, metavar="FILE", help="source and target")
    flags.add_argument("folder", type=Path, help="folder of the corpus")
    flags.add_argument("--more", type=Path, nargs=2, action="append", default=[], metavar="FILE")
    args = flags.parse_args()
    found: dict[str, str] = {}
    for source, target in [args.files, *args.more]:
        found |= {english: other for english, other in pairs(source, target) if english != other}
    # By hash, so that a package's paragraphs are spread, and another release's pairs keep their split.
    ordered = sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())
    args.folder.mkdir(parents=True, exist_ok=True)
    cut = {"test": ordered[:HELD_OUT], "valid": ordered[HELD_OUT : 2 * HELD_OUT], "train": ordered[2 * HELD_OUT :]}
    for split, sources in cut.items():
        with gzip.open(args.folder / f"{split}.tsv.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{text}\t{found[text]}\n" for text in sources)
        print(f"{split}: {len(sources):,} pairs")


def pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yields the paragraphs of the descriptions that both files have, or their sentences where these are as many.

    Args:
        source: A Translation file.
        target: That of the other language.
    """
    theirs = descriptions(target)
    for name, ours in descriptions(source).items():
        other = theirs.get(name, [])
        if len(ours) != len(other):
            continue
        for one, two in zip(ours, other, strict=True):
            cut = [re.split(r"(?<=[.!?:]) (?=[A-Z])", text) for text in (one, two)]
            yield from zip(*cut, strict=True) if len(cut[0]) == len(cut[1]) else [(one, two)]


def descriptions(file: Path) -> dict[str, list[str]]:
    """Reads the descriptions of a Translation file.

    Args:
        file: The file, compressed.

    Returns:
        By the MD5 digest of the English one: the synopsis and the paragraphs, each on one line.
    """
    found: dict[str, list[str]] = {}
    with OPENERS[file.suffix](file, "rt", encoding="utf-8") as text:
        for entry in text.read().split("\n\n"):
            digest = re.search(r"^Description-md5: (\w+)$", entry, re.MULTILINE)
            body = re.search(
                r"^Description-\w{2,5}: (.*)", entry.replace("Description-md5", ""), re.DOTALL | re.MULTILINE
            )
            if digest and body:
                synopsis, _, rest = body[1].partition("\n")
                parts = re.split(r"^ \.$", rest, flags=re.MULTILINE)
                found[digest[1]] = [" ".join(part.split()) for part in (synopsis, *parts) if part.strip()]
    return found


if __name__ == "__main__":
    main()
