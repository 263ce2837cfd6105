"""The Beam pipeline: shards that are to do in, shards put away out."""

import logging
import time
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference

from seqline.components.infer.handler import Lines, Predicted, SignatureHandler
from seqline.components.infer.options import Options
from seqline.components.infer.shards import Shard, Work

log = logging.getLogger(__name__)


def build(
    pipeline: beam.Pipeline, shards: Sequence[Shard], total: int, model: str, work: str, options: Options
) -> None:
    """Adds the steps to a pipeline.

    Nothing is grouped between reading and writing, so a shard is put away as soon as it is done, on any runner.

    Args:
        pipeline: Where to.
        shards: The shards that are to do.
        total: How many there are with those that are done.
        model: The exported model's folder.
        work: The folder of the finished shards.
        options: Options of the stage.
    """
    field = options.source_field
    (
        pipeline
        | "Shards" >> beam.Create(list(shards))
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.Map(lambda shard: Lines(shard, shard.read(field)))
        | "Predict" >> RunInference(SignatureHandler(model, options.batch_size))
        | "Put away" >> beam.ParDo(PutAway(work, total))
    )


class PutAway(beam.DoFn):
    """Writes finished shards, and says how far it is; of a broken model it keeps what is wrong.

    Args:
        work: The folder of the finished shards.
        total: How many shards there are.
    """

    def __init__(self, work: str, total: int) -> None:
        self.work, self.total = work, total

    def setup(self) -> None:
        """Starts the clock."""
        self.folder = Work(self.work)
        self.last = time.monotonic()

    def process(self, done: Predicted) -> Iterator[None]:
        """Writes one shard.

        Args:
            done: The shard.
        """
        if done.problem:
            self.folder.write_problem(done.problem)
            return
        self.folder.write(done.shard.number, done.counts, done.lines)
        now = time.monotonic()
        rate = done.counts.lines / max(now - self.last, 1e-9)
        self.last = now
        log.info("shard %d of %d: %.0f lines a second", done.shard.number + 1, self.total, rate)
        yield from ()
