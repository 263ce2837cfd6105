"""The bless stage: two evaluations in, a decision out."""

import logging
import math
from pathlib import Path

from seqline.artifacts.decision import Decision, write_decision
from seqline.artifacts.evaluation import Evaluation, Figure, read_sentences
from seqline.components.bless.evidence import gather, hear
from seqline.components.bless.judging import judge
from seqline.components.bless.movement import movement
from seqline.components.bless.options import Options
from seqline.components.bless.report import write_report
from seqline.components.bless.rules import DEFAULT
from seqline.human_evaluation.human import read_human_evaluation

log = logging.getLogger(__name__)

SAMPLES = 5


def bless(
    challenger: Path,
    champion: Path,
    decision: Path,
    report: Path,
    human_evaluation: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Decision:
    """Decides whether the challenger may go live.

    decision/
      decision.json   the verdict, every rule with figure, limit and reason, both models' figures, samples

    Every rule must pass. A challenger that does not pass is no error: the decision says so, and why.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is none.
        decision: The folder to write.
        report: The HTML page to write.
        human_evaluation: Human evaluation of these two models from `seqline rate import`, local or gs://; empty for
            none.
        options: The gate's rules.

    Returns:
        The decision.

    Raises:
        UserError: If the challenger was not evaluated, or the two were measured on different test texts or in
            different ways: then nothing is decided.
    """
    evidence = gather(challenger, champion)
    if human_evaluation:
        evidence = hear(evidence, read_human_evaluation(human_evaluation))
    verdicts = judge(options.gate or DEFAULT, evidence)
    made = Decision(
        blessed=all(verdict.passed for verdict in verdicts),
        model_fingerprint=evidence.challenger.model_fingerprint,
        rules=verdicts,
        challenger=_finite(evidence.challenger),
        champion=_finite(evidence.champion) if evidence.champion else None,
        comparisons=evidence.comparisons,
        problem=evidence.problem,
        human=evidence.human,
        movement=movement(*evidence.scores) if evidence.scores else [],
        evaluations=(str(challenger), str(champion)),
        samples=list(read_sentences(challenger, SAMPLES)),
    )
    for verdict in verdicts:
        log.info("%s  %s", "passed" if verdict.passed else "FAILED", verdict.reason)
    log.info("the challenger is %s", "blessed" if made.blessed else "not blessed")
    write_decision(decision, made)
    write_report(report, made, evidence)
    return made


def _finite(evaluation: Evaluation) -> dict[str, Figure]:
    """The figures that are numbers: JSON has no others, and a rule that rests on one has said so."""
    return {name: figure for name, figure in evaluation.metrics.items() if math.isfinite(figure.value)}
