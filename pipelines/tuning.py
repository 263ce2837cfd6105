"""The tuning pipeline: raw text pairs in, the best hyperparameters and a model trained with them out."""

from kfp import dsl

from components.evaluate.component import evaluate
from components.export.component import export
from components.snapshot.component import snapshot
from components.tokenize.component import tokenize
from components.train.component import train
from components.tune.component import tune


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
    preset: str = "tiny",
    epochs: int = 20,
    minutes: float = 0.0,
    patience: int = 5,
    batch_tokens: int = 4096,
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    average: float = 0.99,
    precision: str = "auto",
    seed: int = 1,
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
        preset: The model's size, demo, tiny, small, base or big; the first trial's, and the one of all where it is not
            searched. The same goes for batch_tokens, learning_rate, warmup_steps, dropout, label_smoothing and average.
        epochs: Passes of the training at the end over the data, at most.
        minutes: Its time, at most; 0 for no limit.
        patience: Its epochs without a better validation loss before it stops; 0 for no limit.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped in training, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16 on a TPU.
        seed: Decides initial weights, dropout, the order of the data, and what is tried.
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
        preset=preset,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        dropout=dropout,
        label_smoothing=label_smoothing,
        average=average,
        precision=precision,
        seed=seed,
        checkpoints=checkpoints,
    ).outputs

    trained = train(
        corpus=corpus,
        preset=best["preset"],
        epochs=epochs,
        minutes=minutes,
        patience=patience,
        batch_tokens=best["batch_tokens"],
        learning_rate=best["learning_rate"],
        warmup_steps=best["warmup_steps"],
        dropout=best["dropout"],
        label_smoothing=best["label_smoothing"],
        average=best["average"],
        precision=precision,
        seed=seed,
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
