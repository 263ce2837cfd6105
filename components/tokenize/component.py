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
    source_language: str = "en",
    target_language: str = "de",
    source_field: str = "source",
    target_field: str = "target",
    valid_share: float = 0.02,
    test_share: float = 0.02,
    max_tokens: int = 128,
    max_length_ratio: float = 9.0,
    drop_identical: bool = False,
    max_malformed_share: float = 0.0,
    vocabulary_size: int = 8000,
    character_coverage: float = 0.9999,
    tokenizer_sample: int = 1000000,
    shards: int = 4,
    beam_options: str = "",
) -> None:
    """Cleans, splits and tokenizes raw text pairs through Apache Beam.

    Args:
        data: Input files (.tsv, .jsonl, plain or .gz), local or gs://: a path, a pattern, or several with commas.
        fingerprint: The data's fingerprint from the snapshot task: what makes changed data a changed input.
        corpus: Sharded TFRecords of piece ids, validation and test text, tokenizer and manifest.
        report: One page: what was kept, what was left out and why, lengths and examples.
        valid_data: Validation files in the same form; empty to split by a hash of the source.
        test_data: Test files in the same form; empty to split by a hash of the source.
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Field of a JSONL object that holds the source.
        target_field: Field of a JSONL object that holds the target.
        valid_share: Share of the sources kept for validation, unless validation files are given.
        test_share: Share of the sources kept for the test, unless test files are given.
        max_tokens: Longest source or target in pieces; longer pairs are left out.
        max_length_ratio: Largest ratio of the two sides' lengths in pieces; 0 for no limit.
        drop_identical: Whether to leave out pairs whose sides are the same.
        max_malformed_share: Share of the rows that may be malformed; more stops the task.
        vocabulary_size: Most pieces of the joint vocabulary; data that cannot fill it get fewer.
        character_coverage: Share of all characters that get pieces of their own; the rarest are spelt in bytes.
        tokenizer_sample: Most training pairs that the tokenizer is learnt from.
        shards: How many files the training pairs are spread over.
        beam_options: Flags for Apache Beam, such as --runner=...; one process in the task by default.
    """
    from pathlib import Path

    from components.tokenize.options import Options
    from components.tokenize.stage import tokenize as run

    options = Options(
        source_language, target_language, source_field, target_field, valid_share, test_share, max_tokens,
        max_length_ratio, drop_identical, max_malformed_share, vocabulary_size, character_coverage,
        tokenizer_sample, shards,
    )  # fmt: skip
    folder, page = Path(corpus.path), Path(report.path)
    manifest = run(data, folder, page, fingerprint, valid_data, test_data, beam_options, options)
    # Text, since kfp.local reads a number back as another type and then misses its own cache.
    corpus.metadata.update(
        fingerprint=manifest.fingerprint,
        train=str(manifest.counts.train),
        valid=str(manifest.counts.valid),
        test=str(manifest.counts.test),
        vocabulary_size=str(manifest.vocabulary_size),
    )
