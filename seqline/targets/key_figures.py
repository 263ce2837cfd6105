"""What a stage's artifacts say in a few words, beside its state."""

from collections.abc import Mapping
from typing import Any

# By stage: the output whose metadata say it, and the words. The first whose names are all there is taken.
FIGURES: dict[str, list[tuple[str, str]]] = {
    "snapshot": [("snapshot", "data {fingerprint:.12}")],
    "tokenize": [("corpus", "{train} pairs, {vocabulary_size} pieces")],
    "preflight": [("metrics", "about {hours:.2f} hours, {cost:.2f} {currency}")],
    "train": [("metrics", "loss {valid_loss:.3f}")],
    "export": [("model", "model {fingerprint:.12}")],
    "evaluate": [
        ("metrics", "BLEU {bleu:.2f}"),
        ("metrics", "ROUGE-L {rougeL:.2f}"),
    ],
    "infer": [("metrics", "{predicted:,.0f} of {lines:,.0f} lines")],
    "tune": [("metrics", "best loss {valid_loss:.3f}")],
    "summarize": [("summary", "{headline}")],
}


def key_figure(stage: str, metadata: Mapping[str, Mapping[str, Any]]) -> str:
    """Says what a task came to.

    Args:
        stage: The stage that the task ran.
        metadata: Of its output artifacts, by output name.

    Returns:
        A few words; empty where there is nothing to say.
    """
    if stage == "bless" and "decision" in metadata:
        return "blessed" if metadata["decision"].get("blessed") is True else "not blessed"
    if stage == "deploy" and "deployment" in metadata:
        version = metadata["deployment"].get("version")
        return f"version {version} is live" if version and metadata["deployment"].get("live") else "nowhere"
    said = (_fill(words, metadata.get(output, {})) for output, words in FIGURES.get(stage, []))
    return next(filter(None, said), "")


def _fill(words: str, metadata: Mapping[str, Any]) -> str:
    """The words with their names filled in; nothing where one is not there or is of another kind."""
    try:
        return words.format(**metadata)
    except (KeyError, ValueError, TypeError):
        return ""
