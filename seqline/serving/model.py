"""One loaded SavedModel. Runs in a worker's process; see `seqline.serving.worker`."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqline.errors import UserError
from seqline.lean_tensorflow import load_text_ops
from seqline.saved_models import load_signatures
from seqline.serving.answers import Answer, Counts, Parameters
from seqline.serving.decoding import RENDERED, SIGNATURE, STREAMING, defaults
from seqline.serving.metadata import read_description

load_text_ops()


class Model:
    """A loaded model. Safe for concurrent use by several threads.

    Args:
        path: The exported model's folder.

    Raises:
        UserError: If the folder contains no SavedModel with the signature `serving_default`, or an unreadable
            model.json.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "saved_model.pb").is_file():
            raise UserError(f"{path} contains no SavedModel: saved_model.pb is missing")
        self._signatures = load_signatures(path)
        if "serving_default" not in self._signatures:
            raise UserError(f"{path} has no signature serving_default; export the model again")
        self._defaults = defaults(read_description(path))

    def predict(self, texts: list[str], parameters: Parameters) -> list[Answer]:
        """Answers texts.

        Args:
            texts: The inputs.
            parameters: Decoding parameters; the defaults are those of the export.

        Returns:
            An answer for each text, in order.

        Raises:
            Exception: Any error of TensorFlow.
        """
        inputs = tf.constant(texts, tf.string)
        if not parameters:
            outputs = self._signatures["serving_default"](text=inputs)
            found, scores = outputs["text"].numpy()[:, None], outputs["score"].numpy()[:, None]
        else:
            signature = self._signatures[SIGNATURE]
            outputs = signature(text=inputs, **self._scalars(signature, parameters))
            found, scores = outputs["text"].numpy(), outputs["score"].numpy()
        counts = _counts(outputs, len(texts))
        cut = outputs["cut"].numpy().tolist() if "cut" in outputs else [False] * len(texts)
        answers = []
        for row, row_scores, truncated, count in zip(found.tolist(), scores.tolist(), cut, counts, strict=True):
            (text, score), *others = zip(map(_text, row), map(_finite, row_scores), strict=True)
            answers.append(Answer(text, score, tuple(others), truncated, count))
        return answers

    def stream(self, texts: list[str], parameters: Parameters) -> Iterator[list[Answer]]:
        """Answers texts token by token, greedily or by sampling.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.

        Yields:
            The answer so far for each text, after every token; the last one has the scores.
        """
        start, proceed = (self._signatures[name] for name in STREAMING)
        scalars = self._scalars(proceed, parameters)
        values = {**self._defaults, **dict(parameters)}
        state = start(text=tf.constant(texts, tf.string), **self._scalars(start, parameters))
        cut = state.pop("cut").numpy().tolist()
        counted = state.pop("input_tokens", None)
        if counted is None:  # of a model of before it was returned: the mask is 0 at the tokens of the input
            counted = tf.math.count_nonzero(tf.equal(state["memory_bias"], 0.0), axis=(1, 2, 3))
        inputs = counted.numpy().tolist()
        lengths, one, done = [0] * len(texts), tf.constant(1), not texts
        while not done:
            ended = state["done"].numpy().tolist()
            lengths = [length + (not over) for length, over in zip(lengths, ended, strict=True)]
            outputs = proceed(pieces=one, **state, **scalars)
            state.update({name: outputs[name] for name in state if name in outputs})
            done = bool(outputs["done"].numpy().all()) or max(lengths) >= values["max_output_length"]
            logs = outputs["log_probability"].numpy().tolist()
            scores: list[float | None] = [None] * len(texts)
            if done:
                pairs = zip(logs, lengths, strict=True)
                scores = [_finite(log / length ** values["length_penalty"]) for log, length in pairs]
            so_far = map(_text, outputs["text"].numpy().tolist())
            # `done` is also set at the largest number of tokens.
            finished = outputs["finished" if "finished" in outputs else "done"].numpy().tolist()
            counts = [
                Counts(of_input, (length,), (ended,))
                for of_input, length, ended in zip(inputs, lengths, finished, strict=True)
            ]
            yield [
                Answer(text, score, (), truncated, count)
                for text, score, truncated, count in zip(so_far, scores, cut, counts, strict=True)
            ]

    def _scalars(self, signature: Any, parameters: Parameters) -> dict[str, Any]:
        values = {RENDERED: False, **self._defaults, **dict(parameters)}
        if values["sampling"] and "seed" not in dict(parameters):
            values["seed"] = random.getrandbits(31)
        specs = signature.structured_input_signature[1]
        return {name: tf.constant(value, specs[name].dtype) for name, value in values.items() if name in specs}


def _counts(outputs: dict[str, Any], texts: int) -> list[Counts | None]:
    """The numbers of tokens; None for models of before they returned them."""
    if "output_tokens" not in outputs:
        return [None] * texts
    columns = (outputs[name].numpy().tolist() for name in ("input_tokens", "output_tokens", "finished"))
    return [Counts(of_input, tuple(sizes), tuple(ended)) for of_input, sizes, ended in zip(*columns, strict=True)]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None
