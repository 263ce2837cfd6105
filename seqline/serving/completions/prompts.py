"""The model's input for a prompt or a chat."""

from typing import Any

from seqline.serving.completions.requests import CompletionRequest
from seqline.serving.json_reader import invalid


def inputs(request: CompletionRequest, description: dict[str, Any]) -> list[str]:
    """Returns the model's inputs, one for each prompt.

    Args:
        request: The request.
        description: The content of the version's model.json.

    Raises:
        RequestError: If the model does not take such a chat.
    """
    if not request.messages:
        return list(request.prompts)
    if len(request.messages) > 1 or request.messages[0].role != "user":
        raise invalid("messages", "this model has no chat template; send one message with role user")
    return [request.messages[0].content]
