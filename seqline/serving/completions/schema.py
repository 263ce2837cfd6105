"""Bodies of completions and chats for the OpenAPI document; `seqline.serving.completions.requests` reads them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from seqline.serving.completions.requests import MOST_STOPS, Options

MODEL = "The endpoint's name for its traffic split, or NAME:VERSION or NAME:ALIAS."
STOP = "Texts at which an output ends."


class _Request(Options):
    model: str = Field(description=MODEL)
    stop: str | list[str] | None = Field(default=None, description=STOP, max_length=MOST_STOPS)


class CompletionBody(_Request):
    """The body of `/v1/completions`."""

    prompt: str | list[str] = Field(description="The model's inputs.")


class ChatMessage(BaseModel):
    """A message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]] = Field(description="A text, or parts of type text.")


class ChatBody(_Request):
    """The body of `/v1/chat/completions`."""

    messages: list[ChatMessage] = Field(description="The chat so far, the oldest message first.")


class ApiError(BaseModel):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None = Field(description="The field that it concerns.")
    code: str | None


class ErrorBody(BaseModel):
    """The body of an error response."""

    error: ApiError


class Tokens(BaseModel):
    """The numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionResponse(BaseModel):
    """The body of a response."""

    id: str
    object: Literal["text_completion", "chat.completion"]
    created: int = Field(description="Seconds since 1970.")
    model: str
    system_fingerprint: str = Field(description="The version that answered.")
    choices: list[dict[str, Any]]
    usage: Tokens | None = Field(description="Null for a model that was exported before it counted tokens.")
