"""The model's input for a prompt or a chat."""

from typing import Any

from seqline.artifacts.text_tokenizer import ChatTemplate
from seqline.errors import UserError
from seqline.serving.answers import Parameters
from seqline.serving.completions.requests import CompletionRequest
from seqline.serving.decoding import RENDERED
from seqline.serving.json_reader import invalid
from seqline.tokenizers.chats import marked


def inputs(request: CompletionRequest, description: dict[str, Any]) -> tuple[list[str], Parameters]:
    """Returns the model's inputs, one for each prompt, and the parameters that say what they are.

    Args:
        request: The request.
        description: The content of the version's model.json.

    Raises:
        RequestError: If the model does not take such a chat.
    """
    if not request.messages:
        return list(request.prompts), ()
    if description.get("chat"):
        messages = [(message.role, message.content) for message in request.messages]
        try:
            return [marked(ChatTemplate(**description["chat"]), messages)], ((RENDERED, True),)
        except UserError as error:
            raise invalid("messages", str(error)) from None
    if len(request.messages) > 1 or request.messages[0].role != "user":
        raise invalid("messages", "this model has no chat template; send one message with role user")
    return [request.messages[0].content], ()
