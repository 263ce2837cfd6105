"""The exported program: text to text, with the tokenizer in its graph."""

from pathlib import Path

import tensorflow as tf
import tensorflow_text as tf_text

from components.export.beam import Found, beam_search
from components.export.decoder import Decoder
from components.export.exported import Decoding
from components.train.model import Transformer


class Translator(tf.Module):
    """Turns text into text.

    Args:
        model: The trained Transformer.
        tokenizer: The SentencePiece model's file.
        decoding: How to decode.
    """

    def __init__(self, model: Transformer, tokenizer: Path, decoding: Decoding) -> None:
        super().__init__()
        self.model, self.decoding = model, decoding
        self.decoder = Decoder(model)
        self.tokenizer = tf_text.SentencepieceTokenizer(model=tokenizer.read_bytes(), add_eos=False)

    def encode(self, text: tf.Tensor) -> tf.Tensor:
        """Tokenizes; an input longer than `max_input_length` pieces is cut at its end.

        Args:
            text: string `[batch]`, UTF-8.

        Returns:
            int32 `[batch, length]`, ending in `eos`, padded.
        """
        config = self.model.config
        pieces = self.tokenizer.tokenize(text)[:, : self.decoding.max_input_length - 1]
        ends = tf.fill((tf.shape(text)[0], 1), config.eos_id)
        return tf.concat([pieces, ends], axis=1).to_tensor(config.pad_id)

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """Puts pieces together.

        Args:
            ids: int32 `[batch, length]`; what stands from `eos` on does not count.

        Returns:
            string `[batch]`.
        """
        config = self.model.config
        real = tf.logical_and(tf.not_equal(ids, config.eos_id), tf.not_equal(ids, config.pad_id))
        return self.tokenizer.detokenize(tf.ragged.boolean_mask(ids, real))

    def search(self, source: tf.Tensor) -> Found:
        """Decodes token ids; see `beam_search`."""
        return beam_search(self.decoder, source, self.decoding)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def translate(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `serving_default`.

        Args:
            text: string `[batch]`, UTF-8.

        Returns:
            `text`, string `[batch]`, and `score`, float32 `[batch]`.
        """
        found = self.search(self.encode(text))
        return {"text": self.decode(found.ids[:, 0]), "score": found.scores[:, 0]}
