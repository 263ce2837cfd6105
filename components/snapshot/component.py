"""The KFP contract of the snapshot stage."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Output


@dsl.component(base_image="seqline/tokenize:0.1.0", install_kfp_package=False)
def snapshot(data: str, snapshot: Output[Artifact]) -> NamedTuple("Outputs", [("fingerprint", str)]):  # type: ignore[valid-type]
    """Lists the input files and fingerprints their content, so that later stages know whether it changed.

    Never cache this task: only looking at the data tells whether a cached corpus is still good.

    Args:
        data: Input files, local or gs://: a path, a pattern such as folder/*.tsv.gz, or several with commas.
        snapshot: The list: snapshot.json with path, size and checksum of each file.

    Returns:
        fingerprint: SHA-256 over the files' names, sizes and checksums.
    """
    from pathlib import Path

    from components.snapshot.stage import snapshot as take

    fingerprint = take(data, Path(snapshot.path))
    snapshot.metadata["fingerprint"] = fingerprint
    return (fingerprint,)
