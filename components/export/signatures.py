"""signatures.md: what the exported model's signatures take and give, written from the signatures themselves."""

from typing import Any

import tensorflow as tf

from seqline.artifacts.exported_model import Description

PURPOSES = {
    "serving_default": "Text to text, decoded as the model was exported.",
    "parameters": "Text to text, and the caller says how. Parameters are scalars: they hold for the whole batch.",
    "score": "How probable a target is, given its source; exp(-log_probability / tokens) is its perplexity.",
    "ids": "Pieces to pieces, for callers with a tokenizer of their own; decoded as the model was exported.",
    "stream_start": "Reads texts whose outputs are to come piece by piece; `stream_next` takes what it gives.",
    "stream_next": (
        "Some more pieces, greedy or sampled. Takes what `stream_start` or the call before gave (`memory` and "
        "`memory_bias` stay the same). The texts are as `parameters` gives with a beam of 1; each piece costs the same."
    ),
}
MEANINGS = {
    "text": "UTF-8",
    "source": "input, UTF-8",
    "target": "output to score, UTF-8",
    "ids": "pieces, `eos` at the end, filled up with `pad`; of a stream: starting with `bos`",
    "score": "log probability / length ^ length_penalty, `eos` counted; higher is better",
    "cut": "whether the input was longer than the limit, and cut at its end",
    "log_probability": "natural logarithm, `eos` counted; of a stream: of the pieces so far",
    "tokens": "pieces of the target, `eos` counted",
    "beam_size": "hypotheses kept, at least 1; 1 is greedy; sampling has none",
    "n_best": "results of each text, at least 1, at most beam_size unless sampling; the best first",
    "min_output_length": "pieces before the end of sentence, at least; 0 for no such rule",
    "max_output_length": "pieces, `eos` included, at most; no more than the model was exported with",
    "length_penalty": "exponent, at least 0",
    "repetition_penalty": "above 0; divides the logits of earlier pieces, multiplies negative ones; 1 for none",
    "no_repeat_ngram_size": "so many pieces in a row never come twice; 0 for no such rule",
    "sampling": "whether pieces are drawn",
    "temperature": "of sampling: logits are divided by it; near 0 is greedy",
    "top_k": "of sampling: only the k most probable pieces; 0 for all",
    "top_p": "of sampling: only the most probable pieces that together have this probability; 1 for all",
    "seed": "of sampling: same text, same seed, same output, in whatever batch",
    "pieces": "how many more pieces, at most",
    "memory": "what the decoder attends to",
    "memory_bias": "where that is padding",
    "caches": "keys and values of the pieces so far",
    "done": "whether the output has ended",
}


def describe(signatures: dict[str, Any], description: Description) -> str:
    """Writes signatures.md.

    Args:
        signatures: The concrete functions by name.
        description: What model.json says.

    Returns:
        Markdown.
    """
    decoding = description.decoding
    search = "greedy" if decoding.beam_size == 1 else f"a beam search of {decoding.beam_size}"
    lines = [
        "# Signatures",
        "",
        f"From {description.source_language} to {description.target_language}, exported with {search}, length_penalty "
        f"{decoding.length_penalty}. Any batch size, 0 included.",
        f"An input has at most {decoding.max_input_length} pieces, the end of sentence included: a longer one is cut "
        "at its end, and `cut` says so.",
        f"An output has at most {decoding.max_output_length} pieces.",
    ]
    for name, function in signatures.items():
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
