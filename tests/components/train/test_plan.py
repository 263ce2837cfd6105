"""The model's configuration and batches, which train and preflight share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seqline.artifacts.corpus import Corpus, Split
from seqline.components.train.choosing import choose_model
from seqline.components.train.options import Options
from seqline.components.train.plan import make_plan
from seqline.components.train.preflight.plan import plan_of, plan_without_corpus
from seqline.components.train.preflight.slices import read_slice
from seqline.components.train.records import read_data
from seqline.components.train.scale import Speed
from seqline.components.train.trainer import Trainer
from seqline.errors import UserError
from tests.components.train.shards import write_pairs

CORE = read_slice("v5e:1x1")


@pytest.fixture
def long_valid_pair(corpus: Path, tmp_path: Path) -> Path:
    """A corpus whose longest pair, 300 and 20 tokens, is in valid."""
    copy = shutil.copytree(corpus, tmp_path / "corpus")
    write_pairs(copy, "train", [(5, 6)] * 40)
    write_pairs(copy, "valid", [(4, 4), (300, 20)])
    return copy


@pytest.mark.parametrize(("architecture", "length"), [("transformer", 301), ("gpt", 322)])
def test_preflight_and_train_plan_the_same_model_and_batches(
    long_valid_pair: Path, architecture: str, length: int
) -> None:
    options = Options(preset="demo", architecture=architecture, batch_tokens=512, epochs=3)
    preflight = plan_of(Corpus(long_valid_pair), options, CORE)
    training = make_plan(options, read_data(Corpus(long_valid_pair)), 1)
    assert preflight.config == training.config
    assert preflight.config.max_length == length
    shapes = [(bucket.rows, bucket.source, bucket.target) for bucket in preflight.buckets]
    assert shapes == [(bucket.rows, bucket.source, bucket.target) for bucket in training.train.buckets]
    assert sum(bucket.steps for bucket in preflight.buckets) == 3 * len(training.train)


def test_train_makes_the_model_that_preflight_compiles(
    long_valid_pair: Path, begin: Callable[..., Trainer], tmp_path: Path
) -> None:
    options = Options(preset="demo", epochs=1, batch_tokens=512, decoded_sample=0, precision="float32")
    trainer = begin(long_valid_pair, tmp_path / "checkpoint", options=options)
    assert trainer.model.model.config == plan_of(Corpus(long_valid_pair), options, CORE).config


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_corpus_without_pairs_in_a_split_is_refused(long_valid_pair: Path, split: Split) -> None:
    write_pairs(long_valid_pair, split)
    with pytest.raises(UserError, match=f"has no {split} pairs; give tokenize more data"):
        plan_of(Corpus(long_valid_pair), Options(preset="demo"), CORE)


def test_preflight_chooses_what_training_would_choose_at_the_peak_of_the_slice(long_valid_pair: Path) -> None:
    options = Options(minutes=30, architecture="gpt")
    data = read_data(Corpus(long_valid_pair))
    choices = choose_model(options, data, Speed(CORE.peak_flops))
    training = make_plan(options, data, 1, None, choices)
    preflight = plan_of(Corpus(long_valid_pair), options, CORE)
    assert choices.options["preset"].value == "tiny"
    assert preflight.config == training.config
    assert sum(bucket.steps for bucket in preflight.buckets) == len(training.train) * training.options.epochs


def test_without_a_corpus_preflight_refuses_what_training_chooses() -> None:
    with pytest.raises(UserError, match="preset auto is selected when training starts; set preset to run preflight"):
        plan_without_corpus(Options(), 8000, 128, 1)
    with pytest.raises(UserError, match="dropout auto is selected when training starts; set dropout to run preflight"):
        plan_without_corpus(Options(preset="tiny", dropout="auto"), 8000, 128, 1)


def test_a_plan_has_a_learning_rate(long_valid_pair: Path) -> None:
    plan = make_plan(Options(preset="demo", batch_tokens=512), read_data(Corpus(long_valid_pair)), 1)
    tokens = plan.train.tokens / len(plan.train)
    assert plan.options.learning_rate == pytest.approx(0.5 / 128 * (tokens / 4096) ** 0.5, rel=0.01)
