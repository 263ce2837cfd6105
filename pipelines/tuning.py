"""The tuning pipeline: raw text pairs in, the best hyperparameters and a model trained with them out."""

from typing import Any

from kfp import dsl

from seqline.components.evaluate.component import evaluate
from seqline.components.export.component import export
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.components.tokenize.component import tokenize
from seqline.components.train.component import train
from seqline.components.tune.component import tune
from seqline.schema.descriptions import described


def make_tuning(search: Any) -> Any:
    """Makes the pipeline with another way to search.

    Args:
        search: The component to search with; its inputs and outputs are those of `tune`.
    """

    @dsl.pipeline(name="seqline-tuning")
    @described
    def tuning(
        data: str = "",
        valid_data: str = "",
        test_data: str = "",
        feedback: str = "",
        task: str = "translation",
        source_language: str = "en",
        target_language: str = "de",
        source_field: str = "source",
        target_field: str = "target",
        context_field: str = "",
        slice_field: str = "",
        tokenizer: str = "",
        previous_corpus: str = "",
        warm_start: str = "",
        checkpoints: str = "",
        beam_options: str = "",
        corpus: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
        tuning: dict = {},  # noqa: B006
        training: dict = {},  # noqa: B006
        decoding: dict = {},  # noqa: B006
        model_card: dict = {},  # noqa: B006
        evaluation: dict = {},  # noqa: B006
        notification: dict = {},  # noqa: B006
    ) -> None:
        """Searches for hyperparameters, then trains, exports and evaluates a model with the best.

        1. snapshot checks all parameters and fingerprints the data; it passes each stage its complete options.
        2. tokenize cleans, splits and tokenizes the pairs.
        3. tune runs the trials and returns the training options with the best values.
        4. train trains with them, for as long as the training options say.
        5. export writes the SavedModel.
        6. evaluate measures it on the test set.
        7. summarize reports what the run did, whether it succeeded or failed, and notifies.
        """
        summary = summarize(
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            notification=notification,
        )
        with dsl.ExitHandler(summary.set_caching_options(enable_caching=False), name="tuning"):
            checked = snapshot(
                data=data, valid_data=valid_data, test_data=test_data, feedback=feedback, task=task,
                source_language=source_language, target_language=target_language, source_field=source_field,
                target_field=target_field, context_field=context_field, slice_field=slice_field, tokenizer=tokenizer,
                previous_corpus=previous_corpus, warm_start=warm_start, corpus=corpus, tuning=tuning,
                training=training, decoding=decoding, model_card=model_card, evaluation=evaluation,
                notification=notification,
            ).set_caching_options(enable_caching=False).outputs  # fmt: skip

            text = tokenize(
                data=data, valid_data=valid_data, test_data=test_data, feedback=feedback,
                fingerprint=checked["fingerprint"], options=checked["corpus"], previous_corpus=previous_corpus,
                beam_options=beam_options,
            ).outputs["corpus"]  # fmt: skip
            best = search(
                corpus=text,
                options=checked["tuning"],
                training=checked["training"],
                warm_start=warm_start,
                warm_start_fingerprint=checked["warm_start_fingerprint"],
                checkpoints=checkpoints,
            ).outputs["training"]
            checkpoint = train(
                corpus=text,
                options=best,
                warm_start=warm_start,
                warm_start_fingerprint=checked["warm_start_fingerprint"],
                checkpoints=checkpoints,
            ).outputs["checkpoint"]
            model = export(
                checkpoint=checkpoint, corpus=text, decoding=checked["decoding"], model_card=checked["model_card"]
            ).outputs["model"]
            evaluate(model=model, corpus=text, options=checked["evaluation"])

    return tuning


tuning = make_tuning(tune)
