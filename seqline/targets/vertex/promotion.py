"""Promotion: what was tested in one project runs in another, by digest.

A template names its images, the address of the API if one is configured, and with training as a job or Dataflow also
accounts and networks. Those addresses belong to a project. Where the two configurations differ in them, they are
replaced in the template; every other byte is what was tested. With the same repository of images and no such address,
template and digest are the same.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.configuration.parameters import Parameters, read_parameters
from seqline.errors import UserError
from seqline.targets.schedule_plan import Difference, differing

if TYPE_CHECKING:
    from seqline.configuration import Configuration
    from seqline.targets.vertex.target import Vertex

# Settings that are addresses of a project's own resources, by their path below targets.vertex.
ADDRESSES = (
    ("service_account",),
    ("network",),
    ("network_attachment",),
    ("encryption_key",),
    ("api_address",),
    ("training", "tensorboard"),
    ("training", "reservation"),
    ("dataflow", "service_account"),
    ("dataflow", "network"),
    ("dataflow", "subnetwork"),
)
# Settings of targets.vertex that are those of each run, and not in the template.
OF_RUNS = frozenset(
    {"project", "location", "pipeline_root", "repository", "parameters", "api_endpoint", "api_transport"}
)
# Parts of an address, next to which another address would begin.
PART = r"[\w.@/:-]"


@dataclass(frozen=True)
class Promotion:
    """A template on its way into another project.

    Attributes:
        source: The tested version's reference.
        run: The run that succeeded with it; empty if there is none.
        text: The template for the other project.
        replaced: The addresses that were replaced, old and new.
        images: The images to copy, old and new address.
        values: Values of runs that differ, from the first project to the second.
        kept: Settings that the template holds as tested, and the second configuration has otherwise.
        foreign: Values of the second project's runs that still name the first one.
    """

    source: str
    run: str
    text: str
    replaced: tuple[tuple[str, str], ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    values: tuple[Difference, ...] = ()
    kept: tuple[Difference, ...] = ()
    foreign: tuple[str, ...] = field(default_factory=tuple)

    @property
    def digest(self) -> str:
        """The digest of the template for the other project."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    def parameters(self) -> Parameters:
        """The parameters of the template for the other project, with its defaults."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_bytes(self.text.encode())
            return read_parameters(path)


def find_tested(source: "Vertex", pipeline: str, template: str = "") -> tuple[str, str]:
    """Finds the version that was tested.

    Args:
        source: The project in which it was tested.
        pipeline: The pipeline's name in its spec.
        template: A version or a tag; empty for that of the newest successful run.

    Returns:
        The version's reference, and the newest run that succeeded with it; an empty text if none did.

    Raises:
        UserError: If no run of the pipeline that succeeded used an uploaded version.
    """
    chosen = source.templates.resolve(template) if template else ""
    wanted = [f'pipeline_name="{pipeline}"', 'state="PIPELINE_STATE_SUCCEEDED"']
    request = {"parent": source.connection.parent, "order_by": "create_time desc", "filter": " AND ".join(wanted)}
    jobs = source.connection.read(
        "list the successful runs", lambda: list(source.connection.pipelines.list_pipeline_jobs(request=request))
    )
    for job in jobs:
        if job.template_uri and job.template_uri == (chosen or job.template_uri):
            return job.template_uri, job.name.rpartition("/")[2]
    if chosen:
        return chosen, ""
    raise UserError(
        f"{source.settings.project}: no run of {pipeline} that succeeded used an uploaded version; "
        "`seqline upload`, then `seqline run --from-template REFERENCE`, or name a version with --template"
    )


def prepare(source: "Vertex", target: "Vertex", reference: str, run: str) -> Promotion:
    """Makes the template for another project.

    Args:
        source: The project in which the version was tested.
        target: The other project.
        reference: From `find_tested`.
        run: From `find_tested`.

    Raises:
        UserError: If an image has no digest, or an address of the first project has no counterpart.
    """
    text = source.templates.fetch(reference)
    version = reference.rpartition("/")[2].removesuffix(".yaml").replace("sha256-", "sha256:")
    if f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" != version:
        raise UserError(f"{reference} has another content than its digest says")
    old, new = source.configuration, target.configuration
    images = tuple(_images(text, old.images.repository, new.images.repository))
    replaced = [*images, *_addresses(text, old, new)]
    text = _replace(text, [pair for pair in replaced if pair[0] != pair[1]])
    return Promotion(
        source=reference,
        run=run,
        text=text,
        replaced=tuple(pair for pair in replaced if pair[0] != pair[1]),
        images=tuple(pair for pair in images if pair[0] != pair[1]),
        kept=tuple(_kept(old, new)),
    )


def upload(promotion: Promotion, target: "Vertex", tags: Sequence[str] = ()) -> str:
    """Uploads the template.

    Args:
        promotion: From `prepare`.
        target: The other project.
        tags: Names that will point at it.

    Returns:
        Its reference.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_bytes(promotion.text.encode())
        return target.upload(path, tags).reference


def values(defaults: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Yields the values of runs that differ between two projects.

    Args:
        defaults: The template's defaults by parameter.
        old: Values of the first project's runs.
        new: Values of the second project's runs.
    """
    for name in sorted({*old, *new}):
        yield from differing(f"parameters.{name}", old.get(name, defaults.get(name)), new.get(name, defaults.get(name)))


def foreign(found: Mapping[str, Any], old: "Configuration", new: "Configuration") -> Iterator[str]:
    """Yields the values of the second project's runs that name the first project or its bucket.

    Args:
        found: Values by parameter, with the template's defaults.
        old: The first configuration.
        new: The second configuration.
    """
    first, second = old.targets.vertex, new.targets.vertex
    assert first is not None  # noqa: S101 (both targets are open)
    assert second is not None  # noqa: S101
    names = {f"projects/{first.project}/": second.project == first.project}
    names |= {f"{first.pipeline_root.rstrip('/')}/": second.pipeline_root == first.pipeline_root}
    names |= {f"{old.images.repository}/": new.images.repository == old.images.repository}
    for path, value in _leaves("parameters", found):
        for name, same in names.items():
            if not same and name in f"{value}/":
                yield f"{path}: {value!r}"
                break


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(f"{path}.{name}", one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(f"{path}[{number}]", one)
    elif isinstance(value, str):
        yield path, value


def _images(text: str, old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yields the addresses of the images of a repository in a template, and those of the other repository."""
    pattern = rf"(?<!{PART}){re.escape(old)}/([a-z0-9-]+)(@sha256:[0-9a-f]{{64}}|:[\w.-]+)?(?!{PART})"
    unpinned = sorted({match[0] for match in re.finditer(pattern, text) if not (match[2] or "").startswith("@")})
    if unpinned:
        raise UserError(
            f"the template names images by tag, which can name another image later: {', '.join(unpinned)}; set "
            "images.digests (`seqline images build --push` writes them), upload and test the template again"
        )
    for name, digest in sorted({(match[1], match[2]) for match in re.finditer(pattern, text)}):
        yield f"{old}/{name}{digest}", f"{new}/{name}{digest}"


def _addresses(text: str, old: "Configuration", new: "Configuration") -> Iterator[tuple[str, str]]:
    """Yields the other addresses of the first project in a template, and those of the second."""
    found: dict[str, str] = {}
    for path in ADDRESSES:
        before, after = (_setting(configuration, path) for configuration in (old, new))
        if path == ("api_address",):
            # Without a setting the stages would use the region's own, and a template cannot hold nothing there.
            after = after or f"{_setting(new, ('location',))}-aiplatform.googleapis.com"
        if not before or not re.search(rf"(?<!{PART}){re.escape(before)}(?!{PART})", text):
            continue
        key = f"targets.vertex.{'.'.join(path)}"
        if not after:
            raise UserError(f"{key}: the template uses {before}, and the other configuration sets none; set it there")
        if found.setdefault(before, after) != after:
            raise UserError(
                f"{key}: the template uses {before} for several settings, which differ in the other project"
            )
    yield from found.items()


def _setting(configuration: "Configuration", path: Sequence[str]) -> str:
    value: Any = configuration.targets.vertex
    for name in path:
        value = getattr(value, name, None)
    return str(value or "")


def _replace(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Replaces addresses, all at once, so that none is replaced twice."""
    known = dict(pairs)
    if not known:
        return text
    longest = sorted(map(re.escape, known), key=len, reverse=True)
    return re.sub(rf"(?<!{PART})({'|'.join(longest)})(?!{PART})", lambda match: known[match[1]], text)


def _kept(old: "Configuration", new: "Configuration") -> Iterator[Difference]:
    """Yields the settings that are part of a template and differ between two configurations."""
    first, second = (
        {
            "resources": {name: one.model_dump(mode="json") for name, one in configuration.resources.items()},
            "targets.vertex": {
                name: value
                for name, value in (configuration.targets.vertex.model_dump(mode="json") or {}).items()  # type: ignore[union-attr]
                if name not in OF_RUNS
            },
        }
        for configuration in (old, new)
    )
    replaced = {f"targets.vertex.{'.'.join(path)}" for path in ADDRESSES}
    for name in first:
        yield from (one for one in differing(name, first[name], second[name]) if one.field not in replaced)
