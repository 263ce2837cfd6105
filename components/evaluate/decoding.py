"""Runs text through an exported model's serving signature."""

import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from seqline.errors import UserError

SIGNATURE, SCORING = "serving_default", "score"
SECONDS_BETWEEN_LINES = 10.0
TIMED, WARM_UP = 40, 3  # single requests

log = logging.getLogger(__name__)


def load(model: Path) -> Any:
    """Loads the serving signature of a SavedModel.

    Args:
        model: The SavedModel's folder.

    Returns:
        The signature, which takes `text` and gives `text` and `score`. It keeps its model alive.

    Raises:
        UserError: If the folder does not load, or the signature is not text in, text and score out.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers the tokenizer's ops)

    try:
        loaded = tf.saved_model.load(str(model))
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{model} does not load with TensorFlow {tf.__version__}: {reason}; export the model again"
        ) from error
    if SIGNATURE not in loaded.signatures:
        has = ", ".join(loaded.signatures) or "none"
        raise UserError(f"{model} has no signature {SIGNATURE!r}, only {has}; export the model again")
    signature = loaded.signatures[SIGNATURE]
    takes = sorted(signature.structured_input_signature[1])
    gives = sorted(signature.structured_outputs)
    if takes != ["text"] or not {"text", "score"} <= set(gives):
        raise UserError(
            f"the signature {SIGNATURE!r} of {model} takes {takes} and gives {gives}; it must take text and give "
            "text and score: export the model again"
        )
    signature.keeps = loaded
    return signature


def decode(
    signature: Any, texts: list[str], batch_size: int, progress: "Progress | None" = None, first: int = 1
) -> tuple[list[str], list[float]]:
    """Runs texts through a signature, long ones first, in batches of one size and of similar lengths.

    Long texts first: a batch that does not fit the memory fails at once, and the time left is not
    underestimated. The last batch is filled up with its own texts, so that every batch has one shape.

    Args:
        signature: From `load`.
        texts: The inputs.
        batch_size: Texts in a batch.
        progress: Is told of every batch.
        first: Number of the first text, for the message.

    Returns:
        The outputs and their scores, in the order of the inputs.

    Raises:
        UserError: If the model fails, or a score is not a number.
    """
    import tensorflow as tf

    outputs = [""] * len(texts)
    scores = [0.0] * len(texts)
    order = sorted(range(len(texts)), key=lambda index: (-len(texts[index]), index))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        filled = [texts[chosen[place % len(chosen)]] for place in range(batch_size)]
        try:
            answer = signature(text=tf.constant(filled))
        except tf.errors.OpError as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"the model fails on the test text: {reason}; export it again") from error
        for index, output, score in zip(chosen, answer["text"].numpy(), answer["score"].numpy(), strict=False):
            outputs[index] = output.decode("utf-8", errors="replace")
            scores[index] = float(score)
            if not math.isfinite(scores[index]):
                raise UserError(
                    f"the model's score for test sentence {first + index} is {scores[index]}, not a number: its "
                    f"weights are broken, train again; the sentence is {texts[index]!r}"
                )
        if progress is not None:
            progress.advance(len(chosen))
    return outputs, scores


def scoring(signature: Any) -> Any | None:
    """The signature that says how probable a given text is; None where the model was exported without it.

    Args:
        signature: From `load`.
    """
    found = signature.keeps.signatures
    if SCORING not in found:
        log.info("perplexity is not available: the model has no signature %r", SCORING)
        return None
    return found[SCORING]


def likelihoods(scoring: Any, sources: list[str], references: list[str], batch_size: int, first: int = 1) -> np.ndarray:
    """How probable the references are to the model.

    Args:
        scoring: From `scoring`.
        sources: The inputs.
        references: Their expected texts, as many.
        batch_size: Pairs in a batch; those of similar lengths are together.
        first: Number of the first pair, for the message.

    Returns:
        Natural logarithm of each probability, and its pieces with the end of the text, of shape (pairs, 2).

    Raises:
        UserError: If one is not a number.
    """
    import tensorflow as tf

    found = np.zeros((len(sources), 2))
    order = np.argsort([-len(source) - len(reference) for source, reference in zip(sources, references, strict=True)])
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        answer = scoring(
            source=tf.constant([sources[place] for place in chosen]),
            target=tf.constant([references[place] for place in chosen]),
        )
        found[chosen, 0], found[chosen, 1] = answer["log_probability"].numpy(), answer["tokens"].numpy()
    broken = np.flatnonzero(~np.isfinite(found[:, 0]))
    if len(broken):
        raise UserError(
            f"the log probability of the reference of test sentence {first + broken[0]} is {found[broken[0], 0]}, not "
            f"a number: the model's weights are broken, train again; the reference is {references[broken[0]]!r}"
        )
    return found


def latencies(signature: Any, texts: list[str]) -> list[float]:
    """Times single requests, as an endpoint gets them when it is not busy.

    Args:
        signature: From `load`.
        texts: The inputs; a number of them, evenly spread, is timed.

    Returns:
        Milliseconds of each.
    """
    import tensorflow as tf

    def seconds(text: str) -> float:
        start = time.perf_counter()
        signature(text=tf.constant([text]))["text"].numpy()
        return time.perf_counter() - start

    chosen = texts[:: max(1, len(texts) // TIMED)][:TIMED]
    for text in chosen[:WARM_UP]:
        seconds(text)
    return [1000 * seconds(text) for text in chosen]


class Progress:
    """A bar where a person watches, a line now and then where not."""

    def __init__(self, total: int) -> None:
        """Starts the clock.

        Args:
            total: Sentences to decode.
        """
        self.total, self.done = total, 0
        self.start = self.spoke = time.monotonic()
        self.bar: Any = None
        if sys.stdout.isatty():
            from keras.utils import Progbar

            self.bar = Progbar(total, unit_name="sentence")

    def advance(self, sentences: int) -> None:
        """Counts sentences, and shows it."""
        self.done += sentences
        now = time.monotonic()
        if self.bar is not None:
            self.bar.update(self.done)
        elif self.done == self.total or now - self.spoke >= SECONDS_BETWEEN_LINES:
            self.spoke = now
            rate = self.done / max(now - self.start, 1e-9)
            log.info("decoded %d of %d sentences, %.0f a second", self.done, self.total, rate)
