"""Converts the weights for `benchmarks.serving.ctranslate2_fastapi`; runs in the peer's environment."""

import json
import sys

from benchmarks.decode_ctranslate2 import prepare

if __name__ == "__main__":
    print(json.dumps(prepare(json.load(sys.stdin))))
