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
    """
    from pathlib import Path

    from components.export.exported import Decoding
    from components.export.stage import export as run

    decoding = Decoding(beam_size, length_penalty, max_input_length, max_output_length)
    description = run(Path(checkpoint.path), Path(corpus.path), Path(model.path), decoding)
    model.metadata["fingerprint"] = description.fingerprint
