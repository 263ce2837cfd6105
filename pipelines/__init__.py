"""The pipelines, one DAG a file."""

PIPELINES = {name: f"seqline.pipelines.{name}" for name in ("training", "batch", "tuning", "release", "monitoring")}
"""Their modules by name; the DAG has the module's name."""
