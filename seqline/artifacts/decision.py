"""Layout of the decision artifact: *bless* writes it, *deploy* and *summary* read it.

decision/
  decision.json   whether the challenger is blessed, the result of every rule, both models' metrics, the significance
                  of their differences, human evaluation, samples, and the addresses of the evaluations
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field, Strict

from seqline.artifacts.evaluation import Comparison, MetricValue, Sentence
from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_directory
from seqline.errors import UserError

FILE = "decision.json"


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule of the gate.

    Attributes:
        rule: The rule in words.
        value: The challenger's value of the metric; None where it is not a number. Decisions of version 2 call it
            `figure`.
        limit: The worst value that passes; None where there was nothing to compare with.
        passed: Whether the challenger passed.
        reason: Why, as a sentence.
        champion: The value of the version that the rule compares with.
        p_value: p-value of the difference, where it was tested.
        against: The version that the rule compares with: champion, best or baseline; empty for a limit.
    """

    rule: str
    value: Annotated[float | None, Field(validation_alias=AliasChoices("value", "figure"))]
    limit: float | None
    passed: Annotated[bool, Strict()]
    reason: str
    champion: float | None = None
    p_value: float | None = None
    against: str = ""


@dataclass(frozen=True)
class Anchor:
    """The best version so far, which keeps small losses at every retraining from adding up.

    Attributes:
        moves: Whether the challenger becomes the best version when it is deployed.
        reason: Why, as a sentence.
        metrics: The best version's metrics; None where there was none to compare with, or it is the champion.
        comparisons: The challenger's differences to them, by the metric's name.
        problem: Why the best version could not be measured; empty otherwise.
    """

    moves: Annotated[bool, Strict()] = False
    reason: str = ""
    metrics: dict[str, MetricValue] | None = None
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Judged:
    """The live version that the challenger was compared with; both fields are empty if nothing was live.

    Attributes:
        version: Its number; empty if the gate did not know it.
        fingerprint: Its model's fingerprint; empty if it could not be identified.
    """

    version: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class Decision(Record):
    """Whether the challenger may go live, and why.

    Attributes:
        blessed: Whether every rule passed.
        model_fingerprint: Of the challenger; no other model may be deployed on this decision.
        rules: The result of each rule; never empty.
        challenger: The challenger's metrics.
        champion: The champion's metrics; None where there was none to compare with.
        samples: The first sentences of the test set with the challenger's outputs.
        comparisons: Their differences by the metric's name, for the metrics that were counted on both.
        problem: Why an existing champion could not be measured; empty otherwise.
        human: Metrics of human evaluation; empty where there was none.
        movement: Sentences by the champion's band of quality (rows) and the challenger's (columns), in the order of
            `seqline.components.bless.movement.BANDS`; empty without a champion.
        evaluations: Addresses of the challenger's evaluation and the champion's.
        anchor: The comparison with the best version so far.
        judged: The live version of the comparison: *deploy* requires that it is still live. None in older decisions,
            and if the champion could not be measured and the gate did not know its number.
        task: The task that the models were trained for; empty in older decisions.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=3, oldest=2, remedy="run bless with this version of Seqline")

    blessed: Annotated[bool, Strict()]  # 1 or "true" in an edited file must not bless a model
    model_fingerprint: str
    rules: list[RuleResult]
    challenger: dict[str, MetricValue]
    champion: dict[str, MetricValue] | None = None
    samples: list[Sentence] = field(default_factory=list)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    problem: str = ""
    human: dict[str, MetricValue] = field(default_factory=dict)
    movement: list[list[int]] = field(default_factory=list)
    evaluations: tuple[str, str] = ("", "")
    anchor: Anchor = field(default_factory=Anchor)
    judged: Judged | None = None
    task: str = ""

    def __post_init__(self) -> None:
        if self.blessed and not (self.rules and all(result.passed for result in self.rules)):
            raise UserError(
                "a decision that blesses needs at least one rule, and every rule passed; " + self.SCHEMA.remedy
            )


def write_decision(folder: Path, decision: Decision) -> None:
    """Writes the artifact.

    Args:
        folder: The folder to write, in one step.
        decision: The decision.
    """
    with atomic_directory(folder, FILE) as unfinished:
        decision.write(unfinished / FILE)


def read_decision(folder: Path) -> Decision:
    """Reads the artifact.

    Args:
        folder: The artifact's folder.

    Raises:
        UserError: If the folder holds no decision, or one that cannot be read.
    """
    return Decision.read(Path(folder) / FILE)
