"""`seqline promote`: what was tested in one project goes to another, template and images by digest."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, PipelineOption, at_home
from seqline.errors import UserError


@examples(
    "seqline promote --from staging.yaml --to production.yaml --dry-run",
    "seqline promote --from staging.yaml --to production.yaml --tag live",
)
def promote(
    from_: Annotated[
        list[Path],
        typer.Option(
            "--from", callback=at_home, metavar="PATH", help="Configuration of the tested project; repeatable."
        ),
    ],
    to: Annotated[
        list[Path],
        typer.Option("--to", callback=at_home, metavar="PATH", help="Configuration of the other project; repeatable."),
    ],
    template: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE", help="An uploaded version or a tag; by default that of the newest run that succeeded."
        ),
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag to move to the promoted version; repeatable.")
    ] = None,
    untested: Annotated[
        bool, typer.Option("--untested", help="Also promote a version with which no run succeeded.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")] = False,
    pipeline: PipelineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Promote a tested version to another project.

    Uploads the template and copies its images to the other project's repositories, both by digest, and shows which
    values differ between the two.
    """
    from dataclasses import asdict, replace
    from typing import cast

    from seqline.compiling.compiler import parameters_of
    from seqline.configuration import load
    from seqline.targets import open_target
    from seqline.targets.vertex.promotion import find_tested, foreign, prepare, upload, values
    from seqline.targets.vertex.target import Vertex

    first, second = load(from_), load(to)
    source, target = (cast("Vertex", open_target("vertex", one.configuration)) for one in (first, second))
    name = pipeline or first.configuration.pipeline
    reference, run = find_tested(source, parameters_of(name).pipeline, template)
    if not run and not untested:
        raise UserError(f"no run succeeded with {reference} in {source.settings.project}; test it, or add --untested")
    promotion = prepare(source, target, reference, run)
    known = promotion.parameters()
    others = [name != one.configuration.pipeline for one in (first, second)]
    old, new = (
        one.arguments(known, "vertex", others=other) for one, other in zip((first, second), others, strict=True)
    )
    promotion = replace(
        promotion,
        values=tuple(values(known.defaults, old, new)),
        foreign=tuple(foreign({**known.defaults, **new}, first.configuration, second.configuration)),
    )
    if promotion.foreign:
        raise UserError(
            f"runs in {target.settings.project} would still use {source.settings.project}; set these in "
            f"{to[-1]}:\n  " + "\n  ".join(promotion.foreign)
        )
    copied: dict[str, bool] = {}
    made = ""
    if not dry_run:
        from seqline.images.registry import Registries

        registries = Registries("" if target.connection.plain else _token(target))
        copied = {new: registries.copy(old, new) for old, new in promotion.images}
        made = upload(promotion, target, tag or ())
    if as_json:
        shown = {key: value for key, value in asdict(promotion).items() if key != "text"}
        print_json({**shown, "digest": promotion.digest, "reference": made, "copied": copied})
        return
    same = "the tested bytes" if not promotion.replaced else "the tested bytes, except for these addresses:"
    print(f"{reference}\n  {f'run {run} succeeded with it' if run else 'untested'}")
    print(f"{made or promotion.digest}\n  {same}")
    for old_address, new_address in promotion.replaced:
        state = {True: " (copied)", False: " (was there)"}.get(copied.get(new_address), "")  # type: ignore[arg-type]
        print(f"    {old_address} -> {new_address}{state}")
    _print("values of runs that differ", promotion.values)
    if promotion.kept:
        _print(f"settings that remain as tested, although {to[-1]} has other values", promotion.kept)
    if dry_run:
        print("nothing was changed (--dry-run)", file=sys.stderr)


def _print(title: str, differences: object) -> None:
    found = list(differences)  # type: ignore[call-overload]
    print(f"{title}: {'' if found else 'none'}".rstrip())
    for difference in found:
        print(f"    {difference}")


def _token(target: object) -> str:
    """An access token of this caller."""
    from google.auth.transport.requests import Request

    credentials = target.connection.credentials  # type: ignore[attr-defined]
    credentials.refresh(Request())
    return str(credentials.token)
