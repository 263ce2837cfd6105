"""Vertex AI Pipelines as a target. Google's libraries are imported at first use."""

from seqline.targets.vertex.target import Vertex

__all__ = ["Vertex"]
