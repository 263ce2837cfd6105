"""model_card.md: facts to know before using a model (Mitchell et al. 2019)."""

import json
from collections import Counter
from typing import Any

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Description
from seqline.artifacts.text_tokenizer import Prompt, is_record, parse_record
from seqline.components.export.options import ModelCardOptions

FILE = "model_card.md"
UNSTATED = "not stated; set `model_card.{name}`"


def write_card(description: Description, checkpoint: Checkpoint, corpus: Corpus, options: ModelCardOptions) -> str:
    """Writes the model card.

    Args:
        description: The content of model.json.
        checkpoint: The trained model.
        corpus: The corpus that it was trained on.
        options: Licences and intended use.

    Returns:
        Markdown.
    """
    config, manifest = checkpoint.read_config(), corpus.read_manifest()
    history = json.loads(checkpoint.history.read_text(encoding="utf-8"))
    best: dict[str, Any] = min(history, key=lambda epoch: epoch.get("valid_loss", float("inf")), default={})
    slices = Counter(row["slice"] for row in corpus.read_text("test") if row.get("slice"))
    stated = {name: value or UNSTATED.format(name=name) for name, value in options.model_dump().items()}
    if slices:
        listed = ", ".join(f"{name} ({count} test pairs)" for name, count in sorted(slices.items()))
        biases = f"The data has slices: {listed}. The evaluation reports each slice and the largest gap between them."
    else:
        biases = "The data has no slices: differences in quality between kinds of input have not been measured."
    decoding = description.decoding
    assert decoding is not None  # noqa: S101 (export sets it)
    lines = [
        f"# Model card: {description.source_language} to {description.target_language}",
        "",
        f"Fingerprint `{description.fingerprint}`.",
        f"Exported {description.created} with TensorFlow {description.tensorflow}.",
        "",
        "## Use",
        "",
        f"- Intended use: {stated['intended_use']}",
        f"- Licence of the model: {stated['license']}",
        f"- Licence of the data: {stated['data_license']}",
        "",
        "## Data",
        "",
        f"- Corpus fingerprint `{description.corpus_fingerprint}`",
        f"- Pairs: {manifest.counts.train} train, {manifest.counts.valid} valid, {manifest.counts.test} test",
        f"- Vocabulary: {manifest.vocabulary_size} tokens",
        f"- Prompt: {_prompt(checkpoint)}",
        "",
        "## Model",
        "",
        *_list(config.model),
        "",
        "## Training",
        "",
        *_list(config.used_options),
        "",
        "## Metrics of the best epoch on the validation pairs",
        "",
        *_list(best),
        "",
        "The evaluation with this fingerprint has BLEU and the other metrics on the test set, also by slice.",
        "",
        "## Decoding",
        "",
        *_list(vars(decoding)),
        "",
        "## Known biases and limits",
        "",
        f"- {biases}",
        f"- Inputs longer than {decoding.max_input_length} tokens are truncated.",
        "- The model reproduces errors and biases of its data, and outputs can contain claims that the input does not.",
    ]
    return "\n".join(lines) + "\n"


def _prompt(checkpoint: Checkpoint) -> str:
    content = checkpoint.tokenizer.read_bytes()
    return describe_prompt(parse_record(content, str(checkpoint.tokenizer)).prompt if is_record(content) else Prompt())


def describe_prompt(prompt: Prompt) -> str:
    """Says what surrounds a source, in training and in the exported model.

    Args:
        prompt: The tokenizer's prompt.
    """
    if not prompt.template:
        return "none"
    template = json.dumps(prompt.template, ensure_ascii=False)
    return f"`{template}`" + (" as the user's message in the checkpoint's chat template" if prompt.chat else "")


def _list(values: dict[str, Any]) -> list[str]:
    return [f"- {name}: {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in values.items()]
