"""The artifacts of monitoring, and what one run leaves to the next.

window/                    collect writes it
  window.json              `Window`: its span, the live version, what was read
  requests.parquet         sampled requests of the live version in the window
  previous.parquet         those of the window before
  feedback.parquet         feedback on the live version's answers in the window
  previous_feedback.parquet
  reference.json           of the live version's model; missing if that has none

monitoring/                monitor writes it
  monitoring.json          `Monitoring`: figures, alarms
  metrics.prom             the figures in the text format of Prometheus
"""

from dataclasses import dataclass, field
from typing import ClassVar

from seqline.artifacts.record import Record, Schema

WINDOW, MONITORING, PROMETHEUS = "window.json", "monitoring.json", "metrics.prom"
REQUESTS, PREVIOUS, FEEDBACK = "requests.parquet", "previous.parquet", "feedback.parquet"
PREVIOUS_FEEDBACK = "previous_feedback.parquet"
MOST_REASONS = 3
"""Reasons in a headline; the others are counted."""


@dataclass(frozen=True)
class Window(Record):
    """The content of window.json.

    Attributes:
        endpoint: The endpoint.
        start: Start of the window, ISO 8601 in UTC.
        end: Its end.
        hours: Its usual length.
        version: Number of the live version.
        fingerprint: The live version's fingerprint, as it is registered.
        created: When the live version was registered.
        requests: Where the sampled requests are.
        state: Where the state of monitoring is.
        found: Requests of the live version in the window; more than are compared if there were too many.
        others: Requests of other versions, which are left out.
        previous: Requests of the window before.
        notes: What was not read or cannot be compared, and why.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="run the pipeline `monitoring` again")

    endpoint: str
    start: str
    end: str
    hours: float
    version: str
    fingerprint: str
    created: str
    requests: str
    state: str
    found: int
    others: int = 0
    previous: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """One figure of a window.

    Attributes:
        figure: Its name.
        slice: The slice; empty for all requests.
        requests: Requests, or answers with feedback, that it is of.
        value: The value; of a distance, that from training, or else from the previous window.
        low: Lower end of its interval.
        high: Upper end of its interval.
        training: The value in training; None if there is none.
        previous: The value in the previous window, or the distance from it; None if there is none.
    """

    figure: str
    slice: str
    requests: int
    value: float
    low: float
    high: float
    training: float | None = None
    previous: float | None = None


@dataclass(frozen=True)
class RuleState:
    """What a rule found.

    Attributes:
        rule: The rule in words.
        key: The rule's key in the state.
        slice: The slice; empty for all requests.
        evidence: Natural logarithm of the evidence for a change beyond the limit.
        required: The evidence from which it is proven.
        value: The figure, or its difference; None if nothing was compared.
        limit: The limit.
        since: End of the window that proved it; empty if there is no alarm.
        new: Whether this window did.
        then: notify or retrain.
        reason: A sentence.
    """

    rule: str
    key: str
    slice: str
    evidence: float
    required: float
    value: float | None
    limit: float
    since: str = ""
    new: bool = False
    then: str = "notify"
    reason: str = ""


@dataclass(frozen=True)
class Monitoring(Record):
    """The content of monitoring.json.

    Attributes:
        window: What was compared.
        figures: The figures, those of all requests first.
        rules: What each rule found.
        false_alarms_per_year: Most false alarms a year of all rules together.
        notes: What could not be compared, and why.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="run the pipeline `monitoring` again")

    window: Window
    figures: list[Measured] = field(default_factory=list)
    rules: list[RuleState] = field(default_factory=list)
    false_alarms_per_year: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def alarms(self) -> list[RuleState]:
        """The rules that are in alarm, new ones first."""
        return sorted((rule for rule in self.rules if rule.since), key=lambda rule: not rule.new)

    @property
    def compared(self) -> list[RuleState]:
        """The rules for which there was something to compare, or that are in alarm."""
        return [rule for rule in self.rules if rule.since or rule.value is not None]

    @property
    def retrains(self) -> bool:
        """Whether an alarm asks for a retraining."""
        return any(rule.then == "retrain" for rule in self.alarms)

    def headline(self) -> str:
        """Returns the outcome in one or two sentences."""
        if not self.window.found:
            return f"No requests of version {self.window.version} from {self.window.start} to {self.window.end}."
        if not self.alarms:
            return f"{self.window.found:,} requests of version {self.window.version}, no alarm."
        new = [rule.reason for rule in self.alarms if rule.new]
        old = len(self.alarms) - len(new)
        if len(new) > MOST_REASONS + 1:
            new[MOST_REASONS:] = [f"{len(new) - MOST_REASONS} more rules are in alarm."]
        standing = f" {old} earlier alarm{'s' * (old > 1)} {'is' if old == 1 else 'are'} still active." if old else ""
        return " ".join(new) + standing if new else standing.strip()
