"""The page of a pipeline job in Google Cloud's console."""


def page_of(resource: str) -> str:
    """Returns the address of a run's page; empty if it is on another target.

    Args:
        resource: Resource name of the run.
    """
    parts = resource.split("/")
    if len(parts) != 6 or parts[0] != "projects" or parts[4] != "pipelineJobs":
        return ""
    base = "https://console.cloud.google.com/vertex-ai/locations"
    return f"{base}/{parts[3]}/pipelines/runs/{parts[5]}?project={parts[1]}"
