"""The deploy stage: makes a blessed model the endpoint's live version."""

import logging
import statistics
from pathlib import Path

from seqline.artifacts.decision import Decision, Judged, read_decision
from seqline.artifacts.deployment import FILE, Deployment, Smoke
from seqline.artifacts.exported_model import ExportedModel
from seqline.components.deploy.hosting import hosting_of, kserve_hosting_of, sampling_of
from seqline.components.deploy.options import Cloud, Options
from seqline.endpoints.back_end import BackEnd, State, is_of
from seqline.endpoints.opening import open_back_end
from seqline.endpoints.rolled_back import rolled_back
from seqline.endpoints.rollout import Checks, roll_out
from seqline.errors import UserError

log = logging.getLogger(__name__)

# Texts of the test set that are sent to a version at each step.
SMOKE_TEXTS = 8


def deploy(
    model: Path,
    decision: Path,
    output: Path,
    endpoint: str = "",
    api_endpoint: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    cloud: Cloud = Cloud(),  # noqa: B008 (frozen)
) -> Deployment:
    """Makes a blessed model the live version of an endpoint.

    The live version must be the one that the gate compared the model with, and a model that was rolled back is not
    deployed again. The model is registered and deployed next to the live version. Its share of the traffic is raised in
    steps with smoke requests at each; a failure restores the previous split. Killed at any point and run again, it ends
    in the same state. The artifact's layout is in `seqline.artifacts.deployment`.

    Args:
        model: The exported model's folder.
        decision: The decision's folder, written by bless.
        output: The deployment's folder to write.
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME, or kserve://NAMESPACE/NAME; empty to
            deploy nowhere.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        options: Serving options.
        cloud: Key and labels of the resources on Vertex.

    Returns:
        The deployment that was written.

    Raises:
        UserError: If the decision does not bless this very model, the live version is another one by now, or the
            rollout fails; the live version remains live.
    """
    decided = read_decision(decision)
    fingerprint = ExportedModel(model).read_description().fingerprint
    _require_blessing(decided, fingerprint)
    if not endpoint:
        log.info("no endpoint is set, so nothing is deployed")
        deployment = Deployment("", live=False)
        deployment.write(output / FILE)
        return deployment
    options.check_on(endpoint)
    hosting = hosting_of(options, cloud)
    on_kserve, sampling = kserve_hosting_of(options), sampling_of(options)
    back_end = open_back_end(endpoint, options.port, hosting, api_endpoint, on_kserve, sampling)
    texts = [sample.source for sample in decided.samples[:SMOKE_TEXTS]] or ["1"]
    metrics = {name: metric.value for name, metric in decided.challenger.items()}
    with back_end.locked():
        seen = back_end.state()
        _require_judged(back_end, seen, decided.judged, fingerprint, endpoint)
        version = back_end.register(model, fingerprint, metrics)
        back_end.prepare()
        checks = Checks(texts, options.max_latency_ms)
        replies = roll_out(back_end, version, options.traffic_steps, checks, decided.anchor.moves, seen)
        address = back_end.address()
    median = statistics.median(reply.milliseconds for reply in replies)
    log.info("version %d is live at %s; its median latency is %.0f ms", version, address, median)
    smoke = Smoke(replies[0].text, replies[0].answer, median)
    deployment = Deployment(endpoint, True, version, address, smoke)
    deployment.write(output / FILE)
    return deployment


def _require_blessing(decision: Decision, fingerprint: str) -> None:
    if not decision.blessed:
        raise UserError("the decision does not bless this model, so it is not deployed")
    if decision.model_fingerprint != fingerprint:
        raise UserError(
            f"the decision blesses model {decision.model_fingerprint[:12]}, not this one, {fingerprint[:12]}; "
            "run bless again"
        )


def _require_judged(back_end: BackEnd, state: State, judged: Judged | None, fingerprint: str, endpoint: str) -> None:
    """Checks that the live version is the one of the comparison, and that the model was not rolled back since."""
    live = state.champion
    registered = next((known.fingerprint for known in back_end.versions() if known.version == live), "")
    if is_of(registered, fingerprint):
        return  # live already: an interrupted deployment is completed
    if problem := rolled_back(state, fingerprint, endpoint):
        raise UserError(problem)
    if judged is None:
        raise UserError(
            "the decision does not say which live version the model was compared with, so it is not deployed; "
            "run champion and bless again"
        )
    same = live is not None and judged.version in ("", str(live))
    if judged.fingerprint:
        same = same and is_of(registered, judged.fingerprint)
    if judged == Judged() and live is None:
        return
    if judged == Judged() or not same:
        raise UserError(
            f"the gate compared the model with {_named(judged.version, judged.fingerprint)}, but by now "
            f"{_named('' if live is None else str(live), registered)} is live on {endpoint}; nothing is deployed: run "
            "the pipeline again, which compares the model with that one"
        )


def _named(version: str, fingerprint: str) -> str:
    if not version and not fingerprint:
        return "no version"
    model = f"model {fingerprint[:12]}" if fingerprint else "a model without a fingerprint"
    return f"version {version} ({model})" if version else model
