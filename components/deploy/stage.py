"""The deploy stage: a blessed model becomes the endpoint's live version."""

import logging
from dataclasses import dataclass
from pathlib import Path

from components.bless.decision import read_decision
from components.deploy.deployment import Deployment
from components.deploy.local import LocalBackEnd
from components.errors import UserError
from components.export.exported import ExportedModel
from components.serve.endpoint import Endpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of deploying.

    Attributes:
        port: Port of the local endpoint's server, if it does not run yet.
    """

    port: int = 8501

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UserError(f"port must be between 1 and 65535, not {self.port}")


def deploy(model: Path, decision: Path, output: Path, endpoint: str = "", options: Options = Options()) -> Deployment:
    """Makes a blessed model the live version of an endpoint.

    It is registered, loaded beside the live version and sent a smoke request; only then does it go live. Killed at any
    point and run again, it ends in the same state. The artifact's layout is in `components.deploy.deployment`.

    Args:
        model: The exported model's folder.
        decision: The decision's folder that bless wrote.
        output: The deployment's folder to write.
        endpoint: Folder of the local endpoint; empty to deploy nowhere.
        options: Options of deploying.

    Returns:
        What was written.

    Raises:
        UserError: If the decision does not bless this very model, or the endpoint does not take it; what was live
            stays live.
    """
    verdict = read_decision(decision)
    fingerprint = ExportedModel(model).read_description().fingerprint
    if not verdict.blessed:
        raise UserError("the decision does not bless this model, so it is not deployed")
    if verdict.model_fingerprint != fingerprint:
        raise UserError(
            f"the decision blesses model {verdict.model_fingerprint[:12]}, not this one, {fingerprint[:12]}; "
            "run bless again"
        )
    if not endpoint:
        log.info("no endpoint is given, so nothing is deployed")
        deployment = Deployment("", live=False)
        deployment.write(output)
        return deployment
    if endpoint.startswith("projects/"):
        raise UserError(f"endpoint: {endpoint} is on Vertex, and this version deploys to local folders only")
    place = Endpoint(Path(endpoint))
    back_end = LocalBackEnd(place, options.port)
    figures = {name: figure.value for name, figure in verdict.challenger.items()}
    with place.locked():
        version = place.register(model, fingerprint, figures).version
        settings = back_end.ensure_server()
        smoke = back_end.smoke(version, verdict.samples[0].source if verdict.samples else "1")
        log.info("version %d answers %r with %r in %.0f ms", version, smoke.text, smoke.answer, smoke.milliseconds)
        back_end.make_live(version)
        back_end.forget_old(version)
    log.info("version %d is live at %s", version, settings.predict_url)
    deployment = Deployment(endpoint, True, version, settings.predict_url, smoke)
    deployment.write(output)
    return deployment
