"""What training comes to, on test text that no trainer has seen; takes minutes to hours.

    same-time     BLEU after the same minutes of training as OpenNMT-tf at the better of two settings, beam 4: bleu,
                  bleu_opennmt_tf, bleu_over_opennmt_tf
    convergence   BLEU, beam 4, for each of three seeds, with the curve by epoch: bleu_seed_1, ..., minutes_seed_1, ...
    task          ROUGE or exact match and F1 of a summarization or question answering set beside a trivial baseline:
                  the source's first sentence, or the answer that is most frequent in training

`python -m benchmarks.train_quality same-time PAIRS --minutes 15`. Every model is exported, and measured by *evaluate*.
"""

import gzip
import json
import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import sacrebleu
import sentencepiece

from benchmarks.environments import environment
from benchmarks.results import finish, parser, show
from benchmarks.train import BATCH_TOKENS, OPENNMT_TF, measure, prepare, sized
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.evaluate.options import Options as Measuring
from seqline.components.evaluate.stage import evaluate
from seqline.components.export.stage import export
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS

RECIPES: dict[str, dict[str, Any]] = {
    # Wu et al. 2021, with less dropout than their 0.3 and fewer steps of warming up than 2,000: training is short here.
    "translation": {"preset": "tiny", "dropout": 0.2, "learning_rate": 0.004, "warmup_steps": 500},
    # A quarter of an hour is some thousand steps: too few for a long warm-up, much dropout or a larger model.
    "short": {"preset": "tiny", "dropout": 0.1, "learning_rate": 0.004, "warmup_steps": 300},
}
RECIPES["summarization"] = RECIPES["question_answering"] = RECIPES["short"]
# OpenNMT-tf's rates are before its scaling by width and steps: the highest are 0.004 in both. The first is for long
# training, the second for some thousand steps; the better one counts.
OPENNMT_TF_RECIPES = (
    {"dropout": 0.3, "learning_rate": 2.0, "warmup_steps": 2000},
    {"dropout": 0.1, "learning_rate": 1.0, "warmup_steps": 500},
)


def main() -> None:
    """Runs one of the measurements."""
    arguments = parser("train_quality", "what training comes to on test text")
    arguments.add_argument("what", choices=["same-time", "convergence", "task"])
    arguments.add_argument("pairs", type=Path, help="a folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    arguments.add_argument("--minutes", type=float, default=15.0, help="training time of each model")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument(
        "--task",
        default="translation",
        choices=["translation", "summarization", "question_answering"],
        help="what the pairs are",
    )
    given = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    minutes, seeds = (1.0, given.seeds[:1]) if given.quick else (given.minutes, given.seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = prepare(given.pairs, folder, given.task)
        if given.what == "same-time":
            figures = same_time(task, folder, minutes)
        elif given.what == "convergence":
            figures = {}
            for seed in seeds:
                figures |= _named(trained(task, folder, minutes, given.task, seed), f"seed_{seed}")
        else:
            figures = trained(task, folder, minutes, given.task, seeds[0]) | baseline(given.pairs, given.task)
    finish(figures, given.json)


def trained(
    task: dict[str, Any], folder: Path, minutes: float, kind: str, seed: int, recipe: dict[str, Any] | None = None
) -> dict[str, float | str]:
    """Trains, exports and evaluates, and prints the curve.

    Args:
        task: What `benchmarks.train.prepare` made.
        folder: Where to work.
        minutes: Training time.
        kind: What the pairs are, a key of `RECIPES`.
        seed: Decides initial weights, dropout and the order of the data.
        recipe: Options of training; those of the kind by default.

    Returns:
        The headline figures on the test text, and the minutes that training took.
    """
    recipe = recipe or RECIPES[kind]
    options = Options(epochs=1000, minutes=minutes, patience=15, seed=seed, batch_tokens=BATCH_TOKENS, **recipe)
    checkpoint, model, corpus = folder / f"checkpoint-{seed}", folder / f"model-{seed}", Path(task["corpus"])
    train(corpus, checkpoint, options=options)
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    names = ["epoch", "loss", "valid_loss", "valid_accuracy", "valid_bleu", "valid_rougeL", "seconds"]
    show(f"Seed {seed}", names, [[float(entry[name]) for name in names] for entry in history])
    export(checkpoint, corpus, model)
    found = evaluate(
        model, corpus, folder / f"evaluation-{seed}", folder / "report.html", Measuring().with_values(task=kind)
    )
    figures: dict[str, float | str] = {
        name: found.metrics[name].value
        for name in ("bleu", "rouge1", "rouge2", "rougeLsum", "exact_match", "token_f1")
        if name in found.metrics
    }
    return figures | {"minutes": sum(entry["seconds"] for entry in history) / 60}


def same_time(task: dict[str, Any], folder: Path, minutes: float) -> dict[str, float | str]:
    """Trains Seqline and OpenNMT-tf for the same time each, one after the other.

    Args:
        task: What `benchmarks.train.prepare` made.
        folder: Where to work.
        minutes: Training time.
    """
    figures = trained(task, folder, minutes, "translation", 1, RECIPES["short"])
    for number, recipe in enumerate(OPENNMT_TF_RECIPES, 1):
        figures[f"bleu_opennmt_tf_{number}"] = opennmt_tf(task, folder, minutes, recipe)
    best = max(float(figures[f"bleu_opennmt_tf_{number}"]) for number in range(1, len(OPENNMT_TF_RECIPES) + 1))
    return figures | {"bleu_opennmt_tf": best, "bleu_over_opennmt_tf": float(figures["bleu"]) - best}


def opennmt_tf(task: dict[str, Any], folder: Path, minutes: float, recipe: dict[str, float]) -> float:
    """BLEU of OpenNMT-tf after so many minutes: of its last weights or its last checkpoints' average, the better.

    Args:
        task: What `benchmarks.train.prepare` made.
        folder: Where to work.
        minutes: Training time.
        recipe: One of `OPENNMT_TF_RECIPES`.
    """
    pairs = Corpus(Path(task["corpus"])).read_text("test")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(Corpus(Path(task["corpus"])).tokenizer))
    test = folder / "test.source"
    test.write_text("".join(" ".join(processor.encode(p["source"], out_type=str)) + "\n" for p in pairs), "utf-8")
    asked = {
        "batch_tokens": BATCH_TOKENS,
        "label_smoothing": 0.1,
        "threads": 2,
        "variant": "plain",
        "seconds": 60 * minutes,
        "test": str(test),
    }
    peer = measure(environment("opennmt-tf", OPENNMT_TF), "opennmt_tf", task | sized("tiny") | asked | recipe)
    references = [[pair["target"] for pair in pairs]]
    return max(
        sacrebleu.corpus_bleu([processor.decode(line.split(" ")) for line in lines], references).score
        for lines in peer["outputs"].values()
    )


def baseline(pairs: Path, kind: str) -> dict[str, float | str]:
    """What is reached without a model, with the same metrics' libraries.

    Args:
        pairs: The folder of the set.
        kind: summarization or question_answering.
    """
    rows = {}
    for split in ("train", "test"):
        lines = gzip.decompress((pairs / f"{split}.tsv.gz").read_bytes()).decode("utf-8").split("\n")[:-1]
        rows[split] = [line.split("\t")[:2] for line in lines]
    if kind == "summarization":
        outputs = [source.split(". ")[0] for source, _ in rows["test"]]
    else:
        usual = Counter(target for _, target in rows["train"]).most_common(1)[0][0]
        outputs = [usual] * len(rows["test"])
    references = [target for _, target in rows["test"]]
    names = ("rouge1", "rouge2", "rougeLsum") if kind == "summarization" else ("exact_match", "token_f1")
    figures: dict[str, float | str] = {}
    batch = Batch([source for source, _ in rows["test"]], references, outputs)
    for name in names:
        counter = METRICS[name].counts("en")
        figures[f"{name}_baseline"] = float(counter.score(counter.count(batch).sum(axis=0)[None])[0])
    return figures


def _named(figures: dict[str, float | str], suffix: str) -> dict[str, float | str]:
    return {f"{name}_{suffix}": value for name, value in figures.items()}


if __name__ == "__main__":
    main()
