"""The bodies of responses, whole and as chunks of a stream."""

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from seqline.serving.answers import Counts
from seqline.serving.completions.requests import CompletionRequest


@dataclass(frozen=True)
class Choice:
    """An output.

    Attributes:
        text: The output.
        finish_reason: stop if it ended by itself or at a stop sequence, length at the largest number of tokens.
    """

    text: str
    finish_reason: str


@dataclass(frozen=True)
class Response:
    """What the chunks of a stream, or the one body, have in common.

    Attributes:
        request: The request.
        version: The version that answers.
    """

    request: CompletionRequest
    version: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def chat(self) -> bool:
        """Whether it answers a chat."""
        return bool(self.request.messages)

    def body(self, choices: list[Choice], counts: list[Counts]) -> dict[str, Any]:
        """The whole response.

        Args:
            choices: The choices of all prompts.
            counts: The numbers of tokens of each prompt; empty if the model does not count them.
        """
        found = []
        for index, choice in enumerate(choices):
            message = {"role": "assistant", "content": choice.text, "refusal": None}
            content = {"message": message} if self.chat else {"text": choice.text}
            found.append({"index": index, **content, "logprobs": None, "finish_reason": choice.finish_reason})
        return {**self._head("chat.completion"), "choices": found, "usage": usage(counts)}

    def chunk(self, index: int, text: str | None, finish_reason: str | None = None, first: bool = False) -> bytes:
        """An event of a stream.

        Args:
            index: The choice.
            text: What is new; None for the last chunk of a choice.
            finish_reason: As of `Choice`, in the last chunk of a choice.
            first: Whether it is the choice's first chunk.
        """
        if self.chat:
            role = {"role": "assistant"} if first else {}
            content: dict[str, Any] = {"delta": {**role, **({} if text is None else {"content": text})}}
        else:
            content = {"text": text or ""}
        choice = {"index": index, **content, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice], **({"usage": None} if self.request.include_usage else {})})

    def usage_chunk(self, counts: list[Counts]) -> bytes:
        """The event with the numbers of tokens, the last one if the request asks for it."""
        return self._event({"choices": [], "usage": usage(counts)})

    def _event(self, content: dict[str, Any]) -> bytes:
        return event({**self._head("chat.completion.chunk"), **content})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}",
            "object": kind if self.chat else "text_completion",
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": f"version-{self.version}",
        }


def usage(counts: list[Counts]) -> dict[str, int] | None:
    """The numbers of tokens; None if the model does not count them.

    Args:
        counts: Of each prompt.
    """
    if not counts:
        return None
    prompt, completion = sum(each.input for each in counts), sum(sum(each.outputs) for each in counts)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def event(content: dict[str, Any] | str) -> bytes:
    """A server-sent event.

    Args:
        content: Its data.
    """
    data = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"data: {data}\n\n".encode()
