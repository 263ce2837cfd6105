"""The stages of the pipeline, one folder each."""

import os

# TensorFlow uses oneDNN's kernels by itself on some processors only; its matrix products are faster on others too.
# Read when TensorFlow is first imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
