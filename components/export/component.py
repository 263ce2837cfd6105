"""The KFP contract of export."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def export(
    checkpoint: Input[Model],
    corpus: Input[Dataset],
    model: Output[Model],
    decoding: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    model_card: dict = {},  # noqa: B006
) -> None:
    """Writes the SavedModel that takes text and returns text, and checks it in a fresh process.

    Args:
        checkpoint: The trained weights.
        corpus: The corpus; its validation text is used for the check.
        model: The SavedModel with the tokenizer in its graph.
        decoding: Decoding options; docs/parameters.md lists them under `decoding`.
        model_card: Licences and intended use; docs/parameters.md lists them under `model_card`.
    """
    from pathlib import Path

    from seqline.components.export.options import DecodingOptions, ModelCardOptions
    from seqline.components.export.stage import export as run

    paths = Path(checkpoint.path), Path(corpus.path), Path(model.path)
    model.metadata["fingerprint"] = run(*paths, DecodingOptions(**decoding), ModelCardOptions(**model_card)).fingerprint
