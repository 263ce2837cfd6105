"""The bless stage: reads two evaluations and decides by the gate's rules."""

import logging
import math
from pathlib import Path

from seqline.artifacts.decision import Decision, write_decision
from seqline.artifacts.evaluation import Evaluation, MetricValue, read_sentences
from seqline.artifacts.human_evaluation import read_human_evaluation
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import read_pair
from seqline.components.bless.movement import movement
from seqline.components.bless.options import Options
from seqline.components.bless.report import write_report
from seqline.components.bless.rules import DEFAULT

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
      decision.json   whether it is blessed, every rule with value, limit and reason, both models' metrics, samples

    Every rule must pass. A challenger that fails a rule is no error: the decision records it with the reason.

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
        UserError: If the challenger was not evaluated, or the two were evaluated on different test sets or in
            different ways; nothing is written then.
    """
    pair = read_pair(challenger, champion)
    if human_evaluation:
        pair = pair.with_human_evaluation(read_human_evaluation(human_evaluation))
    results = check_rules(options.gate or DEFAULT, pair)
    made = Decision(
        blessed=all(result.passed for result in results),
        model_fingerprint=pair.challenger.model_fingerprint,
        rules=results,
        challenger=_finite(pair.challenger),
        champion=_finite(pair.champion) if pair.champion else None,
        comparisons=pair.comparisons,
        problem=pair.problem,
        human=pair.human,
        movement=movement(*pair.scores) if pair.scores else [],
        evaluations=(str(challenger), str(champion)),
        samples=list(read_sentences(challenger, SAMPLES)),
    )
    for result in results:
        log.info("%s  %s", "passed" if result.passed else "FAILED", result.reason)
    log.info("the challenger is %s", "blessed" if made.blessed else "not blessed")
    write_decision(decision, made)
    write_report(report, made, pair)
    return made


def _finite(evaluation: Evaluation) -> dict[str, MetricValue]:
    """Returns the metrics that are finite: JSON has no NaN, and a rule on a NaN has failed with that reason."""
    return {name: value for name, value in evaluation.metrics.items() if math.isfinite(value.value)}
