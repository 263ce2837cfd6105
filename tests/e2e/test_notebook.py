"""notebooks/tour.ipynb runs from top to bottom, with a short training."""

from pathlib import Path

import pytest

from seqline.endpoints.local_endpoint import Endpoint
from tests.docs.tour import execute, read
from tests.servers import free_port

# Not minutes: a loaded machine would train so little in them that the gate rejects the model for its empty outputs.
TRAINING, SHORT = "training.minutes={MINUTES}", "training.epochs=2"


# Its kernel is a process of its own, so it cannot use the stage servers that tests share.
@pytest.mark.e2e(seconds=100)
@pytest.mark.timeout(1200)
def test_the_tour_runs_from_top_to_bottom(tmp_path: Path) -> None:
    book = read()
    (training,) = [cell for cell in book.cells if cell.cell_type == "code" and TRAINING in cell.source]
    training.source = training.source.replace(TRAINING, SHORT)
    (tmp_path / "seqline.yaml").write_text(f"targets: {{laptop: {{port: {free_port()}}}}}\n")
    endpoint = Endpoint(tmp_path / ".seqline" / "endpoints" / "tour")
    try:
        execute(book, tmp_path)
    finally:
        endpoint.stop()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert [output for output in outputs if output.output_type == "error"] == []
    plots = [cell for cell in book.cells if "plt.subplots" in cell.source]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(plots)
    assert endpoint.live() is not None
