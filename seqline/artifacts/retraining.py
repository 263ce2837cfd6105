"""What monitoring started: the artifact of retrain, and the record in the state of monitoring.

retraining/retraining.json                     `Retraining`
monitoring/retrainings/0003.json               `Attempt`, written before the run is started
monitoring/retrainings/0003.takeover-1         `Takeover`, if that run of monitoring ended before it had started the run
"""

from dataclasses import dataclass
from typing import ClassVar

from seqline.artifacts.record import Record, Schema

FILE = "retraining.json"


@dataclass(frozen=True)
class Attempt(Record):
    """A retraining that was started, or was about to be.

    Attributes:
        number: Its number, from 1.
        window: End of the window whose alarm it is for.
        run: The run, named before it is started, so that a second attempt starts no second run.
        at: When it was started, ISO 8601.
        reason: Why.
        template: The pipeline that it runs.
        id: The service's own id of the run, where that is another one; empty until it is known.
        owner: The run of monitoring that may start it.
        started: Whether the service has started it.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="delete it to forget the retraining")

    number: int
    window: str
    run: str
    at: str
    reason: str
    template: str = ""
    id: str = ""
    owner: str = ""
    started: bool = False


@dataclass(frozen=True)
class Takeover(Record):
    """Another run of monitoring that may start a retraining.

    Attributes:
        owner: The run of monitoring.
        at: Since when, ISO 8601.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="delete it to forget it")

    owner: str
    at: str


@dataclass(frozen=True)
class Retraining(Record):
    """The content of retraining.json.

    Attributes:
        started: Whether a run was started, now or by an earlier attempt for the same window.
        run: The run; empty if none was started.
        reason: The alarms.
        outcome: What was done, and why, as a sentence.
        new_pairs: New pairs since the live version was trained; -1 if they were not counted.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="run the pipeline `monitoring` again")

    started: bool
    run: str
    reason: str
    outcome: str
    new_pairs: int = -1
