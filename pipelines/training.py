"""The retraining pipeline: raw text pairs in, a live endpoint out."""

from kfp import dsl

from seqline.components.bless.component import bless
from seqline.components.champion.component import champion
from seqline.components.deploy.component import deploy
from seqline.components.evaluate.component import evaluate
from seqline.components.export.component import export
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.components.tokenize.component import tokenize
from seqline.components.train.component import train


def uncached(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Marks a task whose answer depends on more than its inputs: the data, the endpoint, the run itself."""
    return task.set_caching_options(enable_caching=False)


@dsl.pipeline(name="seqline-training")
def training(
    data: str = "",
    valid_data: str = "",
    test_data: str = "",
    task: str = "translation",
    source_language: str = "en",
    target_language: str = "de",
    source_field: str = "source",
    target_field: str = "target",
    context_field: str = "",
    slice_field: str = "",
    valid_share: float = 0.02,
    test_share: float = 0.02,
    max_tokens: int = 128,
    max_malformed_share: float = 0.0,
    rules: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    tokenizer: str = "",
    model_type: str = "unigram",
    vocabulary_size: int = 8000,
    character_coverage: float = 0.9999,
    tokenizer_sample: int = 1000000,
    shards: int = 4,
    counterfactual: list = [],  # noqa: B006
    noise_share: float = 0.0,
    previous_corpus: str = "",
    expectations: dict = {},  # noqa: B006
    beam_options: str = "",
    architecture: str = "transformer",
    preset: str = "tiny",
    norm_placement: str = "pre",
    norm: str = "rms",
    positions: str = "sinusoidal",
    activation: str = "relu",
    tied_embeddings: bool = True,
    epochs: int = 20,
    minutes: float = 0.0,
    monitor: str = "loss",
    patience: int = 5,
    decoded_sample: int = 64,
    batch_tokens: int = 4096,
    accumulate: int = 1,
    decay: str = "inverse_square_root",
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    activation_dropout: float = 0.0,
    label_smoothing: float = 0.1,
    subword_sampling: float = 0.0,
    average: float = 0.999,
    precision: str = "auto",
    devices: str = "auto",
    xla: str = "auto",
    seed: int = 1,
    warm_start: str = "",
    checkpoints: str = "",
    beam_size: int = 4,
    length_penalty: float = 0.6,
    max_output_length: int = 128,
    weights: str = "float32",
    model_license: str = "",
    data_license: str = "",
    intended_use: str = "",
    terms: dict = {},  # noqa: B006
    smallest_slice: int = 20,
    gate: list = [],  # noqa: B006
    human: str = "",
    endpoint: str = "",
    port: int = 8501,
    traffic_steps: list = [10, 50],  # noqa: B006
    max_latency_ms: float = 0.0,
    serving_image: str = "",
    serving_machine_type: str = "n1-standard-4",
    serving_max_replicas: int = 1,
    serving_service_account: str = "",
    api_endpoint: str = "",
) -> None:
    """Retrains a text-to-text model and makes it live if it is good enough.

    Args:
        data: Pairs of source and target (.tsv, .csv, .jsonl, .parquet, plain or .gz, .zst, .bz2), local or gs://: a
            path, a pattern, or several with commas; or a BigQuery query.
        valid_data: Validation pairs in the same form; empty to split them off by a hash of the source.
        test_data: Test pairs in the same form; empty to split them off by a hash of the source.
        task: What the model is for, which decides the cleaning rules and the metrics: translation, summarization,
            question_answering or text_generation.
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Column or field that holds the source; empty for text generation without a prompt.
        target_field: Column or field that holds the target.
        context_field: Column or field that holds the context of a question; empty for none.
        slice_field: Column or field that names the slice of a pair, such as its domain; empty for none.
        valid_share: Share of the sources kept for validation, unless validation files are given.
        test_share: Share of the sources kept for the test, unless test files are given.
        max_tokens: Longest source or target in pieces; longer pairs are left out.
        max_malformed_share: Share of the rows that may be malformed, 0 to 1; more stops the run.
        rules: Cleaning rules to switch or set, by name, such as {"identical": false, "length_ratio": 4}.
        tokenizer: A SentencePiece model to use, local or gs://; empty to learn one.
        model_type: What to learn: unigram or bpe.
        vocabulary_size: Most pieces of the joint vocabulary; data that cannot fill it get fewer.
        character_coverage: Share of all characters that get pieces of their own; the rarest are spelt in bytes.
        tokenizer_sample: Most training pairs that the tokenizer is learnt from.
        shards: How many parts the training pairs are spread over; each is the work of one worker.
        counterfactual: Terms that training pairs are copied with in each other's place, such as [["he", "she"]], or
            with the targets' terms [["he", "she", "er", "sie"]]; empty for none.
        noise_share: Share of the training pairs that are copied with typing errors in their source; 0 for none.
        previous_corpus: A corpus folder that drift is measured against, local or gs://; empty for none.
        expectations: What the corpus must be like, by name, such as {"min_pairs": 1000}.
        beam_options: Flags for Apache Beam, such as --runner=...; all cores of the task by default.
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size, demo, tiny, small, base or big, or auto to choose by the corpus and the minutes.
        norm_placement: Where blocks are normalized, pre or post.
        norm: How they are normalized, rms or layer.
        positions: Position encoding, sinusoidal, learned or rotary.
        activation: Activation of the feed-forward blocks, relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        epochs: Passes over the data, at most.
        minutes: Training time, at most; 0 for no limit.
        monitor: What tells the best epoch on the validation pairs, loss, perplexity, accuracy, or of the decoded sample
            bleu or rouge_l.
        patience: Epochs without a better one before training stops; 0 for no limit.
        decoded_sample: Validation sentences decoded after every epoch for BLEU and ROUGE-L; 0 for none.
        batch_tokens: Target tokens in a batch, padding included.
        accumulate: Batches whose gradients are averaged before the weights change.
        decay: How the learning rate falls, inverse_square_root or cosine.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        weight_decay: Share of the weights taken off at each step, times the learning rate (AdamW); 0 for Adam.
        clip_norm: Largest norm of the gradients; 0 for no limit.
        dropout: Share of activations dropped in training, 0 to 1.
        attention_dropout: Share of attention weights dropped in training, 0 to 1.
        activation_dropout: Share dropped in training inside the feed-forward blocks, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        subword_sampling: Subword regularization, the smoothing by which other pieces are drawn in every epoch, such as
            0.1; 0 for none.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16 where the processor multiplies it natively.
        devices: What trains, one device, mirrored (all GPUs), workers (from TF_CONFIG), tpu, or auto for what there is.
        xla: Whether the training step is compiled with XLA, on, off, or auto for on a TPU.
        seed: Decides initial weights, dropout and the order of the data.
        warm_start: A checkpoint folder, such as the champion's, whose weights training starts from; empty for random
            ones.
        checkpoints: Folder of the trainer's working state, from which a killed run continues; empty for a place beside
            its output.
        beam_size: Hypotheses kept while decoding; 1 is greedy.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        max_output_length: Longest output in pieces.
        weights: How weights are stored: float32, bfloat16 or int8; computed with in float32.
        model_license: Licence of the model, such as an SPDX identifier, for the model's card.
        data_license: Licence of the data, for the model's card.
        intended_use: What the model is for, and what not, for the model's card.
        terms: Words by the name of their list; the test sentences with one of its words are a slice.
        smallest_slice: Slices of fewer sentences are told, but no gap and no rule rests on them.
        gate: What the gate asks of the challenger, each an object such as {"metric": "bleu", "minimum":
            20}; empty for the usual two; docs/gate.md has them all.
        human: Human evaluation of challenger and champion that `seqline rate import` wrote, local or gs://; empty
            for none.
        endpoint: Where the model goes live: a local endpoint's folder, or projects/P/locations/L/endpoints/NAME on
            Vertex; empty for nowhere.
        port: Port of a local endpoint's server.
        traffic_steps: Shares of the traffic, in percent, that a new version is given on its way to 100.
        max_latency_ms: Longest median time of an answer to a smoke request; 0 for no limit.
        serving_image: The serving image that Vertex runs, by digest.
        serving_machine_type: Machine of each replica on Vertex.
        serving_max_replicas: Most replicas on Vertex.
        serving_service_account: Whom the server on Vertex runs as; empty for the project's default.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
    """
    parameters = dict(locals())
    summary = summarize(runs_root=dsl.PIPELINE_ROOT_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
    with dsl.ExitHandler(uncached(summary), name="retraining"):
        taken = uncached(snapshot(**parameters))

        tokenized = tokenize(
            data=data,
            valid_data=valid_data,
            test_data=test_data,
            fingerprint=taken.outputs["fingerprint"],
            task=task,
            source_language=source_language,
            target_language=target_language,
            source_field=source_field,
            target_field=target_field,
            context_field=context_field,
            slice_field=slice_field,
            valid_share=valid_share,
            test_share=test_share,
            max_tokens=max_tokens,
            max_malformed_share=max_malformed_share,
            rules=rules,
            tokenizer=tokenizer,
            model_type=model_type,
            vocabulary_size=vocabulary_size,
            character_coverage=character_coverage,
            tokenizer_sample=tokenizer_sample,
            shards=shards,
            counterfactual=counterfactual,
            noise_share=noise_share,
            previous_corpus=previous_corpus,
            expectations=expectations,
            beam_options=beam_options,
        )

        trained = train(
            corpus=tokenized.outputs["corpus"],
            architecture=architecture,
            preset=preset,
            norm_placement=norm_placement,
            norm=norm,
            positions=positions,
            activation=activation,
            tied_embeddings=tied_embeddings,
            epochs=epochs,
            minutes=minutes,
            monitor=monitor,
            patience=patience,
            decoded_sample=decoded_sample,
            batch_tokens=batch_tokens,
            accumulate=accumulate,
            decay=decay,
            learning_rate=learning_rate,
            warmup_steps=warmup_steps,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            label_smoothing=label_smoothing,
            subword_sampling=subword_sampling,
            average=average,
            precision=precision,
            devices=devices,
            xla=xla,
            seed=seed,
            warm_start=warm_start,
            checkpoints=checkpoints,
        )

        exported = export(
            checkpoint=trained.outputs["checkpoint"],
            corpus=tokenized.outputs["corpus"],
            beam_size=beam_size,
            length_penalty=length_penalty,
            max_output_length=max_output_length,
            weights=weights,
            model_license=model_license,
            data_license=data_license,
            intended_use=intended_use,
        )
        challenger = exported.outputs["model"]

        live = uncached(champion(model=challenger, endpoint=endpoint, api_endpoint=api_endpoint))

        asked = {"corpus": tokenized.outputs["corpus"], "task": task, "terms": terms, "smallest_slice": smallest_slice}
        measured = evaluate(model=challenger, **asked)
        compared = evaluate(model=live.outputs["champion"], required=False, **asked)
        compared.set_display_name("evaluate champion")

        judged = uncached(
            bless(
                challenger=measured.outputs["evaluation"],
                champion=compared.outputs["evaluation"],
                gate=gate,
                human=human,
            )
        )

        with dsl.If(judged.outputs["Output"] == True, name="blessed"):  # noqa: E712 (KFP records the comparison)
            uncached(
                deploy(
                    model=challenger,
                    decision=judged.outputs["decision"],
                    endpoint=endpoint,
                    port=port,
                    traffic_steps=traffic_steps,
                    max_latency_ms=max_latency_ms,
                    serving_image=serving_image,
                    serving_machine_type=serving_machine_type,
                    serving_max_replicas=serving_max_replicas,
                    serving_service_account=serving_service_account,
                    api_endpoint=api_endpoint,
                )
            )
