"""The retraining pipeline: raw text pairs in, a live endpoint out."""

from kfp import dsl

from seqline.components.bless.component import bless
from seqline.components.champion.component import champion
from seqline.components.deploy.component import deploy
from seqline.components.evaluate.component import evaluate
from seqline.components.export.baseline.component import baseline
from seqline.components.export.component import export
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.components.tokenize.component import tokenize
from seqline.components.train.component import train
from seqline.schema.descriptions import described


@dsl.pipeline(name="seqline-training")
@described
def training(
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
    human_evaluation: str = "",
    endpoint: str = "",
    checkpoints: str = "",
    beam_options: str = "",
    api_endpoint: str = "",
    reason: str = "",
    corpus: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    training: dict = {},  # noqa: B006
    decoding: dict = {},  # noqa: B006
    model_card: dict = {},  # noqa: B006
    evaluation: dict = {},  # noqa: B006
    gate: list = [],  # noqa: B006
    serving: dict = {},  # noqa: B006
    notification: dict = {},  # noqa: B006
) -> None:
    """Retrains a text-to-text model and makes it live if it passes the gate.

    1. snapshot checks all parameters and fingerprints the data; it passes each stage its complete options.
    2. tokenize cleans, splits and tokenizes the pairs.
    3. train trains the Transformer.
    4. export writes the SavedModel that takes text and returns text.
    5. champion looks up the live version and the best version so far.
    6. baseline exports the pretrained checkpoint that training started from, if there is one.
    7. evaluate measures the challenger, and all of them on the same test set.
    8. bless decides by the gate's rules.
    9. deploy makes the challenger live, if it was blessed.
    10. summarize reports what the run did, whether it succeeded or failed, and notifies.

    Tasks whose result depends on more than their inputs (the data, the endpoint, the run itself) are never cached.
    """
    ids = {"run_name": dsl.PIPELINE_JOB_NAME_PLACEHOLDER, "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER}
    summary = summarize(**ids, reason=reason, notification=notification)
    with dsl.ExitHandler(summary.set_caching_options(enable_caching=False), name="retraining"):
        checked = snapshot(
            data=data, valid_data=valid_data, test_data=test_data, feedback=feedback, task=task,
            source_language=source_language, target_language=target_language, source_field=source_field,
            target_field=target_field, context_field=context_field, slice_field=slice_field, tokenizer=tokenizer,
            previous_corpus=previous_corpus, warm_start=warm_start, endpoint=endpoint, corpus=corpus, training=training,
            decoding=decoding, model_card=model_card, evaluation=evaluation, gate=gate, serving=serving,
            notification=notification,
        ).set_caching_options(enable_caching=False).outputs  # fmt: skip

        text = tokenize(
            data=data, valid_data=valid_data, test_data=test_data, feedback=feedback,
            fingerprint=checked["fingerprint"], options=checked["corpus"], previous_corpus=previous_corpus,
            beam_options=beam_options,
        ).outputs["corpus"]  # fmt: skip
        checkpoint = train(
            corpus=text,
            options=checked["training"],
            warm_start=warm_start,
            warm_start_fingerprint=checked["warm_start_fingerprint"],
            checkpoints=checkpoints,
        ).outputs["checkpoint"]
        challenger = export(
            checkpoint=checkpoint, corpus=text, decoding=checked["decoding"], model_card=checked["model_card"]
        ).outputs["model"]

        live = champion(model=challenger, endpoint=endpoint, api_endpoint=api_endpoint)
        live.set_caching_options(enable_caching=False)
        measured = evaluate(model=challenger, corpus=text, options=checked["evaluation"])
        compared = evaluate(
            corpus=text,
            options=checked["evaluation"],
            opponent=live.outputs["champion_found"],
        ).set_display_name("evaluate champion")
        anchor = evaluate(
            corpus=text, options=checked["evaluation"], opponent=live.outputs["best_found"]
        ).set_display_name("evaluate best")

        start = baseline(
            pretrained=checked["baseline"], corpus=text, decoding=checked["decoding"], model_card=checked["model_card"]
        )
        untrained = evaluate(
            model=start.outputs["model"], corpus=text, options=checked["evaluation"], opponent=checked["baseline"]
        ).set_display_name("evaluate baseline")

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
