"""The images of the stages."""

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from seqline.configuration.base import NUMBER, Model
from seqline.errors import UserError

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"), NUMBER]
Repository = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._:/-]+[a-z0-9]+)*$")]
# The form of an image in the stages' contracts.
WRITTEN = re.compile(r"^seqline/(?P<name>[a-z-]+):(?P<tag>[\w.-]+)$")


class Images(Model):
    """Repository and version of the stages' images."""

    repository: Repository = "seqline"
    """Prefix of an image's name, such as europe-docker.pkg.dev/my-project/seqline."""
    tag: Tag = ""
    """Tag of the images; the version of Seqline by default."""
    digests: dict[str, Digest] = Field(default_factory=dict)
    """Digest by image, used instead of the tag. A digest is part of the cache key, so the cache is never stale."""

    @property
    def registry(self) -> str:
        """The registry's host; empty for images on this machine."""
        host = self.repository.partition("/")[0]
        return host if "." in host or ":" in host else ""

    def reference(self, image: str) -> str:
        """Returns an image's address.

        Args:
            image: The image in a stage's contract, such as `seqline/tokenize:0.1.0`; others are returned unchanged.
        """
        written = WRITTEN.match(image)
        if not written:
            return image
        name = written["name"]
        if name in self.digests:
            return f"{self.repository}/{name}@{self.digests[name]}"
        return f"{self.repository}/{name}:{self.tag or written['tag']}"

    def name(self, reference: str) -> str:
        """Returns the name of one of Seqline's images, such as `tokenize`.

        Args:
            reference: The address from `reference`.

        Raises:
            UserError: If it is not an image of the repository.
        """
        rest = reference.removeprefix(f"{self.repository}/")
        if rest == reference:
            raise UserError(f"{reference} is not an image of {self.repository}")
        return re.split("[:@]", rest)[0]
