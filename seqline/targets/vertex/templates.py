"""Uploaded pipelines: in an Artifact Registry repository of format KFP, or in the bucket where there is none.

A reference names one version permanently, by the SHA-256 of its bytes:

    https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/PIPELINE/sha256:...
    gs://BUCKET/.../templates/PIPELINE/sha256-....yaml

A tag is resolved before a run or a schedule is created: Vertex accepts tags, but fails on them later. In a bucket, a
tag is a small file next to the versions with the reference.
"""

import functools
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqline.configuration.parameters import read_parameters
from seqline.errors import UserError
from seqline.targets.target import Template
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.console import bucket_page, template_page


def digest(text: str) -> str:
    """A digest of a compiled pipeline, short enough for a label.

    Args:
        text: Its YAML.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Templates:
    """Uploads, resolves and fetches compiled pipelines."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings

    @property
    def host(self) -> str:
        """Address of the repository; empty if templates are in the bucket."""
        repository = self.settings.repository
        if not repository or repository.startswith("http"):
            return repository.rstrip("/")
        return f"https://{self.settings.location}-kfp.pkg.dev/{self.settings.project}/{repository}"

    @property
    def folder(self) -> str:
        """Folder of templates in the bucket."""
        return f"{self.settings.pipeline_root.rstrip('/')}/templates"

    def upload(self, spec: Path, tags: Sequence[str]) -> Template:
        """Uploads a compiled pipeline and points tags at it.

        Args:
            spec: The YAML file.
            tags: Names; existing ones are moved.

        Raises:
            UserError: If the file is not a compiled pipeline, or a tag looks like a version.
        """
        pipeline = read_parameters(spec).pipeline
        for tag in tags:
            if not tag.replace("-", "").replace("_", "").replace(".", "").isalnum() or tag.startswith("sha256"):
                raise UserError(f"--tag {tag!r}: a tag has letters, digits, dots, dashes and underscores, such as v1")
        return self._register(spec, pipeline, tags) if self.host else self._store(spec, pipeline, tags)

    def reference(self, spec: Path) -> str:
        """Returns the reference that a compiled pipeline has once it is uploaded.

        Args:
            spec: The YAML file.
        """
        pipeline, version = read_parameters(spec).pipeline, hashlib.sha256(spec.read_bytes()).hexdigest()
        if self.host:
            return f"{self.host}/{pipeline}/sha256:{version}"
        return f"{self.folder}/{pipeline}/sha256-{version}.yaml"

    def resolve(self, reference: str) -> str:
        """Turns a reference with a tag into that of its current version.

        Args:
            reference: An address of the repository or the bucket.
        """
        if reference.startswith("gs://"):
            return reference if reference.endswith(".yaml") else self._read(reference).strip()
        host, pipeline, version = self._parts(reference)
        if version.startswith("sha256:"):
            return reference
        found = self.connection.read(f"look up {reference}", lambda: self._client(host).get_tag(pipeline, version))
        return f"{host}/{pipeline}/{found['version'].rpartition('/')[2]}"

    def fetch(self, reference: str) -> str:
        """The text of an uploaded version.

        Args:
            reference: From `resolve`.
        """
        if reference.startswith("gs://"):
            return self._read(reference)
        host, pipeline, version = self._parts(reference)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            client = self._client(host)
            self.connection.read(
                f"fetch {reference}",
                lambda: client.download_pipeline(pipeline, version=version, file_name=str(path)),
            )
            return path.read_text(encoding="utf-8")

    def _register(self, spec: Path, pipeline: str, tags: Sequence[str]) -> Template:
        # The same bytes are the same version, so a retry after a lost response creates no second one.
        client = self._client(self.host)
        package, version = self.connection.read(
            f"upload {spec} to {self.host}", lambda: client.upload_pipeline(str(spec))
        )
        for tag in tags:
            point = functools.partial(_point, client, package, version, tag)
            self.connection.read(f"tag {package} as {tag}", point)
        reference = f"{self.host}/{package}/{version}"
        repository = self.host.rpartition("/")[2]
        page = template_page(self.settings.location, self.settings.project, repository, package, version)
        return Template(reference, pipeline, version, tuple(tags), page)

    def _store(self, spec: Path, pipeline: str, tags: Sequence[str]) -> Template:
        version = hashlib.sha256(spec.read_bytes()).hexdigest()
        address = self.reference(spec)
        self._write(address, spec.read_text(encoding="utf-8"))
        for tag in tags:
            self._write(f"{self.folder}/{pipeline}/{tag}", address + "\n")
        return Template(
            address, pipeline, f"sha256:{version}", tuple(tags), bucket_page(address, self.settings.project)
        )

    def _parts(self, reference: str) -> tuple[str, str, str]:
        parts = reference.rsplit("/", 2)
        if len(parts) != 3 or not reference.startswith(("https://", "http://")):
            raise UserError(
                f"{reference} is not an uploaded pipeline, which has the form "
                "https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/PIPELINE/VERSION"
            )
        return parts[0], parts[1], parts[2]

    def _client(self, host: str) -> Any:
        from kfp.registry import ApiAuth, RegistryClient

        auth = ApiAuth("anonymous") if host.startswith("http://") else self.connection.credentials
        return _Translated(RegistryClient(host=host, auth=auth))

    def _read(self, address: str) -> str:
        from seqline.inputs.storage import fsspec

        try:
            with fsspec.open(address, "r", encoding="utf-8") as file:
                return str(file.read())
        except FileNotFoundError:
            raise UserError(f"there is no {address}; `seqline upload` prints the address of what it wrote") from None

    def _write(self, address: str, text: str) -> None:
        from seqline.inputs.storage import fsspec

        try:
            with fsspec.open(address, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UserError(f"cannot write {address}: {error}") from None


class _Translated:
    """kfp's registry client with the errors of Google's other libraries."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            import requests
            from google.api_core.exceptions import from_http_response

            try:
                return getattr(self.client, name)(*arguments, **named)
            except requests.HTTPError as error:
                raise from_http_response(error.response) from None

        return call


def _point(client: Any, package: str, version: str, tag: str) -> None:
    """Makes a tag point at a version."""
    from google.api_core.exceptions import Conflict, NotFound

    try:
        if client.get_tag(package, tag)["version"].rpartition("/")[2] != version:
            client.update_tag(package, version, tag)
    except NotFound:
        try:
            client.create_tag(package, version, tag)
        except Conflict:
            client.update_tag(package, version, tag)
