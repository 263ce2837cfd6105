"""Fitting a checkpoint's configuration to the tokenizer's file of a corpus."""

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.modeling.config import TransformerConfig


def fitted(config: TransformerConfig, tokenizer: TextTokenizer) -> TransformerConfig:
    """Returns the configuration of the model behind a tokenizer.

    Args:
        config: The checkpoint's configuration.
        tokenizer: The corpus's tokenizer.
    """
    suppressed = {*config.suppressed_ids, *range(tokenizer.vocabulary_size, config.vocabulary_size)}
    # The prompt's head has the beginning token, which must not be there twice.
    return config.with_values(
        prompt_bos=config.prompt_bos and tokenizer.own, suppressed_ids=tuple(sorted(suppressed - {config.eos_id}))
    )
