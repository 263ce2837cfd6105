"""`seqline predict`: texts to a live endpoint."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from components.errors import UserError
from pipelines.cli.endpoint import HomeOption, choose

BATCH = 64


def predict(
    text: Annotated[list[str] | None, typer.Argument(help="Texts; lines of standard input by default.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Which endpoint, where there are several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with scores.")] = False,
    home: HomeOption = Path(".seqline"),
) -> None:
    """Send texts to the live endpoint and print its answers."""
    chosen = choose(home, endpoint)
    settings = chosen.read()
    if settings is None or chosen.process() is None:
        raise UserError(f"endpoint {chosen.path.name} is not running; run the pipeline again to start it")
    texts = text or [line.rstrip("\n") for line in sys.stdin]
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        for source, prediction in zip(batch, ask(settings.predict_url, batch), strict=True):
            answer = json.dumps({"input": source, **prediction}, ensure_ascii=False) if as_json else prediction["text"]
            print(answer)


def ask(url: str, texts: list[str]) -> list[dict[str, str | float]]:
    """Sends one request.

    Args:
        url: The predict address.
        texts: The inputs.

    Returns:
        `{"text", "score"}` for each.

    Raises:
        UserError: If the endpoint does not answer, or refuses.
    """
    import urllib.error
    import urllib.request

    body = json.dumps({"instances": texts}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (http to our server)
    try:
        with urllib.request.urlopen(request, timeout=300) as response:  # noqa: S310
            return list(json.load(response)["predictions"])
    except urllib.error.HTTPError as error:
        raise UserError(f"{url} refuses: {error.read().decode(errors='replace')}") from None
    except OSError as error:
        raise UserError(f"{url} does not answer: {error}") from None
