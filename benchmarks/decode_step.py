"""What bounds a step of decoding: its arithmetic, its memory or the number of its operations, on one core.

    python -m benchmarks.decode_step DATA --preset tiny

Decodes batches of copies of one text, so that all outputs of a batch end together, for texts of several lengths. A
least-squares fit of the times gives `step_ms`, the mean time of a token of the output, `source_ms`, that of a token of
the source, and `fixed_ms`, that of everything else. Beside them are lower bounds of a step:

    products_ms     its matrix products at the peak of this core, which large float32 products reach
    memory_ms       its weights, keys and values at the speed at which this core reads as many bytes, again and again
    operations_ms   its operations, if each took as long as one on a single number
    operations      their number

The names end in `_beam4_b64` and the like. The model computes in float32; with `--shortlist` it has one.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alone import alone
from benchmarks.decode import LENGTH_PENALTY
from benchmarks.decode_weights import train_once
from benchmarks.environments import FOLDER
from benchmarks.results import finish, parser, show
from benchmarks.timing import fastest
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export.lexicon import FREQUENT
from seqline.components.export.options import DecodingOptions
from seqline.components.export.stage import export
from seqline.modeling.config import TransformerConfig

BATCHES = (64, 1)
UNCOUNTED = {"Const", "Identity", "ReadVariableOp", "NoOp"}
"""Operations that TensorFlow removes, or that take no time."""
CHAIN = 1000
"""Operations of the graph that measures one."""


def main() -> int:
    """Runs the benchmark."""
    flags = parser("decode_step", (__doc__ or "").partition("\n")[0])
    flags.add_argument("data", type=Path, help="folder of train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--preset", default="tiny", help="the model's size")
    flags.add_argument("--minutes", type=float, default=15, help="training time, unless the checkpoint exists")
    flags.add_argument("--work", type=Path, help="folder of the corpus and the checkpoint")
    flags.add_argument("--beams", nargs="+", type=int, default=[4, 1], help="beam sizes")
    flags.add_argument("--shortlist", action="store_true", help="decode with a shortlist")
    args = flags.parse_args()
    work = args.work or FOLDER / f"decode-{args.preset}"
    checkpoint, corpus = train_once(args.data, work, args.preset, 1.0 if args.quick else args.minutes)
    config = TransformerConfig.from_dict(Checkpoint(checkpoint).read_config().model)
    texts = [pair["source"] for pair in Corpus(corpus).read_text("test")][: 10 if args.quick else 40]
    metrics: dict[str, float | str] = {"preset": args.preset}
    rows = []
    core = min(os.sched_getaffinity(0))
    peaks = alone(measure_peaks, core=core)
    with tempfile.TemporaryDirectory() as folder:
        logits = FREQUENT if args.shortlist else config.vocabulary_size  # and a few more for each source
        for beam in args.beams:
            model = Path(folder) / str(beam)
            options = DecodingOptions(length_penalty=LENGTH_PENALTY)
            export(checkpoint, corpus, model, options.with_values(beam_size=beam, shortlist=args.shortlist))
            operations = count_operations(model)
            for batch in BATCHES:
                passes = 3 if args.quick else 10
                tokenizer = Checkpoint(checkpoint).tokenizer
                fit = alone(fit_times, model, texts, batch, passes, tokenizer, core=core)
                flops, size = count_work(config, batch, beam, logits, fit["source_tokens"], fit["target_tokens"] / 2)
                bounds = {
                    "products_ms": 1000 * flops / peaks["flops"],
                    "memory_ms": 1000 * alone(reading_seconds, size, core=core),
                    "operations_ms": 1000 * operations * peaks["operation"],
                }
                names = ("step_ms", "source_ms", "fixed_ms")
                found = {name: fit[name] for name in names} | bounds | {"operations": float(operations)}
                metrics |= {f"{name}_beam{beam}_b{batch}": value for name, value in found.items()}
                rows.append([beam, batch, *found.values()])
    show("Milliseconds", ["beam", "batch", *found], rows)
    metrics |= {"peak_gflops": peaks["flops"] / 1e9, "operation_us": 1e6 * peaks["operation"]}
    finish(metrics, args.json)
    return 0


def measure_peaks() -> dict[str, float]:
    """Measures this process's cores.

    Returns:
        `flops`: float32 operations in a second; `operation`: seconds of an operation on one number in the executor of
        exported models.
    """
    import tensorflow as tf

    from seqline.components.export.executor import in_one_thread
    from seqline.components.train.flops import matmul_peak

    tf.config.threading.set_intra_op_parallelism_threads(1)

    def chain(number: Any, low: Any, high: Any) -> Any:
        for _ in range(CHAIN // 2):
            number = tf.maximum(tf.minimum(number, high), low)
        return number

    called = in_one_thread(chain)
    numbers = {"number": tf.constant([1.0]), "low": tf.constant([0.0]), "high": tf.constant([2.0])}
    return {"flops": matmul_peak(), "operation": fastest(lambda: called(**numbers).numpy(), 20) / CHAIN}


def reading_seconds(size: float) -> float:
    """Measures how long this process takes to read memory that it has just read, which may be in a cache.

    Args:
        size: Number of bytes.
    """
    memory = np.ones(int(size) // 4, np.float32)
    return fastest(lambda: memory.dot(memory), 50)


def fit_times(model: Path, texts: list[str], batch: int, passes: int, tokenizer: Path) -> dict[str, float]:
    """Fits the time of a batch of copies of a text to the lengths of its source and its output.

    Args:
        model: The exported model.
        texts: The texts.
        batch: Copies of a text.
        passes: Calls for each text, of which the fastest counts.
        tokenizer: The tokenizer's file.

    Returns:
        `step_ms`, `source_ms` and `fixed_ms`, and the mean numbers of `source_tokens` and `target_tokens`.
    """
    from sentencepiece import SentencePieceProcessor

    from benchmarks.decode_seqline import load

    translate = load({"model": str(model), "threads": 1, "workers": 1})
    processor = SentencePieceProcessor(model_file=str(tokenizer))
    lengths, times = [], []
    for text in texts:
        copies = [text] * batch
        (output, *_) = translate(copies)
        lengths.append([len(ids) + 1 for ids in processor.encode([output, text])])
        times.append(1000 * fastest(lambda copies=copies: translate(copies), passes))  # type: ignore[misc]
    # Later steps attend to more tokens.
    counts = np.array(lengths, float)
    variables = np.c_[counts, np.ones(len(texts)), counts[:, 0] ** 2]
    (step, source, fixed, slower), *_ = np.linalg.lstsq(variables, np.array(times), rcond=None)
    targets, sources = counts.mean(axis=0)
    found = {"step_ms": step + slower * targets, "source_ms": source, "fixed_ms": fixed}
    return {name: float(value) for name, value in {**found, "source_tokens": sources, "target_tokens": targets}.items()}


def count_operations(model: Path) -> int:
    """Counts the operations of a step: of the loop of the serving signature, the only one without conditions.

    Args:
        model: The exported model.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    steps = []
    for function in saved.meta_graphs[0].graph_def.library.function:
        kinds = [node.op for node in function.node_def]
        # Every step attends to caches, and only the options of other signatures are inputs, which need conditions.
        if "TensorStridedSliceUpdate" in kinds and "BatchMatMulV2" in kinds and "StatelessIf" not in kinds:
            steps.append(sum(kind not in UNCOUNTED for kind in kinds))
    return min(steps)


def count_work(
    config: TransformerConfig, batch: int, beam: int, logits: int, source: float, position: float
) -> tuple[float, float]:
    """Counts what a step needs at least.

    Args:
        config: The model's shape.
        batch: Sentences.
        beam: Hypotheses of each.
        logits: Tokens that are considered.
        source: Mean length of the sources.
        position: Mean position of the token.

    Returns:
        Floating-point operations of its matrix products, and the bytes of weights, keys and values that it reads.
    """
    width, layers = config.hidden_dim, config.decoder_layers
    attention = 4 * width * width  # of which cross-attention needs half: keys and values are computed once
    weights = layers * (1.5 * attention + 2 * width * config.intermediate_dim) + width * logits
    rows = batch * beam
    mixing = rows * layers * 2 * 2 * width * (position + source)
    read = layers * 2 * width * (rows * position + batch * source)
    return 2 * rows * weights + mixing, 4 * (weights + read)


if __name__ == "__main__":
    raise SystemExit(main())
