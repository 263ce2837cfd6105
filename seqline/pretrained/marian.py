"""Marian checkpoints, such as those of OPUS-MT.

Names and defaults are those of modeling_marian.py and configuration_marian.py of transformers 4.57 (Apache-2.0).
"""

from seqline.modeling.config import Activation, TransformerConfig
from seqline.pretrained.fields import Fields
from seqline.pretrained.recipes import Recipes

ACTIVATIONS: dict[str, Activation] = {
    "swish": "silu",
    "silu": "silu",
    "relu": "relu",
    "gelu": "gelu_exact",
    "gelu_new": "gelu",
}
# What Marian's converter writes about the architecture, and the only values that transformers' model has.
FIXED = {
    "add_bias_logits": False,
    "add_final_layer_norm": False,
    "normalize_before": False,
    "normalize_embedding": False,
    "share_encoder_decoder_embeddings": True,
    "static_position_embeddings": True,
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
}


def read_config(fields: Fields) -> TransformerConfig:
    """Maps a config.json to the model's configuration.

    Args:
        fields: The fields.

    Raises:
        UserError: If an option is not supported.
    """
    for name, value in FIXED.items():
        fields.choice(name, (value,), value)
    vocabulary, pad = fields.integer("vocab_size"), fields.token("pad_token_id", 58100)
    fields.choice("decoder_vocab_size", (vocabulary,), vocabulary)
    heads, inner = fields.integer("encoder_attention_heads"), fields.integer("encoder_ffn_dim")
    fields.choice("decoder_attention_heads", (heads,))
    fields.choice("decoder_ffn_dim", (inner,))
    fields.choice("forced_bos_token_id", (None,), None)
    fields.known |= {"num_hidden_layers", "extra_pos_embeddings", "bos_token_id"}
    fields.choice("extra_pos_embeddings", (0, pad, pad + 1), 0)
    activation = fields.choice("activation_function", tuple(ACTIVATIONS), "gelu")
    return TransformerConfig(
        architecture="transformer",
        vocabulary_size=vocabulary,
        encoder_layers=fields.integer("encoder_layers"),
        decoder_layers=fields.integer("decoder_layers"),
        hidden_dim=fields.integer("d_model"),
        intermediate_dim=inner,
        num_heads=heads,
        norm_placement="post",
        norm="layer",
        norm_epsilon=1e-5,
        positions="sinusoidal",
        activation=ACTIVATIONS[activation],
        embedding_scale=fields.flag("scale_embedding", False),
        logit_bias=True,
        tied_embeddings=True,
        dropout=0.0,
        max_length=fields.integer("max_position_embeddings", 1024),
        pad_id=pad,
        unk_id=None,
        bos_id=None,
        eos_id=fields.token("eos_token_id", 0),
        start_id=fields.token("decoder_start_token_id", pad),
        suppressed_ids=_suppressed(fields, pad),
    )


def recipes_of(config: TransformerConfig) -> Recipes:
    """Lists what each weight is made of.

    Args:
        config: From `read_config`.
    """
    recipes, size = Recipes(), config.hidden_dim
    recipes.table("embedding", "model.shared.weight", config.vocabulary_size, size)
    recipes.table("output_bias", "final_logits_bias", 1, config.vocabulary_size)
    for name in ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"):
        recipes.copies[name] = "model.shared.weight"
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    for stack, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        recipes.copies[f"model.{stack}.embed_positions.weight"] = ""
        for number in range(layers):
            ours, theirs = f"{stack}/{number}", f"model.{stack}.layers.{number}"
            blocks = {"self_norm": "self_attn_layer_norm", "feed_forward_norm": "final_layer_norm"}
            recipes.attention(f"{ours}/self_attention", f"{theirs}.self_attn", names, config)
            if stack == "decoder":
                blocks["cross_norm"] = "encoder_attn_layer_norm"
                recipes.attention(f"{ours}/cross_attention", f"{theirs}.encoder_attn", names, config)
            for our_norm, their_norm in blocks.items():
                recipes.vector(f"{ours}/{our_norm}/gamma", f"{theirs}.{their_norm}.weight", size)
                recipes.vector(f"{ours}/{our_norm}/beta", f"{theirs}.{their_norm}.bias", size)
            recipes.feed_forward(f"{ours}/feed_forward", [f"{theirs}.fc1"], f"{theirs}.fc2", config)
    return recipes


def _suppressed(fields: Fields, pad: int) -> tuple[int, ...]:
    """The tokens that are never generated: the padding, and those that the configuration names one by one."""
    words = fields.get("bad_words_ids") or []
    if not all(isinstance(word, list) and len(word) == 1 for word in words):
        raise fields.unsupported("bad_words_ids", words, "a list of lists of one token each")
    return tuple(sorted({pad, *(word[0] for word in words)}))
