"""What a tokenizer decides about a checkpoint's model: the token that ends an output, and ids that have no text."""

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig


def fitted(config: TransformerConfig, tokenizer: TextTokenizer, origin: str) -> TransformerConfig:
    """Returns the configuration of the model behind a tokenizer.

    A chat model names the end of a text and the end of a turn; its tokenizer has the end of a turn. Training learns the
    tokenizer's, and an output ends with any of them.

    Args:
        config: The checkpoint's configuration.
        tokenizer: The corpus's tokenizer.
        origin: The checkpoint, for messages.

    Raises:
        UserError: If the tokenizer has more tokens than the model.
    """
    if tokenizer.vocabulary_size > config.vocabulary_size:
        raise UserError(
            f"{origin}: the tokenizer has {tokenizer.vocabulary_size} tokens, but the model only "
            f"{config.vocabulary_size}; copy both from the same checkpoint"
        )
    ends = {config.eos_id, *config.other_eos_ids}
    end = tokenizer.end if tokenizer.end in ends else config.eos_id
    # A vocabulary is padded to a multiple; its last tokens have no text.
    unnamed = range(tokenizer.vocabulary_size, config.vocabulary_size)
    return config.with_values(
        eos_id=end,
        other_eos_ids=tuple(sorted(ends - {end})),
        suppressed_ids=tuple(sorted({*config.suppressed_ids, *unnamed} - ends)),
    )
