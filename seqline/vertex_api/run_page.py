"""The page of a pipeline job in Google Cloud's console."""

CONSOLE = "https://console.cloud.google.com"


def page_of(resource: str, project: str = "") -> str:
    """Returns the address of a run's page; empty if it is on another target.

    Args:
        resource: Resource name of the run.
        project: The project's id; by default the project of the resource name, which may be its number.
    """
    parts = resource.split("/")
    if len(parts) != 6 or parts[0] != "projects" or parts[4] != "pipelineJobs":
        return ""
    page = f"{CONSOLE}/vertex-ai/locations/{parts[3]}/pipelines/runs/{parts[5]}"
    return f"{page}?project={project or parts[1]}"
