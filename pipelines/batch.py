"""The batch pipeline: files of texts in, a file of predictions out."""

from kfp import dsl

from seqline.components.infer.component import infer
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.schema.descriptions import described


@dsl.pipeline(name="seqline-batch")
@described
def batch(
    data: str = "",
    model: str = "",
    source_field: str = "source",
    checkpoints: str = "",
    beam_options: str = "",
    inference: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    notification: dict = {},  # noqa: B006
) -> None:
    """Runs every line of large files through an exported model.

    1. snapshot checks the parameters, fingerprints the data, and finds the live version of an endpoint.
    2. infer writes one prediction for each line, in the order of the input.
    3. summarize reports what the run did, whether it succeeded or failed, and notifies.
    """
    summary = summarize(
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, notification=notification
    )
    with dsl.ExitHandler(summary.set_caching_options(enable_caching=False), name="predicting"):
        checked = snapshot(
            data=data, model=model, source_field=source_field, inference=inference, notification=notification
        )
        checked.set_caching_options(enable_caching=False)
        predicted = infer(
            data=data,
            fingerprint=checked.outputs["fingerprint"],
            model=checked.outputs["model"],
            options=checked.outputs["inference"],
            checkpoints=checkpoints,
            beam_options=beam_options,
        )
        # What is live at an endpoint changes behind its address.
        predicted.set_caching_options(enable_caching=False)
