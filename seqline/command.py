"""The console script `seqline`, also where its libraries are not installed."""

import gc
import sys


def main() -> int:
    """Runs the command line.

    Returns:
        The exit code.
    """
    # A tenth of a short command's time: each collection looks through all that was imported, which stays.
    gc.set_threshold(100_000, 20, 20)
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        print(
            f"error: the command line needs {error.name}: install it with all that a run on this machine needs, "
            'pip install "seqline[laptop]"; or with what others need, pip install "seqline[cli,vertex,kubeflow]"',
            file=sys.stderr,
        )
        return 1
    from seqline.cli import main as run

    return run()
