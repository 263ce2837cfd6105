"""The files of a checkpoint that are read and downloaded; all others, such as weights of other frameworks, are not."""

import json
from collections.abc import Callable, Collection

from seqline.errors import UserError
from seqline.tokenizers.checkpoint_files import CONFIG, FILES

WEIGHTS, INDEX, GENERATION = "model.safetensors", "model.safetensors.index.json", "generation_config.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
"""Weights that other frameworks wrote. Reading a pickle runs the code in it."""
CONVERT = (
    'in an environment with torch and transformers, python -c "import transformers as t; '
    "t.AutoModelForSeq2SeqLM.from_pretrained('CHECKPOINT').save_pretrained('FOLDER')\" (AutoModelForCausalLM without "
    "an encoder) writes safetensors; copy the tokenizer's files to that folder"
)


def needed_files(names: Collection[str], read: Callable[[str], str], origin: str) -> list[str]:
    """Selects the files that are read.

    Args:
        names: Names of the files in the checkpoint.
        read: Returns the text of a file; called for the index of sharded weights.
        origin: The checkpoint, for messages.

    Returns:
        Their names, sorted.

    Raises:
        UserError: If the configuration, the weights or a part of them is missing, or the weights are pickled.
    """
    if CONFIG not in names:
        raise UserError(f"{origin} is not a checkpoint in Hugging Face's format: {CONFIG} is missing; check the path")
    found = {name for name in (CONFIG, GENERATION, *FILES) if name in names}
    if WEIGHTS in names:
        return sorted(found | {WEIGHTS})
    if INDEX not in names:
        raise UserError(_without_weights(names, origin))
    shards = set(read_index(read(INDEX), f"{origin}/{INDEX}").values())
    for shard in sorted(shards):
        if shard not in names:
            raise UserError(f"{origin}: the shard {shard}, which {INDEX} names, is missing; copy the whole checkpoint")
    return sorted(found | {INDEX} | shards)


def read_index(text: str, origin: str) -> dict[str, str]:
    """Reads the index of sharded weights.

    Args:
        text: The file's text.
        origin: The file, for messages.

    Returns:
        The shard of each tensor.

    Raises:
        UserError: If it is not valid.
    """
    try:
        shards = json.loads(text)["weight_map"]
        if isinstance(shards, dict) and shards and all(_is_name(shard) for shard in shards.values()):
            return shards
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{origin} has no valid weight_map from tensors to .safetensors files; copy the checkpoint again")


def _is_name(shard: object) -> bool:
    # A name with a folder could lead out of the checkpoint.
    return isinstance(shard, str) and shard.endswith(".safetensors") and not set(shard) & {"/", "\\", "\0"}


def _without_weights(names: Collection[str], origin: str) -> str:
    others = sorted(name for name in names if name.endswith(PICKLED))
    if not others:
        return f"{origin} has no weights: neither {WEIGHTS} nor {INDEX} is there; check the path"
    return (
        f"{origin} has weights as {others[0]} only, a format that can run code when it is read, so Seqline does not "
        f"read it; use a revision with {WEIGHTS}, or convert it: {CONVERT}"
    )
