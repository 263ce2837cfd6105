"""T5 checkpoints: T5 1.0 and 1.1, Flan-T5 and mT5.

Names and defaults are those of modeling_t5.py and configuration_t5.py of transformers 4.57 (Apache-2.0).
"""

from seqline.modeling.config import Activation, TransformerConfig
from seqline.pretrained.fields import Fields
from seqline.pretrained.recipes import Recipes

# `gated-gelu` means the tanh form, as the configuration's own comment says.
ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "gated-gelu": "geglu",
    "gated-gelu_new": "geglu",
    "gated-silu": "swiglu",
}
POSITIONS = 512
"""Tokens that T5 was trained on; relative positions have no limit."""


def read_config(fields: Fields) -> TransformerConfig:
    """Maps a config.json to the model's configuration.

    Args:
        fields: The fields.

    Raises:
        UserError: If an option is not supported.
    """
    fields.choice("is_encoder_decoder", (True,), True)
    fields.choice("is_decoder", (False,), False)
    gated = fields.model_type == "mt5"
    activation = fields.choice("feed_forward_proj", tuple(ACTIVATIONS), "gated-gelu" if gated else "relu")
    # Both are derived from it whenever transformers reads the file.
    fields.known |= {"dense_act_fn", "is_gated_act", "bos_token_id", "unk_token_id"}
    hidden_dim, layers, pad = fields.integer("d_model"), fields.integer("num_layers"), fields.token("pad_token_id", 0)
    tied = fields.flag("tie_word_embeddings", fields.model_type == "t5")
    scaled = fields.flag("scale_decoder_outputs", tied)
    return TransformerConfig(
        architecture="transformer",
        vocabulary_size=fields.integer("vocab_size"),
        encoder_layers=layers,
        decoder_layers=fields.integer("num_decoder_layers", layers),
        hidden_dim=hidden_dim,
        intermediate_dim=fields.integer("d_ff"),
        num_heads=fields.integer("num_heads"),
        head_dim=fields.integer("d_kv"),
        norm="rms",
        norm_epsilon=fields.number("layer_norm_epsilon", 1e-6),
        positions="relative",
        relative_buckets=fields.integer("relative_attention_num_buckets", 32),
        relative_max_distance=fields.integer("relative_attention_max_distance", 128),
        activation=ACTIVATIONS[activation],
        attention_bias="none",
        feed_forward_bias=False,
        embedding_scale=False,
        query_scale=False,
        logit_scale=hidden_dim**-0.5 if scaled else 1.0,
        tied_embeddings=tied,
        dropout=0.0,
        max_length=fields.integer("n_positions", POSITIONS),
        pad_id=pad,
        unk_id=2,
        bos_id=None,
        eos_id=fields.token("eos_token_id", 1),
        start_id=fields.token("decoder_start_token_id", pad),
        suppressed_ids=(pad,),
    )


def recipes_of(config: TransformerConfig) -> Recipes:
    """Lists what each weight is made of.

    Args:
        config: From `read_config`.
    """
    recipes, size, rows = Recipes(), config.hidden_dim, config.vocabulary_size
    recipes.table("embedding", "shared.weight", rows, size)
    recipes.copies |= dict.fromkeys(("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), "shared.weight")
    if config.tied_embeddings:
        recipes.copies["lm_head.weight"] = "shared.weight"
    else:
        recipes.table("output_embedding", "lm_head.weight", rows, size)
    names = ("q", "k", "v", "o")
    expand = ["wi_0", "wi_1"] if config.gated else ["wi"]
    for stack, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for number in range(layers):
            ours, theirs = f"{stack}/{number}", f"{stack}.block.{number}.layer"
            recipes.vector(f"{ours}/self_norm/scale", f"{theirs}.0.layer_norm.weight", size)
            recipes.attention(f"{ours}/self_attention", f"{theirs}.0.SelfAttention", names, config)
            last = 1
            if stack == "decoder":
                recipes.vector(f"{ours}/cross_norm/scale", f"{theirs}.1.layer_norm.weight", size)
                recipes.attention(f"{ours}/cross_attention", f"{theirs}.1.EncDecAttention", names, config)
                last = 2
            recipes.vector(f"{ours}/feed_forward_norm/scale", f"{theirs}.{last}.layer_norm.weight", size)
            dense = f"{theirs}.{last}.DenseReluDense"
            recipes.feed_forward(f"{ours}/feed_forward", [f"{dense}.{name}" for name in expand], f"{dense}.wo", config)
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        recipes.table(f"{stack}_relative", table, config.relative_buckets, config.num_heads)
        recipes.vector(f"{stack}_norm/scale", f"{stack}.final_layer_norm.weight", size)
    # In the first T5 checkpoints; no version of transformers uses it.
    recipes.copies["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = ""
    return recipes
