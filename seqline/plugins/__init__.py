"""What packages of other people add to Seqline: metrics, cleaning rules, architectures, notifiers and targets.

A package decorates a function or a class and names it among its entry points; docs/extending.md has an example of each:

    [project.entry-points."seqline.metrics"]
    terms_kept = "my_package.metrics:terms_kept"
"""

from seqline.plugins.contracts import (
    ArchitecturePlugin,
    MetricPlugin,
    NotifierPlugin,
    RulePlugin,
    TargetPlugin,
    architecture,
    metric,
    notifier,
    rule,
    target,
)

__all__ = [
    "ArchitecturePlugin",
    "MetricPlugin",
    "NotifierPlugin",
    "RulePlugin",
    "TargetPlugin",
    "architecture",
    "metric",
    "notifier",
    "rule",
    "target",
]
