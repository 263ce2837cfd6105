"""signatures.md: inputs and outputs of the exported model's signatures, generated from the signatures."""

from typing import Any

import tensorflow as tf

from seqline.artifacts.exported_model import Description
from seqline.saved_models import in_bfloat16

PURPOSES = {
    "serving_default": "Text to text, with the decoding options of the export.",
    "parameters": "Text to text, with decoding options from the caller. They are scalars and apply to the whole batch.",
    "score": "Log probability of a target given its source; exp(-log_probability / tokens) is its perplexity.",
    "ids": "Tokens to tokens, for callers that run the tokenizer; with the decoding options of the export.",
    "stream_start": "Encodes texts for streaming; `stream_next` takes its outputs, `cut` and `input_tokens` aside.",
    "stream_next": (
        "Decodes more tokens, greedy or sampled. Its inputs are the outputs of the same names of `stream_start` or of "
        "the previous call (those whose names begin with `memory` do not change). The texts equal those of "
        "`parameters` with beam_size 1; each token costs the same."
    ),
}
MEANINGS = {
    "text": "UTF-8",
    "rendered": "whether the texts are chats: rendered with the template in model.json, the id of each special token "
    "between two U+0001; never true for a user's own text",
    "source": "input, UTF-8",
    "target": "output to score, UTF-8",
    "ids": "tokens ending in `eos`, padded with `pad`; with a template, prompts have no `eos`, and padding is -1; of a "
    "stream: from the start token on",
    "score": "log probability / length ^ length_penalty, `eos` included; higher is better",
    "input_tokens": "tokens of the input that the model reads, those of its prompt and a final `eos` included",
    "output_tokens": "tokens of each result, `eos` included; 0 for a result that the constraints leave out",
    "finished": "whether the output ended with `eos`, not at max_output_length",
    "cut": "whether the input was longer than the limit and was truncated",
    "log_probability": "natural logarithm, `eos` included; of a stream: of the tokens so far",
    "tokens": "tokens of the target, `eos` included",
    "beam_size": "hypotheses of the beam search, at least 1; 1 is greedy; ignored by sampling",
    "n_best": "results of each text, at least 1, at most beam_size unless sampling; best first",
    "min_output_length": "smallest number of tokens before the end of sentence; 0 to disable",
    "max_output_length": "largest number of tokens, `eos` included; at most the limit of the export",
    "length_penalty": "exponent, at least 0",
    "repetition_penalty": "above 0; divides positive logits of earlier tokens, multiplies negative ones; 1 for none",
    "no_repeat_ngram_size": "n-grams of this size never occur twice; 0 to disable",
    "sampling": "whether to sample",
    "temperature": "of sampling: logits are divided by it; near 0 is greedy",
    "top_k": "of sampling: only the k most probable tokens; 0 for all",
    "top_p": "of sampling: only the most probable tokens that together have this probability; 1 for all",
    "seed": "of sampling: the same text and seed give the same output in any batch",
    "pieces": "largest number of tokens to decode in this call",
    "memory": "keys and values of the source that the decoder attends to",
    "memory_bias": "mask of the padding in `memory`",
    "memory_ids": "tokens of the source, which the model can copy",
    "caches": "keys and values of the tokens so far",
    "done": "whether the output has ended",
}


def describe(signatures: dict[str, Any], description: Description) -> str:
    """Writes signatures.md.

    Args:
        signatures: The concrete functions by name.
        description: The content of model.json.

    Returns:
        Markdown.
    """
    decoding = description.decoding
    assert decoding is not None  # noqa: S101 (export sets it)
    search = "greedy" if decoding.beam_size == 1 else f"a beam search of {decoding.beam_size}"
    lines = [
        "# Signatures",
        "",
        f"From {description.source_language} to {description.target_language}, exported with {search}, length_penalty "
        f"{decoding.length_penalty}. Any batch size, 0 included.",
        f"An input has at most {decoding.max_input_length} tokens, `eos` included; a longer one is truncated, and "
        "`cut` is true.",
        f"An output has at most {decoding.max_output_length} tokens.",
    ]
    twins = {in_bfloat16(name) for name in signatures} & signatures.keys()
    if twins:
        lines += [
            f"{', '.join(f'`{name}`' for name in sorted(twins))} do what those without `_bfloat16` do, with matrix "
            "products in bfloat16: faster on processors that multiply it, many times slower on others.",
        ]
    for name, function in signatures.items():
        if name in twins:
            continue
        lines += [
            "",
            f"## `{name}`",
            "",
            PURPOSES[name],
            "",
            "| | name | type | shape | meaning |",
            "|---|---|---|---|---|",
        ]
        takes = {spec.name: spec for spec in tf.nest.flatten(function.structured_input_signature)}
        for direction, tensors in (("input", takes), ("output", function.structured_outputs)):
            lines += [
                f"| {direction} | `{key}` | {tensor.dtype.name} | `{_shape(tensor)}` | {MEANINGS[key]} |"
                for key, tensor in sorted(tensors.items())
            ]
    return "\n".join(lines) + "\n"


def _shape(tensor: Any) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in tensor.shape) + "]"
