"""The train stage: corpus in, checkpoint out."""

import logging
import os
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from seqline.artifacts.corpus import Corpus
from seqline.buckets import mounted
from seqline.components.train.options import Options
from seqline.inputs.mirror import folder_at
from seqline.inputs.storage import local_copy
from seqline.plugins.registry import ARCHITECTURES
from seqline.quick_imports import quick_imports

log = logging.getLogger(__name__)


def train(
    corpus: Path,
    output: Path,
    checkpoints: str = "",
    warm_start: str = "",
    warm_start_fingerprint: str = "",
    report: Path | None = None,
    attention: Path | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Trains a model on a corpus.

    It saves its working state regularly. A run that was killed resumes from there when it is started again with the
    same corpus, options and `checkpoints`, and ends with the same weights. The output's layout is in
    `seqline.artifacts.checkpoint`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        output: The checkpoint folder to write.
        checkpoints: Folder of the working state; next to the output by default.
        warm_start: A checkpoint folder whose weights training starts from; empty for random weights. Both may be
            gs://, s3:// or minio://.
        warm_start_fingerprint: The checkpoint's fingerprint, by which a training that was killed is found; its path by
            default.
        report: The HTML page about the training to write; None for none.
        attention: The HTML page with attention maps to write; None for none.
        options: Options of training.

    Returns:
        The last epoch's metrics: loss, valid_loss, valid_accuracy, tokens_per_second and so on.

    Raises:
        UserError: If the corpus or an option is not fit for training, the checkpoint to start from has another
            vocabulary or shape or cannot be read, the memory or the disk is too small, or another process trains with
            the same data and options.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqline.artifacts.trial_metrics import check_writable
    from seqline.components.train.devices import choose_strategy, is_chief
    from seqline.components.train.fine_tuning import check_fine_tuning, check_last_layers
    from seqline.components.train.parts import share_cores_among_parts

    ARCHITECTURES.require("train", options.plugins)
    check_writable()
    check_fine_tuning(options, warm_start)
    with quick_imports():
        import tensorflow  # noqa: F401
    with ExitStack() as stack:
        start = stack.enter_context(local_copy(mounted(warm_start))) if warm_start else None
        share_cores_among_parts(options, Corpus(corpus), start)
        # The cluster must be joined before TensorFlow does anything else.
        strategy = choose_strategy(options.devices)
        options.check_replicas(strategy.num_replicas_in_sync)
        with quick_imports():
            from seqline.components.train.building import build_model, build_trainer
            from seqline.components.train.choices import Choices, choose_by_task
            from seqline.components.train.choosing import choose_model
            from seqline.components.train.corpus_files import local_corpus
            from seqline.components.train.hardware import measure_hardware
            from seqline.components.train.memory import check_memory
            from seqline.components.train.outputs import write_checkpoint, write_pages
            from seqline.components.train.plan import make_plan
            from seqline.components.train.records import read_data
            from seqline.components.train.speed import MeasuredSpeed
            from seqline.components.train.starting import opened_pretrained
            from seqline.components.train.working_state import WorkingState, earlier_choices, run_identity

        hardware = measure_hardware(strategy, options.precision)
        where = mounted(checkpoints) if checkpoints else output.parent / f".{output.name}.state"
        data = read_data(stack.enter_context(local_corpus(Corpus(corpus))))
        pretrained = stack.enter_context(opened_pretrained(options, warm_start))
        # By the options as given: what was chosen for those that are auto is in the state.
        identity = run_identity(data.manifest.fingerprint, options, warm_start_fingerprint or warm_start)
        folder, mirror = stack.enter_context(folder_at(where, identity))
        by_task = Choices(choose_by_task(options, str(data.manifest.options["task"]), start))
        # The model that is measured is the one that is trained.
        speed = MeasuredSpeed(by_task.applied(options), data, hardware, strategy)
        choices = choose_model(options, data, speed, start, earlier_choices(folder))
        plan = make_plan(options, data, hardware.replicas, pretrained, choices)
        check_last_layers(options, plan.config)
        check_memory(plan.config, plan.options, plan.train.buckets, hardware.replicas, hardware.precision)
        state, chief = WorkingState(folder, mirror), is_chief(strategy)
        stack.enter_context(state.locked() if chief else nullcontext())
        model = build_model(plan, hardware, strategy, start, pretrained)
        log.info("%s", plan.describe(hardware.precision, model.count_params()))
        trainer = build_trainer(model, plan, hardware, state, chief)
        history = trainer.run()
        if chief:
            write_checkpoint(plan, trainer, output, options, pretrained)
            write_pages(plan, hardware, trainer, report, attention)
            # Last: a run that is killed before has all that it needs to write them again.
            state.delete()
    return history[-1]
