"""The champion stage: looks up the versions that the challenger is compared with."""

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.opponent import Opponent
from seqline.components.champion.files import read_files
from seqline.endpoints.back_end import BEST, Registered, State, is_of
from seqline.endpoints.opening import open_back_end
from seqline.endpoints.rolled_back import rolled_back
from seqline.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opponents:
    """The versions that the challenger is compared with.

    Attributes:
        champion: The live version.
        best: The best version so far.
        rolled_back: Why the challenger must not go live again: it was rolled back; empty if it was not.
    """

    champion: Opponent
    best: Opponent
    rolled_back: str = ""


def champion(model: Path, endpoint: str = "", api_endpoint: str = "") -> Opponents:
    """Looks up the champion and the best version so far, and checks that their files can be read.

    Each is in one of three states: there is none, or nothing to measure (it is the challenger itself); another model;
    or a version that cannot be evaluated, because it cannot be identified or its files cannot be read. On an endpoint
    without the alias `best` the champion is the best version.

    Args:
        model: The challenger, an exported model's folder.
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME, or kserve://NAMESPACE/NAME; empty
            for none.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        Both versions.

    Raises:
        UserError: If the challenger's folder holds no model, or Vertex does not respond.
    """
    challenger = ExportedModel(model).read_description().fingerprint
    if not challenger:
        raise UserError(f"{model} has an empty fingerprint in model.json; export it again")
    state, versions = _read(endpoint, api_endpoint) if endpoint else (State(), {})
    live, anchor = state.champion, state.aliases.get(BEST)
    found = Opponents(
        _opponent(challenger, live, versions),
        Opponent(standing="champion") if anchor in (None, live) else _opponent(challenger, anchor, versions),
        rolled_back(state, challenger, endpoint),
    )
    for name, one in (("the champion", found.champion), ("the best version so far", found.best)):
        which = f"version {one.version}" if one.version else one.standing
        log.info("%s is %s%s", name, which, f", which cannot be evaluated: {one.problem}" if one.problem else "")
    if found.rolled_back:
        log.warning("%s", found.rolled_back)
    return found


def _read(endpoint: str, api_endpoint: str) -> tuple[State, Mapping[int, Registered]]:
    """Returns the endpoint's state and the registered versions by number."""
    from google.api_core.exceptions import GoogleAPIError

    try:
        back_end = open_back_end(endpoint, api_endpoint=api_endpoint)
        return back_end.state(), {known.version: known for known in back_end.versions()}
    except GoogleAPIError as error:
        raise UserError(f"the Model Registry of {endpoint} does not respond: {error}") from error


def _opponent(challenger: str, number: int | None, versions: Mapping[int, Registered]) -> Opponent:
    if number is None:
        return Opponent(standing="none")
    known = versions.get(number)
    if known is None:
        return _unmeasurable(number, f"version {number} is served, but its record is missing")
    if not known.fingerprint:
        # It could be this very model, or any other.
        return _unmeasurable(number, f"version {number} cannot be identified: its fingerprint is missing")
    if is_of(known.fingerprint, challenger):
        return Opponent("same", version=str(number), fingerprint=known.fingerprint)
    try:
        digest = read_files(known.model, known.fingerprint)
    except UserError as error:
        return _unmeasurable(number, f"version {number}: {error}")
    return Opponent("", "", str(number), known.fingerprint, known.model, digest)


def _unmeasurable(number: int, problem: str) -> Opponent:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return Opponent(problem=problem, version=str(number), checked=now)
