"""The KFP contract of the snapshot stage."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Output


@dsl.component(base_image="seqline/tokenize:0.1.0", install_kfp_package=False)
def snapshot(data: str, snapshot: Output[Artifact], valid_data: str = "", test_data: str = "") -> NamedTuple(  # type: ignore[valid-type]
    "Outputs", [("fingerprint", str)]
):
    """Lists the input files and fingerprints their content, so that later stages know whether it changed.

    Never cache this task: only looking at the data tells whether a cached corpus is still good.

    Args:
        data: Input files, local or gs://: a path, a pattern such as folder/*.tsv.gz, or several with commas.
        valid_data: Validation files in the same form; empty for none.
        test_data: Test files in the same form; empty for none.
        snapshot: The list: snapshot.json with path, size and checksum of each file.
        valid_data: Validation files in the same form; empty for none.
        test_data: Test files in the same form; empty for none.

    Returns:
        fingerprint: SHA-256 over the files' names, sizes and checksums.
    """
    from pathlib import Path

    from components.snapshot.stage import snapshot as take

    fingerprint = take(data, Path(snapshot.path), valid_data, test_data)
    snapshot.metadata["fingerprint"] = fingerprint
    return (fingerprint,)
