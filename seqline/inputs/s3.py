"""S3 and what speaks its protocol, such as MinIO and SeaweedFS, for addresses s3:// and minio://.

The endpoint's address, the region and the credentials come from the environment, by the names of AWS's own tools. In a
pod of Kubeflow Pipelines, what is missing comes from the configuration of its launcher.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError
from s3fs import S3FileSystem

from seqline.errors import UserError
from seqline.inputs.kfp_launcher import Settings, in_pod, launcher_settings

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
# What botocore finds credentials by, instance metadata aside: botocore/credentials.py.
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
)


class S3(S3FileSystem):  # type: ignore[misc]
    """S3 with the settings of this machine.

    Args:
        given: Arguments of s3fs, which have precedence.
    """

    protocol = ("s3",)

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**arguments_of(self.protocol[0]), **given})

    async def _call_s3(self, *arguments: Any, **named: Any) -> Any:
        """Makes what s3fs leaves as an error of botocore, such as of a server that does not respond, an OSError."""
        try:
            return await super()._call_s3(*arguments, **named)
        except BotoCoreError as error:
            raise OSError(str(error)) from error


class Minio(S3):
    """The same protocol under KFP's name for a server of the cluster."""

    protocol = ("minio",)


def arguments_of(protocol: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns the arguments of s3fs for this machine.

    Args:
        protocol: s3 or minio.
        environment: Variables; those of this process by default.

    Raises:
        UserError: If there is no endpoint of minio://, or the launcher's configuration cannot be read.
    """
    environment = os.environ if environment is None else environment
    endpoint = next((environment[name] for name in ENDPOINT if environment.get(name)), "")
    region = next((environment[name] for name in REGION if environment.get(name)), "")
    known = any(environment.get(name) for name in CREDENTIALS) or Path("~/.aws/credentials").expanduser().is_file()
    settings = Settings()
    if in_pod(environment) and not (known and endpoint):
        settings = launcher_settings(protocol, environment, secrets=not known)
    endpoint, region = endpoint or settings.endpoint, region or settings.region
    if protocol == "minio" and not endpoint:
        raise UserError(
            "minio:// needs the address of its server: set AWS_ENDPOINT_URL, such as http://minio.example.org:9000, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    # Other servers than Amazon's may refuse newer checksums: newS3Client in backend/src/v2/objectstore/object_store.go
    # of kubeflow/pipelines 2.17.
    config: dict[str, Any] = {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    if endpoint:
        config["s3"] = {"addressing_style": "path" if settings.path_style else "virtual"}
    arguments: dict[str, Any] = {"config_kwargs": config}
    if endpoint:
        arguments["endpoint_url"] = endpoint
    if region or protocol == "minio":
        arguments["client_kwargs"] = {"region_name": region or "us-east-1"}
    if settings.key and not known:
        arguments |= {"key": settings.key, "secret": settings.secret}
    return arguments
