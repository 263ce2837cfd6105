"""The tuning pipeline: raw text pairs in, the best hyperparameters and a model trained with them out."""

from kfp import dsl

from seqline.components.evaluate.component import evaluate
from seqline.components.export.component import export
from seqline.components.snapshot.component import snapshot
from seqline.components.tokenize.component import tokenize
from seqline.components.train.component import train
from seqline.components.tune.component import tune


@dsl.pipeline(name="seqline-tuning")
def tuning(
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
    space: dict = {},  # noqa: B006
    trials: int = 20,
    trial_epochs: int = 5,
    trial_minutes: float = 0.0,
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
) -> None:
    """Searches for hyperparameters, then trains, exports and measures a model with the best.

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
        space: What is searched, by hyperparameter (preset, batch_tokens, learning_rate, warmup_steps, dropout,
            label_smoothing, average), min and max with scale log or linear, or a list of values; empty for
            learning_rate, warmup_steps and dropout in their usual ranges.
        trials: Trainings in the search, those that are stopped early included.
        trial_epochs: Passes of each over the data, at most.
        trial_minutes: Training time of each, at most; 0 for no limit.
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size, demo, tiny, small, base or big; the first trial's, and the one of all where it is not
            searched. The same goes for batch_tokens, learning_rate, warmup_steps, dropout, label_smoothing and average.
        norm_placement: Where blocks are normalized, pre or post.
        norm: How they are normalized, rms or layer.
        positions: Position encoding, sinusoidal, learned or rotary.
        activation: Activation of the feed-forward blocks, relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        epochs: Passes of the training at the end over the data, at most.
        minutes: Its time, at most; 0 for no limit.
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
        seed: Decides initial weights, dropout, the order of the data, and what is tried.
        warm_start: A checkpoint folder, such as the champion's, whose weights every training starts from; empty for
            random ones.
        checkpoints: Folder of the search's and the trainer's working state, from which a killed run continues; empty
            for a place beside the output.
        beam_size: Hypotheses kept while decoding; 1 is greedy.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        max_output_length: Longest output in pieces.
        weights: How weights are stored: float32, bfloat16 or int8; computed with in float32.
        model_license: Licence of the model, such as an SPDX identifier, for the model's card.
        data_license: Licence of the data, for the model's card.
        intended_use: What the model is for, and what not, for the model's card.
        terms: Words by the name of their list; the test sentences with one of its words are a slice.
        smallest_slice: Slices of fewer sentences are told, but no gap and no rule rests on them.
    """
    parameters = dict(locals())
    taken = snapshot(**parameters).set_caching_options(enable_caching=False)

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
    corpus = tokenized.outputs["corpus"]

    best = tune(
        corpus=corpus,
        space=space,
        trials=trials,
        trial_epochs=trial_epochs,
        trial_minutes=trial_minutes,
        architecture=architecture,
        preset=preset,
        norm_placement=norm_placement,
        norm=norm,
        positions=positions,
        activation=activation,
        tied_embeddings=tied_embeddings,
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
    ).outputs

    trained = train(
        corpus=corpus,
        architecture=architecture,
        preset=best["preset"],
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
        batch_tokens=best["batch_tokens"],
        accumulate=accumulate,
        decay=decay,
        learning_rate=best["learning_rate"],
        warmup_steps=best["warmup_steps"],
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        dropout=best["dropout"],
        attention_dropout=attention_dropout,
        activation_dropout=activation_dropout,
        label_smoothing=best["label_smoothing"],
        subword_sampling=subword_sampling,
        average=best["average"],
        precision=precision,
        devices=devices,
        xla=xla,
        seed=seed,
        warm_start=warm_start,
        checkpoints=checkpoints,
    )

    exported = export(
        checkpoint=trained.outputs["checkpoint"],
        corpus=corpus,
        beam_size=beam_size,
        length_penalty=length_penalty,
        max_output_length=max_output_length,
        weights=weights,
        model_license=model_license,
        data_license=data_license,
        intended_use=intended_use,
    )

    evaluate(model=exported.outputs["model"], corpus=corpus, task=task, terms=terms, smallest_slice=smallest_slice)
