"""The train stage: corpus in, checkpoint out."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus, Manifest
from seqline.atomic import atomic_directory
from seqline.components.train.options import Options
from seqline.errors import UserError

log = logging.getLogger(__name__)

# To be raised when the batches or the parts of a working state change: what was saved before is not continued.
STATE_VERSION = 2


def train(
    corpus: Path,
    output: Path,
    checkpoints: str = "",
    warm_start: str = "",
    report: Path | None = None,
    attention: Path | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Trains a model on a corpus.

    Its working state is saved as it goes. A run that was killed continues from there when it is started again with
    the same corpus, options and `checkpoints`, and ends with the same weights. The output's layout is in
    `seqline.artifacts.checkpoint`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        output: The checkpoint folder to write.
        checkpoints: Where the working state is kept; beside the output by default.
        warm_start: A checkpoint folder whose weights training starts from; empty for random ones. Both may be gs://,
            where buckets are mounted under /gcs, as on Vertex.
        report: The HTML page about the training to write; None for none.
        attention: The HTML page with attention maps to write; None for none.
        options: Options of training.

    Returns:
        The last epoch's figures: loss, valid_loss, valid_accuracy, tokens_per_second and so on.

    Raises:
        UserError: If the corpus or an option is not fit for training, the checkpoint to start from has another
            vocabulary or shape, or the disk is full.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqline.components.train.devices import choose_strategy, gather, is_chief, native_bfloat16

    # The cluster must be joined before TensorFlow does anything else.
    strategy = choose_strategy(options.devices)
    options.check_replicas(strategy.num_replicas_in_sync)
    import keras
    import tensorflow as tf

    from seqline.components.train.attention_view import write_attention_view
    from seqline.components.train.batches import Batches
    from seqline.components.train.flops import matmul_peak, training_flops
    from seqline.components.train.objective import make_training_model
    from seqline.components.train.packing import Packs
    from seqline.components.train.pieces import Pieces
    from seqline.components.train.recommend import recommend
    from seqline.components.train.records import longest, read_pairs
    from seqline.components.train.report import write_report
    from seqline.components.train.sample import Sample
    from seqline.components.train.subwords import Subwords
    from seqline.components.train.trainer import Trainer
    from seqline.components.train.working_state import WorkingState
    from seqline.modeling.config import TransformerConfig

    source = Corpus(corpus)
    manifest = source.read_manifest()
    pairs = {split: read_pairs(source.shards(split)) for split in ("train", "valid")}
    for split, found in pairs.items():
        if not found:
            raise UserError(f"the corpus {corpus} has no {split} pairs; give tokenize more data")
    precision = options.precision
    if precision == "auto":
        # The machines of several workers need not be alike.
        natively = all(native for (native,) in gather(strategy, native_bfloat16()))
        precision = "bfloat16" if natively else "float32"
    peaks = gather(strategy, matmul_peak(precision))
    peak = sum(found for (found,) in peaks) / len(peaks)
    preset: Any = options.preset
    if preset == "auto":
        advice = recommend(manifest, options.minutes, peak * strategy.num_replicas_in_sync)
        for reason in advice.reasons:
            log.info("preset auto: %s", reason)
        preset = advice.preset
    config = TransformerConfig.preset(
        preset,
        vocabulary_size=manifest.vocabulary_size,
        max_length=longest(options.architecture, [pair for found in pairs.values() for pair in found]),
        **options.shape,
    )
    make: Any = Packs if options.architecture == "gpt" else Batches
    train_batches, valid_batches = (
        make(pairs[split], config, options.batch_tokens, replicas=strategy.num_replicas_in_sync)
        for split in ("train", "valid")
    )
    keras.utils.set_random_seed(options.seed)
    keras.mixed_precision.set_global_policy("float32" if precision == "float32" else "mixed_bfloat16")
    with strategy.scope():
        model = make_training_model(
            config,
            options,
            options.epochs * len(train_batches),
            compiled=options.xla == "on" or (options.xla == "auto" and bool(tf.config.list_logical_devices("TPU"))),
        )
        if warm_start:
            start_from(Checkpoint(_mounted(warm_start)), model, config, source)
    log.info(
        "%s %s, %s: %s weights, %d pieces; %d train pairs in %d batches of %s; %.1f%% padding",
        options.architecture,
        preset,
        precision,
        f"{model.count_params():,}",
        config.vocabulary_size,
        len(pairs["train"]),
        len(train_batches),
        train_batches.shapes,
        100 * train_batches.padding_share,
    )
    state = WorkingState(
        (_mounted(checkpoints) if checkpoints else output.parent / f".{output.name}.state")
        / _identity(manifest, options, warm_start)
    )
    source_tokens = float(sum(len(pair[0]) + 1 for pair in pairs["train"]))
    flops = training_flops(config, source_tokens, train_batches.tokens, len(pairs["train"]))
    chief = is_chief(strategy)
    pieces = Pieces(source.tokenizer)
    redraw = None
    if options.subword_sampling:
        subwords = Subwords(pairs["train"], source.tokenizer, options.subword_sampling, options.seed)

        def redraw(epoch: int) -> Any:
            drawn = subwords.draw(epoch)
            return make(drawn, config, options.batch_tokens, replicas=train_batches.replicas, like=train_batches)

    trainer = Trainer(
        model,
        train_batches,
        valid_batches,
        state,
        options,
        redraw=redraw,
        sample=Sample(pairs["valid"], model.model, pieces, options.decoded_sample) if options.decoded_sample else None,
        logs=os.environ.get("AIP_TENSORBOARD_LOG_DIR", ""),
        flops_per_token=flops / train_batches.tokens,
        peak_flops=peak * strategy.num_replicas_in_sync,
        chief=chief,
    )
    history = trainer.run()
    if not chief:
        return history[-1]
    try:
        with atomic_directory(output) as folder:
            written = Checkpoint(folder)
            # What only training needs stays behind.
            model.model.save_weights(written.weights)
            shutil.copyfile(source.tokenizer, written.tokenizer)
            written.history.write_text(json.dumps(history, indent=1), encoding="utf-8")
            trainer.write_logs(str(written.logs))
            description = {
                "schema_version": 1,
                "model": config.to_dict(),
                "options": options.model_dump(),
                "corpus_fingerprint": manifest.fingerprint,
                "source_language": manifest.source_language,
                "target_language": manifest.target_language,
            }
            written.config.write_text(json.dumps(description, indent=1), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the checkpoint cannot be written to {output} ({error}); make room and run again: it continues from "
            f"{state.folder}"
        ) from error
    state.delete()
    if report:
        facts = [
            ("Pairs", f"{len(pairs['train']):,} for training, {len(pairs['valid']):,} for validation"),
            ("Vocabulary", f"{config.vocabulary_size:,} pieces"),
            ("Weights", f"{model.count_params():,}"),
            ("Batches", f"{len(train_batches)} an epoch, of {train_batches.shapes}"),
            ("Devices", f"{strategy.num_replicas_in_sync}, {peak / 1e9:,.0f} GFLOP/s each in {precision}"),
            ("Corpus", manifest.fingerprint[:12]),
            *(
                (name.replace("_", " "), value)
                for name, value in options.with_values(preset=preset).model_dump().items()
            ),
        ]
        write_report(report, history, facts, trainer.best_epoch)
    if attention:
        write_attention_view(attention, model.model, pairs["valid"], pieces)
    return history[-1]


def _mounted(folder: str) -> Path:
    """Where a folder of a bucket is mounted."""
    return Path(f"/gcs/{folder[len('gs://') :]}" if folder.startswith("gs://") else folder)


def _identity(manifest: Manifest, options: Options, warm_start: str) -> str:
    """Names the run: what is continued must have the same data and options."""
    # More epochs or minutes only make the same run longer.
    told = {name: value for name, value in options.model_dump().items() if name not in ("devices", "xla", "minutes")}
    identity = json.dumps([STATE_VERSION, manifest.fingerprint, told, warm_start], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def start_from(champion: Checkpoint, model: Any, config: Any, source: Corpus) -> None:
    """Loads the weights of an earlier model, if they mean the same here.

    Args:
        champion: Its checkpoint.
        model: The model to load into.
        config: Its shape.
        source: The corpus to be trained on.

    Raises:
        UserError: If the pieces or the shape differ.
    """
    found = champion.read_config()["model"]
    if champion.tokenizer.read_bytes() != source.tokenizer.read_bytes():
        raise UserError(
            f"warm_start: the vocabulary of {champion.path} differs from that of the corpus {source.path}, so its "
            "weights mean other pieces; tokenize with its tokenizer, or leave warm_start empty"
        )
    free = {"dropout", "attention_dropout", "activation_dropout", "max_length"}
    for name, value in config.to_dict().items():
        if name not in free and found.get(name) != value:
            raise UserError(
                f"warm_start: {champion.path} has {name} {found.get(name)}, not {value}; set it to the same"
            )
    if config.positions == "learned" and found["max_length"] != config.max_length:
        raise UserError(
            f"warm_start: {champion.path} has learned {found['max_length']} positions, but this corpus needs "
            f"{config.max_length}; leave warm_start empty"
        )
    model.model.load_weights(champion.weights)
    log.info("starting from the weights of %s", champion.path)
