"""The KFP contract of monitor."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Metrics, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def monitor(
    window: Input[Artifact],
    monitored: Output[Artifact],
    report: Output[HTML],
    figures: Output[Metrics],
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
) -> bool:
    """Compares a window of live traffic with the training corpus and with the window before.

    Never cache this task: its evidence adds up from run to run.

    Args:
        window: The requests, from collect.
        monitored: The figures with their intervals, what each rule found, and the file for Prometheus.
        report: The same as an HTML page, with the texts that are furthest from training where texts are stored.
        figures: The figures, for the console.
        options: Options of monitoring; docs/parameters.md lists them under `monitoring`.

    Returns:
        Whether an alarm asks for a retraining. A single unnamed value, because kfp 2.17 evaluates `dsl.If` locally only
        on those.
    """
    from pathlib import Path

    from seqline.components.monitor.options import Options
    from seqline.components.monitor.stage import monitor as run

    found = run(Path(window.path), Path(monitored.path), Path(report.path), Options(**options))
    figures.metadata.update({one.figure: one.value for one in found.figures if not one.slice})
    monitored.metadata.update(alarms=len(found.alarms), rules=len(found.rules))
    return found.retrains
