"""The KFP contract of the snapshot stage."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Output


@dsl.component(base_image="seqline/tokenize:0.1.0", install_kfp_package=False)
def snapshot(
    data: str,
    snapshot: Output[Artifact],
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
    batch_size: int = 64,
    shard_lines: int = 2000,
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
) -> NamedTuple("Outputs", [("fingerprint", str)]):  # type: ignore[valid-type]
    """Checks the run's parameters, lists the input files and fingerprints their content.

    Never cache this task: only looking at the data tells whether a cached corpus is still good. It takes the parameters
    of all later stages, because it is the first: a value that one of them would refuse stops the run here, by name.

    Args:
        data: Input files, local or gs://: a path, a pattern such as folder/*.tsv.gz, or several with commas; or a
            BigQuery query.
        snapshot: The list: snapshot.json with path, size and checksum of each file.
        valid_data: Validation files in the same form; empty for none.
        test_data: Test files in the same form; empty for none.
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
        batch_size: Most texts of a batch run decoded at a time.
        shard_lines: Lines of a batch run that are finished, or done again after a crash, together.
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

    Returns:
        fingerprint: SHA-256 over the files' names, sizes and checksums.
    """
    given = dict(locals())
    from pathlib import Path

    from seqline.components.snapshot.stage import snapshot as take

    fingerprint = take(data, Path(snapshot.path), valid_data, test_data, given)
    snapshot.metadata["fingerprint"] = fingerprint
    return (fingerprint,)
