"""The plugins that a run uses, as options of their stages: so their versions and code are in the cache keys."""

from collections.abc import Mapping

from seqline.components.bless.options import Options as GateOptions
from seqline.components.evaluate.options import Options as EvaluationOptions
from seqline.components.tokenize.options import Options as CorpusOptions
from seqline.components.train.options import Options as TrainingOptions
from seqline.plugins.registry import ARCHITECTURES, METRICS, RULES
from seqline.schema.options import BaseOptions


def with_plugins(resolved: Mapping[str, BaseOptions]) -> dict[str, BaseOptions]:
    """Completes the options of each stage by the plugins that it uses, and evaluate's by the metrics of the gate.

    Args:
        resolved: The options of each section.

    Raises:
        UserError: If one is not installed.
    """
    found = dict(resolved)
    corpus, training, evaluation = (found.get(name) for name in ("corpus", "training", "evaluation"))
    if isinstance(corpus, CorpusOptions):
        used = RULES.fingerprints(name for name, value in corpus.rules.items() if value is not False)
        found["corpus"] = corpus if used == corpus.plugins else corpus.with_values(plugins=used)
    if isinstance(training, TrainingOptions):
        used = ARCHITECTURES.fingerprints([training.architecture])
        found["training"] = training if used == training.plugins else training.with_values(plugins=used)
    if isinstance(evaluation, EvaluationOptions):
        metrics = METRICS.fingerprints([*evaluation.metrics, *_of_rules(found.get("gate"))])
        found["evaluation"] = evaluation.with_values(metrics=list(metrics), plugins=metrics)
    return found


def _of_rules(gate: BaseOptions | None) -> list[str]:
    rules = gate.gate if isinstance(gate, GateOptions) else []
    return [rule.metric for rule in rules if rule.metric != "headline"]
