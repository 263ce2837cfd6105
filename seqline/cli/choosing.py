"""Finds the endpoint that a command is about: by its name, or by the configuration."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.cli.options import pipeline_arguments, read_configuration
from seqline.errors import UserError
from seqline.paths import expanded

if TYPE_CHECKING:
    from seqline.components.deploy.options import Options
    from seqline.configuration.model import Configuration
    from seqline.endpoints.back_end import BackEnd
    from seqline.endpoints.vertex_hosting import Hosting

Files = list[Path] | None


def local_names(home: Path) -> list[str]:
    """Returns the names of the local endpoints.

    Args:
        home: The laptop's folder, `.seqline` by default.
    """
    return [found.parent.name for found in sorted((home / "endpoints").glob("*/endpoint.json"))]


def home_of(home: Path | None, config: Files = None) -> Path:
    """Returns the laptop's folder: the given one, or the configuration's.

    Args:
        home: From `HomeOption`.
        config: From `ConfigOption`.
    """
    return home or expanded(configured(config).targets.laptop.home)


def configured(config: Files) -> "Configuration":
    """Returns the configuration; the default one, after a warning, if seqline.yaml is broken.

    Args:
        config: From `ConfigOption`.

    Raises:
        ConfigurationError: If a file was given, and it is broken.
    """
    from seqline.configuration.model import Configuration

    try:
        return read_configuration(config, None).configuration
    except UserError as error:
        if config:
            raise
        # A rollback must not fail for that.
        print(f"warning: the configuration is not used: {error}", file=sys.stderr)
        return Configuration()


def endpoint_of(configuration: "Configuration", target: str) -> str | None:
    """Returns the endpoint that a configuration names for a target; None if it names none.

    Args:
        configuration: The configuration.
        target: The target's name.
    """
    settings = getattr(configuration.targets, target, None)
    if target == "laptop":
        return settings.endpoint if "endpoint" in settings.model_fields_set else None  # type: ignore[union-attr]
    own = settings.parameters if settings is not None else {}
    return {**configuration.parameters, **own}.get("endpoint") or None


def choose(
    name: str | None,
    home: Path | None = None,
    config: Files = None,
    target: str | None = None,
    api_endpoint: str = "",
    address: str = "",
    deploys: bool = False,
) -> "BackEnd":
    """Finds one endpoint.

    Args:
        name: A local endpoint's name, or one on Vertex or KServe; by default that of the configuration, or the only
            local one.
        home: From `HomeOption`.
        config: From `ConfigOption`.
        target: The target whose endpoint the configuration names; the configuration's by default.
        api_endpoint: Host of the Vertex API; empty for the configuration's, or the region's own.
        address: Address of a private endpoint on Vertex, or of KServe's gateway; empty for the endpoint's own.
        deploys: Whether the command may deploy a version on Vertex or KServe, on the machines of the configuration.

    Raises:
        UserError: If there is no such endpoint, or there are several and no name is given.
    """
    from seqline.endpoints.names import KSERVE
    from seqline.endpoints.opening import open_back_end
    from seqline.endpoints.vertex_hosting import Hosting

    if name is None or (home is None and "/" not in name):
        configuration = configured(config)
        chosen = target or configuration.target
        name = name or endpoint_of(configuration, chosen)
        home = home or expanded(configuration.targets.laptop.home)
        if name is None and chosen != "laptop":
            raise UserError(
                f"the configuration has no endpoint for {chosen}: set parameters.endpoint, or pass --endpoint"
            )
    if name and name.startswith(KSERVE):
        return open_back_end(name, on_kserve=_on_kserve(name, address, deploys, config))
    if name and name.startswith("projects/"):
        hosting = _hosting(name, config) if deploys else Hosting()
        access = replace(hosting.access, address=address or hosting.access.address)
        api = api_endpoint or _api_of(name, config)
        return open_back_end(name, hosting=replace(hosting, access=access), api_endpoint=api)
    home = home or Path(".seqline")
    known = local_names(home)
    if not known:
        raise UserError(f"there is no endpoint in {home}; `seqline run --data FILE` creates one")
    if name is None and len(known) > 1:
        raise UserError(f"there are several endpoints: {', '.join(known)}; pass --endpoint")
    if name is not None and name not in known:
        raise UserError(f"there is no endpoint {name!r}; available: {', '.join(known)}")
    return open_back_end(str(home.resolve() / "endpoints" / (name or known[0])))


def location_of(configuration: "Configuration", target: str) -> str:
    """Returns where `endpoint list` looks for a target's endpoints; empty for this machine.

    Args:
        configuration: The configuration.
        target: The target's name.
    """
    endpoint = endpoint_of(configuration, target) or ""
    if endpoint.startswith("kserve://"):
        return endpoint.rpartition("/")[0]
    vertex = configuration.targets.vertex
    return f"projects/{vertex.project}/locations/{vertex.location}" if target == "vertex" and vertex else ""


def _api_of(name: str, config: Files) -> str:
    """The host of the API in the configuration, if an endpoint is in its project and region."""
    vertex = configured(config).targets.vertex
    if vertex is None or not name.startswith(f"projects/{vertex.project}/locations/{vertex.location}/"):
        return ""
    return vertex.api_address


def _hosting(name: str, config: Files) -> "Hosting":
    """How the configuration hosts an endpoint on Vertex, if it is the configuration's own."""
    from seqline.components.deploy.hosting import hosting_of
    from seqline.components.deploy.options import Cloud
    from seqline.endpoints.vertex_hosting import Hosting

    found = _owner(name, "vertex", config)
    if found is None:
        return Hosting()
    options, vertex = found
    return hosting_of(options, Cloud(encryption_key=vertex.encryption_key, labels=dict(vertex.labels)))


def _on_kserve(name: str, address: str, deploys: bool, config: Files) -> Any:
    """How the configuration hosts an endpoint on KServe; None for the machines that its versions had."""
    from seqline.components.deploy.hosting import kserve_hosting_of
    from seqline.endpoints.kserve.hosting import Hosting

    targets = ("kubeflow", "vertex")
    found = next(filter(None, (_owner(name, target, config, warns=deploys) for target in targets)), None)
    if found is None:
        return Hosting(gateway=address) if address else None
    hosting = kserve_hosting_of(found[0])
    # Without an image the versions' own predictors count.
    return replace(hosting, gateway=address or hosting.gateway, image=hosting.image if deploys else "")


def _owner(name: str, target: str, config: Files, warns: bool = True) -> "tuple[Options, Any] | None":
    """The serving options of a target and the target, if the endpoint is the configuration's own."""
    from seqline.components.deploy.options import Options

    try:
        loaded = read_configuration(config, None)
        settings = getattr(loaded.configuration.targets, target)
        arguments = pipeline_arguments(loaded, "training", target) if settings is not None else {}
    except UserError as error:
        # A rollback must not fail for that.
        if warns:
            print(f"warning: a version that is not deployed yet gets the default machines: {error}", file=sys.stderr)
        return None
    if settings is None or arguments.get("endpoint") != name:
        return None
    return Options(**arguments.get("serving", {})), settings
