"""TPUs on GKE: the node labels that a pod with `google.com/tpu` needs.

The slices of one host, by the labels of their nodes: https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus,
and .../how-to/tpus for a pod that asks for them. TensorFlow has no program for newer TPUs than v5e.
"""

from collections.abc import Mapping

from seqline.configuration.resources import Resources
from seqline.errors import UserError

RESOURCE = "google.com/tpu"
ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY = "cloud.google.com/gke-tpu-topology"
ONE_HOST: dict[str, dict[str, int]] = {
    "tpu-v3-device": {"2x2": 4},
    "tpu-v4-podslice": {"2x2x1": 4},
    "tpu-v5-lite-podslice": {"1x1": 1, "2x2": 4, "2x4": 8},
}
"""Chips by topology, by the value of the label for the TPU."""
EXAMPLE = f"{{{ACCELERATOR}: tpu-v5-lite-podslice, {TOPOLOGY}: 2x4}}"


def check_slice(stage: str, resources: Resources, selector: Mapping[str, str]) -> None:
    """Checks the node labels of a stage that asks for TPUs; other stages are of no concern here.

    Args:
        stage: The stage's name.
        resources: What it asks for.
        selector: Labels that its node must have.

    Raises:
        UserError: If no node would fit, or the slice is that of several hosts.
    """
    if resources.accelerator_type != RESOURCE:
        return
    field = f"targets.kubeflow.pods.{stage}.node_selector"
    kind, topology = selector.get(ACCELERATOR, ""), selector.get(TOPOLOGY, "")
    if not kind or not topology:
        raise UserError(f"{field}: GKE places a pod with TPUs by two labels; set both, such as {EXAMPLE}")
    if kind not in ONE_HOST:
        raise UserError(f"{field}: TensorFlow does not train on {kind!r}; it does on {', '.join(ONE_HOST)}")
    if topology not in ONE_HOST[kind]:
        raise UserError(
            f"{field}: training uses one host, and a {kind} {topology} has several; write {' or '.join(ONE_HOST[kind])}"
        )
    chips = ONE_HOST[kind][topology]
    if resources.accelerator_count != chips:
        raise UserError(
            f"resources.{stage}.accelerator_count is {resources.accelerator_count}, but a pod takes all chips of its "
            f"node, and a {kind} {topology} has {chips}: set it to {chips}"
        )


def check_resource(stage: str, resources: Resources) -> None:
    """Checks that an accelerator is a resource of Kubernetes.

    Args:
        stage: The stage's name.
        resources: What it asks for.

    Raises:
        UserError: If it is a type of Vertex.
    """
    name = resources.accelerator_type
    if name and "/" not in name:
        wanted = RESOURCE if name.upper().startswith("TPU") else "nvidia.com/gpu"
        raise UserError(
            f"resources.{stage}.accelerator_type: {name} is a type of Vertex, which Kubernetes does not know; write "
            f"{wanted} and select its nodes with targets.kubeflow.pods.{stage}.node_selector"
        )
