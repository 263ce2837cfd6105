"""Memory that is freed stays in the process."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from seqline.freed_memory import keep_freed_memory
KEEP
def step():
    blocks = [b"x" * (8 << 20) for _ in range(8)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize(("call", "most", "least"), [("keep_freed_memory()", 1000, 0), ("", 1 << 20, 8000)])
def test_a_step_gets_the_memory_of_the_one_before_without_page_faults(call: str, most: int, least: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("KEEP", call)], capture_output=True, text=True, check=True
    )
    assert least <= int(done.stdout) <= most
