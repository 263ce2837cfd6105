"""`seqline images`: builds and tests the images of containers/."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, at_home

app = typer.Typer(help="Build the images and run the pipelines in them.", no_args_is_help=True)

EngineOption = Annotated[
    str,
    typer.Option(
        metavar="ENGINE",
        help="docker or buildah, optionally with global options; by default the first that works.",
    ),
]


@app.command()
@examples(
    "seqline images build train serve",
    "seqline images build --repository europe-docker.pkg.dev/my-project/seqline --push",
)
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Names of images; all by default.")] = None,
    engine: EngineOption = "",
    repository: Annotated[str, typer.Option(metavar="REPOSITORY", help="Prefix of an image's name.")] = "seqline",
    base_image: Annotated[
        str,
        typer.Option(metavar="IMAGE", help="Base image with Python 3.11 on Linux; the Dockerfile's by default."),
    ] = "",
    beam_image: Annotated[
        str,
        typer.Option(
            metavar="IMAGE",
            help="Image of Beam's SDK, such as a mirror's, whose boot program starts tokenize and infer on Dataflow; "
            "the Dockerfile's by default.",
        ),
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="An option for the engine's build command; repeatable.")
    ] = None,
    containers: Annotated[
        Path | None,
        typer.Option(
            callback=at_home,
            metavar="PATH",
            help="Folder of the Dockerfile; by default ./containers, or else what Seqline was installed with.",
        ),
    ] = None,
    packages: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PACKAGE",
            help="A package with plugins for the images: a requirement, a wheel or a project's folder; repeatable.",
        ),
    ] = None,
    sbom: Annotated[
        Path, typer.Option(callback=at_home, metavar="PATH", help="Folder of the software bills of materials.")
    ] = Path("build/sbom"),
    push: Annotated[bool, typer.Option(help="Push them to the registry of --repository.")] = False,
    push_option: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="An option for the engine's push command; repeatable.")
    ] = None,
    digests: Annotated[
        Path,
        typer.Option(
            callback=at_home, metavar="PATH", help="Configuration file to write, with the digests of the pushed images."
        ),
    ] = Path("build/images.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Build images, write their contents, and print their sizes."""
    from seqline.images.build import Engine, find_images, write_pins
    from seqline.images.packaged import containers_of
    from seqline.images.packages import add_packages, gathered
    from seqline.images.sbom import write_sbom
    from seqline.images.workers import check_beam_image
    from seqline.revision import revision

    sizes, pushed = {}, {}
    with containers_of(containers) as folder, gathered(packages or []) as context:
        found = find_images(folder, names or [])
        builder = Engine.find(engine)
        arguments = {"VERSION": version("seqline"), "REVISION": revision(folder)}
        if base_image:
            arguments["BASE_IMAGE"] = base_image
        if beam_image:
            check_beam_image(beam_image, folder)
            arguments["BEAM_IMAGE"] = beam_image
        for name in found:
            tag = f"{repository}/{name}:{version('seqline')}"
            builder.build(folder, name, tag, arguments, option or [])
            if packages:
                add_packages(builder, folder, name, tag, context, arguments)
            sizes[tag] = builder.size(tag)
            write_sbom(sbom / f"{name}.cdx.json", tag, builder)
            if push:
                pushed[tag] = builder.push(tag, push_option or [])
                write_pins(digests, repository, {name: pushed[tag]})
    if as_json:
        print_json([{"image": tag, "bytes": size, "digest": pushed.get(tag, "")} for tag, size in sizes.items()])
        return
    for tag, size in sizes.items():
        print(f"{size / 1e6:8.0f} MB  {tag}")
    print(f"Software bills of materials: {sbom}")
    if push:
        print(f"Digests: {digests}")


@app.command("test")
@examples("seqline images test --engine buildah --pairs 1000")
def run_inside(
    engine: EngineOption = "",
    spec: Annotated[
        Path | None, typer.Option(callback=at_home, metavar="PATH", help="A compiled pipeline; compiled by default.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter or an option; repeatable."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Number of pairs of the sample.")] = 2000,
    home: Annotated[Path, typer.Option(callback=at_home, metavar="PATH", help="Folder of the run.")] = Path(
        "build/images"
    ),
    as_json: JsonOption = False,
) -> None:
    """Run the pipelines on the sample, each stage in its image.

    Checks that Dataflow can start workers from the images with Beam, runs training and batch inference, then sends a
    request to the serving image.
    """
    from rich.console import Console

    from seqline.artifacts.predictions import Predictions
    from seqline.cli.watching import Watch
    from seqline.compiling.compiler import compile_pipeline
    from seqline.configuration import load
    from seqline.configuration.parameters import merge, read_parameters
    from seqline.errors import UserError
    from seqline.images.build import Engine
    from seqline.images.workers import IMAGES, check_worker
    from seqline.samples.dates import write_sample
    from seqline.targets.containers import run_in_containers, serve_in_container
    from seqline.targets.laptop import Home

    runner = Engine.find(engine)
    for name in IMAGES:
        check_worker(runner, f"seqline/{name}:{version('seqline')}")
    folders = Home(home.resolve())
    folders.path.mkdir(parents=True, exist_ok=True)

    def run(compiled: Path, arguments: dict[str, Any]) -> Path:
        with Watch(Console(file=sys.stderr if as_json else sys.stdout, highlight=False)) as watch:
            result = run_in_containers(compiled, arguments, folders, runner, watch.show)
        if result.error:
            raise UserError(f"{result.error}\nlogs of the run: {result.folder / 'logs'}")
        return result.folder

    spec = spec or compile_pipeline("training", folders.path / "training.yaml")
    data = folders.path / "sample.tsv"
    write_sample(data, "en", "de", pairs=pairs)
    arguments: dict[str, Any] = {
        "data": str(data),
        "training": {"preset": "demo", "epochs": 1},
        "gate": [{"metric": "headline", "minimum": 0}],
    }
    known = read_parameters(spec)
    known = replace(known, defaults=merge(known.defaults, arguments))
    arguments |= load(settings=set_ or []).arguments(known, "laptop")
    model = run(spec, arguments) / "export" / "model"
    batch = compile_pipeline("batch", folders.path / "batch.yaml")
    predicted = run(batch, {"data": str(data), "model": str(model)}) / "infer" / "predictions"
    counts = Predictions(predicted).read_counts()
    if not as_json:
        print(f"the infer image predicted {counts.predicted} of {counts.lines} lines")
    answer = serve_in_container(model, runner, f"seqline/serve:{version('seqline')}")
    if as_json:
        print_json({"lines": counts.lines, "predicted": counts.predicted, "answer": answer})
        return
    print(f"the serving image responds: {answer}")
