"""Checkpoints on the Hugging Face Hub: hf://ORG/NAME@REVISION."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.errors import UserError

SCHEME = "hf://"
FORM = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[^@\s]+))?")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        name: Its path in the repository.
        size: Bytes.
        checksum: "sha256:" and the digest of its content, or "git:" and the blob's id for a small file.
    """

    name: str
    size: int
    checksum: str


class Hub:
    """A model repository at a revision.

    HF_ENDPOINT and HF_TOKEN are honoured, and files are stored in the Hub's own cache (HF_HOME).

    Args:
        address: hf://ORG/NAME@REVISION; without a revision, the latest commit of the main branch.

    Raises:
        UserError: If the address has another form.
    """

    def __init__(self, address: str) -> None:
        match = FORM.fullmatch(address)
        if match is None:
            raise UserError(
                f"{address} is not the address of a model on the Hub: write hf://ORG/NAME@REVISION, such as "
                "hf://Helsinki-NLP/opus-mt-en-de@main; a revision is a branch, a tag, a commit or refs/pr/N"
            )
        self.address, self.name, self.revision = address, match["name"], match["revision"] or "main"
        # The library reads its variables once, when it is imported.
        self.endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
        self.token = os.environ.get("HF_TOKEN") or None

    def files(self) -> tuple[str, dict[str, HubFile]]:
        """Lists the files.

        Returns:
            The address with the commit as its revision, and the files by name.

        Raises:
            UserError: If there is no such repository or revision, it needs a token, or the Hub cannot be reached.
        """
        with self._explained():
            info = self._api().model_info(self.name, revision=self.revision, files_metadata=True)
        files = {
            one.rfilename: HubFile(
                one.rfilename, one.size or 0, f"sha256:{one.lfs.sha256}" if one.lfs else f"git:{one.blob_id}"
            )
            for one in info.siblings or ()
        }
        return f"{SCHEME}{self.name}@{info.sha}", files

    def download(self, names: Iterable[str]) -> Path:
        """Downloads files, unless they are in the cache.

        Args:
            names: The files.

        Returns:
            The folder that they are in.

        Raises:
            UserError: As `files` does; or if the disk is full.
        """
        folder = Path()
        with self._explained():
            for name in names:
                file = self._api().hf_hub_download(self.name, name, revision=self.revision, token=self.token)
                folder = Path(file).parent
        return folder

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from huggingface_hub import errors

        try:
            yield
        except errors.GatedRepoError as error:
            raise UserError(
                f"{self.address}: accept the model's license on its page on the Hub, and set HF_TOKEN to a token of "
                "that account with read access"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise UserError(
                f"{self.address}: {self.name} has no revision {self.revision}; check the revision"
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise UserError(
                f"{self.address}: the Hub has no model {self.name}, or it is private: check the name, and for a "
                "private model set HF_TOKEN to a token with read access"
            ) from error
        except errors.HFValidationError as error:
            raise UserError(f"{self.address}: {error}") from error
        except (OSError, errors.HTTPError) as error:
            raise UserError(
                f"{self.address} cannot be read from {self.endpoint or 'the Hub'}: {_first_line(error)}"
            ) from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
