"""What a server's process imports: the first answer waits for it."""

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
