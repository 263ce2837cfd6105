"""Deploying to KServe: the real Kubernetes client against the stand-in."""

from typing import Any

import pytest

from seqline.endpoints.kserve.back_end import KServeBackEnd
from seqline.endpoints.kserve.cluster import Cluster
from seqline.endpoints.kserve.hosting import Hosting
from seqline.endpoints.rollout import roll_back
from seqline.errors import UserError
from tests.seqline.endpoints.conftest import ENDPOINT, IMAGE, KServe


def test_the_first_version_creates_the_inference_service_and_answers(kserve: KServe) -> None:
    deployment = kserve.deploy(kserve.model("one"))
    assert (deployment.version, deployment.url) == (1, "http://demo-ns.example.com/v1/models/demo:predict")
    back_end = kserve.back_end()
    state = back_end.state()
    assert (state.traffic, state.aliases) == ({1: 100}, {"champion": 1, "best": 1})
    assert back_end.predict(["Hello"]) == [{"text": "HELLO", "score": -0.1}]
    (container,) = kserve.cluster.service()["spec"]["predictor"]["containers"]
    assert (container["name"], container["image"]) == ("kserve-container", IMAGE)
    assert container["env"] == [{"name": "STORAGE_URI", "value": "s3://bucket/one"}]


def test_a_second_run_finds_the_champion_and_the_versions_of_the_first(kserve: KServe) -> None:
    assert [kserve.deploy(kserve.model(name)).version for name in ("one", "two", "three")] == [1, 2, 3]
    back_end = kserve.back_end()
    state = back_end.state()
    assert state.shares == {3: 100}
    assert state.aliases == {"champion": 3, "previous": 2, "best": 1}
    assert [(one.version, one.fingerprint, one.model) for one in back_end.versions()] == [
        (1, "one", "s3://bucket/one"),
        (2, "two", "s3://bucket/two"),
        (3, "three", "s3://bucket/three"),
    ]


def test_the_same_model_again_is_the_same_version(kserve: KServe) -> None:
    assert kserve.deploy(kserve.model("one")).version == kserve.deploy(kserve.model("one")).version == 1


def test_the_share_of_a_new_version_rises_in_steps_while_its_own_address_is_checked(
    serverless: KServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    serverless.deploy(serverless.model("one"))
    serverless.cluster.gateway.asked.clear()
    shares: list[Any] = []
    split = KServeBackEnd.split

    def spied(self: KServeBackEnd, traffic: dict[int, int], replaces: Any = None) -> None:
        split(self, traffic, replaces)
        shares.append(self.state().shares)

    monkeypatch.setattr(KServeBackEnd, "split", spied)
    serverless.deploy(serverless.model("two"))
    assert shares == [{1: 90, 2: 10}, {1: 50, 2: 50}, {2: 100}]
    assert {*serverless.cluster.gateway.asked} == {("latest-demo-predictor.ns.example.com", "2")}


def test_in_standard_mode_a_new_version_is_checked_as_a_candidate_and_then_takes_all_traffic(standard: KServe) -> None:
    standard.deploy(standard.model("one"))
    standard.cluster.gateway.asked.clear()
    standard.deploy(standard.model("two"))
    hosts = [host for host, version in standard.cluster.gateway.asked if version == "2"]
    assert hosts[0] == "demo-candidate-ns.example.com"
    assert hosts[-1] == "demo-ns.example.com"
    assert standard.cluster.objects.find("inferenceservices", "ns", "demo-candidate") is None


def test_a_model_that_does_not_load_leaves_the_live_version(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    broken = kserve.model("two")
    del kserve.cluster.models["s3://bucket/two"]
    message = r"version 2 does not load: .*cannot read s3://bucket/two.*restored, version 1 remains live"
    with pytest.raises(UserError, match=message):
        kserve.deploy(broken)
    state = kserve.back_end().state()
    assert (state.traffic, state.champion) == ({1: 100}, 1)
    assert kserve.back_end().predict(["Hello"])[0]["text"] == "HELLO"
    predictor = kserve.cluster.service()["spec"]["predictor"]
    assert predictor["annotations"]["seqline-version"] == "1"
    assert "canaryTrafficPercent" not in predictor


def test_a_version_that_fails_its_check_gets_no_traffic(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    mute = kserve.model("two")
    kserve.cluster.models["s3://bucket/two"] = lambda text: ""
    with pytest.raises(
        UserError, match=r"version 2 returned empty texts for all .* smoke requests; .*version 1 remains live"
    ):
        kserve.deploy(mute)
    assert kserve.back_end().state().traffic == {1: 100}


def test_a_version_that_fails_with_all_traffic_gives_it_back(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    flaky, service = kserve.model("two"), kserve.cluster.objects

    def fails_when_live(text: str) -> str:
        live = service.get("inferenceservices", "ns", "demo")
        component = live["status"].get("components", {}).get("predictor", {})
        shares = {one["revisionName"]: one["percent"] for one in component.get("traffic", [])}
        on = live["spec"]["predictor"]["annotations"]["seqline-version"]
        return "" if (kserve.mode == "standard" and on == "2") or shares == {"demo-predictor-00002": 100} else text

    kserve.cluster.models["s3://bucket/two"] = fails_when_live
    with pytest.raises(UserError, match=r"empty texts .*restored, version 1 remains live"):
        kserve.deploy(flaky)
    assert kserve.back_end().state().traffic == {1: 100}
    assert kserve.back_end().predict(["Hello"])[0]["text"] == "HELLO"


def test_a_rollback_makes_the_last_good_version_live_and_a_second_one_undoes_it(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    kserve.deploy(kserve.model("two", "lower"))
    back_end = kserve.back_end()
    with back_end.locked():
        assert roll_back(back_end) == 1
    state = back_end.state()
    assert (state.shares, state.aliases["previous"]) == ({1: 100}, 2)
    assert back_end.predict(["Hello"])[0]["text"] == "HELLO"
    assert list(state.rolled_back) == ["two"]
    with pytest.raises(UserError, match=rf"two was rolled back on .*allow two --endpoint {ENDPOINT}"):
        kserve.deploy(kserve.model("two", "lower"))
    with back_end.locked():
        assert roll_back(back_end) == 2
    assert back_end.state().rolled_back == {}
    assert back_end.predict(["Hello"])[0]["text"] == "hello"


def test_a_stopped_endpoint_keeps_its_versions_and_starts_again(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    back_end = kserve.back_end()
    assert back_end.stop()
    assert (back_end.state().traffic, back_end.runs()) == ({}, False)
    with back_end.locked():
        back_end.add(1)
    assert back_end.state().traffic == {1: 100}


def test_in_a_pod_requests_go_to_the_clusters_own_services(kserve: KServe, monkeypatch: pytest.MonkeyPatch) -> None:
    kserve.deploy(kserve.model("one"))
    back_end = kserve.back_end()
    back_end.hosting = Hosting(image=IMAGE, mode=kserve.mode)  # type: ignore[arg-type]
    version = back_end.register(kserve.model("two"), "two", {})
    back_end.add(version)
    monkeypatch.setattr(Cluster, "inside", True)
    pod = KServeBackEnd(ENDPOINT)
    pod.cluster, pod.history = back_end.cluster, back_end.history
    assert pod.address().startswith(
        {"standard": "http://demo-predictor.ns.svc", "serverless": "http://demo.ns.svc"}[kserve.mode]
    )
    assert kserve.mode == "standard" or (
        pod.placement.address_of(version) == "http://latest-demo-predictor.ns.svc.cluster.local"
    )


def test_options_become_fields_of_the_predictor(kserve: KServe) -> None:
    scaling = {"scale_metric": "rps", "scale_target": 5} if kserve.mode == "serverless" else {"target_utilization": 70}
    values = {
        "cpu": "2",
        "memory": "4Gi",
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_count": 1,
        "max_replicas": 4,
        "service_account": "models",
        "request_timeout": 30,
        "sample_requests": 0.1,
        "sample_folder": "s3://bucket/samples",
    }
    kserve.deploy(kserve.model("one"), **values, **scaling)
    assert kserve.back_end().samples() == "s3://bucket/samples"
    predictor = kserve.cluster.service()["spec"]["predictor"]
    assert predictor["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 4)
    metric = {"standard": ("cpu", 70), "serverless": ("rps", 5)}[kserve.mode]
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == metric
    assert (predictor["serviceAccountName"], predictor["timeout"]) == ("models", 30)


def test_fields_that_somebody_else_added_stay_and_an_option_that_is_gone_goes(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"), request_timeout=30)
    service = kserve.cluster.objects.get("inferenceservices", "ns", "demo")
    service["spec"]["predictor"]["nodeSelector"] = {"pool": "models"}
    kserve.deploy(kserve.model("two"))
    predictor = kserve.cluster.service()["spec"]["predictor"]
    assert predictor["nodeSelector"] == {"pool": "models"}
    assert "timeout" not in predictor


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("kserve://demo", "is not kserve://NAMESPACE/NAME"),
        ("kserve://ns/1demo", "is not kserve://NAMESPACE/NAME"),
        ("kserve://ns/Demo", "is not kserve://NAMESPACE/NAME"),
        ("kserve://ns/" + "a" * 41, "have 43 characters together, and KServe's host names have room for 42"),
    ],
)
def test_a_name_that_kserve_refuses_is_refused_before_anything_runs(endpoint: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        KServeBackEnd(endpoint)


def test_the_deployment_mode_of_an_endpoint_cannot_change(standard: KServe) -> None:
    standard.deploy(standard.model("one"))
    with pytest.raises(UserError, match=r"deployment_mode: kserve://ns/demo is in standard mode"):
        standard.deploy(standard.model("two"), deployment_mode="serverless")


def test_traffic_that_kserve_cannot_split_is_refused_with_what_it_can(kserve: KServe) -> None:
    for name in ("one", "two", "three"):
        kserve.deploy(kserve.model(name))
    back_end = kserve.back_end()
    with back_end.locked():
        back_end.add(1)
        with pytest.raises(UserError, match=r"does not split the traffic|KServe splits the traffic between"):
            back_end.split({1: 50, 2: 50})
    assert back_end.state().shares == {3: 100}
