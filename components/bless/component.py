"""The KFP contract of bless."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Input, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def bless(
    challenger: Input[Artifact],
    champion: Input[Artifact],
    best: Input[Artifact],
    baseline: Input[Artifact],
    decision: Output[Artifact],
    report: Output[HTML],
    movement: Output[ClassificationMetrics],
    gate: list = [],  # noqa: B006 (KFP reads the default, nothing changes it)
    human_evaluation: str = "",
    opponent: dict = {},  # noqa: B006
    rolled_back: str = "",
) -> bool:
    """Decides by the gate's rules whether the challenger may go live.

    Never cache this task: the decision is about the version that is live now.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is nothing to measure.
        best: The evaluation of the best version so far; absent where that is the champion.
        baseline: The evaluation of the checkpoint that training started from; absent where there is none.
        decision: Whether the challenger passed, every rule with value, limit and reason, both models' metrics.
        report: One page: the decision, the metrics of both models, slices, and sentences that got better and worse.
        movement: Sentences by the champion's quality and the challenger's, for the console; empty without a champion.
        gate: Rules such as {"metric": "bleu", "minimum": 20}; empty for the default rules.
        human_evaluation: Human evaluation of these two models from `seqline rate import`, local or in a bucket; empty
            for none.
        opponent: What champion found about the live version, which deploy requires to be live still.
        rolled_back: Why the challenger must not go live again, as champion found; empty if it may.

    Returns:
        Whether every rule passed. A single unnamed value, because kfp 2.17 evaluates `dsl.If` locally only on those.
    """
    from pathlib import Path

    from seqline.artifacts.opponent import Opponent
    from seqline.components.bless import console, stage
    from seqline.components.bless.options import Options

    made = stage.bless(
        Path(challenger.path),
        Path(champion.path),
        Path(decision.path),
        Path(report.path),
        human_evaluation,
        Options(gate=gate),
        Path(best.path),
        Opponent.from_parameter(opponent).version,
        rolled_back,
        Path(baseline.path),
    )
    console.show(made, decision, movement)
    return made.blessed
