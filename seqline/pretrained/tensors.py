"""The tensors of a checkpoint's safetensors files, read one at a time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqline.errors import UserError
from seqline.pretrained.needed import INDEX, WEIGHTS, read_index
from seqline.pretrained.recipes import Recipes

KINDS = ("F32", "F16", "BF16", "F64")
"""Types of weights that are read; others are those of quantized checkpoints."""
COPY_AGAIN = "copy the checkpoint again"


@dataclass(frozen=True)
class Tensor:
    """A tensor as its file's header describes it.

    Attributes:
        file: The file.
        shape: Its shape.
        kind: Its type, as safetensors names it.
    """

    file: Path
    shape: tuple[int, ...]
    kind: str


class Tensors:
    """All tensors of a checkpoint; only the headers are read at once.

    Args:
        folder: The checkpoint's folder.

    Raises:
        UserError: If a file is missing or not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Tensor] = {}
        self.opened: dict[Path, Any] = {}
        if (folder / WEIGHTS).exists():
            self.found = _header(folder / WEIGHTS)
            return
        index = folder / INDEX
        try:
            shards = read_index(index.read_text(encoding="utf-8"), str(index))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{index} cannot be read ({error}); {COPY_AGAIN}") from error
        headers = {shard: _header(folder / shard) for shard in sorted(set(shards.values()))}
        for name, shard in shards.items():
            if name not in headers[shard]:
                raise UserError(f"{folder / shard} has no tensor {name}, which {INDEX} says it has; {COPY_AGAIN}")
            self.found[name] = headers[shard][name]

    def check(self, recipes: Recipes) -> None:
        """Checks names, shapes and types of all tensors, without reading them.

        Args:
            recipes: The tensors that the model is made of.

        Raises:
            UserError: If one is missing, has another shape or a type of quantized weights, or is not used.
        """
        used = set(recipes.copies)
        for part in (part for parts in recipes.parts.values() for part in parts):
            used.add(part.name)
            tensor = self.found.get(part.name)
            if tensor is None:
                raise UserError(f"{self.folder} has no tensor {part.name}, which its config.json needs; {COPY_AGAIN}")
            if tensor.shape != part.shape:
                raise UserError(
                    f"{tensor.file}: the tensor {part.name} is {list(tensor.shape)}, but by config.json "
                    f"{list(part.shape)}; {COPY_AGAIN}"
                )
            if tensor.kind not in KINDS:
                raise UserError(
                    f"{tensor.file}: the tensor {part.name} has type {tensor.kind}, as in a quantized checkpoint; use "
                    f"the original one, with {', '.join(KINDS)}"
                )
        if others := sorted(set(self.found) - used):
            more = f" and {len(others) - 1} others" if len(others) > 1 else ""
            raise UserError(
                f"{self.found[others[0]].file}: the model does not use the tensor {others[0]}{more}; use the original "
                "checkpoint, without adapters or added layers"
            )

    def read(self, name: str) -> np.ndarray:
        """Reads a tensor.

        Args:
            name: Its name.

        Returns:
            float32.

        Raises:
            UserError: If a value is not finite.
        """
        import safetensors

        tensor = self.found[name]
        if tensor.file not in self.opened:
            self.opened[tensor.file] = safetensors.safe_open(tensor.file, "np")
        values: np.ndarray = np.asarray(self.opened[tensor.file].get_tensor(name))
        # float16 and bfloat16 fit in float32; float64 may not.
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        # A sum is not finite if a value is not: no array of as many booleans.
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            raise UserError(f"{tensor.file}: the tensor {name} has values that are not finite; use another checkpoint")
        return values

    def check_copies(self, recipes: Recipes) -> None:
        """Checks that tensors which repeat others do so: a checkpoint may say that they are tied when they are not.

        Args:
            recipes: The tensors that the model is made of.

        Raises:
            UserError: If one differs.
        """
        for copy, original in recipes.copies.items():
            if copy not in self.found or not original:
                continue
            if not np.array_equal(self.read(copy), self.read(original)):
                raise UserError(
                    f"{self.found[copy].file}: the tensor {copy} differs from {original}, but config.json ties them; "
                    "set tie_word_embeddings to false in a copy of the checkpoint, if the original model does not tie "
                    "them"
                )


def _header(file: Path) -> dict[str, Tensor]:
    """Reads a file's header: its length in eight bytes, then JSON (github.com/huggingface/safetensors, README.md)."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(length) if length < size else b""
        header = json.loads(text)
        header.pop("__metadata__", None)
        found, ends = {}, {}
        for name, one in header.items():
            found[name] = Tensor(file, tuple(one["shape"]), one["dtype"])
            ends[name] = 8 + length + one["data_offsets"][1]
    except FileNotFoundError:
        raise UserError(f"{file} is missing; {COPY_AGAIN}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise UserError(f"{file} is not a safetensors file, or is truncated; {COPY_AGAIN}") from None
    if cut := [name for name, end in ends.items() if end > size]:
        first = min(cut, key=lambda name: ends[name])
        raise UserError(
            f"{file} is truncated: it has {size:,} bytes of {max(ends.values()):,}, and ends within or before the "
            f"tensor {first}; {COPY_AGAIN}"
        )
    return found
