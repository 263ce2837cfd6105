"""Options that training chooses, compared with a random search and with fixed options; takes hours.

`python -m benchmarks.train_auto multi30k-en-de multi30k-en-de@10000 --minutes 5 --trials 20` takes folders with
train.tsv.gz, valid.tsv.gz and test.tsv.gz; @10000 takes the first 10,000 training pairs. Every training runs for the
same time on a core of its own, and as many at the same time as there are cores. The search varies the size of the
model (`--presets demo tiny`, where the time is too short for larger ones) and of the vocabulary, dropout, smoothing,
learning rate, warm-up, beta_2, subword sampling and averaging. The scores are those of the test set in the main metric
of the task, such as BLEU, decoded with the default search.

    auto_NAME       with the defaults, preset=auto
    tiny_NAME       with preset=tiny, and its fixed defaults for all other options
    best_NAME       of the trial with the highest score on the validation pairs
    highest_NAME    the highest score of all trials, whose choice knows the test set
    best_over_auto_NAME, auto_over_tiny_NAME
"""

import argparse
import gzip
import json
import logging
import math
import os
import queue
import random
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.alone import alone
from benchmarks.results import finish, parser, show
from benchmarks.training.decoding import ExportedModel
from benchmarks.training.experiments import SPLITS, tokenize_once
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export.stage import export
from seqline.components.tokenize.options import Options as TokenizeOptions
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import HEADLINES, METRICS, TASKS
from seqline.modeling.config import TransformerConfig

VOCABULARIES = (1000, 2000, 4000, 8000)
MEASURED = {"question_answering": "exact_match"}
"""The metric of a task, where it is not its main one."""


def main() -> None:
    """Runs the benchmark."""
    flags = parser("train_auto", "the options that training chooses, compared with a random search")
    flags.add_argument("pairs", nargs="+", help="folder, or FOLDER@N for its first N training pairs")
    flags.add_argument("--task", default="translation", choices=TASKS, help="task of the pairs")
    flags.add_argument("--minutes", type=float, default=5.0, help="training time of each model, on one core")
    flags.add_argument("--trials", type=int, default=20, help="trainings of the search; 0 for none")
    flags.add_argument("--presets", nargs="+", default=["demo", "tiny", "small"], help="sizes to draw from")
    flags.add_argument("--seed", type=int, default=1, help="seed of the search and of every training")
    flags.add_argument("--prepared", type=Path, help="folder of the tokenized pairs, which are stored and reused")
    args = flags.parse_args()
    if args.quick:
        args.minutes, args.trials = 0.3, 2
    metrics: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for pairs in args.pairs:
            metrics |= compare(pairs, args.prepared or Path(folder), args)
            if args.json:  # also if a later one fails
                args.json.with_suffix(".unfinished.json").write_text(json.dumps(metrics, indent=1))
    finish(metrics, args.json)


def compare(pairs: str, folder: Path, args: argparse.Namespace) -> dict[str, float | str]:
    """Runs the search, the defaults and preset=tiny on a corpus.

    Args:
        pairs: A folder, or FOLDER@N.
        folder: Folder for the tokenized pairs.
        args: The flags.

    Returns:
        The metrics.
    """
    name = Path(pairs).name
    candidates: dict[str, dict[str, Any]] = {"auto": {"vocabulary_size": "auto"}, "tiny": {"preset": "tiny"}}
    draws = random.Random(args.seed)
    candidates |= {f"trial {number}": drawn(draws, args.presets) for number in range(1, args.trials + 1)}
    corpora = {
        one: prepared(pairs, folder, args.task, options.get("vocabulary_size")) for one, options in candidates.items()
    }
    free: queue.Queue[int] = queue.Queue()
    for core in os.sched_getaffinity(0):
        free.put(core)

    def scored(one: str) -> tuple[float, float]:
        """Trains on a free core."""
        core = free.get()
        try:
            task = (corpora[one], candidates[one], args.task, args.minutes, args.seed)
            valid, test = alone(score, *task, core=core)
        finally:
            free.put(core)
        print(f"{name}: {one}: validation {valid:.2f}, test {test:.2f}: {described(candidates[one])}", flush=True)
        return valid, test

    with ThreadPoolExecutor(free.qsize()) as threads:
        scores = dict(zip(candidates, threads.map(scored, candidates), strict=True))
    rows = [[one, *scores[one], described(candidates[one])] for one in candidates]
    metric = METRICS[MEASURED.get(args.task, HEADLINES[args.task])].label
    show(f"{name}: {metric}", ["training", "validation", "test", "options"], rows)
    trials = [scores[one] for one in candidates if one.startswith("trial")]
    auto, tiny = scores["auto"][1], scores["tiny"][1]
    metrics: dict[str, float | str] = {
        f"auto_{name}": auto,
        f"tiny_{name}": tiny,
        f"auto_over_tiny_{name}": auto - tiny,
    }
    if not trials:
        return metrics
    best = max(trials)[1]
    return metrics | {
        f"best_{name}": best,
        f"highest_{name}": max(test for _, test in trials),
        f"best_over_auto_{name}": best - auto,
    }


def drawn(draws: random.Random, presets: Sequence[str]) -> dict[str, Any]:
    """Draws the options of a trial.

    Args:
        draws: The random numbers.
        presets: The sizes of model to draw from.
    """
    preset = draws.choice(presets)
    width = TransformerConfig.preset(preset, vocabulary_size=1).hidden_dim
    return {
        "preset": preset,
        "vocabulary_size": draws.choice(VOCABULARIES),
        "dropout": round(draws.uniform(0.0, 0.35), 3),
        "label_smoothing": draws.choice([0.0, 0.1]),
        "learning_rate": float(f"{0.5 / width * math.exp(draws.uniform(math.log(0.25), math.log(2))):.3g}"),
        "warmup_steps": round(math.exp(draws.uniform(math.log(50), math.log(1000)))),
        "beta_2": draws.choice([0.98, 0.995]),
        "subword_sampling": draws.choice([0.0, 0.0, 0.0, 0.3]),
        "ema_momentum": draws.choice([0.99, 0.997, 0.999]),
    }


def described(options: Mapping[str, Any]) -> str:
    """The options as text.

    Args:
        options: Options by name.
    """
    return ", ".join(f"{key} {value}" for key, value in options.items())


def prepared(pairs: str, folder: Path, task: str, vocabulary_size: int | str | None) -> Path:
    """Tokenizes the pairs with a vocabulary, unless that has been done.

    Args:
        pairs: A folder, or FOLDER@N.
        folder: Folder for the corpora.
        task: Task of the pairs.
        vocabulary_size: Size of the vocabulary; None for the default.

    Returns:
        The corpus folder.
    """
    source, _, limit = pairs.partition("@")
    corpus = folder / f"{Path(pairs).name}-{vocabulary_size or 'default'}"
    files = {split: Path(source) / f"{split}.tsv.gz" for split in SPLITS}
    if limit and not corpus.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(files["train"], "rt", encoding="utf-8") as whole:
            lines = whole.read().split("\n")[: int(limit)]
        files["train"] = folder / f"{Path(pairs).name}.tsv"
        files["train"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    size: dict[str, Any] = {} if vocabulary_size is None else {"vocabulary_size": vocabulary_size}
    tokenize_once(files, corpus, TokenizeOptions().with_values(task=task, **size))
    return corpus


def score(corpus: Path, options: Mapping[str, Any], task: str, minutes: float, seed: int) -> tuple[float, float]:
    """Trains, exports and decodes.

    Args:
        corpus: The corpus folder.
        options: Options that differ from the defaults.
        task: Task of the pairs.
        minutes: Training time.
        seed: Seed of the training.

    Returns:
        The scores of the validation pairs and of the test set.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = {key: value for key, value in options.items() if key != "vocabulary_size"}
    length: dict[str, Any] = {"minutes": minutes, "epochs": 1000, "seed": seed, "decoded_sample": 0}
    with tempfile.TemporaryDirectory() as working:
        checkpoint, model = Path(working) / "checkpoint", Path(working) / "model"
        train(corpus, checkpoint, options=Options(**length, **training))
        history = json.loads(Checkpoint(checkpoint).history.read_text(encoding="utf-8"))
        logging.info("%d epochs with %s", len(history), described(options))
        export(checkpoint, corpus, model)
        exported = ExportedModel(model)
        counter = METRICS[MEASURED.get(task, HEADLINES[task])].counts("en")

        def of(pairs: Sequence[Mapping[str, str]]) -> float:
            sources, targets = [pair["source"] for pair in pairs], [pair["target"] for pair in pairs]
            counts = counter.count(Batch(sources, targets, exported.outputs(sources)))
            return float(counter.score(counts.sum(axis=0)[None])[0])

        return of(Corpus(corpus).read_text("valid")), of(Corpus(corpus).read_text("test"))


if __name__ == "__main__":
    main()
