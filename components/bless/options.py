"""Options of the bless stage."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from seqline.components.bless.rules import HEADLINE, Rule
from seqline.metrics.metrics import find_metric
from seqline.schema.run import TaskOption


def _of_the_task(rule: Rule, info: ValidationInfo) -> Rule:
    """Refuses a metric that is not measured for the task, before anything is trained."""
    task = info.data.get("task")
    if task and rule.metric != HEADLINE and task not in find_metric(rule.metric).tasks:
        raise ValueError(f"{rule.metric} is not available for task {task}; {HEADLINE} is the task's own metric")
    return rule


class Options(TaskOption):
    """The gate."""

    gate: list[Annotated[Rule, AfterValidator(_of_the_task)]] = Field(
        [],
        description='Rules that the challenger must pass, such as {"metric": "bleu", "minimum": 20}; empty for the '
        "default rules. See docs/gate.md.",
    )
