"""Layout of the summary artifact: *summarize* writes it, the command line reads it.

summary/
  summary.json   the run's final state, metrics, decision, deployment
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from seqline.artifacts.decision import RuleResult
from seqline.artifacts.evaluation import Comparison, MetricValue, Sentence
from seqline.artifacts.record import Record, Schema

FILE = "summary.json"


@dataclass(frozen=True)
class DecisionSummary:
    """The part of the decision that the summary repeats.

    Attributes:
        blessed: Whether every rule passed.
        model_fingerprint: Of the challenger.
        rules: The result of each rule.
        best: Whether the challenger becomes the best version so far, as a sentence.
        task: The task that the models were trained for; empty in older decisions.
        comparisons: The differences to the champion, by the metric's name.
        live: Number of the live version that the challenger was compared with; empty for none.
    """

    blessed: bool
    model_fingerprint: str
    rules: list[RuleResult]
    best: str = ""
    task: str = ""
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    live: str = ""


@dataclass(frozen=True)
class MonitoringSummary:
    """What a run of the pipeline `monitoring` found.

    Attributes:
        headline: The outcome in one or two sentences.
        new: The alarms of this window, each a sentence.
        standing: Earlier alarms that still stand.
        retraining: What retrain did; empty if no rule asked for it.
        notes: What could not be compared, and why.
        retrained: Whether retrain started a run.
    """

    headline: str
    new: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    retraining: str = ""
    notes: list[str] = field(default_factory=list)
    retrained: bool = False


@dataclass(frozen=True)
class Summary(Record):
    """The outcome of a run.

    Attributes:
        run: The run's name.
        state: SUCCEEDED, FAILED or CANCELLED, as the orchestrator reports it; UNKNOWN if it does not.
        failed_task: The failed tasks, separated by commas; empty if none or unknown.
        error: Why; empty if nothing failed.
        data: Input files as given to the run; empty if the snapshot is missing.
        data_fingerprint: Of the input files' content.
        metrics: The challenger's metrics; empty if the run made no decision.
        champion_metrics: The champion's; None where there was none to compare with.
        decision: None if the run made none.
        deployment: Content of deployment.json; None if nothing was deployed.
        samples: The first test sentences with the challenger's outputs.
        notes: Problems of writing the summary itself.
        reason: Why the run was started; empty if nobody said it.
        monitoring: What monitoring found; None if the run is of another pipeline.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=2, remedy="run the pipeline with this version of Seqline")

    run: str
    state: str
    failed_task: str = ""
    error: str = ""
    data: str = ""
    data_fingerprint: str = ""
    metrics: dict[str, MetricValue] = field(default_factory=dict)
    champion_metrics: dict[str, MetricValue] | None = None
    decision: DecisionSummary | None = None
    deployment: dict[str, Any] | None = None
    samples: list[Sentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reason: str = ""
    monitoring: MonitoringSummary | None = None

    @property
    def quiet(self) -> bool:
        """Whether nobody needs to know: a run of monitoring that found no new alarm and started nothing."""
        found = self.monitoring
        return self.state == "SUCCEEDED" and found is not None and not (found.new or found.retrained)

    def is_live(self) -> bool:
        """Whether this run's model is the endpoint's live version."""
        return (self.deployment or {}).get("live") is True

    def live_version(self) -> str:
        """Returns the number of the endpoint's live version at the end of the run; empty if none is known."""
        if self.is_live():
            return str((self.deployment or {}).get("version", ""))
        return self.decision.live if self.decision else ""

    def headline(self) -> str:
        """Returns the outcome of the run in one or two sentences."""
        if self.state == "CANCELLED":
            return "The run was cancelled."
        if self.state == "UNKNOWN":
            return "The server did not report whether the run succeeded: look at its page."
        if self.state != "SUCCEEDED":
            where = f" in {self.failed_task}" if self.failed_task else ""
            return f"The run failed{where}."
        if self.monitoring is not None:
            return f"{self.monitoring.headline} {self.monitoring.retraining}".strip()
        if self.decision is None:
            return "The run succeeded, without a decision to deploy."
        if not self.decision.blessed:
            reasons = " ".join(result.reason for result in self.decision.rules if not result.passed)
            return f"The challenger was not blessed and not deployed. {reasons}"
        if not (self.deployment or {}).get("endpoint"):
            return "The challenger was blessed and not deployed."
        if self.deployment is None or not self.is_live():
            return "The challenger was blessed, but its deployment did not go live."
        version = self.deployment.get("version", "?")
        return f"The challenger was blessed and is live as version {version}."


def write_summary(folder: Path, summary: Summary) -> None:
    """Writes summary.json into an existing folder.

    Args:
        folder: The artifact's folder.
        summary: The summary.
    """
    summary.write(folder / FILE)


def read_summary(folder: Path) -> Summary:
    """Reads a summary.

    Args:
        folder: The artifact's folder.

    Raises:
        UserError: If the folder holds no summary, or one that cannot be read.
    """
    return Summary.read(Path(folder) / FILE)
