from pathlib import Path

import pytest

from seqline.components.export.verify import fresh_process


def test_a_model_that_does_not_load_is_an_error_with_the_end_of_the_log(tmp_path: Path) -> None:
    with fresh_process() as fresh:
        fresh.start(tmp_path / "none", ["text"] * 10_000)
        with pytest.raises(RuntimeError, match=r"does not run in a fresh process:\n(.*\n)*.*none"):
            fresh.outputs()
