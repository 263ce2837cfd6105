"""Writing what training returns: the checkpoint and the pages."""

import json
import shutil
from pathlib import Path

from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
from seqline.atomic import atomic_directory
from seqline.components.train.adapter import write_adapter
from seqline.components.train.attention_view import write_attention_view
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.hardware import Hardware
from seqline.components.train.options import Options
from seqline.components.train.plan import Plan
from seqline.components.train.report import write_report
from seqline.components.train.trainer import Trainer
from seqline.errors import UserError
from seqline.modeling.lora import merge_adapters
from seqline.pretrained.checkpoint import Pretrained
from seqline.schema.auto import AUTO


def write_checkpoint(
    plan: Plan, trainer: Trainer, output: Path, options: Options, pretrained: Pretrained | None = None
) -> None:
    """Writes the checkpoint; merges the adapters of the trainer's model into its weights.

    Args:
        plan: The plan of the training.
        trainer: The trainer, whose model has the best epoch's weights.
        output: The checkpoint folder.
        options: Options of training as given; some may be auto.
        pretrained: The checkpoint in Hugging Face's format that training started from; None for none.

    Raises:
        UserError: If the folder cannot be written.
    """
    manifest = plan.data.manifest
    try:
        with atomic_directory(output, Checkpoint(output).config.name) as folder:
            checkpoint = Checkpoint(folder)
            model = trainer.model.model
            if options.fine_tuning == "lora":
                write_adapter(model, checkpoint.adapter, options, pretrained.recipes if pretrained else None)
                merge_adapters(model)
            # Without the objective and the optimizer, which only training needs.
            model.save_weights(checkpoint.weights)
            tokenizer = plan.data.corpus.tokenizer
            shutil.copyfile(tokenizer, folder / tokenizer.name)
            checkpoint.history.write_text(json.dumps(trainer.history, indent=1), encoding="utf-8")
            trainer.write_logs(str(checkpoint.logs))
            CheckpointConfig(
                plan.config.to_dict(),
                options.model_dump(),
                manifest.fingerprint,
                manifest.source_language,
                manifest.target_language,
                plan.choices.to_dict(),
            ).write(checkpoint.config)
    except OSError as error:
        raise UserError(
            f"the checkpoint cannot be written to {output} ({error}); free disk space and run again: it continues from "
            f"{trainer.state.folder}"
        ) from error


def write_pages(plan: Plan, hardware: Hardware, trainer: Trainer, report: Path | None, attention: Path | None) -> None:
    """Writes the HTML pages.

    Args:
        plan: The plan of the training.
        hardware: The devices.
        trainer: The trainer, whose model has the best epoch's weights.
        report: The page about the training; None for none.
        attention: The page with attention maps; None for none.
    """
    if report:
        chosen = [(name, one.value, one.reason) for name, one in plan.choices.options.items()]
        facts = _facts(plan, hardware, trainer)
        write_report(report, trainer.history, facts, trainer.best_epoch, chosen, repeating(plan))
    if attention:
        detokenizer = Detokenizer(plan.data.corpus.tokenizer)
        write_attention_view(attention, trainer.model.model, plan.data.valid, detokenizer)


def repeating(plan: Plan) -> str:
    """Returns the flags of `seqline run` that repeat a training with what it chose.

    Args:
        plan: The plan of the training.
    """
    manifest, chosen = plan.data.manifest, {name: one.value for name, one in plan.choices.options.items()}
    values = {f"training.{name}": value for name, value in chosen.items()}
    if "preset" in chosen:
        values["training.epochs"] = plan.options.epochs  # another default with a fixed preset
    if manifest.options.get("vocabulary_size") == AUTO:
        values["corpus.vocabulary_size"] = manifest.vocabulary_size
    return " ".join(f"--set {name}={value}" for name, value in values.items())


def _facts(plan: Plan, hardware: Hardware, trainer: Trainer) -> list[tuple[str, object]]:
    data = plan.data
    return [
        ("Pairs", f"{len(data.train):,} for training, {len(data.valid):,} for validation"),
        ("Vocabulary", f"{plan.config.vocabulary_size:,} tokens"),
        ("Weights", f"{trainer.model.count_params():,}"),
        ("Batches", f"{len(plan.train)} an epoch, of {plan.train.shapes}"),
        ("Devices", f"{hardware.replicas}, {hardware.device_flops / 1e9:,.0f} GFLOP/s each in {hardware.precision}"),
        ("Corpus", data.manifest.fingerprint[:12]),
        *((name.replace("_", " "), value) for name, value in plan.options.model_dump().items()),
    ]
