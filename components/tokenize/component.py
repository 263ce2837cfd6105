"""The KFP contract of tokenize."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Output


@dsl.component(base_image="seqline/tokenize:0.1.0", install_kfp_package=False)
def tokenize(
    data: str,
    fingerprint: str,
    corpus: Output[Dataset],
    report: Output[HTML],
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
) -> None:
    """Cleans, splits and tokenizes raw text pairs through Apache Beam.

    Args:
        data: Input files (.tsv, .csv, .jsonl, .parquet, plain or .gz, .zst, .bz2), local or gs://: a path, a pattern,
            or several with commas; or a BigQuery query.
        fingerprint: The data's fingerprint from the snapshot task: what makes changed data a changed input.
        corpus: Sharded TFRecords of piece ids, validation and test text, tokenizer, manifest and statistics.
        report: One page: what was kept, what was left out and why, lengths, pieces, drift and examples.
        valid_data: Validation files in the same form; empty to split by a hash of the source.
        test_data: Test files in the same form; empty to split by a hash of the source.
        task: translation, summarization, question_answering or text_generation; decides which rules apply.
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Column or field that holds the source; empty for text generation without a prompt.
        target_field: Column or field that holds the target.
        context_field: Column or field that holds the context of a question; empty for none.
        slice_field: Column or field that names the slice of a pair, such as its domain; empty for none.
        valid_share: Share of the sources kept for validation, unless validation files are given.
        test_share: Share of the sources kept for the test, unless test files are given.
        max_tokens: Longest source or target in pieces; longer pairs are left out.
        max_malformed_share: Share of the rows that may be malformed; more stops the task.
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
    """
    from pathlib import Path

    from seqline.components.tokenize.options import Options
    from seqline.components.tokenize.stage import tokenize as run

    options = Options(
        task, source_language, target_language, source_field, target_field, context_field, slice_field, valid_share,
        test_share, max_tokens, max_malformed_share, rules, tokenizer, model_type, vocabulary_size, character_coverage,
        tokenizer_sample, shards, counterfactual, noise_share,
    )  # fmt: skip
    folder, page = Path(corpus.path), Path(report.path)
    manifest = run(
        data, folder, page, fingerprint, valid_data, test_data, beam_options, previous_corpus, expectations, options
    )
    # Text, since kfp.local reads a number back as another type and then misses its own cache.
    corpus.metadata.update(
        fingerprint=manifest.fingerprint,
        train=str(manifest.counts.train),
        valid=str(manifest.counts.valid),
        test=str(manifest.counts.test),
        vocabulary_size=str(manifest.vocabulary_size),
    )
