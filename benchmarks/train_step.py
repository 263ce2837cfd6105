"""Where the time of a training step goes: the share of each operation, from TensorFlow's profiler.

    python -m benchmarks.train_step PAIRS --preset tiny

One thread runs the operations one after the other, so their times add up, and each operation may use all cores.
Metrics: `step_ms`, the median without the profiler and with the usual threads; `target_tokens_per_second`;
`share_<group>`, the share of the operations' time, of each group in `GROUPS` and of all others, `other`.
"""

import itertools
import logging
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import finish, parser, show
from benchmarks.train import BATCH_TOKENS, prepare
from seqline.modeling.config import PRESETS, Preset

GROUPS = {
    "products": ("MatMul", "BatchMatMulV2", "Einsum", "FusedMatMul"),
    "activations": ("Relu", "ReluGrad", "Softmax", "Exp", "Sigmoid", "Max", "LogSoftmax"),
    "random": ("StatelessRandomUniformFullIntV2", "StatelessRandomUniformV2"),
    "sums": ("Sum", "Mean", "BiasAddGrad", "AddN", "UnsortedSegmentSum"),
    "copies": ("Transpose", "Cast", "Split", "ConcatV2", "Slice", "StridedSlice", "GatherV2", "Tile", "Pad", "Reshape"),
    "arithmetic": ("Mul", "AddV2", "Sub", "BiasAdd", "RealDiv", "SelectV2", "Rsqrt", "Square", "GreaterEqual"),
    "optimizer": ("ResourceApplyAdam", "ResourceScatterAdd", "AssignVariableOp", "AssignAddVariableOp", "L2Loss"),
}
"""Kinds of operations; oneDNN's, whose names have a prefix, count too."""
WARM_UP, MEASURED = 12, 24
"""Steps before those that count, and those that count."""


def main() -> int:
    """Runs the benchmark."""
    flags = parser("train_step", (__doc__ or "").partition("\n")[0])
    flags.add_argument("pairs", type=Path, help="folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--preset", default="tiny", choices=list(PRESETS), help="size of the model")
    flags.add_argument("--prepared", type=Path, help="folder of the tokenized pairs, which are stored and reused")
    args = flags.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(prepare(args.pairs, args.prepared or Path(name))["corpus"])
        metrics, times = measure(corpus, args.preset, Path(name), MEASURED // 3 if args.quick else MEASURED)
    total = sum(times.values())
    rows = [[kind, seconds / total] for kind, seconds in sorted(times.items(), key=lambda one: -one[1])[:25]]
    show("Operations", ["operation", "share"], rows)
    groups = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
    shares: dict[str, float] = defaultdict(float)
    for kind, seconds in times.items():
        shares[groups.get(kind.removeprefix("_Mkl").removeprefix("Native"), "other")] += seconds / total
    metrics |= {f"share_{group}": share for group, share in sorted(shares.items(), key=lambda one: -one[1])}
    finish(metrics, args.json)
    return 0


def measure(corpus: Path, preset: Preset, folder: Path, steps: int) -> tuple[dict[str, float | str], dict[str, float]]:
    """Trains twice: timed, and profiled.

    Args:
        corpus: The corpus.
        preset: Size of the model.
        folder: Working folder.
        steps: Steps that count.

    Returns:
        The metrics of the timed steps, and the seconds of each kind of operation in the profiled ones.
    """
    import keras
    import tensorflow as tf

    from seqline.artifacts.corpus import Corpus
    from seqline.components.train.building import build_model
    from seqline.components.train.devices import choose_strategy
    from seqline.components.train.hardware import measure_hardware
    from seqline.components.train.options import Options
    from seqline.components.train.parts import share_cores_among_parts
    from seqline.components.train.plan import make_plan
    from seqline.components.train.records import read_data

    options = Options(preset=preset, batch_tokens=BATCH_TOKENS, patience=0)
    share_cores_among_parts(options, Corpus(corpus))
    strategy = choose_strategy(options.devices)
    hardware = measure_hardware(strategy, options.precision)
    plan = make_plan(options, read_data(Corpus(corpus)), 1)
    model = build_model(plan, hardware, strategy, None)
    ends: list[tuple[float, float]] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append((time.perf_counter(), float(logs["tokens"])))

    class Profile(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == WARM_UP:
                tf.profiler.experimental.start(str(folder / "profile"))

        def on_train_end(self, logs: Any = None) -> None:
            tf.profiler.experimental.stop()

    for callback in (Clock(), Profile()):
        batches = plan.train.dataset(options.seed, 0, 0)
        model.fit(batches, steps_per_epoch=WARM_UP + steps, epochs=1, verbose=0, callbacks=[callback])
    counted = ends[WARM_UP - 1 :]
    seconds = [later[0] - earlier[0] for earlier, later in itertools.pairwise(counted)]
    rate = (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
    return {"step_ms": 1000 * statistics.median(seconds), "target_tokens_per_second": rate}, kinds(folder / "profile")


def kinds(folder: Path) -> dict[str, float]:
    """Sums the time of each kind of operation.

    Args:
        folder: What the profiler wrote.
    """
    found: dict[str, float] = defaultdict(float)
    for kind, seconds in _events(folder):
        found[kind] += seconds
    return dict(found)


def _events(folder: Path) -> Iterator[tuple[str, float]]:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    for file in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    # The name of an operation and its kind: layer/MatMul:MatMul
                    name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                    # Of tf.data and of whole functions are ExecutorState::Process and the like.
                    if name and not name.endswith(":") and kind.isidentifier():
                        yield kind, event.duration_ps / 1e12


if __name__ == "__main__":
    raise SystemExit(main())
