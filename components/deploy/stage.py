"""The deploy stage: a blessed model becomes the endpoint's live version."""

import logging
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from seqline.artifacts.decision import Decision, read_decision
from seqline.artifacts.deployment import Deployment, Smoke
from seqline.artifacts.exported_model import ExportedModel
from seqline.endpoints.back_end import BackEnd
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import local_endpoint
from seqline.endpoints.rollout import Checks, roll_out
from seqline.endpoints.vertex import Serving as Serving
from seqline.endpoints.vertex import VertexBackEnd
from seqline.errors import UserError

log = logging.getLogger(__name__)

# Texts of the test set that a version is asked at each step.
SMOKE_TEXTS = 8


@dataclass(frozen=True)
class Options:
    """Options of deploying.

    Attributes:
        port: Port of the local endpoint's server, if it does not run yet.
        traffic_steps: Shares of the traffic, in percent, that a new version is given on its way to 100; empty to give
            it all at once.
        max_latency_ms: Longest median time of an answer to a smoke request; 0 for no limit.
    """

    port: int = 8501
    traffic_steps: list[int] = field(default_factory=lambda: [10, 50])
    max_latency_ms: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UserError(f"port must be between 1 and 65535, not {self.port}")
        steps = self.traffic_steps
        if any(not 0 < share < 100 for share in steps) or sorted(set(steps)) != steps:
            raise UserError(f"traffic_steps must rise and lie between 0 and 100, as in [10, 50]; {steps} does not")
        if not self.max_latency_ms >= 0:
            raise UserError(f"max_latency_ms must be 0 or more, not {self.max_latency_ms}")


def deploy(
    model: Path,
    decision: Path,
    output: Path,
    endpoint: str = "",
    options: Options = Options(),
    serving: Serving = Serving(),  # noqa: B008
) -> Deployment:
    """Makes a blessed model the live version of an endpoint.

    It is registered and deployed beside the live version, and has to answer before its share of the traffic is raised,
    step by step; a failure restores the former split. Killed at any point and run again, it ends in the same state. The
    artifact's layout is in `seqline.artifacts.deployment`.

    Args:
        model: The exported model's folder.
        decision: The decision's folder that bless wrote.
        output: The deployment's folder to write.
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME; empty to deploy nowhere.
        options: Options of deploying.
        serving: How Vertex runs the model server.

    Returns:
        What was written.

    Raises:
        UserError: If the decision does not bless this very model, or the endpoint does not take it; what was live
            stays live.
    """
    verdict = read_decision(decision)
    fingerprint = ExportedModel(model).read_description().fingerprint
    _require_blessing(verdict, fingerprint)
    if not endpoint:
        log.info("no endpoint is given, so nothing is deployed")
        deployment = Deployment("", live=False)
        deployment.write(output)
        return deployment
    back_end = choose_back_end(endpoint, options.port, serving)
    texts = [sample.source for sample in verdict.samples[:SMOKE_TEXTS]] or ["1"]
    figures = {name: figure.value for name, figure in verdict.challenger.items()}
    with back_end.locked():
        version = back_end.register(model, fingerprint, figures)
        back_end.prepare()
        # Numbers of a pipeline's list may come as 10.0.
        steps = [int(share) for share in options.traffic_steps]
        replies = roll_out(back_end, version, steps, Checks(texts, options.max_latency_ms))
        address = back_end.address()
    median = statistics.median(reply.milliseconds for reply in replies)
    log.info("version %d is live at %s; it answers in %.0f ms", version, address, median)
    smoke = Smoke(replies[0].text, replies[0].answer, median)
    deployment = Deployment(endpoint, True, version, address, smoke)
    deployment.write(output)
    return deployment


def choose_back_end(endpoint: str, port: int = 0, serving: Serving = Serving()) -> BackEnd:  # noqa: B008
    """Finds who serves an endpoint.

    Args:
        endpoint: As the pipelines' parameter says it.
        port: Port of a local endpoint's server that does not run yet; 0 for the one that it had.
        serving: How Vertex runs the model server.

    Raises:
        UserError: If it is no endpoint's name.
    """
    if endpoint.startswith("projects/"):
        return VertexBackEnd(endpoint, serving)
    return LocalBackEnd(local_endpoint(endpoint), port)


def _require_blessing(verdict: Decision, fingerprint: str) -> None:
    if not verdict.blessed:
        raise UserError("the decision does not bless this model, so it is not deployed")
    if verdict.model_fingerprint != fingerprint:
        raise UserError(
            f"the decision blesses model {verdict.model_fingerprint[:12]}, not this one, {fingerprint[:12]}; "
            "run bless again"
        )
