"""The naive pipeline: one element per pair, one transform per step, on all cores.

`python -m benchmarks.tokenizing.naive_beam FOLDER MODEL OUTPUT` prints {"seconds": ...}, with the workers' start.
"""

import json
import logging
import os
import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b

import apache_beam as beam
import sentencepiece
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

Pair = tuple[str, str]


def clean(line: str) -> Iterator[Pair]:
    """Splits and normalizes a line; drops pairs that Seqline's simplest rules reject."""
    source, _, target = line.partition("\t")
    source, target = (" ".join(unicodedata.normalize("NFC", side).split()) for side in (source, target))
    if source and target and not re.search(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>", source + target):
        yield source, target


def split_of(pair: Pair, _: int) -> int:
    """Selects training (0), validation (1) or test (2) by a hash of the source."""
    share = int.from_bytes(blake2b(pair[0].encode(), digest_size=8).digest(), "big") / 2**64
    return 2 if share < 0.02 else 1 if share < 0.04 else 0


class Encode(beam.DoFn):
    """Encodes a pair to a serialized tf.train.Example."""

    def __init__(self, model: str) -> None:
        self.model = model

    def setup(self) -> None:
        """Loads the model once per worker."""
        self.processor = sentencepiece.SentencePieceProcessor(model_file=self.model)

    def process(self, pair: Pair) -> Iterator[bytes]:
        """Encodes one pair, unless it is too long."""
        ids = {name: self.processor.encode(side) for name, side in zip(("source", "target"), pair, strict=True)}
        if max(map(len, ids.values())) <= 512:
            feature = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in ids.items()
            }
            yield tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def main() -> None:
    """Runs the pipeline."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    folder, model, output = sys.argv[1:4]
    cores = len(os.sched_getaffinity(0))
    options = PipelineOptions(
        ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", f"--direct_num_workers={cores}"],
        save_main_session=True,
    )
    start = time.monotonic()
    with beam.Pipeline(options=options) as pipeline:
        train, valid, test = (
            pipeline
            | beam.io.ReadFromText(f"{folder}/part-*.tsv")
            | beam.FlatMap(clean)
            | beam.Distinct()
            | beam.Partition(split_of, 3)
        )
        for name, pairs in (("train", train), ("valid", valid)):
            encoded = pairs | f"encode {name}" >> beam.ParDo(Encode(model))
            _ = encoded | f"write {name}" >> beam.io.WriteToTFRecord(f"{output}/{name}", num_shards=4)
        _ = test | beam.Map(json.dumps) | beam.io.WriteToText(f"{output}/test")
    print(json.dumps({"seconds": time.monotonic() - start}))


if __name__ == "__main__":
    main()
