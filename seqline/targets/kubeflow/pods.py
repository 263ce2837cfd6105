"""The configuration's settings of pods in the spec's second document, through kfp-kubernetes."""

from typing import Any

from seqline.configuration.kubernetes import PodSettings
from seqline.targets.kubeflow.versions import kubernetes


def set_pod(task: Any, pod: PodSettings) -> None:
    """Gives a task the settings of its pods.

    Args:
        task: A `dsl.PipelineTask`.
        pod: The settings, complete.
    """
    _schedule(task, pod)
    _describe(task, pod)
    _mount(task, pod)


def _schedule(task: Any, pod: PodSettings) -> None:
    """Sets where and for how long the pod runs."""
    library = kubernetes()
    for label, value in sorted(pod.node_selector.items()):
        library.add_node_selector(task, label, value)
    for term in pod.node_affinity:
        wanted = [one.model_dump() for one in term.requirements]
        library.add_node_affinity(task, match_expressions=wanted, weight=term.weight)
    for one in pod.tolerations:
        # Empty texts are left out of the spec: they mean any key, value and effect.
        library.add_toleration(task, one.key, one.operator, one.value, one.effect, one.seconds)
    if pod.active_deadline_seconds is not None:
        library.set_timeout(task, pod.active_deadline_seconds)


def _describe(task: Any, pod: PodSettings) -> None:
    """Sets labels, annotations, the user and how the image is pulled."""
    library = kubernetes()
    for key, value in sorted(pod.labels.items()):
        library.add_pod_label(task, key, value)
    for key, value in sorted(pod.annotations.items()):
        library.add_pod_annotation(task, key, value)
    if pod.image_pull_secrets:
        library.set_image_pull_secrets(task, list(pod.image_pull_secrets))
    if pod.image_pull_policy:
        library.set_image_pull_policy(task, pod.image_pull_policy)
    user = pod.security_context
    if user is not None and user.model_dump(exclude_none=True):
        library.set_security_context(task, user.run_as_user, user.run_as_group, user.run_as_non_root)


def _mount(task: Any, pod: PodSettings) -> None:
    """Sets variables and volumes."""
    library = kubernetes()
    for variable, address in sorted(pod.secret_environment.items()):
        name, _, key = address.partition("/")
        library.use_secret_as_env(task, secret_name=name, secret_key_to_env={key: variable})
    for variable, address in sorted(pod.config_map_environment.items()):
        name, _, key = address.partition("/")
        library.use_config_map_as_env(task, config_map_name=name, config_map_key_to_env={key: variable})
    for folder, name in sorted(pod.secret_volumes.items()):
        library.use_secret_as_volume(task, secret_name=name, mount_path=folder)
    for folder, name in sorted(pod.config_map_volumes.items()):
        library.use_config_map_as_volume(task, config_map_name=name, mount_path=folder)
    for folder, claim in sorted(pod.claims.items()):
        name, _, inner = claim.partition("/")
        library.mount_pvc(task, pvc_name=name, mount_path=folder, sub_path=inner)
