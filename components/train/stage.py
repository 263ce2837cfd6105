"""The train stage: corpus in, checkpoint out."""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.errors import UserError
from components.tokenize.corpus import Corpus
from components.train.checkpoint import Checkpoint
from components.whole import whole_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of training.

    Attributes:
        preset: The model's size: demo, tiny, small, base or big.
        epochs: Passes over the data, at most.
        minutes: Training time, at most; 0 for no limit.
        patience: Epochs without a better validation loss before training stops; 0 for no limit.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped.
        label_smoothing: Share of the probability spread over the vocabulary.
        average: Momentum of the moving average of the weights that are evaluated and kept; 0 for none.
        precision: float32, bfloat16 or auto: bfloat16 on a TPU, float32 elsewhere.
        seed: Decides initial weights, dropout and the order of the data.
    """

    preset: str = "tiny"
    epochs: int = 20
    minutes: float = 0.0
    patience: int = 5
    batch_tokens: int = 4096
    learning_rate: float = 0.002
    warmup_steps: int = 400
    dropout: float = 0.1
    label_smoothing: float = 0.1
    average: float = 0.99
    precision: str = "auto"
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("minutes", 0), ("patience", 0), ("batch_tokens", 64), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("dropout", "label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise UserError(f"learning_rate must be above 0, not {self.learning_rate}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise UserError(f"precision must be auto, float32 or bfloat16, not {self.precision!r}")


def train(corpus: Path, output: Path, checkpoints: str = "", options: Options = Options()) -> dict[str, Any]:
    """Trains a Transformer on a corpus.

    Its working state is saved as it goes. A run that was killed continues from there when it is started again with
    the same corpus, options and `checkpoints`, and ends with the same weights. The output's layout is in
    `components.train.checkpoint`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        output: The checkpoint folder to write.
        checkpoints: Where the working state is kept; beside the output by default.
        options: Options of training.

    Returns:
        The last epoch's figures: loss, valid_loss, valid_accuracy, tokens_per_second and so on.

    Raises:
        UserError: If the corpus or an option is not fit for training.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from components.train.batches import Batches
    from components.train.model import Transformer, TransformerConfig
    from components.train.objective import InverseSquareRoot, Trainee
    from components.train.records import read_pairs
    from components.train.trainer import Trainer
    from components.train.working_state import WorkingState

    source = Corpus(corpus)
    manifest = source.read_manifest()
    pairs = {split: read_pairs(source.shards(split)) for split in ("train", "valid")}
    for split, found in pairs.items():
        if not found:
            raise UserError(f"the corpus {corpus} has no {split} pairs; give tokenize more data")
    longest = max(max(len(pair[0]), len(pair[1])) for found in pairs.values() for pair in found)
    config = TransformerConfig.preset(
        options.preset,
        vocabulary_size=manifest.vocabulary_size,
        dropout=options.dropout,
        max_length=max(longest + 1, 128),
    )
    keras.utils.set_random_seed(options.seed)
    tpu = bool(_tpus())
    if options.precision == "bfloat16" or (options.precision == "auto" and tpu):
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = Trainee(config, options.label_smoothing)
    model.compile(
        optimizer=keras.optimizers.Adam(
            InverseSquareRoot(options.learning_rate, options.warmup_steps),
            beta_2=0.98,
            epsilon=1e-9,
            clipnorm=1.0,
            use_ema=options.average > 0,
            ema_momentum=options.average or 0.99,
        ),
        jit_compile=tpu,
    )
    train_batches, valid_batches = (Batches(pairs[split], config, options.batch_tokens) for split in ("train", "valid"))
    log.info(
        "%s: %s weights, %d pieces; %d train pairs in %d batches of %s; %.1f%% padding",
        options.preset,
        f"{model.count_params():,}",
        config.vocabulary_size,
        len(pairs["train"]),
        len(train_batches),
        ", ".join(f"{bucket.rows}x{bucket.target}" for bucket in train_batches.buckets),
        100 * train_batches.padding_share,
    )
    identity = json.dumps([manifest.fingerprint, asdict(options)], sort_keys=True)
    state = WorkingState(
        (Path(checkpoints) if checkpoints else output.parent / f".{output.name}.state")
        / hashlib.sha256(identity.encode()).hexdigest()[:16]
    )
    with whole_folder(output) as folder:
        written = Checkpoint(folder)
        history = Trainer(
            model,
            train_batches,
            valid_batches,
            state,
            options.seed,
            options.epochs,
            options.minutes,
            options.patience,
            written.logs,
        ).run()
        # The plain model's file: what only training needs stays behind.
        plain = Transformer(config)
        plain.set_weights([variable.numpy() for variable in model.trainable_variables])
        plain.save_weights(written.weights)
        shutil.copyfile(source.tokenizer, written.tokenizer)
        written.history.write_text(json.dumps(history, indent=1), encoding="utf-8")
        description = {
            "schema_version": 1,
            "model": config.to_dict(),
            "options": asdict(options),
            "corpus_fingerprint": manifest.fingerprint,
            "source_language": manifest.source_language,
            "target_language": manifest.target_language,
        }
        written.config.write_text(json.dumps(description, indent=1), encoding="utf-8")
    state.delete()
    return history[-1]


def _tpus() -> list[Any]:
    import tensorflow as tf

    return list(tf.config.list_logical_devices("TPU"))
