"""The smallest model that trains: tracing its step takes a fraction of the time of `demo`'s."""

SMALL = {"encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 16, "intermediate_dim": 32, "num_heads": 2}
