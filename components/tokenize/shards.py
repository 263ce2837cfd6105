"""Writing pairs as arrays of token ids that training reads at any position."""

from contextlib import ExitStack
from typing import Any

import google_crc32c
import numpy as np

from seqline.artifacts.corpus import Shard
from seqline.components.tokenize.encoded import Encoded
from seqline.inputs.storage import fsspec


class ShardWriter:
    """Writes the two files of a shard; `seqline.artifacts.corpus` has their layout.

    Args:
        folder: Folder of the files.
        name: The shard's name, such as train-00000-of-00004.
        id_type: uint16 or uint32.
        stack: Closes the files.
    """

    def __init__(self, folder: str, name: str, id_type: str, stack: ExitStack) -> None:
        self.folder, self.name, self.stack = folder, name, stack
        self.id_type = np.dtype(id_type).newbyteorder("<")
        self._files: list[Any] = []
        self._checksums = [0, 0]
        self._pairs = self._source = self._target = self._longest = 0

    def write(self, encoded: Encoded) -> None:
        """Writes pairs.

        Args:
            encoded: The pairs.

        Raises:
            RuntimeError: If the type is too small for an id.
        """
        if not len(encoded.source):
            return
        source, target = encoded.source, encoded.target
        if max(source.ids.max(initial=0), target.ids.max(initial=0)) > np.iinfo(self.id_type).max:
            raise RuntimeError(f"{self.name}: a token's id is outside the vocabulary")
        pairs = np.arange(2 * len(source)).reshape(2, -1).T.ravel()
        sides = source.followed_by(target).take(pairs)
        if not self._files:
            paths = (f"{self.folder}/{self.name}.{suffix}" for suffix in ("ids", "lengths"))
            self._files = [self.stack.enter_context(fsspec.open(path, "wb")) for path in paths]
        for number, array in enumerate((sides.ids.astype(self.id_type), sides.lengths.astype("<u4"))):
            content = array.tobytes()
            self._files[number].write(content)
            self._checksums[number] = google_crc32c.extend(self._checksums[number], content)
        self._pairs += len(source)
        self._source += int(source.lengths.sum())
        self._target += int(target.lengths.sum())
        self._longest = max(self._longest, int(encoded.longest.max()))

    def written(self) -> list[Shard]:
        """Returns the manifest's entry; none without pairs."""
        if not self._pairs:
            return []
        checksums = (f"{checksum:08x}" for checksum in self._checksums)
        return [Shard(f"{self.name}.ids", self._pairs, self._source, self._target, self._longest, *checksums)]
