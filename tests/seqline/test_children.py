import os
import subprocess
import sys

import pytest

PARENT = """
import subprocess, sys
from seqline.children import ending_with_parent
command = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(command, preexec_fn=ending_with_parent(), pass_fds=[int(sys.argv[1])])
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the signal is Linux's")
@pytest.mark.timeout(60)
def test_a_child_ends_with_its_parent_even_by_a_kill() -> None:
    # The pipe ends with the last process that holds its other end.
    reading, writing = os.pipe()
    command = [sys.executable, "-c", PARENT, str(writing)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, pass_fds=[writing], **pipes) as parent:
        os.close(writing)
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.kill()
        assert os.read(reading, 1) == b""
    os.close(reading)
