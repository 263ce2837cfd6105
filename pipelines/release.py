"""The release pipeline: a model of any origin in, measured, judged and live on an endpoint."""

from kfp import dsl

from seqline.components.adopt.component import adopt
from seqline.components.bless.component import bless
from seqline.components.champion.component import champion
from seqline.components.deploy.component import deploy
from seqline.components.evaluate.component import evaluate
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.components.tokenize.component import tokenize
from seqline.schema.descriptions import described


@dsl.pipeline(name="seqline-release")
@described
def release(
    data: str = "",
    valid_data: str = "",
    test_data: str = "",
    model: str = "",
    task: str = "translation",
    source_language: str = "en",
    target_language: str = "de",
    source_field: str = "source",
    target_field: str = "target",
    context_field: str = "",
    slice_field: str = "",
    tokenizer: str = "",
    previous_corpus: str = "",
    human_evaluation: str = "",
    endpoint: str = "",
    beam_options: str = "",
    api_endpoint: str = "",
    corpus: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    evaluation: dict = {},  # noqa: B006
    gate: list = [],  # noqa: B006
    serving: dict = {},  # noqa: B006
    notification: dict = {},  # noqa: B006
) -> None:
    """Releases a SavedModel from text to text, whoever trained it, if it passes the gate.

    1. snapshot checks all parameters, and fingerprints the data and the model.
    2. tokenize makes the test set: the same data and options give that of the training pipeline.
    3. adopt checks that the model loads, takes text and returns text.
    4. champion looks up the live version and the best version so far.
    5. evaluate measures all of them on the same test set.
    6. bless decides by the gate's rules.
    7. deploy makes the model live, if it was blessed.
    8. summarize reports what the run did, whether it succeeded or failed, and notifies.
    """
    summary = summarize(
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, notification=notification
    )
    with dsl.ExitHandler(summary.set_caching_options(enable_caching=False), name="releasing"):
        checked = snapshot(
            data=data, valid_data=valid_data, test_data=test_data, model=model, task=task,
            source_language=source_language, target_language=target_language, source_field=source_field,
            target_field=target_field, context_field=context_field, slice_field=slice_field, tokenizer=tokenizer,
            previous_corpus=previous_corpus, endpoint=endpoint, release=True, corpus=corpus, evaluation=evaluation,
            gate=gate, serving=serving, notification=notification,
        ).set_caching_options(enable_caching=False).outputs  # fmt: skip

        text = tokenize(
            data=data, valid_data=valid_data, test_data=test_data, fingerprint=checked["fingerprint"],
            options=checked["corpus"], previous_corpus=previous_corpus, beam_options=beam_options,
        ).outputs["corpus"]  # fmt: skip
        challenger = adopt(
            address=checked["model"],
            fingerprint=checked["model_fingerprint"],
            source_language=source_language,
            target_language=target_language,
        ).outputs["model"]

        live = champion(model=challenger, endpoint=endpoint, api_endpoint=api_endpoint)
        live.set_caching_options(enable_caching=False)
        measured = evaluate(model=challenger, corpus=text, options=checked["evaluation"])
        compared = evaluate(
            corpus=text, options=checked["evaluation"], opponent=live.outputs["champion_found"]
        ).set_display_name("evaluate champion")
        anchor = evaluate(
            corpus=text, options=checked["evaluation"], opponent=live.outputs["best_found"]
        ).set_display_name("evaluate best")
        untrained = evaluate(corpus=text, options=checked["evaluation"], opponent=checked["baseline"]).set_display_name(
            "evaluate baseline"
        )

        blessed = bless(
            challenger=measured.outputs["evaluation"],
            champion=compared.outputs["evaluation"],
            best=anchor.outputs["evaluation"],
            baseline=untrained.outputs["evaluation"],
            gate=gate,
            human_evaluation=human_evaluation,
            opponent=live.outputs["champion_found"],
            rolled_back=live.outputs["rolled_back"],
        ).set_caching_options(enable_caching=False)
        with dsl.If(blessed.outputs["Output"] == True, name="blessed"):  # noqa: E712 (KFP records the comparison)
            deploy(
                model=challenger,
                decision=blessed.outputs["decision"],
                endpoint=endpoint,
                options=checked["serving"],
                api_endpoint=api_endpoint,
            ).set_caching_options(enable_caching=False)
