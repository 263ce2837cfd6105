"""Addresses of pages in the Google Cloud console."""

from seqline.vertex_api.run_page import CONSOLE


def schedule_page(name: str, project: str) -> str:
    """The page of a schedule.

    Args:
        name: Resource name of the schedule.
        project: The project's id.
    """
    _, _, _, location, _, schedule = name.split("/")
    return f"{CONSOLE}/vertex-ai/locations/{location}/pipelines/schedules/{schedule}?project={project}"


def template_page(location: str, project: str, repository: str, package: str, version: str) -> str:
    """The page of an uploaded version in Artifact Registry.

    Args:
        location: The repository's region.
        project: Its project's id.
        repository: Its name.
        package: The pipeline's name.
        version: `sha256:...`.
    """
    path = f"kfp/{project}/{location}/{repository}/{package}/{version}"
    return f"{CONSOLE}/artifacts/{path}?project={project}"


def bucket_page(address: str, project: str) -> str:
    """The page of a file in a bucket.

    Args:
        address: gs://bucket/file.
        project: The project's id.
    """
    return f"{CONSOLE}/storage/browser/_details/{address.removeprefix('gs://')}?project={project}"
