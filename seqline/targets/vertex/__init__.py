"""Vertex AI Pipelines as a target. Google's libraries are imported when something is asked of them."""

from seqline.targets.vertex.target import Vertex

__all__ = ["Vertex"]
