"""Quality after training, on the test set; takes minutes to hours.

    same-time     BLEU, beam 4, after the same training time as OpenNMT-tf and Hugging Face's Marian, each with the
                  better of two recipes by the first seed: the means bleu, bleu_opennmt_tf and bleu_hugging_face, and
                  bleu_over_opennmt_tf and bleu_over_hugging_face, of pairs of equal seeds, with their 95% intervals
                  in _low and _high. With --json FILE, each result is in FILE.unfinished.json at once, and --resume
                  continues from there
    precision     BLEU with float32 and with bfloat16 after the same number of epochs, for each seed:
                  bleu_float32_seed_1, bleu_bfloat16_seed_1, ..., and bleu_bfloat16_over_float32, of the means
    task          ROUGE, or exact match and F1, for summarization or question answering, compared with a trivial
                  baseline: the source's first sentence, or the most frequent answer of the training pairs

`python -m benchmarks.train_quality same-time PAIRS --minutes 15`, or `precision PAIRS --epochs 20 --seeds 1 2 3`. The
stages export and evaluate measure every model.
"""

import gzip
import json
import logging
import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sacrebleu
import sentencepiece

from benchmarks.environments import HUGGING_FACE, OPENNMT_TF, environment
from benchmarks.results import finish, parser, show
from benchmarks.train import BATCH_TOKENS, measure, prepare, sized
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.evaluate.options import Options as EvaluateOptions
from seqline.components.evaluate.stage import evaluate
from seqline.components.export.stage import export
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import HEADLINES, METRICS

RECIPES: dict[str, dict[str, Any]] = {
    # Wu et al. 2021, with a dropout below 0.3 and a warm-up below 2,000 steps, because training is short.
    "translation": {"preset": "tiny", "dropout": 0.2, "learning_rate": 0.004, "warmup_steps": 500},
    # 15 minutes are a few thousand steps: too few for a long warm-up, a high dropout or a larger model. With rotary
    # positions, the validation loss falls faster.
    "short": {"preset": "tiny", "dropout": 0.1, "learning_rate": 0.004, "warmup_steps": 300, "positions": "rotary"},
}
# The learning rate is derived: short targets make small updates, which need a lower one than translation.
RECIPES["summarization"] = {"preset": "tiny", "dropout": 0.2, "warmup_steps": 300}
RECIPES["question_answering"] = {"preset": "tiny", "dropout": 0.1, "warmup_steps": 300}
PEERS: dict[str, list[dict[str, Any]]] = {
    # OpenNMT-tf scales these rates by width and steps; the peak is 0.004 in both. The first recipe is for long
    # training, the second for a few thousand steps.
    "opennmt_tf": [
        {"variant": "plain", "dropout": 0.3, "learning_rate": 2.0, "warmup_steps": 2000},
        {"variant": "plain", "dropout": 0.1, "learning_rate": 1.0, "warmup_steps": 500},
    ],
    # Marian normalizes after each block, and trains at lower rates; float32 and autocast are equally fast at this size.
    "hugging_face": [
        {"variant": "float32", "dropout": 0.1, "learning_rate": 0.001, "warmup_steps": 300},
        {"variant": "float32", "dropout": 0.1, "learning_rate": 0.003, "warmup_steps": 500},
    ],
}
QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447)
"""97.5% quantiles of Student's t distribution, for two seeds and more; that of seven is also used for more."""


def main() -> None:
    """Runs the benchmark."""
    flags = parser("train_quality", "quality after training, on the test set")
    flags.add_argument("what", choices=["same-time", "precision", "task"])
    flags.add_argument("pairs", type=Path, help="folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz")
    flags.add_argument("--minutes", type=float, default=15.0, help="training time of each model")
    flags.add_argument("--epochs", type=int, default=20, help="epochs of each model that `precision` trains")
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    flags.add_argument(
        "--task",
        default="translation",
        choices=["translation", "summarization", "question_answering"],
        help="task of the pairs",
    )
    flags.add_argument("--resume", action="store_true", help="same-time: use the unfinished results beside --json")
    args = flags.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    minutes, seeds = (1.0, args.seeds[:1]) if args.quick else (args.minutes, args.seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = prepare(args.pairs, folder, args.task)
        if args.what == "same-time":
            metrics = same_time(task, folder, minutes, seeds, args.json, args.resume)
        elif args.what == "precision":
            metrics = precisions(task, folder, 1 if args.quick else args.epochs, args.task, seeds)
        else:
            metrics = trained(task, folder, minutes, args.task, seeds[0]) | baseline(args.pairs, args.task)
    finish(metrics, args.json)


def trained(
    task: dict[str, Any], folder: Path, minutes: float, kind: str, seed: int, recipe: dict[str, Any] | None = None
) -> dict[str, float | str]:
    """Trains, exports and evaluates, and prints the curve.

    Args:
        task: The paths that `benchmarks.train.prepare` returned.
        folder: Working folder.
        minutes: Training time.
        kind: Task of the pairs, a key of `RECIPES`.
        seed: Seed of initial weights, dropout and the order of the data.
        recipe: Training options; by default those of the task.

    Returns:
        The metrics on the test set, and the training time in minutes.
    """
    length = {"epochs": 1000, "minutes": minutes, "patience": 15}
    options = Options(**{**length, "seed": seed, "batch_tokens": BATCH_TOKENS, **(recipe or RECIPES[kind])})
    checkpoint, model, corpus = folder / f"checkpoint-{seed}", folder / f"model-{seed}", Path(task["corpus"])
    train(corpus, checkpoint, options=options)
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    names = ["epoch", "loss", "valid_loss", "valid_accuracy", "valid_bleu", "valid_rougeL", "seconds"]
    show(f"Seed {seed}", names, [[float(entry[name]) for name in names] for entry in history])
    export(checkpoint, corpus, model)
    evaluation = evaluate(
        str(model),
        corpus,
        folder / f"evaluation-{seed}",
        folder / "report.html",
        EvaluateOptions().with_values(task=kind),
    )
    metrics: dict[str, float | str] = {
        name: evaluation.metrics[name].value
        for name in ("bleu", "rouge1", "rouge2", "rougeLsum", "exact_match", "token_f1")
        if name in evaluation.metrics
    }
    return metrics | {"minutes": sum(entry["seconds"] for entry in history) / 60}


def precisions(task: dict[str, Any], folder: Path, epochs: int, kind: str, seeds: list[int]) -> dict[str, float | str]:
    """Trains with float32 and with bfloat16, from the same seeds and over the same batches.

    Args:
        task: The paths that `benchmarks.train.prepare` returned.
        folder: Working folder.
        epochs: Epochs of each model: minutes would give the faster precision more updates.
        kind: Task of the pairs, a key of `RECIPES`.
        seeds: Seeds of the models.
    """
    metrics: dict[str, float | str] = {}
    headline = HEADLINES[kind]
    scores: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for precision, found in scores.items():
        recipe = {**RECIPES[kind], "precision": precision, "epochs": epochs, "minutes": 0, "patience": 0}
        for seed in seeds:
            (folder / precision).mkdir(exist_ok=True)
            one = trained(task, folder / precision, 0.0, kind, seed, recipe)
            metrics |= _named(one, f"{precision}_seed_{seed}")
            found.append(float(one[headline]))
    difference = statistics.fmean(scores["bfloat16"]) - statistics.fmean(scores["float32"])
    return metrics | {f"{headline}_bfloat16_over_float32": difference}


def same_time(
    task: dict[str, Any],
    folder: Path,
    minutes: float,
    seeds: Sequence[int],
    json_file: Path | None = None,
    resume: bool = False,
) -> dict[str, float | str]:
    """Trains Seqline and the peers one after the other, each for the same time.

    Args:
        task: The paths that `benchmarks.train.prepare` returned.
        folder: Working folder.
        minutes: Training time of each model.
        seeds: Seeds; the first one chooses the recipe of each peer.
        json_file: File whose name those of unfinished results start with; None for none.
        resume: Whether to use the results that are there.
    """
    unfinished = json_file.with_suffix(".unfinished.json") if json_file else None
    metrics: dict[str, float | str] = {}
    if resume and unfinished and unfinished.exists():
        metrics = json.loads(unfinished.read_text())

    def once(name: str, measure_bleu: Callable[[], float]) -> float:
        if name not in metrics:
            metrics[name] = measure_bleu()
            if unfinished:  # also if a later one fails
                unfinished.write_text(json.dumps(metrics, indent=1))
        return float(metrics[name])

    def our_bleu(seed: int) -> float:
        return float(trained(task, folder, minutes, "translation", seed, RECIPES["short"])["bleu"])

    scores: dict[str, list[float]] = {"seqline": [], **{peer: [] for peer in PEERS}}
    best: dict[str, dict[str, Any]] = {}
    for seed in seeds:
        scores["seqline"].append(once(f"bleu_seed_{seed}", partial(our_bleu, seed)))
        for peer, recipes in PEERS.items():
            candidates = [best[peer]] if peer in best else recipes
            found = [
                once(f"bleu_{peer}_{number}_seed_{seed}", partial(peer_bleu, peer, task, folder, minutes, seed, recipe))
                for number, recipe in enumerate(candidates, 1)
            ]
            best[peer] = candidates[found.index(max(found))]
            scores[peer].append(max(found))
    metrics["bleu"] = statistics.fmean(scores["seqline"])
    for peer in PEERS:
        metrics[f"bleu_{peer}"] = statistics.fmean(scores[peer])
        differences = [ours - theirs for ours, theirs in zip(scores["seqline"], scores[peer], strict=True)]
        metrics[f"bleu_over_{peer}"] = mean = statistics.fmean(differences)
        if len(differences) > 1:
            error = statistics.stdev(differences) / len(differences) ** 0.5
            width = QUANTILES[min(len(differences), len(QUANTILES) + 1) - 2] * error
            metrics |= {f"bleu_over_{peer}_low": mean - width, f"bleu_over_{peer}_high": mean + width}
    return metrics


def peer_bleu(
    peer: str, task: dict[str, Any], folder: Path, minutes: float, seed: int, recipe: Mapping[str, Any]
) -> float:
    """Returns a peer's BLEU; of OpenNMT-tf's last weights and the average of its last checkpoints, the higher one.

    Args:
        peer: A key of `PEERS`.
        task: The paths that `benchmarks.train.prepare` returned.
        folder: Working folder.
        minutes: Training time.
        seed: Seed of the training.
        recipe: One of `PEERS`.
    """
    pairs = Corpus(Path(task["corpus"])).read_text("test")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(Corpus(Path(task["corpus"])).tokenizer))
    test = folder / "test.source"
    test.write_text("".join(" ".join(processor.encode(p["source"], out_type=str)) + "\n" for p in pairs), "utf-8")
    settings = {
        "batch_tokens": BATCH_TOKENS,
        "label_smoothing": 0.1,
        "threads": len(os.sched_getaffinity(0)),
        "seconds": 60 * minutes,
        "seed": seed,
        "test": str(test),
    }
    python = environment(peer.replace("_", "-"), {"opennmt_tf": OPENNMT_TF, "hugging_face": HUGGING_FACE}[peer])
    found = measure(python, peer, task | sized("tiny") | settings | dict(recipe))
    references = [[pair["target"] for pair in pairs]]
    return max(
        sacrebleu.corpus_bleu([processor.decode(line.split(" ")) for line in lines], references).score
        for lines in found["outputs"].values()
    )


def baseline(pairs: Path, kind: str) -> dict[str, float | str]:
    """Returns the metrics of a baseline without a model.

    Args:
        pairs: Folder with train.tsv.gz and test.tsv.gz.
        kind: summarization or question_answering.
    """
    rows = {}
    for split in ("train", "test"):
        lines = gzip.decompress((pairs / f"{split}.tsv.gz").read_bytes()).decode("utf-8").split("\n")[:-1]
        rows[split] = [line.split("\t")[:2] for line in lines]
    if kind == "summarization":
        outputs = [source.split(". ")[0] for source, _ in rows["test"]]
    else:
        most_frequent = Counter(target for _, target in rows["train"]).most_common(1)[0][0]
        outputs = [most_frequent] * len(rows["test"])
    references = [target for _, target in rows["test"]]
    names = ("rouge1", "rouge2", "rougeLsum") if kind == "summarization" else ("exact_match", "token_f1")
    metrics: dict[str, float | str] = {}
    batch = Batch([source for source, _ in rows["test"]], references, outputs)
    for name in names:
        counter = METRICS[name].counts("en")
        metrics[f"{name}_baseline"] = float(counter.score(counter.count(batch).sum(axis=0)[None])[0])
    return metrics


def _named(metrics: dict[str, float | str], suffix: str) -> dict[str, float | str]:
    return {f"{name}_{suffix}": value for name, value in metrics.items()}


if __name__ == "__main__":
    main()
