"""The fields of a config.json, each read by name; one that nobody reads is refused."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from seqline.errors import UserError

HARMLESS = {
    # What wrote it, and for which classes.
    "architectures", "model_type", "tokenizer_class", "torch_dtype", "dtype", "auto_map", "finetuning_task",
    "task_specific_params", "prefix", "id2label", "label2id", "num_labels", "problem_type", "tokenizer_model",
    # What a call of the model returns, and how it computes.
    "return_dict", "output_hidden_states", "output_attentions", "output_past", "output_scores", "use_cache",
    "return_dict_in_generate", "torchscript", "use_bfloat16", "chunk_size_feed_forward", "gradient_checkpointing",
    "attn_implementation", "tf_legacy_loss", "pretraining_tp",
    # How weights are drawn, and what training drops.
    "initializer_range", "initializer_factor", "init_std", "dropout", "dropout_rate", "attention_dropout",
    "activation_dropout", "classifier_dropout", "classif_dropout", "encoder_layerdrop", "decoder_layerdrop",
    "z_loss", "router_aux_loss_coef",
    # How outputs are searched: an export's own decoding options decide.
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
    "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "num_return_sequences", "remove_invalid_values", "forced_eos_token_id",
    "exponential_decay_length_penalty", "max_new_tokens",
}  # fmt: skip
"""Fields without influence on logits: those of every configuration of transformers 4.57 (configuration_utils.py)."""
HARMLESS_BEGINNINGS = ("_", "transformers_version", "transformers.js", "unsloth")
UNSET: Any = object()


class Fields:
    """A config.json.

    Args:
        text: The file's text.
        origin: The file, for messages.

    Attributes:
        model_type: The field of that name.

    Raises:
        UserError: If it is not a JSON object with a `model_type`.
    """

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        try:
            self.values = json.loads(text)
        except ValueError as error:
            raise UserError(f"{origin} is not JSON ({error}); copy the checkpoint again") from None
        if not isinstance(self.values, dict) or not isinstance(self.values.get("model_type"), str):
            raise UserError(f"{origin} has no model_type; give a checkpoint in Hugging Face's format")
        self.model_type: str = self.values["model_type"]
        self.known: set[str] = set(HARMLESS)

    def integer(self, name: str, default: Any = UNSET) -> Any:
        """Reads a positive integer.

        Args:
            name: The field.
            default: Its value where it is missing or null.
        """
        return self._read(name, default, lambda value: type(value) is int and value > 0, "a positive integer")

    def token(self, name: str, default: Any = UNSET) -> Any:
        """Reads a token's id.

        Args:
            name: The field.
            default: Its value where it is missing or null.
        """
        return self._read(name, default, lambda value: type(value) is int and value >= 0, "a token's id")

    def number(self, name: str, default: Any = UNSET) -> float:
        """Reads a positive number.

        Args:
            name: The field.
            default: Its value where it is missing or null.
        """
        return float(
            self._read(name, default, lambda value: type(value) in (int, float) and value > 0, "a positive number")
        )

    def flag(self, name: str, default: bool) -> bool:
        """Reads true or false.

        Args:
            name: The field.
            default: Its value where it is missing or null.
        """
        return bool(self._read(name, default, lambda value: isinstance(value, bool), "true or false"))

    def choice(self, name: str, choices: Sequence[Any], default: Any = UNSET) -> Any:
        """Reads a value of which some are supported.

        Args:
            name: The field.
            choices: The supported values.
            default: Its value where it is missing or null.
        """
        value = self.get(name)
        value = default if value is None else value
        if value is UNSET:
            raise self.missing(name)
        # True equals 1 in Python, but not in JSON.
        if not any(type(value) is type(one) and value == one for one in choices):
            raise self.unsupported(name, value, " or ".join(json.dumps(one) for one in choices))
        return value

    def get(self, name: str) -> Any:
        """Reads a field of any form; None where it is missing.

        Args:
            name: The field.
        """
        self.known.add(name)
        return self.values.get(name)

    def finish(self) -> None:
        """Checks that all fields were read.

        Raises:
            UserError: If one is unknown and not off: it may change the model's outputs.
        """
        for name, value in self.values.items():
            if name not in self.known and not name.startswith(HARMLESS_BEGINNINGS) and value not in OFF:
                raise UserError(
                    f"{self.origin}: {name} {_short(value)} is an option that Seqline does not know for "
                    f"{self.model_type}; if it has no influence on the outputs, delete it in a copy of the checkpoint"
                )

    def unsupported(self, name: str, value: Any, supported: str) -> UserError:
        """Makes the error of a value that is not supported.

        Args:
            name: The field.
            value: Its value.
            supported: What is supported.
        """
        return UserError(
            f"{self.origin}: {name} {_short(value)} is not supported for {self.model_type}; supported is {supported}"
        )

    def missing(self, name: str) -> UserError:
        """Makes the error of a missing field.

        Args:
            name: The field.
        """
        return UserError(f"{self.origin} has no {name}, which {self.model_type} models need; copy the checkpoint again")

    def _read(self, name: str, default: Any, valid: Callable[[Any], bool], what: str) -> Any:
        value = self.get(name)
        if value is None:
            if default is UNSET:
                raise self.missing(name)
            return default
        if not valid(value):
            raise UserError(f"{self.origin}: {name} is {_short(value)}, but must be {what}; copy the checkpoint again")
        return value


OFF: tuple[Any, ...] = (None, False, "", [], {})


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
