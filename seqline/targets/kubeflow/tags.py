"""Names that point at a version of a pipeline, as tags of KFP: keys of which one version of the pipeline has each."""

from collections.abc import Sequence
from typing import Any

from seqline.errors import UserError
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.versions import TAGS, server_api, shown
from seqline.targets.target import UnsupportedError

MOST, LONGEST = 20, 63
"""Number of tags of a version, and length of one (backend/src/apiserver/model/pipeline_tags.go)."""
VALUE = "seqline"


def require(connection: Connection, tags: Sequence[str]) -> None:
    """Checks tags before anything is uploaded.

    Args:
        connection: The server.
        tags: The tags.

    Raises:
        UserError: If the server has no tags, or would refuse one.
    """
    server = connection.server
    if not server.has(TAGS):
        raise UnsupportedError(
            f"this server is KFP {server.tag}, and tags came with {shown(TAGS)}; leave out --tag: a version is named "
            "by its content"
        )
    for tag in tags:
        if not tag or "." in tag or "/" in tag or len(tag) > LONGEST:
            raise UserError(f"{tag!r} is not a tag of KFP: write {LONGEST} characters at most, without . and /")
    if len(set(tags)) > MOST:
        raise UserError(f"a version of KFP has {MOST} tags at most, not {len(set(tags))}")


def move(connection: Connection, pipeline: str, version: str, tags: Sequence[str]) -> tuple[str, ...]:
    """Lets tags point at a version, and at no other one of the pipeline.

    Args:
        connection: The server.
        pipeline: The pipeline's id.
        version: The version's id.
        tags: The tags.

    Returns:
        All tags that point at the version now.
    """
    found: tuple[str, ...] = ()
    # The new place first: when this is interrupted, the newest version with the tag counts.
    versions = sorted(_versions(connection, pipeline), key=lambda one: one.pipeline_version_id != version)
    for one in versions:
        held = dict(one.tags or {})
        if one.pipeline_version_id == version:
            wanted = {**held, **dict.fromkeys(tags, VALUE)}
            found = tuple(sorted(wanted))
        else:
            wanted = {key: value for key, value in held.items() if key not in tags}
        if wanted != held:
            _set(connection, pipeline, one.pipeline_version_id, wanted)
    return found


def resolve(connection: Connection, pipeline: str, name: str) -> str:
    """Returns the id of the version that a tag points at.

    Args:
        connection: The server.
        pipeline: The pipeline's id.
        name: The tag, or a version's id already.

    Raises:
        UserError: If there is neither.
    """
    versions = _versions(connection, pipeline)
    for one in versions:
        if one.pipeline_version_id == name:
            return name
    tagged = [one for one in versions if name in (one.tags or {})]
    if not tagged:
        raise UserError(f"pipeline {pipeline} has no version and no tag {name!r}; `seqline upload` shows the reference")
    return str(max(tagged, key=lambda one: one.created_at).pipeline_version_id)


def _versions(connection: Connection, pipeline: str) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        page = connection.read(
            "list the versions",
            lambda client, token=token: client.list_pipeline_versions(  # type: ignore[misc]
                pipeline, page_token=token, page_size=100
            ),
        )
        found += page.pipeline_versions or []
        token = page.next_page_token or ""
        if not token:
            return found


def _set(connection: Connection, pipeline: str, version: str, tags: dict[str, str]) -> None:
    # The whole map is replaced, and an empty one clears it (recoverClearTagsIntent in pipeline_server.go).
    content = server_api().V2beta1PipelineVersion(pipeline_id=pipeline, pipeline_version_id=version, tags=tags)
    connection.read(
        "move a tag",
        lambda client: client._pipelines_api.pipeline_service_update_pipeline_version(pipeline, version, content),
    )
