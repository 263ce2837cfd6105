"""Runs text through an exported model's serving signature."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from seqline.errors import UserError
from seqline.progress import Progress as Record
from seqline.progress import report
from seqline.saved_models import load_signatures

SIGNATURE, SCORING = "serving_default", "score"
SECONDS_BETWEEN_LOGS = 10.0
TIMED, WARM_UP = 40, 3  # single requests

log = logging.getLogger(__name__)


def load(model: Path) -> Any:
    """Loads the serving signature of a SavedModel.

    Args:
        model: The SavedModel's folder.

    Returns:
        The signature, which takes `text` and returns `text` and `score`. It holds a reference to the others.

    Raises:
        UserError: If the folder does not load, or the signature is not text in, text and score out.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers the tokenizer's ops)

    try:
        signatures = load_signatures(model)
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{model} does not load with TensorFlow {tf.__version__}: {reason}; export the model again"
        ) from error
    if SIGNATURE not in signatures:
        available = ", ".join(signatures) or "none"
        raise UserError(f"{model} has no signature {SIGNATURE!r}, only {available}; export the model again")
    signature = signatures[SIGNATURE]
    inputs = sorted(signature.structured_input_signature[1])
    outputs = sorted(signature.structured_outputs)
    if inputs != ["text"] or not {"text", "score"} <= set(outputs):
        raise UserError(
            f"the signature {SIGNATURE!r} of {model} takes {inputs} and returns {outputs}; it must take text and "
            "return text and score: export the model again"
        )
    signature.model = SimpleNamespace(signatures=signatures)
    return signature


@dataclass(frozen=True)
class Decoded:
    """The outputs of texts.

    Attributes:
        outputs: The outputs, in the order of the texts.
        scores: Their scores.
        seconds: From the start of the first batch to the end of the last one.
    """

    outputs: list[str]
    scores: list[float]
    seconds: float


def start_decoding(
    threads: Executor,
    signature: Any,
    texts: list[str],
    batch_size: int,
    progress: "Progress | None" = None,
    first: int = 1,
) -> Callable[[], Decoded]:
    """Queues texts for a signature, in batches of one size and of similar lengths.

    Long texts come first: a batch that does not fit into memory fails at once, and the remaining time is not
    underestimated. The last batch is padded with its own texts to the same size.

    Args:
        threads: The threads that run the batches.
        signature: From `load`.
        texts: The inputs.
        batch_size: Texts in a batch.
        progress: Updated after every batch, in order.
        first: Number of the first text, for messages.

    Returns:
        A function that waits for the outputs. It raises a UserError if the model fails, or a score is not a number.
    """
    import tensorflow as tf

    order = sorted(range(len(texts)), key=lambda index: (-len(texts[index]), index))

    def answered(chosen: list[int]) -> tuple[Any, Any, float, float]:
        started = time.monotonic()
        padded = [texts[chosen[index % len(chosen)]] for index in range(batch_size)]
        try:
            answer = signature(text=tf.constant(padded))
            found, scores = answer["text"].numpy(), answer["score"].numpy()
        except tf.errors.OpError as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"the model fails on the test set: {reason}; export it again") from error
        return found, scores, started, time.monotonic()

    running = _queued(threads, answered, order, batch_size)

    def finish() -> Decoded:
        outputs = [""] * len(texts)
        scores = [0.0] * len(texts)
        began, ended = math.inf, -math.inf
        for chosen, (found, their_scores, start, end) in running:
            began, ended = min(began, start), max(ended, end)
            for index, output, score in zip(chosen, found, their_scores, strict=False):
                outputs[index] = output.decode("utf-8", errors="replace")
                scores[index] = float(score)
                if not math.isfinite(scores[index]):
                    raise UserError(
                        f"the model's score for test sentence {first + index} is {scores[index]}, not a number: its "
                        f"weights are broken, train again; the sentence is {texts[index]!r}"
                    )
            if progress is not None:
                progress.advance(len(chosen))
        return Decoded(outputs, scores, ended - began)

    return finish


def _queued(
    threads: Executor, function: Callable[[Any], Any], order: Any, batch_size: int
) -> Iterator[tuple[Any, Any]]:
    """Queues batches of indices for a function; yields each batch and its result, in their order."""
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return zip(batches, threads.map(function, batches), strict=True)


def scoring(signature: Any) -> Any | None:
    """Returns the signature that scores a given target; None where the model was exported without it.

    Args:
        signature: From `load`.
    """
    signatures = signature.model.signatures
    if SCORING not in signatures:
        log.info("perplexity is not available: the model has no signature %r", SCORING)
        return None
    return signatures[SCORING]


def start_scoring(
    threads: Executor, scoring: Any, sources: list[str], references: list[str], batch_size: int, first: int = 1
) -> Callable[[], np.ndarray]:
    """Queues the computation of the log-probabilities of references under the model.

    Args:
        threads: The threads that run the batches.
        scoring: From `scoring`.
        sources: The inputs.
        references: Their references, as many.
        batch_size: Pairs in a batch; batches have similar lengths.
        first: Number of the first pair, for messages.

    Returns:
        A function that waits for the log-probability (natural) and number of tokens, end of sentence included, of each
        reference, of shape (pairs, 2). It raises a UserError if one is not a number.
    """
    import tensorflow as tf

    order = np.argsort([-len(source) - len(reference) for source, reference in zip(sources, references, strict=True)])

    def scored(chosen: Any) -> tuple[Any, Any]:
        answer = scoring(
            source=tf.constant([sources[index] for index in chosen]),
            target=tf.constant([references[index] for index in chosen]),
        )
        return answer["log_probability"].numpy(), answer["tokens"].numpy()

    running = _queued(threads, scored, order, batch_size)

    def finish() -> np.ndarray:
        found = np.zeros((len(sources), 2))
        for chosen, (log_probabilities, tokens) in running:
            found[chosen, 0], found[chosen, 1] = log_probabilities, tokens
        broken = np.flatnonzero(~np.isfinite(found[:, 0]))
        if len(broken):
            raise UserError(
                f"the log probability of the reference of test sentence {first + broken[0]} is {found[broken[0], 0]}, "
                f"not a number: the model's weights are broken, train again; the reference is {references[broken[0]]!r}"
            )
        return found

    return finish


def latencies(signature: Any, texts: list[str]) -> list[float]:
    """Measures the latency of single requests.

    Args:
        signature: From `load`.
        texts: The inputs; an evenly spaced sample of them is timed.

    Returns:
        Milliseconds per request.
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
    """A progress bar on a terminal, a log line every few seconds elsewhere."""

    def __init__(self, total: int) -> None:
        """Starts the clock.

        Args:
            total: Sentences to decode.
        """
        self.total, self.done = total, 0
        self.start = self.logged = time.monotonic()
        self.bar: Any = None
        if sys.stdout.isatty():
            from keras.utils import Progbar

            self.bar = Progbar(total, unit_name="sentence")

    def advance(self, sentences: int) -> None:
        """Adds decoded sentences.

        Args:
            sentences: How many.
        """
        self.done += sentences
        now = time.monotonic()
        report(lambda: Record.of_amount("decoding", self.done, self.total, "sentences", now - self.start))
        if self.bar is not None:
            self.bar.update(self.done)
        elif self.done == self.total or now - self.logged >= SECONDS_BETWEEN_LOGS:
            self.logged = now
            rate = self.done / max(now - self.start, 1e-9)
            log.info("decoded %d of %d sentences, %.0f per second", self.done, self.total, rate)
