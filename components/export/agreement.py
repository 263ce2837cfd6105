"""Whether the exported program decodes as the trained model does, written plainly and without caches."""

from typing import Any

import tensorflow as tf

from seqline.components.export.plain import plain_search, trained
from seqline.components.export.program import SAMPLING, SEARCHING, Program
from seqline.decoding.search_options import Search
from seqline.modeling.language_model import LanguageModel

PIECES = 32
# Float32 sums in another order; hypotheses that are nearer than this may change places.
TIED = 1e-3


def check_agreement(model: LanguageModel, program: Program, parameters: Any, texts: list[str]) -> None:
    """Compares the `parameters` signature, as exported, with the trained model's own decoding.

    Args:
        model: The trained model.
        program: What is exported.
        parameters: Its signature `parameters`.
        texts: Inputs; of the outputs, the first pieces are compared.

    Raises:
        RuntimeError: If an output differs.
    """
    config, how = model.config, Search.of(program.decoding)
    how = how._replace(max_output_length=min(how.max_output_length, PIECES))
    options = {name: tf.constant(getattr(how, name), kind) for name, kind in {**SEARCHING, **SAMPLING}.items()}
    answers = parameters(text=tf.constant(texts, tf.string), **options)
    logits_of = trained(model)
    for text, answer, score in zip(texts, answers["text"].numpy()[:, 0], answers["score"].numpy()[:, 0], strict=True):
        source, _ = program.read(tf.constant([text]))
        ((ids, expected), *_) = plain_search(logits_of(source[0].numpy().tolist()), how, config.bos_id, config.eos_id)
        (ours,) = program.decode(tf.constant([ids], tf.int32, (1, len(ids)))).numpy()
        if ours != answer and abs(expected - float(score)) > TIED:
            raise RuntimeError(
                f"exported, the model answers {text!r} with {answer.decode()!r} (score {score:.4f}); "
                f"as it was trained, with {ours.decode()!r} ({expected:.4f})"
            )
