"""The bless stage: reads two evaluations and decides by the gate's rules."""

import logging
from pathlib import Path

from seqline.artifacts.decision import Decision, Judged, RuleResult, write_decision
from seqline.artifacts.evaluation import read_sentences
from seqline.artifacts.human_evaluation import read_human_evaluation
from seqline.components.bless.anchor import compare_with_best, finite
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import EvaluationPair, is_champion, read_pair
from seqline.components.bless.movement import movement
from seqline.components.bless.options import Options
from seqline.components.bless.report import write_report
from seqline.components.bless.rules import DEFAULT, NO_WORSE

log = logging.getLogger(__name__)

SAMPLES = 5


def bless(
    challenger: Path,
    champion: Path,
    decision: Path,
    report: Path,
    human_evaluation: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    best: Path | None = None,
    champion_version: str = "",
    rolled_back: str = "",
    baseline: Path | None = None,
) -> Decision:
    """Decides whether the challenger may go live.

    decision/
      decision.json   whether it is blessed, every rule with value, limit and reason, both models' metrics, samples

    Every rule must pass. A challenger that fails a rule is not an error: the decision records it with the reason.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is nothing to measure.
        decision: The folder to write.
        report: The HTML page to write.
        human_evaluation: Human evaluation of these two models from `seqline rate import`, local or in a bucket; empty
            for none.
        options: The gate's rules.
        best: The evaluation of the best version so far; absent, or not given, where that is the champion.
        champion_version: Number of the live version, as the champion stage found; deploy requires that it is still
            live.
        rolled_back: Why the challenger must not go live again, as the champion stage found; empty if it may.
        baseline: The evaluation of the pretrained checkpoint that training started from; absent, or not given, where
            there is none.

    Returns:
        The decision.

    Raises:
        UserError: If the challenger was not evaluated, or the two were evaluated on different test sets or in
            different ways; nothing is written then.
    """
    pair = read_pair(challenger, champion)
    if human_evaluation:
        pair = pair.with_human_evaluation(read_human_evaluation(human_evaluation))
    anchored = None if best is None or is_champion(best) else read_pair(challenger, best)
    start = read_pair(challenger, baseline) if baseline else None
    default = DEFAULT if start is None or start.is_first else (*DEFAULT, NO_WORSE)
    results = check_rules(options.gate or default, pair, anchored, start)
    if rolled_back:
        results.append(RuleResult("not rolled back before", None, None, False, f"{_capital(rolled_back)}."))
    made = Decision(
        blessed=all(result.passed for result in results),
        model_fingerprint=pair.challenger.model_fingerprint,
        rules=results,
        challenger=finite(pair.challenger.metrics),
        champion=finite(pair.champion.metrics) if pair.champion else None,
        comparisons=pair.comparisons,
        problem=pair.problem,
        human=pair.human,
        movement=movement(*pair.scores) if pair.scores else [],
        evaluations=(str(challenger), str(champion)),
        samples=list(read_sentences(challenger, SAMPLES)),
        anchor=compare_with_best(pair, anchored),
        judged=_judged(pair, champion_version),
        task=pair.challenger.task,
    )
    for result in results:
        log.info("%s  %s", "passed" if result.passed else "FAILED", result.reason)
    log.info("%s", made.anchor.reason)
    log.info("the challenger is %s", "blessed" if made.blessed else "not blessed")
    write_decision(decision, made)
    write_report(report, made, pair, anchored)
    return made


def _judged(pair: EvaluationPair, version: str) -> Judged | None:
    """The live version of the comparison; None if nothing identifies it."""
    if pair.problem:
        return Judged(version) if version else None
    if pair.champion is None and not pair.same:
        return Judged()
    return Judged(version, (pair.champion or pair.challenger).model_fingerprint)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
