"""The exported program: text to text, with the tokenizer in its graph. signatures.md describes its signatures."""

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from seqline.artifacts.exported_model import Decoding
from seqline.components.export.executor import in_one_thread
from seqline.decoding.decoder import Decoder
from seqline.decoding.scoring import log_probabilities
from seqline.decoding.search import Found, search
from seqline.decoding.search_options import Search
from seqline.decoding.streaming import Stream, begin, proceed
from seqline.modeling.language_model import LanguageModel

TEXTS = tf.TensorSpec((None,), tf.string)
IDS = tf.TensorSpec((None, None), tf.int32)
SAMPLING = {
    "min_output_length": tf.int32,
    "max_output_length": tf.int32,
    "repetition_penalty": tf.float32,
    "no_repeat_ngram_size": tf.int32,
    "sampling": tf.bool,
    "temperature": tf.float32,
    "top_k": tf.int32,
    "top_p": tf.float32,
    "seed": tf.int32,
}
SEARCHING = {"beam_size": tf.int32, "n_best": tf.int32, "length_penalty": tf.float32}


class Program(tf.Module):
    """Everything that the exported model can do.

    Args:
        model: The trained model.
        tokenizer: The SentencePiece model's file.
        decoding: How to decode where nobody asks for something else.
    """

    def __init__(self, model: LanguageModel, tokenizer: Path, decoding: Decoding) -> None:
        super().__init__()
        self.config, self.decoding = model.config, decoding
        longest = decoding.max_input_length + decoding.max_output_length
        self.decoder = Decoder(model, decoding.weight_dtype, longest)
        self.tokenizer = tf_text.SentencepieceTokenizer(model=tokenizer.read_bytes(), add_eos=False)
        self.found = tf.function(self._found, input_signature=[IDS], autograph=False)

    def _found(self, source: Any) -> Found:
        with self.decoder.unpacked():
            return search(self.decoder, source, Search.of(self.decoding))

    def encode(self, text: Any, limit: int) -> tuple[Any, Any]:
        """Tokenizes; what is longer than the limit is cut at its end.

        Args:
            text: string `[batch]`, UTF-8.
            limit: Pieces, end of sentence included.

        Returns:
            int32 `[batch, length]`, ending in `eos`, padded; and whether it was cut, bool `[batch]`.
        """
        pieces = self.tokenizer.tokenize(text)
        lengths = pieces.row_lengths()
        ends = tf.minimum(lengths, limit - 1)[:, None]
        width = tf.reduce_max(tf.concat([ends, [[-1]]], axis=0)) + 1
        ids = pieces.to_tensor(self.config.pad_id, shape=tf.stack([-1, width]))
        return tf.where(tf.equal(tf.range(width), ends), self.config.eos_id, ids), lengths >= limit

    def read(self, text: Any) -> tuple[Any, Any]:
        """`encode` for a source."""
        return self.encode(text, self.decoding.max_input_length)

    def decode(self, ids: Any) -> Any:
        """Puts pieces together.

        Args:
            ids: int32 `[batch, length]`; special pieces do not count.

        Returns:
            string `[batch]`.
        """
        config = self.config
        special = tf.equal(ids, config.eos_id) | tf.equal(ids, config.pad_id) | tf.equal(ids, config.bos_id)
        lengths = tf.math.count_nonzero(~special, axis=1)
        pieces = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(ids, ~special), lengths, validate=False)
        return self.tokenizer.detokenize(pieces)

    def serve(self, text: Any) -> dict[str, Any]:
        """`serving_default`: text to text."""
        source, cut = self.read(text)
        found = self.found(source)
        return {"text": self.decode(found.ids[:, 0]), "score": found.scores[:, 0], "cut": cut}

    def serve_with_parameters(self, text: Any, **parameters: Any) -> dict[str, Any]:
        """`parameters`: the same, and the caller says how to search."""
        source, cut = self.read(text)
        how = self._how(parameters)
        how = how._replace(
            beam_size=tf.maximum(how.beam_size, 1),
            n_best=tf.maximum(tf.where(how.sampling, how.n_best, tf.minimum(how.n_best, how.beam_size)), 1),
        )
        with self.decoder.unpacked():
            found = search(self.decoder, source, how)
        batch, results, length = tf.unstack(tf.shape(found.ids))
        texts = tf.reshape(self.decode(tf.reshape(found.ids, (batch * results, length))), (batch, results))
        return {"text": texts, "score": found.scores, "cut": cut}

    def score(self, source: Any, target: Any) -> dict[str, Any]:
        """`score`: how probable given outputs are."""
        source, source_cut = self.read(source)
        target, target_cut = self.encode(target, self.decoding.max_output_length)
        with self.decoder.unpacked():
            scores, tokens = log_probabilities(self.decoder, source, target)
        return {"log_probability": scores, "tokens": tokens, "cut": source_cut | target_cut}

    def serve_ids(self, ids: Any) -> dict[str, Any]:
        """`ids`: pieces to pieces."""
        limit = self.decoding.max_input_length
        cut = tf.reduce_any(tf.not_equal(ids[:, limit:], self.config.pad_id), axis=1)
        last = tf.where(cut[:, None], self.config.eos_id, ids[:, limit - 1 : limit])
        found: Found = self.found(tf.concat([ids[:, : limit - 1], last], axis=1))
        length = tf.reduce_max(tf.math.count_nonzero(tf.not_equal(found.ids, self.config.pad_id), axis=2))
        return {"ids": found.ids[:, 0, :length], "score": found.scores[:, 0], "cut": cut}

    def start(self, text: Any) -> dict[str, Any]:
        """`stream_start`: reads the source."""
        source, cut = self.read(text)
        with self.decoder.unpacked():
            stream = begin(self.decoder, source, self.decoding.max_output_length)
        return {**stream._asdict(), "cut": cut}

    def proceed(self, pieces: Any, **given: Any) -> dict[str, Any]:
        """`stream_next`: some more pieces."""
        stream = Stream(**{name: given.pop(name) for name in Stream._fields})
        with self.decoder.unpacked():
            stream = proceed(self.decoder, stream, pieces, self.decoding.max_output_length, self._how(given))
        state = {name: getattr(stream, name) for name in ("caches", "ids", "log_probability", "done")}
        return {**state, "text": self.decode(stream.ids)}

    def _how(self, parameters: dict[str, Any]) -> Search:
        how = Search.of(self.decoding)._replace(**parameters)
        return how._replace(
            max_output_length=tf.clip_by_value(how.max_output_length, 1, self.decoding.max_output_length)
        )

    def signatures(self) -> dict[str, Any]:
        """The signatures by name, traced."""

        def traced(function: Any, alike: bool = False, **inputs: tf.TensorSpec) -> Any:
            specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()}
            # Only what always searches alike: functions of streams, with conditions in their loops, were seen to hang.
            called = in_one_thread(function) if alike else tf.function(function, autograph=False)
            return called.get_concrete_function(**specs)

        def scalars(types: dict[str, Any]) -> dict[str, tf.TensorSpec]:
            return {name: tf.TensorSpec((), dtype) for name, dtype in types.items()}

        started = traced(self.start, text=TEXTS)
        state = {name: started.structured_outputs[name] for name in Stream._fields}
        # One piece more at each call.
        state["ids"] = IDS
        return {
            "serving_default": traced(self.serve, alike=True, text=TEXTS),
            "parameters": traced(self.serve_with_parameters, text=TEXTS, **scalars({**SEARCHING, **SAMPLING})),
            "score": traced(self.score, source=TEXTS, target=TEXTS),
            "ids": traced(self.serve_ids, alike=True, ids=IDS),
            "stream_start": started,
            "stream_next": traced(self.proceed, pieces=tf.TensorSpec((), tf.int32), **state, **scalars(SAMPLING)),
        }
