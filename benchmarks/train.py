"""Training speed compared with OpenNMT-tf and Hugging Face: the same tokens, model shape and batch size.

    vs_opennmt_tf    target tokens per second without padding, divided by OpenNMT-tf's, preset tiny
    vs_hugging_face  the same, divided by that of Hugging Face's Marian on PyTorch in its faster precision: float32, or
                     PyTorch's autocast to bfloat16, which is measured where the processor multiplies bfloat16
    of_matmul_peak   share of this machine's float32 matmul peak, measured in the same process, that preset small
                     reaches; operations on padding do not count
    padding_share    share of the target positions that are padding, preset tiny

Seqline trains in its default precision, which is bfloat16 on such a processor. The best of several settings of each
peer counts; hugging_face_float32_tokens_per_second and hugging_face_autocast_tokens_per_second are the best of each
precision. `benchmarks.train_quality` measures BLEU, ROUGE, exact match and F1.
"""

import gzip
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece

from benchmarks.environments import HUGGING_FACE, OPENNMT_TF, environment, run_module
from benchmarks.results import finish, parser, show
from benchmarks.training.task import SHAPE
from seqline.accelerators import multiplies_bfloat16
from seqline.artifacts.corpus import Corpus
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.components.train.records import read_data
from seqline.modeling.config import TransformerConfig

BATCH_TOKENS = 4096
PEERS = ("opennmt_tf", "hugging_face")
PART = 2500
"""Pairs per epoch for preset small, which is slow."""


def main() -> None:
    """Runs the benchmark."""
    flags = parser("train", "target tokens per second, compared with OpenNMT-tf and Hugging Face")
    flags.add_argument("pairs", type=Path, help="folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="all by default")
    flags.add_argument("--prepared", type=Path, help="folder to store the tokenized pairs in, and to reuse them from")
    args = flags.parse_args()
    cores = len(os.sched_getaffinity(0))
    engines: dict[str, tuple[str | Path, str, list[tuple[str, int]]]] = {
        "seqline": (sys.executable, "seqline", [("off", cores)]),
    }
    if "opennmt_tf" in args.peers:
        engines["opennmt_tf"] = (environment("opennmt-tf", OPENNMT_TF), "opennmt_tf", [("plain", cores)])
    if "hugging_face" in args.peers:
        interpreter = environment("hugging-face", HUGGING_FACE)
        for precision in ("float32", *(("autocast",) if multiplies_bfloat16() else ())):
            settings = [(precision, threads) for threads in ([cores] if args.quick else [cores, 1])]
            engines[f"hugging_face_{precision}"] = (interpreter, "hugging_face", settings)
    rows: list[list[object]] = []
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        task = prepare(args.pairs, args.prepared or Path(name)) | {
            "batch_tokens": BATCH_TOKENS,
            "dropout": 0.1,
            "label_smoothing": 0.1,
            "seconds": 15 if args.quick else 20,
            "epochs": 1,
        }
        if args.quick:
            task["corpus"] = task["part"]
        found: dict[str, dict[str, Any]] = {}
        for engine, (python, module, settings) in engines.items():
            for variant, threads in settings:
                full_task = task | sized("tiny") | {"variant": variant, "threads": threads}
                found[engine] = measured = measure(python, module, full_task)
                rows.append([engine, "tiny", variant, threads, measured["tokens_per_second"]])
                rates[engine] = max(rates.get(engine, 0.0), measured["tokens_per_second"])
        full_task = task | sized("small") | {"variant": "off", "threads": cores, "corpus": task["part"]}
        small = measure(sys.executable, "seqline", full_task)
        rows.append(["seqline", "small", "off", cores, small["tokens_per_second"]])
    show("Training", ["trainer", "preset", "setting", "threads", "target tokens/s"], rows)
    metrics: dict[str, float | str] = {f"{engine}_tokens_per_second": rate for engine, rate in rates.items()}
    for peer in PEERS:
        theirs = [rate for engine, rate in rates.items() if engine.startswith(peer)]
        if theirs:
            metrics[f"vs_{peer}"] = rates["seqline"] / max(theirs)
    metrics["of_matmul_peak"] = small["of_matmul_peak"]
    metrics["padding_share"] = found["seqline"]["padding_share"]
    finish(metrics, args.json)


def prepare(pairs: Path, folder: Path, kind: str = "translation") -> dict[str, Any]:
    """Tokenizes the pairs for all trainers, with a joint vocabulary of 8,000 tokens.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        folder: Folder for the corpus, a corpus of its first pairs, and the tokens as lines of text.
        kind: The option `task` of the tokenize stage.

    Returns:
        The paths, as keys of a trainer's task.
    """
    corpus, part = folder / "corpus", folder / "part"
    found = {"corpus": str(corpus), "part": str(part), "folder": str(folder)}
    if part.exists():
        return found
    folder.mkdir(exist_ok=True)
    train, valid, test = (str(pairs / f"{split}.tsv.gz") for split in ("train", "valid", "test"))
    options = Options().with_values(task=kind, vocabulary_size=8000)
    tokenize(train, corpus, folder / "report.html", valid_data=valid, test_data=test, options=options)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(Corpus(corpus).tokenizer))
    tokens = [processor.id_to_piece(token) for token in range(processor.vocab_size())]
    lines = ["<blank>", "<s>", "</s>", *tokens[4:]]
    (folder / "vocabulary.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    encoded = read_data(Corpus(corpus)).train.listed()
    for side, name in enumerate(("source", "target")):
        with (folder / f"train.{name}").open("w", encoding="utf-8") as file:
            file.writelines(" ".join(tokens[token] for token in pair[side]) + "\n" for pair in encoded)
    with (
        gzip.open(train, "rt", encoding="utf-8") as lines_of,
        (folder / "part.tsv").open("w", encoding="utf-8") as file,
    ):
        file.writelines(itertools.islice(lines_of, PART))
    same = Options().with_values(task=kind, tokenizer=str(Corpus(corpus).tokenizer))
    tokenize(str(folder / "part.tsv"), part, folder / "part.html", valid_data=valid, test_data=test, options=same)
    return found


def sized(preset: str) -> dict[str, Any]:
    """Returns the model's size, as keys of a trainer's task."""
    config = TransformerConfig.preset(preset, vocabulary_size=1).to_dict()
    return {"preset": preset, "shape": {name: config[name] for name in SHAPE}}


def measure(python: str | Path, module: str, task: dict[str, Any]) -> dict[str, Any]:
    """Runs one trainer in its own process.

    Args:
        python: The trainer's Python.
        module: Its module in `benchmarks.training`.
        task: Its task; see `benchmarks.training.task.run_task`.
    """
    found = run_module(python, f"benchmarks.training.{module}", task)
    values = {name: value for name, value in found.items() if isinstance(value, float)}
    print(f"{module}, {task['preset']}, {task['variant']}, {task['threads']} threads: {values}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
