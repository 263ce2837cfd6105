"""model_card.md: what a person should know before using a model (Mitchell et al. 2019)."""

import json
from collections import Counter
from typing import Any

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Description
from seqline.components.export.options import ModelCardOptions

FILE = "model_card.md"
UNSAID = "not stated; whoever trained the model should say so (`model_card.{name}`)"


def write_card(description: Description, checkpoint: Checkpoint, corpus: Corpus, options: ModelCardOptions) -> str:
    """Writes the model card.

    Args:
        description: What model.json says.
        checkpoint: The trained model.
        corpus: What it was trained on.
        options: Licences and intended use.

    Returns:
        Markdown.
    """
    config, manifest = checkpoint.read_config(), corpus.read_manifest()
    history = json.loads(checkpoint.history.read_text(encoding="utf-8"))
    best: dict[str, Any] = min(history, key=lambda epoch: epoch.get("valid_loss", float("inf")), default={})
    slices = Counter(row["slice"] for row in corpus.read_text("test") if row.get("slice"))
    said = {name: value or UNSAID.format(name=name) for name, value in options.model_dump().items()}
    if slices:
        listed = ", ".join(f"{name} ({count} test pairs)" for name, count in sorted(slices.items()))
        biases = f"The data names slices: {listed}. The evaluation measures each, and the widest gap between them."
    else:
        biases = "The data names no slices: nobody has measured whether the model is worse for some inputs than others."
    lines = [
        f"# Model card: {description.source_language} to {description.target_language}",
        "",
        f"Fingerprint `{description.fingerprint}`.",
        f"Exported {description.created} with TensorFlow {description.tensorflow}.",
        "",
        "## Use",
        "",
        f"- Intended use: {said['intended_use']}",
        f"- Licence of the model: {said['license']}",
        f"- Licence of the data: {said['data_license']}",
        "",
        "## Data",
        "",
        f"- Corpus fingerprint `{description.corpus_fingerprint}`",
        f"- Pairs: {manifest.counts.train} train, {manifest.counts.valid} valid, {manifest.counts.test} test",
        f"- Vocabulary: {manifest.vocabulary_size} pieces",
        "",
        "## Model",
        "",
        *_list(config["model"]),
        "",
        "## Training",
        "",
        *_list(config.get("options", {})),
        "",
        "## Measured in training, on the validation pairs, in the best epoch",
        "",
        *_list(best),
        "",
        "BLEU and the other metrics of the test text, by slice, are in this fingerprint's evaluation.",
        "",
        "## Decoding",
        "",
        *_list(vars(description.decoding)),
        "",
        "## Known biases and limits",
        "",
        f"- {biases}",
        f"- Inputs are cut after {description.decoding.max_input_length} pieces.",
        "- It repeats what its data says, errors and prejudices included, and can state what its input does not.",
    ]
    return "\n".join(lines) + "\n"


def _list(values: dict[str, Any]) -> list[str]:
    return [f"- {name}: {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in values.items()]
