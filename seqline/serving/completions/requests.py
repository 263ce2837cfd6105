"""Reads the bodies of completion and chat requests.

A field that would change the answer and is not supported is refused by name; one that cannot change it is ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seqline.serving.answers import Parameters
from seqline.serving.contract import Whole
from seqline.serving.json_reader import LONGEST_NAME, JsonReader, invalid
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

MOST_STOPS, LONGEST_STOP = 16, 256
ROLES = ("system", "developer", "user", "assistant")
LARGEST_SEED = 2**31

# Values with which a field that is not supported has no effect.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "web_search_options": (),
}
IGNORED = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    "verbosity",
)


class Options(BaseModel):
    """The fields of a request that are numbers or booleans. A field that is null is absent."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    max_tokens: Whole | None = Field(default=None, ge=1, description="Largest number of output tokens.")
    max_completion_tokens: Whole | None = Field(default=None, ge=1, description="The same; the newer name.")
    temperature: float | None = Field(
        default=None, ge=0, le=10, description="Of sampling; 0, or none of the sampling fields: the model's own search."
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="Of sampling; 1 for all tokens.")
    n: Whole | None = Field(default=None, ge=1, description="Choices of each prompt.")
    seed: Whole | None = Field(default=None, description="Of sampling: same prompt and seed, same output.")
    stream: bool | None = Field(default=None, description="Stream the choices as server-sent events.")
    top_k: Whole | None = Field(default=None, ge=0, le=2**31 - 1, description="Of sampling; 0 for all. Not OpenAI's.")
    min_tokens: Whole | None = Field(default=None, ge=0, description="Smallest number of tokens. Not OpenAI's.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=10, description="1 for none. Not OpenAI's.")
    no_repeat_ngram_size: Whole | None = Field(
        default=None, ge=0, le=64, description="n-grams of this size never repeat; 0 to disable. Not OpenAI's."
    )


@dataclass(frozen=True)
class Message:
    """A message of a chat.

    Attributes:
        role: One of `ROLES`.
        content: Its text.
    """

    role: str
    content: str


@dataclass(frozen=True)
class CompletionRequest:
    """A request for completions or for a chat's next message.

    Attributes:
        model: The model's id; see `seqline.serving.completions.models`.
        options: Its options.
        stop: Texts at which an output ends; they are not part of it.
        include_usage: Whether a stream ends with the numbers of tokens.
        prompts: The prompts; empty in a chat.
        messages: The chat so far; empty otherwise.
    """

    model: str
    options: Options
    stop: tuple[str, ...] = ()
    include_usage: bool = False
    prompts: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def choices(self) -> int:
        """Choices of each prompt."""
        return self.options.n or 1

    @property
    def sampling(self) -> bool:
        """Whether tokens are sampled: with a temperature above 0, or with another option of sampling and none."""
        options = self.options
        if options.temperature is not None:
            return options.temperature > 0
        return options.top_p not in (None, 1.0) or bool(options.top_k)

    def parameters(self, longest: int) -> Parameters:
        """The decoding parameters.

        Args:
            longest: The model's largest number of output tokens.

        Raises:
            RequestError: If more tokens are requested; the message names the field.
        """
        options = self.options
        name = "max_tokens" if options.max_completion_tokens is None else "max_completion_tokens"
        tokens = getattr(options, name) or longest
        if tokens > longest:
            raise invalid(name, f"{tokens} is above the model's limit of {longest}")
        if (options.min_tokens or 0) > tokens:
            raise invalid("min_tokens", f"is above {name}" if getattr(options, name) else f"is above {longest}")
        found: dict[str, Any] = {
            "max_output_length": tokens,
            "min_output_length": options.min_tokens,
            "repetition_penalty": options.repetition_penalty,
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
        }
        if self.choices > 1:
            found["n_best"] = self.choices
        if self.sampling:
            seed = None if options.seed is None else options.seed % LARGEST_SEED
            found |= {"sampling": True, "top_p": options.top_p, "top_k": options.top_k, "seed": seed}
            # Below this, sampling is greedy; see `seqline.serving.contract.DecodingParameters`.
            found["temperature"] = None if options.temperature is None else max(options.temperature, 0.01)
        return tuple(sorted((name, value) for name, value in found.items() if value is not None))


def parse_completion(content: bytes | bytearray, limits: Limits) -> CompletionRequest:
    """Reads the body of `/v1/completions`.

    Args:
        content: JSON.
        limits: The server's limits.

    Raises:
        RequestError: If it is not JSON, has another structure or exceeds a limit; the message names the field.
    """
    return _Parser(content, limits, "prompt").request()


def parse_chat(content: bytes | bytearray, limits: Limits) -> CompletionRequest:
    """Reads the body of `/v1/chat/completions`; see `parse_completion`."""
    return _Parser(content, limits, "messages").request()


class _Parser(JsonReader):
    def __init__(self, content: bytes | bytearray, limits: Limits, inputs: str) -> None:
        super().__init__(content, limits)
        self._inputs = inputs

    def request(self) -> CompletionRequest:
        structured = ("model", self._inputs, "stop", "stream_options")
        found = self._fields((*structured, *Options.model_fields, *HARMLESS, *IGNORED))
        for name in ("model", self._inputs):
            if not found.get(name):
                raise invalid(name, "is empty" if name in found else "Field required")
        try:
            options = Options.model_validate({name: found[name] for name in Options.model_fields if name in found})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise invalid(str(first["loc"][0]), first["msg"]) from None
        inputs = {"prompts" if self._inputs == "prompt" else "messages": tuple(found[self._inputs])}
        return CompletionRequest(
            found["model"], options, tuple(found.get("stop", ())), found.get("stream_options", False), **inputs
        )

    def __getattr__(self, name: str) -> Callable[[], Any]:
        """The reader of a field without a method of its own."""
        field = name.removeprefix("_")
        if field in Options.model_fields:
            return lambda: self._scalar(field)
        if field in HARMLESS:
            return lambda: self._unsupported(field)
        if field in IGNORED:
            return lambda: self._any(field)
        raise AttributeError(name)

    def _model(self) -> str:
        return self._string("model", 2 * LONGEST_NAME)

    def _prompt(self) -> list[str]:
        if self._next() != b"[":
            return [self._prompt_text("prompt", 0)]
        return self._array("prompt", self._prompt_text)

    def _prompt_text(self, path: str, index: int) -> str:
        if self._next() in (b"[", *(b"%d" % digit for digit in range(10))):
            raise invalid(path, "ids of tokens are not supported; send text")
        return self._checked(self._string(path, self._longest), index)

    def _messages(self) -> list[Message]:
        return self._array("messages", self._message)

    def _message(self, path: str, index: int) -> Message:
        fields: dict[str, str] = {}
        for name in self._object(path, ("role", "content", "name", "refusal", "tool_calls", "tool_call_id")):
            if name == "role":
                fields[name] = self._string(f"{path}.role", LONGEST_NAME)
            elif name == "content":
                fields[name] = self._content_of(f"{path}.content", index)
            elif self._any(f"{path}.{name}") and name.startswith("tool"):
                raise invalid(f"{path}.{name}", "tools are not supported")
        for name in ("role", "content"):
            if name not in fields:
                raise invalid(f"{path}.{name}", "Field required")
        if fields["role"] not in ROLES:
            raise invalid(f"{path}.role", f"Input should be one of {', '.join(ROLES)}")
        return Message(fields["role"], fields["content"])

    def _content_of(self, path: str, index: int) -> str:
        if self._next() != b"[":
            return self._checked(self._string(path, self._longest), index)
        text = "".join(self._array(path, lambda part, number: self._part(part, index)))
        self._limits.check_length(index, len(text))
        return text

    def _part(self, path: str, index: int) -> str:
        text = None
        for name in self._object(path, ("type", "text", "image_url", "input_audio", "file", "refusal")):
            if name == "type":
                kind = self._string(f"{path}.type", LONGEST_NAME)
                if kind != "text":
                    raise invalid(f"{path}.type", f"{kind!r} is not supported; this model takes text")
            elif name == "text":
                text = self._checked(self._string(f"{path}.text", self._longest), index)
            else:
                raise invalid(f"{path}.{name}", "is not supported; this model takes text")
        if text is None:
            raise invalid(f"{path}.text", "Field required")
        return text

    def _stop(self) -> list[str]:
        def one(path: str, index: int) -> str:
            if index >= MOST_STOPS:
                raise invalid("stop", f"has more than {MOST_STOPS} texts")
            text = self._string(path, LONGEST_STOP * 12)
            if not 0 < len(text) <= LONGEST_STOP:
                raise invalid(path, f"has {len(text)} characters, not 1 to {LONGEST_STOP}")
            return text

        return self._array("stop", one) if self._next() == b"[" else [one("stop", 0)]

    def _stream_options(self) -> bool:
        options = self._any("stream_options")
        if not isinstance(options, dict) or options.keys() - {"include_usage", "include_obfuscation"}:
            raise invalid("stream_options", "Input should be an object with include_usage")
        return bool(options.get("include_usage"))

    def _unsupported(self, name: str) -> None:
        try:
            value = self._any(name)
        except RequestError as error:
            if error.cause is not Cause.TOO_LARGE:
                raise
            value = None
        harmless = HARMLESS[name]
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in harmless):
            raise invalid(name, "is not supported; omit it" + (f" or send {harmless[0]!r}" if harmless else ""))
