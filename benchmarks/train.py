"""Training: tokens per second against OpenNMT-tf and Hugging Face, on the same pieces, with the same shape and batches.

    vs_opennmt_tf    target tokens per second, padding not counted, over OpenNMT-tf's, preset tiny
    vs_hugging_face  the same over Hugging Face's Marian on PyTorch
    of_matmul_peak   share of this machine's float32 matmul peak, measured in the same process, that preset small
                     sustains; the model's operations are counted without padding
    padding_share    share of the target positions that hold padding, preset tiny

`python -m benchmarks.train --help`. Peers run at their best of several settings, in turns with Seqline. What training
comes to in BLEU, ROUGE, exact match and F1 is measured by `benchmarks.train_quality`.
"""

import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece

from benchmarks.environments import environment
from benchmarks.results import finish, parser, show
from benchmarks.training.task import WIDTHS
from seqline.artifacts.corpus import Corpus
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.components.train.records import read_pairs
from seqline.modeling.config import TransformerConfig

OPENNMT_TF = [
    "numpy==1.24.3",
    "opennmt-tf==2.32.0",
    "tensorflow-cpu==2.13.1",
    "setuptools==69.5.1",
    "sentencepiece==0.2.0",
]
HUGGING_FACE = ["accelerate==1.11.0", "numpy==2.4.6", "torch==2.13.0", "transformers==4.57.1", "sentencepiece==0.2.3"]
BATCH_TOKENS = 4096
PART = 2500
"""Pairs of an epoch of preset small, which is slow."""


def main() -> None:
    """Measures all trainers, in turns."""
    arguments = parser("train", "target tokens per second, against OpenNMT-tf and Hugging Face")
    arguments.add_argument("pairs", type=Path, help="a folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    arguments.add_argument("--without-peers", action="store_true", help="measure Seqline alone")
    arguments.add_argument("--prepared", type=Path, help="a folder that keeps the tokenized pairs for the next time")
    given = arguments.parse_args()
    cores = len(os.sched_getaffinity(0))
    engines: dict[str, tuple[str | Path, str, list[tuple[str, int]]]] = {
        "seqline": (sys.executable, "seqline", [("off", cores)]),
    }
    if not given.without_peers:
        engines["opennmt_tf"] = (environment("opennmt-tf", OPENNMT_TF), "opennmt_tf", [("plain", cores)])
        variants = [("eager", cores)] if given.quick else [("eager", cores), ("eager", 1)]
        engines["hugging_face"] = (environment("hugging-face", HUGGING_FACE), "hugging_face", variants)
    rows: list[list[object]] = []
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        task = prepare(given.pairs, given.prepared or Path(name)) | {
            "batch_tokens": BATCH_TOKENS,
            "dropout": 0.1,
            "label_smoothing": 0.1,
            "seconds": 15 if given.quick else 20,
            "epochs": 1,
        }
        if given.quick:
            task["corpus"] = task["part"]
        found: dict[str, dict[str, Any]] = {}
        for engine, (python, module, settings) in engines.items():
            for variant, threads in settings:
                asked = task | sized("tiny") | {"variant": variant, "threads": threads}
                found[engine] = measured = measure(python, module, asked)
                rows.append([engine, "tiny", variant, threads, measured["tokens_per_second"]])
                rates[engine] = max(rates.get(engine, 0.0), measured["tokens_per_second"])
        asked = task | sized("small") | {"variant": "off", "threads": cores, "corpus": task["part"]}
        small = measure(sys.executable, "seqline", asked)
        rows.append(["seqline", "small", "off", cores, small["tokens_per_second"]])
    show("Training", ["trainer", "preset", "setting", "threads", "target tokens/s"], rows)
    figures: dict[str, float | str] = {f"{engine}_tokens_per_second": rate for engine, rate in rates.items()}
    for peer in ("opennmt_tf", "hugging_face"):
        if peer in rates:
            figures[f"vs_{peer}"] = rates["seqline"] / rates[peer]
    figures["of_matmul_peak"] = small["of_matmul_peak"]
    figures["padding_share"] = found["seqline"]["padding_share"]
    finish(figures, given.json)


def prepare(pairs: Path, folder: Path, kind: str = "translation") -> dict[str, Any]:
    """Tokenizes the pairs once for all, with a joint vocabulary of 8,000 pieces.

    Args:
        pairs: A folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        folder: Where to write the corpus, one of its first pairs, and its pieces as lines of text.
        kind: What the pairs are, for *tokenize*.

    Returns:
        The part of a trainer's task that says where they are.
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
    pieces = [processor.id_to_piece(number) for number in range(processor.vocab_size())]
    lines = ["<blank>", "<s>", "</s>", *(piece for number, piece in enumerate(pieces) if number > 3)]
    (folder / "vocabulary.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    encoded = read_pairs(Corpus(corpus).shards("train"))
    for side, name in enumerate(("source", "target")):
        with (folder / f"train.{name}").open("w", encoding="utf-8") as file:
            file.writelines(" ".join(pieces[piece] for piece in pair[side]) + "\n" for pair in encoded)
    with (
        gzip.open(train, "rt", encoding="utf-8") as lines_of,
        (folder / "part.tsv").open("w", encoding="utf-8") as file,
    ):
        file.writelines(itertools.islice(lines_of, PART))
    same = Options().with_values(task=kind, tokenizer=str(Corpus(corpus).tokenizer))
    tokenize(str(folder / "part.tsv"), part, folder / "part.html", valid_data=valid, test_data=test, options=same)
    return found


def sized(preset: str) -> dict[str, Any]:
    """The part of a task that says how large the model is."""
    config = TransformerConfig.preset(preset, vocabulary_size=1).to_dict()
    return {"preset": preset, "shape": {name: config[name] for name in WIDTHS}}


def measure(python: str | Path, module: str, task: dict[str, Any]) -> dict[str, Any]:
    """Runs one trainer in a process of its own.

    Args:
        python: The trainer's Python.
        module: Its module in `benchmarks.training`.
        task: What to do; see `benchmarks.training.task.answer`.
    """
    command = [str(python), "-m", f"benchmarks.training.{module}"]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    told = {name: value for name, value in found.items() if isinstance(value, float)}
    print(f"{module}, {task['preset']}, {task['variant']}, {task['threads']} threads: {told}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
