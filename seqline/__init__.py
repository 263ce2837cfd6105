"""Seqline: from raw text pairs to a live text-in text-out endpoint, retrained on a schedule."""

import os

# TensorFlow uses oneDNN's kernels by itself on some processors only; its matrix products are faster on others too.
# Read when TensorFlow is first imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
