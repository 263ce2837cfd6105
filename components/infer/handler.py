"""An exported model for Beam's RunInference."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from apache_beam.ml.inference.base import ModelHandler

from seqline.artifacts.predictions import Counts
from seqline.batch_threads import batch_threads
from seqline.components.infer.lines import Line
from seqline.components.infer.shards import Shard
from seqline.errors import UserError
from seqline.progress import count
from seqline.saved_models import load_signatures


class Lines(NamedTuple):
    """A shard that was read."""

    shard: Shard
    lines: list[Line]


class Predicted(NamedTuple):
    """A predicted shard: its counts, its lines as JSON, and a problem of the model, empty if there is none."""

    shard: Shard
    counts: Counts
    lines: list[str]
    problem: str


@lru_cache(maxsize=1)
def load(model: str) -> Any:
    """Loads the serving signature of an exported model, once per process.

    Args:
        model: The model's folder.

    Returns:
        The signature, which takes `text` and returns `text` and `score`.

    Raises:
        UserError: If the folder holds no model that loads, or the signature differs.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers the tokenizer's ops)

    try:
        signature = load_signatures(Path(model))["serving_default"]
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{model} contains no model that TensorFlow {tf.__version__} can serve ({reason})") from error
    if set(signature.structured_input_signature[1]) != {"text"} or not {"text", "score"} <= set(
        signature.structured_outputs
    ):
        raise UserError(f"{model}: its serving signature must take text and return text and score; export it again")
    return signature


class SignatureHandler(ModelHandler[Lines, Predicted, Any]):
    """Runs shards through a model's serving signature, in batches of texts of similar lengths.

    An element is a whole shard, so that it can be written as soon as it is predicted, and has enough texts to group
    by length. Equal texts are predicted once.

    Args:
        model: The exported model's folder.
        batch_size: Largest number of texts in a batch.
        at_once: Batches that run at a time.
    """

    def __init__(self, model: str, batch_size: int, at_once: int) -> None:
        super().__init__(max_batch_size=1)
        self.model, self.batch_size, self.at_once = model, batch_size, at_once

    def load_model(self) -> Any:
        """Loads the signature."""
        return load(self.model)

    def run_inference(
        self, batch: Sequence[Lines], model: Any, inference_args: Mapping[str, Any] | None = None
    ) -> Iterable[Predicted]:
        """Predicts for the shards of a batch.

        Args:
            batch: The shards: Beam gives one at a time.
            model: From `load_model`.
            inference_args: Unused.
        """
        return [self._predict(read, model) for read in batch]

    def get_num_bytes(self, batch: Sequence[Lines]) -> int:
        """Returns the bytes of the texts, for Beam's metrics."""
        return sum(read.shard.size for read in batch)

    def _predict(self, read: Lines, signature: Any) -> Predicted:
        predictions = dict(self._outputs({line.text for line in read.lines if not line.error}, signature))
        failed = Counter(line.reason for line in read.lines if line.error)
        rows, problem = [], ""
        for index, line in enumerate(read.lines):
            if line.error:
                row = {"instance": line.instance, "error": line.error}
            else:
                text, score = predictions[line.text]
                if not math.isfinite(score):
                    problem = problem or (
                        f"the model's score for line {read.shard.first_line + index} of {read.shard.name} is {score}, "
                        "not a number: its weights are broken, train again"
                    )
                row = {"instance": line.instance, "prediction": {"text": text, "score": score}}
            rows.append(json.dumps(row, ensure_ascii=False))
        counts = Counts(len(read.lines), len(read.lines) - failed.total(), dict(failed))
        return Predicted(read.shard, counts, rows, problem)

    def _outputs(self, texts: set[str], signature: Any) -> Iterator[tuple[str, tuple[str, float]]]:
        import tensorflow as tf

        # Longest first: a batch that exceeds the memory fails at once.
        ordered = sorted(texts, key=lambda text: (-len(text), text))
        batches = [ordered[start : start + self.batch_size] for start in range(0, len(ordered), self.batch_size)]

        def answered(chosen: list[str]) -> tuple[Any, Any]:
            outputs = signature(text=tf.constant(chosen))
            return outputs["text"].numpy(), outputs["score"].numpy()

        with batch_threads(self.at_once) as threads:
            for chosen, (outputs, scores) in zip(batches, threads.map(answered, batches), strict=True):
                count(predicted_texts=len(chosen))
                for text, output, score in zip(chosen, outputs, scores, strict=True):
                    yield text, (output.decode("utf-8", "replace"), float(score))
