"""Compares the exported program with the trained model, decoded by a plain search without caches."""

from typing import Any

import tensorflow as tf

from seqline.components.export.plain import plain_search, trained
from seqline.components.export.program import SAMPLING, SEARCHING, Program
from seqline.decoding.decoder import separated
from seqline.decoding.search_options import Search
from seqline.modeling.language_model import LanguageModel

TOKENS = 32
# Float32 sums in another order: hypotheses with scores closer than this may be ranked either way.
TIED = 1e-3


def check_agreement(model: LanguageModel, program: Program, parameters: Any, texts: list[str]) -> None:
    """Compares the `parameters` signature, as exported, with the trained model's own decoding.

    Args:
        model: The trained model.
        program: The exported program.
        parameters: Its signature `parameters`.
        texts: Inputs; the first `TOKENS` tokens of the outputs are compared.

    Raises:
        RuntimeError: If an output differs.
    """
    config, search = model.config, Search.of(program.decoding)
    search = search._replace(max_output_length=min(search.max_output_length, TOKENS))
    options = {name: tf.constant(getattr(search, name), kind) for name, kind in {**SEARCHING, **SAMPLING}.items()}
    if program.takes_chats:
        options["rendered"] = tf.constant(False)
    outputs = parameters(text=tf.constant(texts, tf.string), **options)
    logits_of = trained(model)
    for text, output, score in zip(texts, outputs["text"].numpy()[:, 0], outputs["score"].numpy()[:, 0], strict=True):
        source, starts = separated(config, program.read(tf.constant([text]))[0])
        next_logits = logits_of(source[0].numpy().tolist())
        ((ids, expected), *_) = plain_search(
            next_logits, search, int(starts[0, 0]), config.eos_id, config.suppressed_ids, config.other_eos_ids
        )
        (plain,) = program.decode(tf.constant([ids], tf.int32, (1, len(ids)))).numpy()
        if plain != output and abs(expected - float(score)) > TIED:
            raise RuntimeError(
                f"for {text!r} the exported model returns {output.decode()!r} (score {score:.4f}), "
                f"but the trained model returns {plain.decode()!r} ({expected:.4f})"
            )
