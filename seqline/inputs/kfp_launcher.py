"""The object store settings of Kubeflow Pipelines' launcher: the config map kfp-launcher, and the secret that it names.

The launcher runs in the stage's own container, with the same service account, so a stage may read them too. Format:
backend/src/v2/config/{env,s3,minio}.go of kubeflow/pipelines, 2.5 to 2.17.
"""

import base64
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seqline.errors import UserError

log = logging.getLogger(__name__)

CONFIG_MAP = "kfp-launcher"
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# getDefaultMinioSessionInfo: without a provider for minio://.
DEFAULT_SECRET = {"secretName": "mlpipeline-minio-artifact", "accessKeyKey": "accesskey", "secretKeyKey": "secretkey"}
# DefaultEndpointInMultiUserMode since 2.16, and before.
DEFAULT_HOSTS = ("seaweedfs.kubeflow", "minio-service.kubeflow")
DEFAULT_PORT = 9000


@dataclass(frozen=True)
class Settings:
    """How a store is reached.

    Attributes:
        endpoint: Its address; empty for Amazon's own.
        region: Its region; empty for the environment's.
        path_style: Whether a bucket is a part of the path, and not of the host's name.
        key: Access key; empty where the credentials come from the environment.
        secret: Secret key.
    """

    endpoint: str = ""
    region: str = ""
    path_style: bool = True
    key: str = ""
    secret: str = ""


def in_pod(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a task's pod: KFP_POD_NAME, in backend/src/v2/compiler/argocompiler/common.go.

    Args:
        environment: Variables.
    """
    return bool(environment.get("KFP_POD_NAME"))


def launcher_settings(protocol: str, environment: Mapping[str, str], secrets: bool = True) -> Settings:
    """Reads the settings of a protocol.

    Args:
        protocol: s3 or minio.
        environment: Variables.
        secrets: Whether the credentials are needed too.

    Raises:
        UserError: If the config map or the secret cannot be read, or lacks a key.
    """
    data = _read("config map", CONFIG_MAP, environment) or {}
    try:
        providers = yaml.safe_load(data.get("providers") or "{}") or {}
        provider = providers.get(protocol) or {}
        default = provider.get("default") or {}
        credentials = default.get("credentials") or {}
        if not default:
            if protocol == "s3":
                return Settings()  # fromEnv
            default = {"endpoint": _default_endpoint(environment), "region": "minio", "disableSSL": True}
            credentials = {"secretRef": DEFAULT_SECRET}
    except (yaml.YAMLError, AttributeError) as error:
        raise UserError(f"config map {CONFIG_MAP}: providers is not a YAML object of providers: {error}") from error
    endpoint = str(default.get("endpoint") or "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if default.get('disableSSL') else 'https'}://{endpoint}"
    if endpoint.removeprefix("https://").startswith("s3.amazonaws.com"):
        endpoint = ""  # newS3Client: Amazon's own
    found = Settings(endpoint, str(default.get("region") or ""), default.get("forcePathStyle") is not False)
    if credentials.get("fromEnv") or not secrets:
        return found
    reference = credentials.get("secretRef") or {}
    name = str(reference.get("secretName") or "")
    if not name:
        raise UserError(
            f"config map {CONFIG_MAP}: providers.{protocol}.default.credentials needs fromEnv: true, or secretRef with "
            "secretName, accessKeyKey and secretKeyKey"
        )
    secret = _read("secret", name, environment)
    if secret is None:
        raise UserError(f"there is no secret {name}, which the config map {CONFIG_MAP} names for {protocol}://")
    values = []
    for part in ("accessKeyKey", "secretKeyKey"):
        value = secret.get(str(reference.get(part) or ""))
        if not value:
            raise UserError(f"secret {name} has no key {reference.get(part)!r}, which {CONFIG_MAP} names as {part}")
        values.append(base64.b64decode(value).decode())
    return Settings(found.endpoint, found.region, found.path_style, *values)


def _default_endpoint(environment: Mapping[str, str]) -> str:
    """The server that comes with Kubeflow Pipelines, in this namespace or in kubeflow."""
    for service in ("SEAWEEDFS", "MINIO_SERVICE"):
        if host := environment.get(f"{service}_SERVICE_HOST"):
            return f"{host}:{environment.get(f'{service}_SERVICE_PORT_HTTP_S3') or DEFAULT_PORT}"
    for host in DEFAULT_HOSTS:
        try:
            socket.getaddrinfo(host, DEFAULT_PORT)
        except OSError:
            continue
        return f"{host}:{DEFAULT_PORT}"
    return f"{DEFAULT_HOSTS[0]}:{DEFAULT_PORT}"


def _read(kind: str, name: str, environment: Mapping[str, str]) -> dict[str, str] | None:
    """The data of a config map or a secret; None if there is none of the name."""
    from kubernetes import client, config  # a second: only where the environment does not say all

    try:
        config.load_incluster_config()
        api = client.CoreV1Api()
        namespace = environment.get("NAMESPACE") or NAMESPACE.read_text(encoding="utf-8").strip()
        read: Any = api.read_namespaced_config_map if kind == "config map" else api.read_namespaced_secret
        return dict(read(name, namespace, _request_timeout=30).data or {})
    except client.ApiException as error:
        if error.status == 404:
            return None
        reason = f"{error.status} {error.reason}"
    except (config.ConfigException, OSError) as error:
        reason = str(error)
    except Exception as error:  # of urllib3
        reason = type(error).__name__
    variables = "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    raise UserError(
        f"the {kind} {name} cannot be read ({reason}), from which the object store's settings come: let the pod's "
        f"service account read it, or set {variables} from a secret"
    )
