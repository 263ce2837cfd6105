"""The key metric of each stage in the table of a run."""

from typing import Any

import pytest

from seqline.targets.key_metrics import key_metric


@pytest.mark.parametrize(
    ("stage", "metadata", "metric"),
    [
        ("train", {"metrics": {"valid_loss": 1.23456}}, "loss 1.235"),
        ("tune", {"metrics": {"valid_loss": 1.2}}, "best loss 1.200"),
        ("infer", {"metrics": {"lines": 1200.0, "predicted": 1199.0, "failed": 1.0}}, "1,199 of 1,200 lines"),
        ("bless", {"decision": {"blessed": False}}, "not blessed"),
        ("deploy", {"deployment": {"live": True, "version": "3"}}, "version 3 is live"),
        ("collect", {"window": {"requests": 1200, "version": "3"}}, "1,200 requests of version 3"),
        ("monitor", {"monitored": {"alarms": 2, "rules": 11}}, "2 of 11 rules in alarm"),
        ("retrain", {"retraining": {"started": True}}, "a run was started"),
        ("retrain", {"retraining": {"started": False}}, "no run was started"),
        ("train", {"metrics": {}}, ""),
        ("unknown", {"metrics": {"valid_loss": 1.0}}, ""),
    ],
)
def test_a_stage_has_a_key_metric(stage: str, metadata: dict[str, Any], metric: str) -> None:
    assert key_metric(stage, metadata) == metric
