"""The Beam pipeline: reads, predicts and writes the remaining shards."""

import logging
import time
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference

from seqline.components.infer.handler import Lines, Predicted, SignatureHandler
from seqline.components.infer.options import Options
from seqline.components.infer.shards import Shard, Work
from seqline.progress import count

log = logging.getLogger(__name__)


def build(
    pipeline: beam.Pipeline,
    shards: Sequence[Shard],
    total: int,
    model: str,
    work: str,
    options: Options,
    at_once: int,
) -> None:
    """Adds the steps to a pipeline.

    Nothing is grouped between reading and writing, so any runner writes a shard as soon as it is predicted.

    Args:
        pipeline: The pipeline.
        shards: The remaining shards.
        total: Number of shards, finished ones included.
        model: The exported model's folder.
        work: The folder of the finished shards.
        options: Options of the stage.
        at_once: Batches that a process runs at a time.
    """
    field = options.source_field
    (
        pipeline
        | "Shards" >> beam.Create(list(shards))
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.Map(lambda shard: Lines(shard, shard.read(field)))
        | "Predict" >> RunInference(SignatureHandler(model, options.batch_size, at_once))
        | "Write" >> beam.ParDo(WriteShard(work, total))
    )


class WriteShard(beam.DoFn):
    """Writes finished shards and logs progress; for a broken model it writes the problem instead.

    Args:
        work: The folder of the finished shards.
        total: Number of shards.
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
        count(written_shards=1, written_bytes=done.shard.size)
        now = time.monotonic()
        rate = done.counts.lines / max(now - self.last, 1e-9)
        self.last = now
        log.info("shard %d of %d: %.0f lines a second", done.shard.number + 1, self.total, rate)
        yield from ()
