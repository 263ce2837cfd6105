"""Folders that their owner alone reads."""

import stat
from pathlib import Path

from seqline.artifacts.private_files import prepare


def test_a_folder_that_is_made_is_private_and_another_one_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    prepare(str(tmp_path))
    prepare(str(tmp_path / "new"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, tmp_path / "new")] == [0o755, 0o700]
