"""What a server's process imports, which the first answer waits for; and what it spends on garbage."""

import subprocess
import sys

# Only workers compute; other processes write pages, compile pipelines and call clouds.
HEAVY = {
    *("tensorflow", "keras", "jax", "numpy", "scipy", "pandas", "pyarrow", "apache_beam", "sentencepiece", "sacrebleu"),
    *("kfp", "kubernetes", "google.auth", "google.cloud.aiplatform", "google.cloud.storage", "gcsfs", "s3fs"),
    *("aiohttp", "requests", "httpx", "jinja2", "rich"),
}


def test_the_server_imports_nothing_heavy_and_a_worker_nothing_before_it_starts() -> None:
    code = (
        "import sys, seqline.serving.__main__, seqline.serving.worker as worker; light = 'fastapi' not in sys.modules; "
        f"import seqline.serving.server; print(sorted({HEAVY!r} & set(sys.modules)), light)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_requests_in_flight_set_off_no_garbage_collection() -> None:
    code = (
        "import gc, seqline.serving.garbage as garbage; garbage.relax_collector(); "
        "before = gc.get_stats(); in_flight = [[] for _ in range(6400)]; print(gc.get_stats() == before); "
        "leaked = [[] for _ in range(garbage.YOUNG_OBJECTS)]; print(gc.get_stats() == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
