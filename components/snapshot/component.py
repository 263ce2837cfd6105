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
    endpoint: str = "",
    model: str = "",
    release: bool = False,
    corpus: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    tuning: dict = {},  # noqa: B006
    training: dict = {},  # noqa: B006
    decoding: dict = {},  # noqa: B006
    model_card: dict = {},  # noqa: B006
    evaluation: dict = {},  # noqa: B006
    gate: list = [],  # noqa: B006
    serving: dict = {},  # noqa: B006
    inference: dict = {},  # noqa: B006
    notification: dict = {},  # noqa: B006
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("fingerprint", str),
        ("warm_start_fingerprint", str),
        ("model", str),
        ("model_fingerprint", str),
        ("baseline", dict),
        ("corpus", dict),
        ("tuning", dict),
        ("training", dict),
        ("decoding", dict),
        ("model_card", dict),
        ("evaluation", dict),
        ("serving", dict),
        ("inference", dict),
    ],
):
    """Checks the run's parameters, lists the input files and fingerprints their content.

    Never cache this task: only the data itself shows whether a cached corpus is still valid. As the first task it
    checks the options of all later stages, so that a wrong one fails here, by its full name. Each stage gets complete
    options in one canonical form, so that the same values have the same cache key however they were written.

    Args:
        data: Input files, local or in a bucket: a path, a pattern such as folder/*.tsv.gz, or several with commas; or
            a BigQuery query.
        snapshot: snapshot.json, with path, size and checksum of each file.
        valid_data: Validation files in the same form; empty for none.
        test_data: Test files in the same form; empty for none.
        feedback: Files of corrections in the same form, for training alone; empty for none.
        task: Task of the model.
        source_language: Language code of the sources.
        target_language: Language code of the targets.
        source_field: Column or field of the source text.
        target_field: Column or field of the target text.
        context_field: Column or field of the context of a question; empty for none.
        slice_field: Column or field that names the slice of a pair; empty for none.
        tokenizer: SentencePiece model to use; empty to train one.
        previous_corpus: Corpus folder to measure drift against; empty for none.
        warm_start: Checkpoint folder that training starts from; empty for random weights.
        endpoint: Endpoint that the model goes live on; empty for none.
        model: Exported model to use, or an endpoint for its live version; empty for none.
        release: Whether the model is to be released: then its files are fingerprinted.
        corpus: Options of tokenize; docs/parameters.md lists the fields of all objects.
        tuning: Options of tune.
        training: Options of train.
        decoding: Decoding options of export.
        model_card: Model card options of export.
        evaluation: Options of evaluate.
        gate: Rules of the gate.
        serving: Options of deploy.
        inference: Options of infer.
        notification: Options of notifications.

    Returns:
        fingerprint: The data's fingerprint, which covers the tokenizer and the previous corpus.
        warm_start_fingerprint: The fingerprint of the checkpoint to start from; empty for none.
        model: The model's address: KFP cannot import that of an endpoint.
        model_fingerprint: The fingerprint of the model to release; empty for none.
        baseline: Address and fingerprint of the checkpoint that training starts from, or that there is none.
        corpus: Complete options of tokenize.
        tuning: Complete options of tune.
        training: Complete options of train.
        decoding: Complete decoding options of export.
        model_card: Complete model card options of export.
        evaluation: Complete options of evaluate.
        serving: Complete options of deploy.
        inference: Complete options of infer.
    """
    given = dict(locals())
    from pathlib import Path

    from seqline.components.snapshot.stage import check_and_snapshot

    # Only a laptop's artifacts have no scheme; everywhere else each stage has a container of its own.
    return check_and_snapshot(Path(snapshot.path), given, containers="://" in snapshot.uri)  # type: ignore[return-value]
