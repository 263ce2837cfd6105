"""The KFP contract of adopt."""

from kfp import dsl
from kfp.dsl import Model, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def adopt(
    address: str,
    model: Output[Model],
    fingerprint: str = "",
    source_language: str = "en",
    target_language: str = "de",
) -> None:
    """Takes a SavedModel of any origin into a release, if it takes text and returns text.

    Args:
        address: The SavedModel's folder, local or in a bucket.
        model: The same model as Seqline's stages and servers read it.
        fingerprint: The fingerprint of its files, as snapshot found them.
        source_language: Language code of its inputs.
        target_language: Language code of its outputs.
    """
    from pathlib import Path

    from seqline.components.adopt import stage

    made = stage.adopt(address, Path(model.path), fingerprint, source_language, target_language)
    model.metadata.update(fingerprint=made.fingerprint)
