"""The KFP contract of baseline."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def baseline(
    corpus: Input[Dataset],
    model: Output[Model],
    pretrained: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    decoding: dict = {},  # noqa: B006
    model_card: dict = {},  # noqa: B006
) -> None:
    """Writes the checkpoint that training starts from, as it is, as a SavedModel: what fine-tuning must improve on.

    Its inputs are not options of training: another training of the same checkpoint is a cache hit.

    Args:
        corpus: The corpus, whose tokenizer has the prompt.
        model: The SavedModel; a note where training starts from random weights.
        pretrained: Address and fingerprint of the checkpoint, as snapshot found them.
        decoding: Decoding options; docs/parameters.md lists them under `decoding`.
        model_card: Licences and intended use; docs/parameters.md lists them under `model_card`.
    """
    from pathlib import Path

    from seqline.artifacts.opponent import Opponent
    from seqline.components.export.baseline.stage import baseline as run
    from seqline.components.export.options import DecodingOptions, ModelCardOptions

    start, paths = Opponent.from_parameter(pretrained), (Path(corpus.path), Path(model.path))
    run(start.address, start.fingerprint, *paths, DecodingOptions(**decoding), ModelCardOptions(**model_card))
