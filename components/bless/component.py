"""The KFP contract of bless."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def bless(
    challenger: Input[Artifact],
    champion: Input[Artifact],
    decision: Output[Artifact],
    limits: dict = {"empty_outputs": 50},  # noqa: B006 (KFP reads the default, nothing changes it)
    metric: str = "bleu",
    margin: float = 0.5,
) -> bool:
    """Decides whether the challenger may go live: by fixed limits, and against the champion.

    Never cache this task: the decision is about the version that is live now.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is none.
        decision: The verdict, every rule with figure, limit and reason, both models' figures.
        limits: The worst figure allowed by metric, such as {"bleu": 20, "empty_outputs": 1}.
        metric: The metric in which the challenger must not fall behind the champion.
        margin: The loss in that metric that is tolerated, on its own scale.

    Returns:
        Whether every rule passed. A single unnamed value, because kfp 2.17 evaluates `dsl.If` locally only on those.
    """
    from pathlib import Path

    from components.bless.stage import Options
    from components.bless.stage import bless as run

    options = Options(limits, metric, margin)
    made = run(Path(challenger.path), Path(champion.path), Path(decision.path), options)
    decision.metadata.update(blessed=made.blessed, reasons=[verdict.reason for verdict in made.rules])
    return made.blessed
