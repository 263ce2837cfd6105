"""The endpoint as Vertex has it: looked up, described, and changed only if nobody else has changed it meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from seqline.endpoints.back_end import ChangedError
from seqline.endpoints.names import model_id
from seqline.endpoints.vertex_errors import is_stale, is_transient
from seqline.errors import UserError
from seqline.vertex_api.retries import Retries


@dataclass(frozen=True)
class Resource:
    """An endpoint by its name.

    Attributes:
        name: projects/P/locations/L/endpoints/NAME.
        client: The client of the endpoint service.
        retries: How calls are retried.
    """

    name: str
    client: Any
    retries: Retries

    @property
    def parent(self) -> str:
        """The location: projects/P/locations/L."""
        return self.name.rpartition("/endpoints/")[0]

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    def find(self) -> Any:
        """The endpoint by its id, or by its display name; None if there is none, and its id is free."""
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_endpoint(name=self.name)
        except NotFound:
            if self.id.isdecimal():
                raise UserError(
                    f"there is no endpoint {self.name}; a number is the id of an existing one: correct it, or "
                    "write a name, under which one is created"
                ) from None
            request = {"parent": self.parent, "filter": f'display_name="{self.id}"'}
            return next(iter(self.client.list_endpoints(request=request)), None)

    def existing(self) -> Any:
        """The endpoint; an error if there is none."""
        endpoint = self.find()
        if endpoint is None:
            raise UserError(f"there is no endpoint {self.name}")
        return endpoint

    def deployed(self, endpoint: Any) -> dict[int, str]:
        """Ids of the deployed models, by version; of one that someone else deployed again, this pipeline's."""
        found: dict[int, str] = {}
        for deployed in endpoint.deployed_models if endpoint else ():
            version = int(deployed.model_version_id)
            if self._is_own(deployed) and (version not in found or deployed.id == str(version)):
                found[version] = deployed.id
        return found

    def require_own(self, endpoint: Any) -> None:
        """Checks that every deployed model is this pipeline's."""
        for deployed in endpoint.deployed_models if endpoint else ():
            if not self._is_own(deployed):
                raise UserError(
                    f"{self.name} serves {deployed.model}, which is not of this pipeline; choose another endpoint"
                )

    def require_no_others(self, endpoint: Any) -> None:
        """Checks that no deployed model but this pipeline's versions has a share of the traffic."""
        known = self.deployed(endpoint).values()
        for deployed in endpoint.deployed_models if endpoint else ():
            share = endpoint.traffic_split.get(deployed.id, 0)
            if share and deployed.id not in known:
                raise ChangedError(
                    f"someone else deployed {deployed.model} to {self.name} in the meantime and gave it {share}% of "
                    "the traffic"
                )

    def traffic(self, endpoint: Any) -> dict[int, int]:
        """Shares of the traffic in percent, by version."""
        deployed = self.deployed(endpoint)
        return {version: endpoint.traffic_split.get(deployed[version], 0) for version in sorted(deployed)}

    def set_split(self, endpoint: Any, split: dict[str, int]) -> None:
        """Sets the shares of the deployed models, by their ids, if they differ."""
        before, after = (
            {number: share for number, share in one.items() if share} for one in (endpoint.traffic_split, split)
        )
        if before != after:
            self.update(endpoint, traffic_split=split)

    def update(self, endpoint: Any, **fields: Any) -> None:
        """Changes fields of the endpoint, unless someone else has changed the endpoint since it was read."""
        from google.cloud.aiplatform_v1 import Endpoint

        changed = Endpoint(name=endpoint.name, display_name=endpoint.display_name, etag=endpoint.etag, **fields)
        self.client.update_endpoint(endpoint=changed, update_mask={"paths": [*fields]})

    def consistently(self, what: str, change: Callable[[], None]) -> None:
        """Reads, compares and writes again if someone else wrote in between."""
        replace(self.retries, transient=lambda error: is_transient(error) or is_stale(error)).read(what, change)

    def parents(self) -> list[str]:
        """The resource whose operations are listed: the endpoint may have been found by its display name."""
        endpoint = self.find()
        return [endpoint.name if endpoint is not None else self.name]

    def _is_own(self, deployed: Any) -> bool:
        return bool(deployed.model.rpartition("/")[2] == model_id(self.id))
