"""The KFP contract of bless."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Input, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def bless(
    challenger: Input[Artifact],
    champion: Input[Artifact],
    decision: Output[Artifact],
    report: Output[HTML],
    movement: Output[ClassificationMetrics],
    gate: list = [],  # noqa: B006 (KFP reads the default, nothing changes it)
    human: str = "",
) -> bool:
    """Decides whether the challenger may go live: by fixed limits, and against the champion.

    Never cache this task: the decision is about the version that is live now.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is none.
        decision: The verdict, every rule with figure, limit and reason, both models' figures.
        report: One page: the verdict, the scoreboard, slices, and sentences won and lost.
        movement: Sentences by the champion's band of quality and the challenger's, for the console; empty without a
            champion.
        gate: What is asked of the challenger, each an object such as {"metric": "bleu", "minimum": 20};
            empty for the usual two.
        human: Human evaluation of these two models that `seqline rate import` wrote, local or gs://; empty for none.

    Returns:
        Whether every rule passed. A single unnamed value, because kfp 2.17 evaluates `dsl.If` locally only on those.
    """
    from pathlib import Path

    from seqline.components.bless import console, stage

    options = stage.Options(gate, human)
    made = stage.bless(Path(challenger.path), Path(champion.path), Path(decision.path), Path(report.path), options)
    console.show(made, decision, movement)
    return made.blessed
