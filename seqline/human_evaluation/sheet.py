"""The rating sheet: shuffled pairs of outputs that do not reveal which model made which.

NAME.html       the page that raters open; it shows the texts and takes the ratings
NAME.key.json   which side is the challenger's; not for raters, needed for the import
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from seqline.artifacts.evaluation import Evaluation, Sentence, read_evaluation, read_sentences
from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.html_report.differences import differences
from seqline.html_report.page import render

FORMAT = "seqline-ratings-1"  # of the files that raters download
LEFT, RIGHT, EQUAL = "left", "right", "equal"


@dataclass(frozen=True)
class Key(Record):
    """The part of a sheet that raters do not see.

    Attributes:
        sheet: The sheet's id: a hash of the page's texts.
        challenger: Fingerprint of the challenger.
        champion: Fingerprint of the champion.
        corpus: Fingerprint of the corpus that the test set belongs to.
        sides: The challenger's side, left or right, for each pair.
        identical: Share of the test sentences on which both models give the same output.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="use the key that `seqline rate sheet` wrote with the page")

    sheet: str
    challenger: str
    champion: str
    corpus: str
    sides: list[str]
    identical: float


@dataclass(frozen=True)
class Pair:
    """One test sentence with two outputs.

    Attributes:
        source: The input of both models.
        reference: The expected output.
        left: The left output.
        right: The right output.
    """

    source: str
    reference: str
    left: str
    right: str


def key_of(page: Path) -> Path:
    """Returns the path of a sheet's key.

    Args:
        page: The sheet's page.
    """
    return page.with_suffix(".key.json")


def write_sheet(challenger: Path, champion: Path, page: Path, sentences: int = 100, seed: int = 1) -> Key:
    """Samples sentences on which two models differ, and writes the page and its key.

    Args:
        challenger: The challenger's evaluation.
        champion: The champion's, on the same test set.
        page: The HTML page to write; its key is written to the same folder.
        sentences: Maximum number of pairs.
        seed: Of the sample, its order, and the sides.

    Returns:
        The key.

    Raises:
        UserError: If one of them was not evaluated, the test sets differ, or the models never differ.
    """
    if sentences < 1:
        raise UserError(f"sentences must be at least 1, not {sentences}")
    ours, theirs = _evaluated(challenger, "challenger"), _evaluated(champion, "champion")
    if ours.corpus_fingerprint != theirs.corpus_fingerprint or ours.sentences != theirs.sentences:
        raise UserError("challenger and champion were evaluated on different test sets: evaluate both on one corpus")
    different = [index for index, one in enumerate(_both(challenger, champion)) if _differ(*one)]
    if not different:
        raise UserError(f"the two models give the same output on all {ours.sentences} sentences: nothing to compare")
    generator = random.Random(seed)
    chosen = generator.sample(different, min(sentences, len(different)))
    indices = set(chosen)
    found = {index: one for index, one in enumerate(_both(challenger, champion)) if index in indices}
    sides = [generator.choice((LEFT, RIGHT)) for _ in chosen]
    pairs = [_pair(*found[index], side) for index, side in zip(chosen, sides, strict=True)]
    texts = json.dumps([asdict(pair) for pair in pairs]).encode()
    key = Key(
        sheet=hashlib.sha256(texts).hexdigest()[:16],
        challenger=ours.model_fingerprint,
        champion=theirs.model_fingerprint,
        corpus=ours.corpus_fingerprint,
        sides=sides,
        identical=1 - len(different) / ours.sentences,
    )
    key.write(key_of(page))
    marked = [(pair, *differences(pair.left, pair.right)) for pair in pairs]
    atomic_write(page, render(Path(__file__).with_name("sheet.html"), sheet=key.sheet, format=FORMAT, pairs=marked))
    return key


def _evaluated(folder: Path, who: str) -> Evaluation:
    found = read_evaluation(folder)
    if found.absent:
        raise UserError(f"there is no {who} to compare{f': {found.problem}' if found.problem else ''}")
    return found


def _both(challenger: Path, champion: Path) -> Iterator[tuple[Sentence, Sentence]]:
    return zip(read_sentences(challenger), read_sentences(champion), strict=True)


def _differ(ours: Sentence, theirs: Sentence) -> bool:
    return ours.output.strip() != theirs.output.strip()


def _pair(ours: Sentence, theirs: Sentence, side: str) -> Pair:
    left, right = (ours.output, theirs.output) if side == LEFT else (theirs.output, ours.output)
    return Pair(ours.source, ours.reference, left, right)
