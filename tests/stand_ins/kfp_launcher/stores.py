"""Object stores over their own protocols, as the launcher's client libraries speak them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    """What the launcher does with a store: backend/src/v2/objectstore/object_store.go at 2.17.0."""

    def put(self, bucket: str, key: str, file: Path) -> None: ...

    def keys(self, bucket: str, prefix: str) -> list[str]: ...

    def get(self, bucket: str, key: str, file: Path) -> None: ...


class S3:
    """S3's protocol, which MinIO and SeaweedFS speak too.

    Args:
        endpoint: Address of the server.
        key: Access key.
        secret: Secret key.
    """

    def __init__(self, endpoint: str, key: str = "access", secret: str = "secret") -> None:
        import boto3

        self.endpoint, self.key, self.secret = endpoint, key, secret
        self.client: Any = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
        )

    def put(self, bucket: str, key: str, file: Path) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def get(self, bucket: str, key: str, file: Path) -> None:
        file.write_bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    @property
    def variables(self) -> dict[str, str]:
        """What a pod's environment has, as from a Kubernetes secret."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


class GCS:
    """Cloud Storage's protocol.

    Args:
        system: The fsspec file system for gs://.
    """

    def __init__(self, system: Any) -> None:
        self.system = system

    def put(self, bucket: str, key: str, file: Path) -> None:
        self.system.pipe_file(f"{bucket}/{key}", file.read_bytes())

    def keys(self, bucket: str, prefix: str) -> list[str]:
        self.system.invalidate_cache()
        return [found.partition("/")[2] for found in self.system.find(f"{bucket}", prefix=prefix)]

    def get(self, bucket: str, key: str, file: Path) -> None:
        file.write_bytes(self.system.cat_file(f"{bucket}/{key}"))


@contextmanager
def s3_server(*buckets: str) -> Iterator[S3]:
    """Moto's server on loopback, with empty buckets.

    Args:
        buckets: Their names.
    """
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        store = S3(f"http://{host}:{port}")
        for name in buckets:
            store.client.create_bucket(Bucket=name)
        yield store
    finally:
        server.stop()
