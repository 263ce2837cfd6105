"""Layout of the summary artifact: what *summarize* writes, and the command line reads.

summary/
  summary.json   how the run ended, the figures, the decision, the deployment

Standard library only.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seqline.artifacts.decision import Verdict
from seqline.artifacts.evaluation import Figure, Sentence, figures
from seqline.errors import UserError

SCHEMA_VERSION = 1
FILE = "summary.json"


@dataclass(frozen=True)
class Ruling:
    """The part of the decision that a reader of the summary wants.

    Attributes:
        blessed: Whether every rule passed.
        model_fingerprint: The model that was judged.
        rules: What each rule said.
    """

    blessed: bool
    model_fingerprint: str
    rules: list[Verdict]


@dataclass(frozen=True)
class Summary:
    """What a run did and came to.

    Attributes:
        run: The run's name.
        state: SUCCEEDED, FAILED or CANCELLED, as the orchestrator says.
        failed_task: The task, or tasks with commas, that failed; empty if none or not known.
        error: Why; empty if nothing failed.
        data: Input files as the run was given them; empty if the snapshot is missing.
        data_fingerprint: Of the input files' content.
        metrics: The challenger's figures; empty if the run did not come to a decision.
        champion_metrics: The champion's; None where there was none to compare with.
        decision: None if the run did not come to one.
        deployment: What deployment.json says; None if nothing was deployed.
        samples: The first test sentences as the challenger answers them.
        notes: What the summary itself could not find out.
    """

    run: str
    state: str
    failed_task: str = ""
    error: str = ""
    data: str = ""
    data_fingerprint: str = ""
    metrics: dict[str, Figure] = field(default_factory=dict)
    champion_metrics: dict[str, Figure] | None = None
    decision: Ruling | None = None
    deployment: dict[str, Any] | None = None
    samples: list[Sentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def headline(self) -> str:
        """What the run came to, in one or two sentences."""
        if self.state == "CANCELLED":
            return "The run was cancelled."
        if self.state != "SUCCEEDED":
            where = f" in {self.failed_task}" if self.failed_task else ""
            return f"The run failed{where}."
        if self.decision is None:
            return "The run ended without a decision."
        if not self.decision.blessed:
            reasons = " ".join(rule.reason for rule in self.decision.rules if not rule.passed)
            return f"The challenger was not blessed, and so not deployed. {reasons}"
        if not (self.deployment or {}).get("endpoint"):
            return "The challenger was blessed, and deployed nowhere."
        if self.deployment is None or self.deployment.get("live") is not True:
            return "The challenger was blessed, but its deployment did not go live."
        version = self.deployment.get("version", "?")
        return f"The challenger was blessed and is live as version {version}."


def write_summary(folder: Path, summary: Summary) -> None:
    """Writes summary.json into an existing folder.

    Args:
        folder: Where it goes.
        summary: What to say.
    """
    content = {"schema_version": SCHEMA_VERSION, **asdict(summary)}
    (folder / FILE).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_summary(folder: Path) -> Summary:
    """Reads a summary.

    Args:
        folder: The artifact's folder.

    Raises:
        UserError: If the folder holds no summary, or one of another schema version.
    """
    path = Path(folder) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise UserError(f"{path} has schema version {version}, this Seqline reads {SCHEMA_VERSION}")
        champion, decision = content["champion_metrics"], content["decision"]
        rules = [Verdict(**rule) for rule in decision["rules"]] if decision else []
        return Summary(
            **{
                **content,
                "metrics": figures(content["metrics"]),
                "champion_metrics": None if champion is None else figures(champion),
                "decision": Ruling(**{**decision, "rules": rules}) if decision else None,
                "samples": [Sentence(**sample) for sample in content["samples"]],
            }
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no summary ({FILE} is missing)") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a summary ({error!r})") from error
