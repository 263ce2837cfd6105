"""The KFP contract of export."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def export(
    checkpoint: Input[Model],
    corpus: Input[Dataset],
    model: Output[Model],
    beam_size: int = 4,
    length_penalty: float = 0.6,
    max_input_length: int = 128,
    max_output_length: int = 128,
    weights: str = "float32",
    model_license: str = "",
    data_license: str = "",
    intended_use: str = "",
) -> None:
    """Writes the SavedModel that takes text and gives text, and checks it in a fresh process.

    Args:
        checkpoint: The trained weights.
        corpus: The corpus, whose validation text is used for the check.
        model: The SavedModel with the tokenizer in its graph.
        beam_size: Hypotheses kept while decoding; 1 is greedy.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        max_input_length: Longest input in pieces; longer ones are cut at their end.
        max_output_length: Longest output in pieces.
        weights: How weights are stored: float32, bfloat16 or int8.
        model_license: Licence of the model, for its card.
        data_license: Licence of the data, for the model's card.
        intended_use: What the model is for, for its card.
    """
    from pathlib import Path

    from seqline.artifacts.exported_model import Decoding, Statements
    from seqline.components.export.stage import export as run

    decoding = Decoding(beam_size, length_penalty, max_input_length, max_output_length, weights=weights)
    statements = Statements(model_license, data_license, intended_use)
    description = run(Path(checkpoint.path), Path(corpus.path), Path(model.path), decoding, statements)
    model.metadata["fingerprint"] = description.fingerprint
