"""The key metric of a stage in a few words, for the table of a run."""

from collections.abc import Mapping
from typing import Any

# By stage: an output and the text to fill in from its metadata. The first text with all of its names is used.
METRICS: dict[str, list[tuple[str, str]]] = {
    "snapshot": [("snapshot", "data {fingerprint:.12}")],
    "tokenize": [("corpus", "{train} pairs, {vocabulary_size} tokens")],
    "preflight": [("metrics", "about {hours:.2f} hours, {cost:.2f} {currency}")],
    "train": [("metrics", "loss {valid_loss:.3f}")],
    "export": [("model", "model {fingerprint:.12}")],
    "evaluate": [
        ("metrics", "BLEU {bleu:.2f}"),
        ("metrics", "ROUGE-L {rougeL:.2f}"),
    ],
    "infer": [("metrics", "{predicted:,.0f} of {lines:,.0f} lines")],
    "tune": [("metrics", "best loss {valid_loss:.3f}")],
    "collect": [("window", "{requests:,} requests of version {version}")],
    "monitor": [("monitored", "{alarms} of {rules} rules in alarm")],
    "summarize": [("summary", "{headline}")],
}


def key_metric(stage: str, metadata: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the key metric of a task.

    Args:
        stage: The stage that the task ran.
        metadata: Of its output artifacts, by output name.

    Returns:
        A few words; empty if there is none.
    """
    if stage == "bless" and "decision" in metadata:
        return "blessed" if metadata["decision"].get("blessed") is True else "not blessed"
    if stage == "retrain" and "retraining" in metadata:
        return "a run was started" if metadata["retraining"].get("started") is True else "no run was started"
    if stage == "deploy" and "deployment" in metadata:
        version = metadata["deployment"].get("version")
        return f"version {version} is live" if version and metadata["deployment"].get("live") else "not deployed"
    texts = (_fill(text, metadata.get(output, {})) for output, text in METRICS.get(stage, []))
    return next(filter(None, texts), "")


def _fill(text: str, metadata: Mapping[str, Any]) -> str:
    """The text with its names filled in; empty if one is missing or of another type."""
    try:
        return text.format(**metadata)
    except (KeyError, ValueError, TypeError):
        return ""
