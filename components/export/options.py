"""Options of the export stage."""

from typing import Literal

from pydantic import Field

from seqline.schema.options import BaseOptions


class DecodingOptions(BaseOptions):
    """Decoding and weight storage of the exported model."""

    beam_size: int = Field(4, ge=1, description="Hypotheses of the beam search; 1 is greedy.")
    length_penalty: float = Field(
        0.6, ge=0, description="Exponent of the length by which a score is divided; 0 for none."
    )
    max_input_length: int = Field(
        0,
        ge=0,
        description="Longest input in tokens, its end included; longer ones are truncated. 0 for the corpus's "
        "max_tokens and the end, at least 128 where longer sources were dropped from the corpus.",
    )
    max_output_length: int = Field(
        0, ge=0, description="Longest output in tokens; 0 for the corpus's max_tokens, at least 128."
    )
    weight_dtype: Literal["float32", "bfloat16", "int8"] = Field(
        "float32",
        description="How the weights are stored. The computation is in float32. Small models with bfloat16 or int8 "
        "weights multiply in bfloat16 on processors that support it: preset small decodes 1.3 times as fast there.",
    )
    shortlist: bool = Field(
        False,
        description="Whether outputs are searched among the 1,000 most frequent tokens, and those that the training "
        "pairs link to the tokens of the source: faster with a large vocabulary, and a few outputs differ. Requests "
        "with parameters of their own, and streams, search all tokens. Not with a gpt or a pointer.",
    )


class ModelCardOptions(BaseOptions):
    """Licences and intended use for the model card."""

    license: str = Field("", description="Licence of the model, such as an SPDX identifier.")
    data_license: str = Field("", description="Licence of the data.")
    intended_use: str = Field("", description="Uses that the model is intended for, and uses that it is not.")
