"""No garbage is collected while large libraries are imported."""

import gc

import pytest

from seqline.quick_imports import quick_imports


@pytest.mark.parametrize("enabled", [True, False])
def test_collections_pause_within_the_block_and_are_then_as_they_were(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ImportError), quick_imports():
            assert not gc.isenabled()
            import seqline.no_such_module  # noqa: F401
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
