from functools import partial

import pytest

from seqline.metrics.resampling import compare


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.components.bless.evaluation_pair.compare", partial(compare, resamples=300, trials=300))
