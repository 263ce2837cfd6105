"""The exported program: text to text, with the tokenizer in its graph. signatures.md describes its signatures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqline.artifacts.exported_model import Decoding
from seqline.components.export.executor import in_one_thread
from seqline.components.export.normalization import normalized
from seqline.decoding.decoder import Decoder
from seqline.decoding.lexicon import Lexicon
from seqline.decoding.live import Found
from seqline.decoding.scoring import log_probabilities
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.decoding.streaming import Stream, begin, proceed
from seqline.modeling.language_model import LanguageModel
from seqline.saved_models import in_bfloat16
from seqline.tokenizers.graph import GraphTokenizer
from seqline.tokenizers.host import read_tokenizer

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
ONCE = ("score", "ids")
"""The signatures that do not exist with products in bfloat16."""
SEARCHING = {"beam_size": tf.int32, "n_best": tf.int32, "length_penalty": tf.float32}


class Program(tf.Module):
    """The functions of the exported model.

    Args:
        model: The trained model.
        tokenizer: The tokenizer's file.
        decoding: Default decoding options.
        lexicon: Makes a shortlist for the signatures with these options; None for none.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Path, decoding: Decoding, lexicon: Lexicon | None = None
    ) -> None:
        super().__init__()
        self.config, self.decoding = model.config, decoding
        longest = decoding.max_input_length + decoding.max_output_length
        self.decoder = Decoder(model, decoding.weight_dtype, longest, lexicon=lexicon)
        record = read_tokenizer(tokenizer.read_bytes(), str(tokenizer))
        self.tokenizer, self.takes_chats = GraphTokenizer(record), record.prompt.conversation is not None
        self.found = self._traced_search()

    def _traced_search(self) -> Callable[[Any], Found]:
        found = tf.function(self._found, input_signature=[IDS], autograph=False)
        # The signatures hold its graph. As an attribute it would be traced again, and saved and loaded a second time.
        return lambda source: found(source)

    def _found(self, source: Any) -> Found:
        with self.decoder.unpacked():
            return search(self.decoder, source, Search.of(self.decoding), self.decoder.shortlist)

    def encode(self, text: Any, limit: int) -> tuple[Any, Any]:
        """Normalizes and tokenizes targets; longer ones than the limit are truncated.

        Args:
            text: string `[batch]`, UTF-8.
            limit: Largest number of tokens, end of sentence included.

        Returns:
            int32 `[batch, length]`, ending in `eos`, padded; and whether it was truncated, bool `[batch]`.
        """
        tokens, cut = self.tokenizer.encode_targets(normalized(text), limit - 1)
        return self._ended(tokens), cut

    def read(self, text: Any) -> tuple[Any, Any]:
        """`encode` for a source with its prompt, whose text is not truncated; a prompt from a template has no `eos`."""
        tokens, cut = self.tokenizer.encode_sources(normalized(text), self.decoding.max_input_length - 1)
        return self._begun(tokens), cut

    def read_chats(self, text: Any) -> tuple[Any, Any]:
        """`read` for chats, as marked texts; see `seqline.tokenizers.chats`."""
        tokens, cut = self.tokenizer.encode_chats(text, self.decoding.max_input_length - 1)
        return self._begun(tokens), cut

    def _read(self, text: Any, rendered: Any) -> Any:
        if rendered is False:
            return self.read(text)
        return tf.cond(rendered, lambda: self.read_chats(text), lambda: self.read(text))

    def _begun(self, tokens: Any) -> Any:
        """The rows of sources, padded."""
        config = self.config
        if config.prompt_form == "seqline":
            return self._ended(tokens)
        return tokens.to_tensor(config.padding)

    def _ended(self, tokens: Any) -> Any:
        """The rows, ending in `eos`, padded."""
        ends = tokens.row_lengths()[:, None]
        width = tf.reduce_max(tf.concat([ends, [[-1]]], axis=0)) + 1
        ids = tokens.to_tensor(self.config.padding, shape=tf.stack([-1, width]))
        return tf.where(tf.equal(tf.range(width), ends), self.config.eos_id, ids)

    def decode(self, ids: Any, complete: Any = True) -> Any:
        """Detokenizes.

        Args:
            ids: int32 `[batch, length]`; special tokens are ignored.
            complete: bool, or bool `[batch]`: whether a text has ended. Of others, the bytes of an unfinished character
                at the end are held back.

        Returns:
            string `[batch]`.
        """
        return self.tokenizer.decode(ids, complete)

    def counted(self, source: Any) -> Any:
        """Counts the tokens of sources.

        Args:
            source: int32 `[batch, length]`, padded.

        Returns:
            int32 `[batch]`.
        """
        return tf.math.count_nonzero(tf.not_equal(source, self.config.padding), axis=1, dtype=tf.int32)

    def counts(self, ids: Any) -> dict[str, Any]:
        """Counts the tokens of results, up to `eos` or all; a result that is missing has none.

        Args:
            ids: int32 `[batch, results, length]`, padded after `eos`.

        Returns:
            The outputs `output_tokens` and `finished` of the signature `parameters`.
        """
        ends = tf.equal(ids, self.config.eos_id)
        finished = tf.reduce_any(ends, axis=2)
        first = tf.argmax(tf.cast(ends, tf.int32), axis=2, output_type=tf.int32) + 1
        missing = tf.reduce_all(tf.equal(ids, self.config.padding), axis=2)
        unfinished = tf.where(missing, 0, tf.shape(ids)[2])
        return {"output_tokens": tf.where(finished, first, unfinished), "finished": finished}

    def serve(self, text: Any) -> dict[str, Any]:
        """`serving_default`: text to text."""
        source, cut = self.read(text)
        found = self.found(source)
        return {"text": self.decode(found.ids[:, 0]), "score": found.scores[:, 0], "cut": cut}

    def serve_with_parameters(self, text: Any, **parameters: Any) -> dict[str, Any]:
        """`parameters`: text to text, with search options from the caller."""
        source, cut = self._read(text, parameters.pop("rendered", False))
        options = self._search(parameters)
        options = options._replace(
            beam_size=tf.maximum(options.beam_size, 1),
            n_best=tf.maximum(
                tf.where(options.sampling, options.n_best, tf.minimum(options.n_best, options.beam_size)), 1
            ),
        )
        with self.decoder.unpacked():
            found = search(self.decoder, source, options)
        batch, results, length = tf.unstack(tf.shape(found.ids))
        texts = tf.reshape(self.decode(tf.reshape(found.ids, (batch * results, length))), (batch, results))
        return {
            "text": texts,
            "score": found.scores,
            "cut": cut,
            "input_tokens": self.counted(source),
            **self.counts(found.ids),
        }

    def score(self, source: Any, target: Any) -> dict[str, Any]:
        """`score`: log probabilities of given outputs."""
        source, source_cut = self.read(source)
        target, target_cut = self.encode(target, self.decoding.max_output_length)
        with self.decoder.unpacked():
            scores, tokens = log_probabilities(self.decoder, source, target)
        return {"log_probability": scores, "tokens": tokens, "cut": source_cut | target_cut}

    def serve_ids(self, ids: Any) -> dict[str, Any]:
        """`ids`: tokens to tokens."""
        limit, padding = self.decoding.max_input_length, self.config.padding
        cut = tf.reduce_any(tf.not_equal(ids[:, limit:], padding), axis=1)
        last = ids[:, limit - 1 : limit]
        if self.config.prompt_form == "seqline":
            last = tf.where(cut[:, None], self.config.eos_id, last)
        found: Found = self.found(tf.concat([ids[:, : limit - 1], last], axis=1))
        length = tf.reduce_max(tf.math.count_nonzero(tf.not_equal(found.ids, padding), axis=2))
        return {"ids": found.ids[:, 0, :length], "score": found.scores[:, 0], "cut": cut}

    def start(self, text: Any, **chats: Any) -> dict[str, Any]:
        """`stream_start`: encodes the source."""
        source, cut = self._read(text, chats.get("rendered", False))
        with self.decoder.unpacked():
            stream = begin(self.decoder, source, self.decoding.max_output_length)
        return {**stream.tensors(), "cut": cut, "input_tokens": self.counted(source)}

    def proceed(self, pieces: Any, **inputs: Any) -> dict[str, Any]:
        """`stream_next`: decodes more tokens; clients know their number as `pieces`."""
        stream = Stream(**{name: inputs.pop(name) for name in Stream._fields if name in inputs})
        with self.decoder.unpacked():
            stream = proceed(self.decoder, stream, pieces, self.decoding.max_output_length, self._search(inputs))
        state = {name: getattr(stream, name) for name in ("caches", "ids", "log_probability", "done")}
        outputs = stream.ids[:, 1:]
        ended = tf.reduce_any(tf.equal(outputs, self.config.eos_id), axis=1)
        return {**state, "text": self.decode(outputs, stream.done), "finished": ended}

    def _search(self, parameters: dict[str, Any]) -> Search:
        options = Search.of(self.decoding)._replace(**parameters)
        return options._replace(
            max_output_length=tf.clip_by_value(options.max_output_length, 1, self.decoding.max_output_length)
        )

    def signatures(self) -> dict[str, Any]:
        """The signatures by name, traced.

        Of weights in bfloat16 or int8, those that decode texts are traced a second time, for processors that multiply
        bfloat16; `seqline.saved_models` calls them there. Of a large model that takes longer: oneDNN arranges each
        matrix anew for each product.
        """
        signatures = self._traced()
        if self.decoding.weight_dtype == "float32" or self.decoder.packed:
            return signatures
        with self.decoder.in_bfloat16():
            self.found = self._traced_search()
            return signatures | {in_bfloat16(name): found for name, found in self._traced(ONCE).items()}

    def _traced(self, omitted: Sequence[str] = ()) -> dict[str, Any]:
        def traced(function: Any, fixed: bool = False, **inputs: tf.TensorSpec) -> Any:
            specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()}
            # Only functions with fixed search options: streams, with conditions in their loops, have hung.
            called = in_one_thread(function) if fixed else tf.function(function, autograph=False)
            return called.get_concrete_function(**specs)

        def scalars(types: dict[str, Any]) -> dict[str, tf.TensorSpec]:
            return {name: tf.TensorSpec((), dtype) for name, dtype in types.items()}

        chats = {"rendered": tf.TensorSpec((), tf.bool)} if self.takes_chats else {}
        started = traced(self.start, text=TEXTS, **chats)
        state = {name: spec for name, spec in started.structured_outputs.items() if name in Stream._fields}
        # It grows with each call.
        state["ids"] = IDS
        parameters = scalars({**SEARCHING, **SAMPLING})
        made: dict[str, Callable[[], Any]] = {
            "serving_default": lambda: traced(self.serve, fixed=True, text=TEXTS),
            "parameters": lambda: traced(self.serve_with_parameters, text=TEXTS, **chats, **parameters),
            "score": lambda: traced(self.score, source=TEXTS, target=TEXTS),
            "ids": lambda: traced(self.serve_ids, fixed=True, ids=IDS),
            "stream_start": lambda: started,
            "stream_next": lambda: traced(
                self.proceed, pieces=tf.TensorSpec((), tf.int32), **state, **scalars(SAMPLING)
            ),
        }
        return {name: make() for name, make in made.items() if name not in omitted}
