"""BLEU of translations after training, for each of several recipes and seeds; takes minutes to hours.

`python -m benchmarks.train_translation PAIRS --minutes 90 --only all --seeds 1 2 3` trains the best recipe so far
with three seeds. `--only dropout_0.3` changes one option, `--only dropout_0.3+subwords` two.

    bleu_NAME               of the recipe NAME on the test set: cased, detokenized; with several seeds, _seed_N follows
    bleu_lowercase_NAME     likewise, but the case of letters does not count, as in many papers
    bleu_default_NAME       with the default search instead: beam 4, length_penalty 0.6
    length_penalty_NAME     with which the validation pairs score highest, and the test set was decoded, with beam 5
    epochs_NAME, minutes_NAME

The target language must have spaces between words.
"""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import sacrebleu

from benchmarks.results import show
from benchmarks.training.decoding import ExportedModel
from benchmarks.training.experiments import Experiments
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export.stage import export
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.decoding.search_options import Search

TRAIN: dict[str, Any] = {
    "preset": "tiny",
    "dropout": 0.2,
    "learning_rate": 0.004,
    "warmup_steps": 500,
    "epochs": 1000,
    "patience": 0,
}
"""What all recipes have in common."""
EXPERIMENTS = Experiments(
    {
        "none": {},
        "dropout_0.3": {"dropout": 0.3},
        "rate_0.005": {"learning_rate": 0.005},
        "r_drop": {"r_drop": 5.0},
        "subwords": {"subword_sampling": 0.3},
        "vocabulary_4000": {"vocabulary_size": 4000},
        "rotary": {"positions": "rotary"},
        "post_norm": {"norm_placement": "post"},
        "by_bleu": {"monitor": "bleu", "decoded_sample": 256},
        "small": {"preset": "small", "learning_rate": 0.002},
        "auto": {"dropout": "auto", "warmup_steps": "auto", "ema_momentum": "auto", "label_smoothing": "auto"},
    },
    {"task": "translation", "vocabulary_size": 8000},
    ("dropout_0.3", "vocabulary_4000", "rotary", "post_norm"),
)
PENALTIES = (0.2, 0.6, 1.0, 1.4)
BEAM = 5


def main() -> None:
    """Runs the benchmark."""
    description = "BLEU of translations after training, by recipe"
    EXPERIMENTS.main("train_translation", description, run, minutes=90, only=["all"], seeds=[1, 2, 3])


def run(pairs: Path, folder: Path, name: str, minutes: float, seed: int) -> dict[tuple[str, str], float]:
    """Trains with a recipe, and measures the model.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        folder: Folder for the corpora, which recipes share.
        name: Its name, or several joined by +.
        minutes: Training time.
        seed: Seed of the training.

    Returns:
        The metrics, by name and by what is appended to the recipe's name, which is nothing.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    corpus, training = EXPERIMENTS.prepared(pairs, folder, name)
    with tempfile.TemporaryDirectory() as working:
        checkpoint, model = Path(working) / "checkpoint", Path(working) / "model"
        train(corpus, checkpoint, options=Options(**{**TRAIN, "minutes": minutes, "seed": seed, **training}))
        history = json.loads(Checkpoint(checkpoint).history.read_text(encoding="utf-8"))
        columns = ["epoch", "loss", "valid_loss", "valid_bleu", "valid_bleu_all", "seconds"]
        show(f"{name}, seed {seed}", columns, [[float(one.get(key, 0)) for key in columns] for one in history])
        export(checkpoint, corpus, model)
        found = decoded(model, Corpus(corpus))
    found |= {"epochs": float(len(history)), "minutes": sum(float(one["seconds"]) for one in history) / 60}
    return {(metric, ""): value for metric, value in found.items()}


def decoded(model: Path, corpus: Corpus) -> dict[str, float]:
    """Chooses the length penalty on the validation pairs, and decodes the test set.

    Args:
        model: The exported model.
        corpus: The corpus.

    Returns:
        The metrics of the test set, and the length penalty.
    """
    exported = ExportedModel(model)
    texts = {split: corpus.read_text(split) for split in ("valid", "test")}

    def bleu(outputs: list[str], split: str, lowercase: bool = False) -> float:
        references = [[pair["target"] for pair in texts[split]]]
        return float(sacrebleu.corpus_bleu(outputs, references, lowercase=lowercase).score)

    def outputs(split: str, search: Search) -> list[str]:
        return exported.outputs([pair["source"] for pair in texts[split]], search)

    by_penalty = {one: bleu(outputs("valid", Search(BEAM, length_penalty=one)), "valid") for one in PENALTIES}
    show("Validation pairs", ["length penalty", "BLEU"], [[one, value] for one, value in by_penalty.items()])
    best = max(by_penalty, key=by_penalty.__getitem__)
    answers = outputs("test", Search(BEAM, length_penalty=best))
    return {
        "bleu": bleu(answers, "test"),
        "bleu_lowercase": bleu(answers, "test", lowercase=True),
        "bleu_default": bleu(outputs("test", Search()), "test"),
        "length_penalty": best,
    }


if __name__ == "__main__":
    main()
