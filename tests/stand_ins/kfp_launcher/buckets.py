"""A pipeline root and the artifacts below it: backend/src/v2/objectstore/{config,object_store}.go at 2.17.0."""

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stand_ins.kfp_launcher.stores import Store

# bucketPattern
PATTERN = re.compile(r"(^[a-z][a-z0-9]+:///?)([^/?]+)(/[^?]*)?(\?.+)?$")
SCHEMES = ("gs://", "s3://", "minio://", "mem://")
# LocalPathForURI in backend/src/v2/component/launcher_v2.go
FOLDERS = {"gs": "gcs", "minio": "minio", "s3": "s3"}


class LauncherError(Exception):
    """An error of driver or launcher, whose task fails."""


@dataclass(frozen=True)
class BucketConfig:
    """A bucket, and the prefix that all keys are relative to."""

    scheme: str
    bucket: str
    prefix: str = ""

    @classmethod
    def of_root(cls, root: str) -> "BucketConfig":
        """ParseBucketPathToConfig."""
        scheme, bucket, prefix = _parts(root)
        return cls(scheme, bucket, f"{prefix.rstrip('/')}/" if prefix else "")

    @classmethod
    def of_artifact(cls, uri: str) -> "BucketConfig":
        """ParseBucketConfigForArtifactURI."""
        return cls(*_parts(uri)[:2])

    @property
    def prefixed(self) -> str:
        """PrefixedBucket."""
        return self.scheme + posixpath.normpath(posixpath.join(self.bucket, self.prefix))

    def key_of(self, uri: str) -> str:
        """KeyFromURI: an address outside the run's root is an error."""
        if not uri.startswith(self.prefixed):
            raise LauncherError(f'URI "{uri}" does not have expected bucket prefix "{self.prefixed}"')
        key = uri.removeprefix(self.prefixed).lstrip("/")
        if not key:
            raise LauncherError(f'URI "{uri}" has empty key given prefixed bucket "{self.prefixed}"')
        return key

    def upload(self, stores: Mapping[str, Store], local: Path, key: str) -> bool:
        """UploadBlob; returns whether there was a file or folder.

        An empty folder leaves nothing, and a link to a folder is opened as a file, which fails.
        """
        if not local.exists():
            return False
        if not local.is_dir():
            stores[self.scheme].put(self.bucket, self.prefix + key, local)
            return True
        for entry in sorted(os.scandir(local), key=lambda one: one.name):
            name = posixpath.join(key, entry.name)
            if entry.is_dir(follow_symlinks=False):
                self.upload(stores, Path(entry.path), name)
            elif Path(entry.path).is_dir():
                raise LauncherError(f'unable to complete copying "{entry.path}": it is a directory')
            else:
                stores[self.scheme].put(self.bucket, self.prefix + name, Path(entry.path))
        return True

    def download(self, stores: Mapping[str, Store], local: Path, key: str) -> None:
        """DownloadBlob: all objects of that key or below it; none is not an error."""
        store, root = stores[self.scheme], self.prefix + key.rstrip("/")
        for name in store.keys(self.bucket, root):
            if name != root and not name.startswith(f"{root}/"):  # isBlobKeyUnderPrefix
                continue
            if ".." in name.split("/"):  # sanitizeDownloadPath
                raise LauncherError(f'path traversal detected: blob key "{name}"')
            target = local / name.removeprefix(root).lstrip("/") if name != root else local
            target.parent.mkdir(parents=True, exist_ok=True)
            store.get(self.bucket, name, target)


def local_path(uri: str, root: Path) -> Path:
    """LocalPathForURI, below a private root instead of /.

    Args:
        uri: An artifact's address.
        root: The private root.

    Raises:
        LauncherError: If its scheme is unknown.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in FOLDERS:
        raise LauncherError(f"failed to generate local path for URI {uri}: unsupported storage scheme")
    return root / FOLDERS[scheme] / rest


def _parts(uri: str) -> tuple[str, str, str]:
    found = PATTERN.match(uri)
    if not found:
        raise LauncherError(f'parse bucket config failed: unrecognized pipeline root format: "{uri}"')
    if found[1] not in SCHEMES:
        raise LauncherError(f'parse bucket config failed: unsupported Cloud bucket: "{uri}"')
    return found[1], found[2], (found[3] or "").removeprefix("/")
