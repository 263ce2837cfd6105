"""The Open Inference Protocol, version 2, over REST and gRPC: github.com/kserve/open-inference-protocol.

The input is the tensor `text` of BYTES; the outputs are `text`, `score` and `cut`. Parameters of a request are those of
decoding.
"""
