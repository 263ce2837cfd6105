"""The tokenize stage compared with raw SentencePiece, Hugging Face `datasets.map` and an element-wise Beam pipeline.

All encode the same pairs with the same vocabulary. Seqline's time is that of the whole command: starting Python,
reading, cleaning, deduplicating, splitting, encoding, writing and the report. The peers' times exclude their start, and
for the first two also reading. The naive pipeline encodes a part of the pairs.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.environments import FOLDER, environment
from benchmarks.results import finish, parser, show
from benchmarks.tokenizing import corpora
from benchmarks.tokenizing.measuring import Measured, measure
from seqline.atomic import atomic_write
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.vocabulary import listing, train_tokenizer
from seqline.errors import UserError

DATASETS = ["datasets==5.2.0", "tokenizers==0.23.3"]
HERE = Path(__file__).parent / "tokenizing"
LONGEST = 512
NAIVE_SHARE = 20


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    flags = parser("tokenize", (__doc__ or "").partition("\n")[0])
    flags.add_argument("corpora", type=Path, nargs="+", help="TSV files, or folders with a train.tsv.gz")
    flags.add_argument("--pairs", type=int, nargs=2, metavar="N", help="the two sizes; by default 1M and 5M")
    flags.add_argument("--only", choices=["seqline"], help="skip the peers")
    args = flags.parse_args()
    sizes = args.pairs or ([40_000, 200_000] if args.quick else [1_000_000, 5_000_000])
    try:
        run(args.corpora, sizes, args.json, peers=args.only is None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(paths: list[Path], sizes: list[int], json: Path | None, peers: bool) -> None:
    """Measures Seqline and its peers.

    Args:
        paths: The corpora.
        sizes: A smaller and a larger number of pairs.
        json: File to write the metrics to; None to write none.
        peers: Whether to run the peers too.
    """
    pairs = corpora.read(paths)
    model = FOLDER.resolve() / f"tokenizer-{len(pairs)}.model"
    if not model.exists():
        trained = train_tokenizer((side for pair in pairs for side in pair), Options())
        atomic_write(model.with_suffix(".vocab"), listing(trained))
        model.write_bytes(trained)
    folders = [corpora.varied(pairs, size) for size in sizes]
    ours = [stage(folder, model) for folder in folders]
    rows: list[list[object]] = [
        [f"seqline, {size:,} pairs", one.seconds, size / one.seconds, one.peak / 2**20]
        for size, one in zip(sizes, ours, strict=True)
    ]
    metrics: dict[str, float | str] = {}
    ours_per_second = [size / one.seconds for size, one in zip(sizes, ours, strict=True)]
    if peers:
        module = [sys.executable, "-m", "benchmarks.tokenizing.raw_sentencepiece"]
        runs = [measure([*module, str(folders[0]), str(model)]) for _ in range(2)]
        raw = min(runs, key=lambda run: float(run.output["seconds"]))
        python = environment("datasets", DATASETS)
        mapped = measure(
            [str(python), str(HERE / "datasets_map.py"), str(folders[0]), str(model.with_suffix(".vocab"))]
        )
        part = max(5_000, sizes[0] // NAIVE_SHARE)
        with tempfile.TemporaryDirectory() as output:
            module = [sys.executable, "-m", "benchmarks.tokenizing.naive_beam"]
            naive = measure([*module, str(corpora.varied(pairs, part)), str(model), output])
        peer_rates = {}
        for name, done, size in (
            ("raw sentencepiece", raw, sizes[0]), ("datasets.map", mapped, sizes[0]), ("naive Beam", naive, part)
        ):  # fmt: skip
            peer_rates[name] = size / done.output["seconds"]
            rows.append([f"{name}, {size:,} pairs", done.output["seconds"], peer_rates[name], done.peak / 2**20])
        metrics = {
            "of_sentencepiece": ours_per_second[1] / peer_rates["raw sentencepiece"],
            "of_sentencepiece_small": ours_per_second[0] / peer_rates["raw sentencepiece"],
            "vs_naive_beam": ours_per_second[1] / peer_rates["naive Beam"],
            "vs_datasets_map": ours_per_second[1] / peer_rates["datasets.map"],
            "vs_datasets_map_small": ours_per_second[0] / peer_rates["datasets.map"],
        }
    show("Tokenizing", ["pipeline", "seconds", "pairs/s", "peak MiB"], rows)
    metrics["growth_time_1m_5m"] = ours[1].seconds / ours[0].seconds
    metrics["growth_memory_1m_5m"] = ours[1].peak / ours[0].peak
    finish(metrics, json)


def stage(folder: Path, model: Path) -> Measured:
    """Runs the tokenize stage as a command.

    Args:
        folder: The pairs.
        model: The tokenizer.
    """
    with tempfile.TemporaryDirectory(dir=FOLDER) as output:
        return measure(
            [
                sys.executable, "-m", "seqline.components.tokenize", "--data", f"{folder}/part-*.tsv",
                "--corpus", f"{output}/corpus", "--report", f"{output}/report.html",
                "--tokenizer", str(model), "--max_tokens", str(LONGEST), "--rules", '{"length_ratio": false}',
            ]
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
