"""The decoder-only model: the source is a prompt, the target its continuation (Radford et al. 2018)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel, padded
from seqline.modeling.layers import TransformerLayer


def prompt(config: TransformerConfig, source: Sequence[int]) -> list[int]:
    """Makes the tokens before a target: the source, `eos`, `bos`, or what a template has made of the source.

    Args:
        config: The model's configuration.
        source: Token ids.

    Raises:
        UserError: If a template leaves no token.
    """
    if config.prompt_form == "seqline":
        return [*source, config.eos_id, config.start]
    tokens = [*source]
    if not tokens:
        raise UserError("a prompt has no tokens: the template must have some text beside {source}")
    return tokens


class Gpt(LanguageModel):
    """Maps a sequence of tokens to logits of the next one.

    An example is one sequence, the prompt (see `prompt`), the target and `eos`. Several are packed in a row, each a
    segment that does not attend to the others; its positions start at 0.

    Args:
        config: The configuration.

    Call arguments:
        inputs: Three int32 `[batch, length]`: the tokens, the number of each token's segment (0 for padding, after
            all others), and its position in the segment.

    Returns of a call:
        float32 `[batch, length, vocabulary_size]`.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.decoder = [
            TransformerLayer(config, cross=False, name=f"decoder_{i}") for i in range(config.decoder_layers)
        ]
        for layer in (*self.decoder, self.decoder_norm):
            if layer is not None:
                layer.build((None, None, config.hidden_dim))
        self.built = True

    def hidden(self, inputs: tuple[Any, Any, Any], training: bool = False) -> Any:
        """See `LanguageModel`; the inputs are those of a call."""
        ids, segments, positions = inputs
        order = ops.arange(ops.shape(ids)[1])
        visible = ops.logical_and(
            ops.equal(segments[:, :, None], segments[:, None, :]), (order[None, :] <= order[:, None])[None]
        )
        # Within a segment, positions differ as the order does.
        relative = self.relative_bias(self.decoder_relative, ops.shape(ids)[1], both=False)
        bias = self.bias_of(visible, ids, relative)
        rotations = self.rotations_at(positions)
        states = self.embed(ids, positions, training)
        for layer in self.decoder:
            states = layer(states, bias, rotations=rotations, training=training)
        return self.finish(states)

    def prompts(self, pairs: Sequence[tuple[Any, Any]], room: int) -> tuple[tuple[Any, Any], Any]:
        """See `LanguageModel`."""
        config = self.config
        rows = [prompt(config, left) for left, _ in pairs]
        longest = max(map(len, rows))
        ids = padded(rows, config.filler, max(longest, min(longest + room, config.max_length)))
        return (ids[:, :0], ids), np.array([len(row) - 1 for row in rows], np.int32)

    def continuation(self, source: Any) -> Callable[[Any], Any]:
        """See `LanguageModel`; the source is part of the ids."""

        def states_of(ids: Any) -> Any:
            # The causal mask hides padding too, so one segment is enough.
            positions = ops.broadcast_to(ops.arange(ops.shape(ids)[1])[None], ops.shape(ids))
            return self.hidden((ids, ops.ones_like(ids), positions))

        return states_of
