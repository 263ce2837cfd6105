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
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    previous_corpus: str = "",
    beam_options: str = "",
    feedback: str = "",
) -> None:
    """Cleans, splits and tokenizes raw text pairs with Apache Beam.

    Args:
        data: Input files (.tsv, .csv, .jsonl, .parquet, optionally .gz, .zst or .bz2), local or in a bucket: a path, a
            pattern, or several with commas; or a BigQuery query.
        fingerprint: The data's fingerprint from the snapshot task, which makes changed data a changed input.
        corpus: Sharded arrays of token ids, validation and test set, tokenizer, manifest and statistics.
        report: One page: rows kept and rejected, lengths, tokens, drift and examples.
        valid_data: Validation files in the same form; empty to split by a hash of the source.
        test_data: Test files in the same form; empty to split by a hash of the source.
        options: Task, languages, fields and corpus options; docs/parameters.md lists them.
        previous_corpus: Corpus folder to measure drift against, local or in a bucket; empty for none.
        beam_options: Flags of Apache Beam, such as --runner=...; all cores of the task by default.
        feedback: Files of corrections from `seqline feedback export`, for training alone; empty for none.
    """
    from pathlib import Path

    from seqline.components.tokenize.options import Options
    from seqline.components.tokenize.stage import tokenize as run

    inputs = data, Path(corpus.path), Path(report.path), fingerprint, valid_data, test_data
    manifest = run(*inputs, beam_options, previous_corpus, Options(**options), feedback)
    # Strings: kfp.local reads a number back as another type, and then misses its own cache.
    corpus.metadata.update(
        fingerprint=manifest.fingerprint,
        train=str(manifest.counts.train),
        valid=str(manifest.counts.valid),
        test=str(manifest.counts.test),
        vocabulary_size=str(manifest.vocabulary_size),
    )
