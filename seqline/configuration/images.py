"""The images of the stages."""

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from seqline.configuration.base import Model
from seqline.errors import UserError

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._:/-]+[a-z0-9]+)*$")]
# What the stages' contracts say.
WRITTEN = re.compile(r"^seqline/(?P<name>[a-z-]+):(?P<tag>[\w.-]+)$")


class Images(Model):
    """Where the images of the stages are, and which version of each."""

    repository: Repository = "seqline"
    """What comes before an image's name, such as europe-docker.pkg.dev/my-project/seqline."""
    tag: Tag = ""
    """Their tag; that of this version of Seqline by default."""
    digests: dict[str, Digest] = Field(default_factory=dict)
    """By image, what it is pinned to, in the place of the tag: a pin is part of the cache key, and never stale."""

    @property
    def registry(self) -> str:
        """The host from which a cluster pulls them; empty for images of this machine."""
        host = self.repository.partition("/")[0]
        return host if "." in host or ":" in host else ""

    def reference(self, image: str) -> str:
        """Returns where an image is.

        Args:
            image: The image as a stage's contract names it, `seqline/tokenize:0.1.0`; another is returned as it is.
        """
        written = WRITTEN.match(image)
        if not written:
            return image
        name = written["name"]
        if name in self.digests:
            return f"{self.repository}/{name}@{self.digests[name]}"
        return f"{self.repository}/{name}:{self.tag or written['tag']}"

    def name(self, reference: str) -> str:
        """Returns the name of one of Seqline's images, `tokenize` for one.

        Args:
            reference: As `reference` returns it.

        Raises:
            UserError: If it is another image.
        """
        rest = reference.removeprefix(f"{self.repository}/")
        if rest == reference:
            raise UserError(f"{reference} is not an image of {self.repository}")
        return re.split("[:@]", rest)[0]
