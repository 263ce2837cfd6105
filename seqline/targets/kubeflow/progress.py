"""How far the running tasks of a run on Kubeflow are, from the logs of their pods.

The API server passes on the log of a pod, whole, in `ReadRunLogV1` of backend/src/apiserver/server/run_log_server.go;
main.go there has the path. What it calls the node's id is the name of the pod.
"""

from seqline.progress import Progress, last_of
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.versions import server_api
from seqline.targets.target import Run, Task
from seqline.targets.task_progress import RefusedError

# A log is read from its beginning each time.
SECONDS = 60.0
# The template of the pods that run a stage's command (argocompiler/container.go of backend/src/v2/compiler).
TEMPLATE = "system-container-impl"


def pod_of(node: str) -> str:
    """Returns the name of a stage's pod.

    Args:
        node: Argo's id of its node, `WORKFLOW-HASH`; a pod is `WORKFLOW-TEMPLATE-HASH` (GeneratePodName in
            workflow/util/pod_name.go of Argo Workflows, from 3.4 on). A name of a pod is returned unchanged.
    """
    workflow, _, number = node.rpartition("-")
    return node if TEMPLATE in node or not workflow else f"{workflow}-{TEMPLATE}-{number}"


def newest_record(connection: Connection, run: Run, task: Task) -> Progress | None:
    """Reads the newest record of a task.

    Args:
        connection: The connection.
        run: The task's run.
        task: The task; its id is that of its node.

    Raises:
        RefusedError: If the server gives no logs.
    """
    failure = server_api().ApiException
    path = f"/apis/v1alpha1/runs/{run.id}/nodes/{pod_of(task.id)}/log"
    try:
        text = connection.once(
            lambda client: client._run_api.api_client.call_api(
                path, "GET", header_params={"Accept": "text/plain"}, auth_settings=["Bearer"], response_type="str",
                _return_http_data_only=True,
            )
        )  # fmt: skip
    except failure as error:
        # 500: there is no such pod, or it has not begun to write.
        if error.status in (401, 403, 404):
            raise RefusedError from None
        raise
    return last_of(str(text).splitlines())
