"""One step of decoding, as a program for the TPU compiler: serving runs it for each token of an output."""

from typing import Any

from seqline.components.train.preflight.lowering import Lowered, lower
from seqline.modeling.config import TransformerConfig


def lower_decoding(config: TransformerConfig, sentences: int, beam: int, source: int, positions: int) -> Lowered:
    """Lowers a step of beam search: the decoder with its caches, the output layer, the best tokens of each hypothesis.

    Args:
        config: The model's configuration.
        sentences: Sentences decoded together.
        beam: Hypotheses of each sentence.
        source: Source tokens.
        positions: Tokens that the caches have room for.

    Raises:
        LoweringError: If an op of the step cannot be lowered.
    """
    import tensorflow as tf

    from seqline.decoding.decoder import Decoder, Memory
    from seqline.modeling.architectures import make_model

    decoder = Decoder(make_model(config), for_compiler=True)
    heads, size = config.kv_heads, config.head_size
    caches = decoder.empty_caches(sentences, beam, positions)
    candidates = 1 if beam == 1 else 2 * beam

    def spec(*shape: int) -> Any:
        return tf.TensorSpec(shape, tf.float32)

    copied = [tf.TensorSpec((sentences, source), tf.int32)] if config.pointer else []

    def step(ids: Any, position: Any, mask: Any, cross: Any, bias: Any, *rest: Any) -> Any:
        memory, caches = Memory(cross, bias, *rest[: len(copied)]), rest[len(copied) :]
        with decoder.unpacked():
            logits, grown = decoder.step(ids, position, caches, positions, mask, memory)
            offsets = -tf.reshape(decoder.output.log_total(logits), (sentences, beam))
            return decoder.output.top(logits, offsets, candidates), grown

    return lower(
        step,
        [
            tf.TensorSpec((sentences, beam), tf.int32),
            tf.TensorSpec((), tf.int32),
            spec(sentences, 1, beam, positions * beam),
            spec(decoder.parts, sentences, heads, source, size),
            spec(sentences, 1, 1, source),
            *copied,
            *(spec(*cache.shape) for cache in caches),
        ],
    )
