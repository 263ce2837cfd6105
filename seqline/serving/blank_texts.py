"""Blank texts, which have blank answers: the model, which was never trained on them, would invent one."""

from collections.abc import Sequence
from typing import Any

from seqline.inputs.lines import is_blank
from seqline.serving.answers import Answer, Parameters


class Asked:
    """The texts of a request that are sent to the model.

    Args:
        texts: All texts of the request.
        parameters: Its decoding parameters.
        metadata: The version's metadata; a model of text generation without prompts is sent blank texts too.

    Attributes:
        texts: The texts for the model.
    """

    def __init__(self, texts: list[str], parameters: Parameters, metadata: dict[str, Any]) -> None:
        without_prompt = bool(metadata["description"].get("without_prompt"))
        self._blank = [is_blank(text) and not without_prompt for text in texts]
        self.texts = [text for text, blank in zip(texts, self._blank, strict=True) if not blank]
        # As many results as the other texts have: gRPC answers with one table.
        others = int(dict(parameters).get("n_best", 1)) - 1
        self._answer = Answer("", 0.0, (("", 0.0),) * others)

    def completed(self, answers: Sequence[Answer]) -> list[Answer]:
        """Returns an answer for each text of the request.

        Args:
            answers: The model's answers for `texts`.
        """
        given = iter(answers)
        return [self._answer if blank else next(given) for blank in self._blank]
