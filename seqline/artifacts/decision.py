"""Layout of the decision artifact: what *bless* writes, and *deploy* and *summary* read.

decision/
  decision.json   the verdict, every rule with its figures and reason, both models' figures, how sure their differences
                  are, what raters say, samples, and where the evaluations are

Standard library only: other images import this module.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seqline.artifacts.evaluation import Comparison, Figure, Sentence, figures
from seqline.atomic import atomic_directory
from seqline.errors import UserError

SCHEMA_VERSION = 2
FILE = "decision.json"


@dataclass(frozen=True)
class Verdict:
    """What one rule said.

    Attributes:
        rule: The rule, in a few words.
        figure: The challenger's figure; None where it is not a number.
        limit: The worst figure that the rule lets pass; None where there was nothing to compare with.
        passed: Whether the challenger passed.
        reason: The verdict as a sentence.
        champion: The champion's figure, where the rule compares with it.
        p_value: Probability that chance makes such a difference, where the rule's test was made.
    """

    rule: str
    figure: float | None
    limit: float | None
    passed: bool
    reason: str
    champion: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Decision:
    """Whether the challenger may go live, and why.

    Attributes:
        blessed: The verdict: every rule passed.
        model_fingerprint: The challenger that was judged; no other model may be deployed on this decision.
        rules: What each rule said; never empty.
        challenger: The challenger's figures.
        champion: The champion's figures; None where there was none to compare with.
        samples: The first sentences of the test text as the challenger answers them.
        comparisons: How sure their differences are, by the metric's name; those that were counted on both.
        problem: Why a champion that is there could not be measured; empty otherwise.
        human: What raters say of the two; empty where they were not asked.
        movement: Sentences by the champion's band of quality (rows) and the challenger's (columns), in the order of
            `seqline.components.bless.movement.BANDS`; empty without a champion.
        evaluations: Where the challenger's evaluation is, and the champion's.
    """

    blessed: bool
    model_fingerprint: str
    rules: list[Verdict]
    challenger: dict[str, Figure]
    champion: dict[str, Figure] | None = None
    samples: list[Sentence] = field(default_factory=list)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    problem: str = ""
    human: dict[str, Figure] = field(default_factory=dict)
    movement: list[list[int]] = field(default_factory=list)
    evaluations: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        if self.blessed and not (self.rules and all(rule.passed for rule in self.rules)):
            raise UserError("a decision that blesses needs rules, and every one of them passed")

    def to_json(self) -> str:
        """The text of decision.json."""
        content = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, origin: str) -> "Decision":
        """Reads the text of a decision.json.

        Args:
            text: The file's content.
            origin: Where it was found, for the message.

        Raises:
            UserError: If it is no decision, has another schema version, or blesses against its own rules.
        """
        try:
            content = json.loads(text)
            if content["schema_version"] != SCHEMA_VERSION:
                raise UserError(
                    f"{origin} has schema version {content['schema_version']}, this Seqline reads {SCHEMA_VERSION}: "
                    "run the pipeline again"
                )
            champion = content["champion"]
            return cls(
                # Not bool(...): the text "false" is no blessing.
                blessed=content["blessed"] is True,
                model_fingerprint=content["model_fingerprint"],
                rules=[Verdict(**rule) for rule in content["rules"]],
                challenger=figures(content["challenger"]),
                champion=None if champion is None else figures(champion),
                comparisons={name: Comparison(**one) for name, one in content["comparisons"].items()},
                problem=content["problem"],
                human=figures(content["human"]),
                movement=content["movement"],
                evaluations=(str(content["evaluations"][0]), str(content["evaluations"][1])),
                samples=[Sentence(**sample) for sample in content["samples"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{origin} is not a decision ({error!r}): run bless again") from error


def write_decision(folder: Path, decision: Decision) -> None:
    """Writes the artifact.

    Args:
        folder: The folder to write; it appears whole.
        decision: What was decided.
    """
    with atomic_directory(folder) as unfinished:
        (unfinished / FILE).write_text(decision.to_json(), encoding="utf-8")


def read_decision(folder: Path) -> Decision:
    """Reads the artifact.

    Args:
        folder: The artifact's folder.

    Raises:
        UserError: If the folder holds no decision, or a broken one.
    """
    path = Path(folder) / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no decision ({FILE} is missing): run bless first") from error
    return Decision.from_json(text, str(path))
