"""`seqline images`: the images of containers/, built and tried."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Build the images, and run the pipelines inside them.", no_args_is_help=True)

EngineOption = Annotated[
    str, typer.Option(help="docker or buildah, global options may follow; by default the first that answers.")
]


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Which images; all by default.")] = None,
    engine: EngineOption = "",
    repository: Annotated[str, typer.Option(help="What comes before an image's name.")] = "seqline",
    base_image: Annotated[str, typer.Option(help="Python 3.11 on Linux; the Dockerfile's by default.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A further option of the engine's build, as it is; repeatable.")
    ] = None,
    containers: Annotated[Path, typer.Option(help="The folder of the Dockerfiles.")] = Path("containers"),
    sbom: Annotated[Path, typer.Option(help="Folder of the lists of what is in each image.")] = Path("build/sbom"),
    push: Annotated[bool, typer.Option(help="Upload them to the registry that --repository names.")] = False,
    push_option: Annotated[
        list[str] | None, typer.Option(help="A further option of the engine's push, as it is; repeatable.")
    ] = None,
    digests: Annotated[
        Path, typer.Option(help="The configuration file to write, which pins the images that were pushed.")
    ] = Path("build/images.yaml"),
) -> None:
    """Build images, write down what is in them, and print their sizes."""
    from seqline.images.build import Engine, find_images, revision, write_pins
    from seqline.images.sbom import write_sbom

    found = find_images(containers, names or [])
    builder = Engine.find(engine)
    arguments = {"VERSION": version("seqline"), "REVISION": revision(containers)}
    if base_image:
        arguments["BASE_IMAGE"] = base_image
    sizes = {}
    for name in found:
        tag = f"{repository}/{name}:{version('seqline')}"
        builder.build(containers / name / "Dockerfile", containers.parent, tag, arguments, option or [])
        sizes[tag] = builder.size(tag)
        write_sbom(sbom / f"{name}.cdx.json", tag, builder)
        if push:
            write_pins(digests, repository, {name: builder.push(tag, push_option or [])})
    for tag, size in sizes.items():
        print(f"{size / 1e6:8.0f} MB  {tag}")
    print(f"What is in them: {sbom}")
    if push:
        print(f"Pinned in: {digests}")


@app.command("test")
def run_inside(
    engine: EngineOption = "",
    spec: Annotated[Path | None, typer.Option(help="A compiled pipeline; compiled anew by default.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A pipeline parameter, name=value; repeatable.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Size of the sample.")] = 2000,
    home: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("build/images"),
) -> None:
    """Run training and batch on the sample, each stage inside its image, and ask the serving image for an answer."""
    from rich.console import Console

    from seqline.artifacts.predictions import Predictions
    from seqline.cli.watching import Watch
    from seqline.compiling.compiler import compile_pipeline
    from seqline.configuration import load
    from seqline.configuration.parameters import read_parameters
    from seqline.errors import UserError
    from seqline.images.build import Engine
    from seqline.samples.dates import write_sample
    from seqline.targets.containers import run_in_containers, serve_in_container
    from seqline.targets.laptop import Home

    runner = Engine.find(engine)
    places = Home(home.resolve())
    places.path.mkdir(parents=True, exist_ok=True)

    def run(compiled: Path, arguments: dict[str, Any]) -> Path:
        with Watch(Console(file=sys.stdout, highlight=False)) as watch:
            result = run_in_containers(compiled, arguments, places, runner, watch.show)
        if result.error:
            raise UserError(f"{result.error}\nlogs of the run: {result.folder / 'logs'}")
        return result.folder

    spec = spec or compile_pipeline("training", places.path / "training.yaml")
    data = places.path / "sample.tsv"
    write_sample(data, "en", "de", pairs=pairs)
    arguments: dict[str, Any] = {
        "data": str(data),
        "training": {"preset": "demo", "epochs": 1},
        "gate": [{"metric": "headline", "minimum": 0}],
    }
    arguments |= load(settings=set_ or []).arguments(read_parameters(spec), "laptop")
    model = run(spec, arguments) / "export" / "model"
    batch = compile_pipeline("batch", places.path / "batch.yaml")
    predicted = run(batch, {"data": str(data), "model": str(model)}) / "infer" / "predictions"
    counts = Predictions(predicted).read_counts()
    print(f"the infer image predicted {counts.predicted} of {counts.lines} lines")
    answer = serve_in_container(model, runner, f"seqline/serve:{version('seqline')}")
    print(f"the serving image answers: {answer}")
