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
    source_language: str = "en",
    target_language: str = "de",
    source_field: str = "source",
    target_field: str = "target",
    vocabulary_size: int = 8000,
    space: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
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
) -> None:
    """Searches for hyperparameters, then trains, exports and measures a model with the best.

    Args:
        data: Pairs of source and target (.tsv, .jsonl, plain or .gz), local or gs://: a path, a pattern, or several
            with commas.
        valid_data: Validation pairs in the same form; empty to split them off by a hash of the source.
        test_data: Test pairs in the same form; empty to split them off by a hash of the source.
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Field of a JSONL object that holds the source.
        target_field: Field of a JSONL object that holds the target.
        vocabulary_size: Most pieces of the joint vocabulary; data that cannot fill it get fewer.
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
    """
    taken = snapshot(data=data, valid_data=valid_data, test_data=test_data).set_caching_options(enable_caching=False)

    tokenized = tokenize(
        data=data,
        valid_data=valid_data,
        test_data=test_data,
        fingerprint=taken.outputs["fingerprint"],
        source_language=source_language,
        target_language=target_language,
        source_field=source_field,
        target_field=target_field,
        vocabulary_size=vocabulary_size,
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
    )

    evaluate(model=exported.outputs["model"], corpus=corpus)
