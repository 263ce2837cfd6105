"""The raters' sheet: pairs of outputs, shuffled, without a word about which model gave which.

NAME.html       the page that raters open; it holds the texts and takes the ratings
NAME.key.json   which side is whose; it stays with whoever imports the ratings
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from seqline.artifacts.evaluation import Evaluation, Sentence, read_evaluation, read_sentences
from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.html_report.differences import differences
from seqline.html_report.page import render

SCHEMA_VERSION = 1
FORMAT = "seqline-ratings-1"  # of what the page gives for download
LEFT, RIGHT, EQUAL = "left", "right", "equal"


@dataclass(frozen=True)
class Key:
    """What the raters are not told.

    Attributes:
        sheet: The sheet's id: that of the page's texts.
        challenger: Fingerprint of the challenger.
        champion: Fingerprint of the champion.
        corpus: Fingerprint of the corpus of the test text.
        sides: On which side the challenger is, for each pair.
        identical: Share of the test sentences on which both give the same output, and nothing is to be compared.
    """

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
        source: What both models were given.
        reference: The expected text.
        left: The output on the left.
        right: The output on the right.
    """

    source: str
    reference: str
    left: str
    right: str


def key_of(page: Path) -> Path:
    """Where a sheet's key is.

    Args:
        page: The sheet's page.
    """
    return page.with_suffix(".key.json")


def write_sheet(challenger: Path, champion: Path, page: Path, sentences: int = 100, seed: int = 1) -> Key:
    """Chooses sentences on which two models differ, and writes the page and its key.

    Args:
        challenger: The challenger's evaluation.
        champion: The champion's, on the same test text.
        page: The HTML page to write; its key goes beside it.
        sentences: Most pairs; fewer where the models differ on fewer.
        seed: Decides which sentences, in which order, and whose output is on the left.

    Returns:
        The key.

    Raises:
        UserError: If one of them was not evaluated, the test texts are not the same, or the models never differ.
    """
    if sentences < 1:
        raise UserError(f"sentences must be at least 1, not {sentences}")
    ours, theirs = _evaluated(challenger, "challenger"), _evaluated(champion, "champion")
    if ours.corpus_fingerprint != theirs.corpus_fingerprint or ours.sentences != theirs.sentences:
        raise UserError("challenger and champion were evaluated on different test texts: evaluate both on one corpus")
    different = [place for place, one in enumerate(_both(challenger, champion)) if _differ(*one)]
    if not different:
        raise UserError(f"the two models give the same output on all {ours.sentences} sentences: nothing to compare")
    chooser = random.Random(seed)
    chosen = chooser.sample(different, min(sentences, len(different)))
    wanted = set(chosen)
    found = {place: one for place, one in enumerate(_both(challenger, champion)) if place in wanted}
    sides = [chooser.choice((LEFT, RIGHT)) for _ in chosen]
    pairs = [_pair(*found[place], side) for place, side in zip(chosen, sides, strict=True)]
    texts = json.dumps([asdict(pair) for pair in pairs]).encode()
    key = Key(
        sheet=hashlib.sha256(texts).hexdigest()[:16],
        challenger=ours.model_fingerprint,
        champion=theirs.model_fingerprint,
        corpus=ours.corpus_fingerprint,
        sides=sides,
        identical=1 - len(different) / ours.sentences,
    )
    atomic_write(key_of(page), json.dumps({"schema_version": SCHEMA_VERSION, **asdict(key)}, indent=2) + "\n")
    marked = [(pair, *differences(pair.left, pair.right)) for pair in pairs]
    atomic_write(page, render(Path(__file__).with_name("sheet.html"), sheet=key.sheet, format=FORMAT, pairs=marked))
    return key


def read_key(path: Path) -> Key:
    """Reads a sheet's key.

    Args:
        path: The file.

    Raises:
        UserError: If it is not there, or is no key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise UserError(f"{path} has schema version {version}, this Seqline reads {SCHEMA_VERSION}")
        return Key(**content)
    except FileNotFoundError:
        raise UserError(f"there is no key at {path}; `seqline rate sheet` writes it beside the page") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the key of a sheet ({error!r})") from error


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
