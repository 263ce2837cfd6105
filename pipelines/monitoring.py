"""The monitoring pipeline: sampled requests in, alarms out; and a retraining, where a rule asks for it."""

from kfp import dsl

from seqline.components.collect.component import collect
from seqline.components.monitor.component import monitor
from seqline.components.retrain.component import retrain
from seqline.components.summary.component import summarize
from seqline.schema.descriptions import described


@dsl.pipeline(name="seqline-monitoring")
@described
def monitoring(
    endpoint: str = "",
    api_endpoint: str = "",
    monitoring: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    retraining: dict = {},  # noqa: B006
    notification: dict = {},  # noqa: B006
) -> None:
    """Compares live traffic with the training corpus and with the window before.

    1. collect checks the options, finds the live version, and reads the sampled requests of a window.
    2. monitor measures the figures, and judges them by the rules.
    3. retrain starts a run of the training pipeline, if a rule that is in alarm asks for it.
    4. summarize reports what the run did, whether it succeeded or failed, and notifies if there is an alarm.

    No task is cached: each depends on the requests, the endpoint or the state of monitoring.
    """
    summary = summarize(
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, notification=notification
    )
    with dsl.ExitHandler(summary.set_caching_options(enable_caching=False), name="watching"):
        found = collect(
            endpoint=endpoint, monitoring=monitoring, retraining=retraining, api_endpoint=api_endpoint
        ).set_caching_options(enable_caching=False).outputs  # fmt: skip
        judged = monitor(window=found["window"], options=found["monitoring"]).set_caching_options(enable_caching=False)
        with dsl.If(judged.outputs["Output"] == True, name="alarm"):  # noqa: E712 (KFP records the comparison)
            retrain(
                window=found["window"],
                monitored=judged.outputs["monitored"],
                options=found["retraining"],
                api_endpoint=api_endpoint,
            ).set_caching_options(enable_caching=False)
