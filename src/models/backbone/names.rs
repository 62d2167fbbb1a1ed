//! How each published layout names its tensors.

use crate::weights::naming::{Naming, Rule};

const fn rule(from: &'static str, to: &'static [&'static str]) -> Rule {
    Rule { from, to }
}

/// fair-esm's own files.
pub(super) const FAIR_ESM: Naming = Naming {
    prefixes: &["encoder.sentence_encoder.", "encoder."],
    rules: &[
        rule("embed_tokens.weight", &["embed_tokens.weight"]),
        rule("layers.#.self_attn.rot_emb.inv_freq", &["inv_freq"]),
        rule("layers.#.self_attn_layer_norm.*", &["layers.#.attention_norm.*"]),
        rule("layers.#.self_attn.q_proj.*", &["layers.#.query.*"]),
        rule("layers.#.self_attn.k_proj.*", &["layers.#.key.*"]),
        rule("layers.#.self_attn.v_proj.*", &["layers.#.value.*"]),
        rule("layers.#.self_attn.out_proj.*", &["layers.#.output.*"]),
        rule("layers.#.final_layer_norm.*", &["layers.#.ffn_norm.*"]),
        rule("layers.#.fc1.*", &["layers.#.up.*"]),
        rule("layers.#.fc2.*", &["layers.#.down.*"]),
        rule("emb_layer_norm_after.*", &["final_norm.*"]),
    ],
    ignored: &["lm_head.**", "contact_head.**"],
};

/// Hugging Face's ESM, old and new files, with or without heads.
pub const HUGGING_FACE_ESM: Naming = Naming {
    prefixes: &["esm."],
    rules: &[
        rule("embeddings.word_embeddings.weight", &["embed_tokens.weight"]),
        rule("encoder.layer.#.attention.self.rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("encoder.rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("encoder.layer.#.attention.LayerNorm.*", &["layers.#.attention_norm.*"]),
        rule("encoder.layer.#.attention.self.query.*", &["layers.#.query.*"]),
        rule("encoder.layer.#.attention.self.key.*", &["layers.#.key.*"]),
        rule("encoder.layer.#.attention.self.value.*", &["layers.#.value.*"]),
        rule("encoder.layer.#.attention.output.dense.*", &["layers.#.output.*"]),
        rule("encoder.layer.#.LayerNorm.*", &["layers.#.ffn_norm.*"]),
        rule("encoder.layer.#.intermediate.dense.*", &["layers.#.up.*"]),
        rule("encoder.layer.#.output.dense.*", &["layers.#.down.*"]),
        rule("encoder.emb_layer_norm_after.*", &["final_norm.*"]),
    ],
    ignored: &[
        "lm_head.**",
        "contact_head.**",
        "pooler.**",
        "classifier.**",
        // With rotary positions these tables are never added, whatever they hold.
        "embeddings.position_embeddings.weight",
        "embeddings.position_ids",
    ],
};

/// `RiNALMo`'s own files, of the class with flash attention and of the one without, fine-tuned ones included.
pub(super) const RINALMO: Naming = Naming {
    prefixes: &["lm."],
    rules: &[
        rule("embedding.weight", &["embed_tokens.weight"]),
        rule("transformer.blocks.#.attn_layer_norm.*", &["layers.#.attention_norm.*"]),
        rule(
            "transformer.blocks.#.mh_attn.Wqkv.weight",
            &["layers.#.query.weight", "layers.#.key.weight", "layers.#.value.weight"],
        ),
        rule("transformer.blocks.#.mh_attn.out_proj.weight", &["layers.#.output.weight"]),
        rule("transformer.blocks.#.mh_attn.mh_attn.to_q.weight", &["layers.#.query.weight"]),
        rule("transformer.blocks.#.mh_attn.mh_attn.to_k.weight", &["layers.#.key.weight"]),
        rule("transformer.blocks.#.mh_attn.mh_attn.to_v.weight", &["layers.#.value.weight"]),
        rule("transformer.blocks.#.mh_attn.mh_attn.out_proj.weight", &["layers.#.output.weight"]),
        rule("transformer.blocks.#.mh_attn.rotary_emb.inv_freq", &["inv_freq"]),
        rule("transformer.blocks.#.mh_attn.mh_attn.rotary_emb.inv_freq", &["inv_freq"]),
        rule("transformer.blocks.#.out_layer_norm.*", &["layers.#.ffn_norm.*"]),
        rule("transformer.blocks.#.transition.0.linear.*", &["layers.#.up.*"]),
        rule("transformer.blocks.#.transition.0.linear_gate.*", &["layers.#.gate.*"]),
        rule("transformer.blocks.#.transition.0.beta", &["layers.#.beta"]),
        rule("transformer.blocks.#.transition.2.*", &["layers.#.down.*"]),
        rule("transformer.final_layer_norm.*", &["final_norm.*"]),
    ],
    ignored: &["lm_mask_head.**", "pred_head.**", "threshold"],
};

/// multimolecule's `RiNALMo`, with or without heads.
pub const MULTIMOLECULE: Naming = Naming {
    prefixes: &["model.", "rinalmo."],
    rules: &[
        rule("embeddings.word_embeddings.weight", &["embed_tokens.weight"]),
        rule("encoder.layer.#.attention.self.rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("encoder.rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("rotary_embeddings.inv_freq", &["inv_freq"]),
        rule("encoder.layer.#.attention.layer_norm.*", &["layers.#.attention_norm.*"]),
        rule("encoder.layer.#.attention.self.query.weight", &["layers.#.query.weight"]),
        rule("encoder.layer.#.attention.self.key.weight", &["layers.#.key.weight"]),
        rule("encoder.layer.#.attention.self.value.weight", &["layers.#.value.weight"]),
        rule("encoder.layer.#.attention.output.dense.weight", &["layers.#.output.weight"]),
        rule("encoder.layer.#.layer_norm.*", &["layers.#.ffn_norm.*"]),
        rule("encoder.layer.#.intermediate.linear.*", &["layers.#.up.*"]),
        rule("encoder.layer.#.intermediate.linear_gate.*", &["layers.#.gate.*"]),
        // Their converter calls β a bias.
        rule("encoder.layer.#.intermediate.bias", &["layers.#.beta"]),
        rule("encoder.layer.#.output.dense.*", &["layers.#.down.*"]),
        rule("encoder.layer_norm.*", &["final_norm.*"]),
    ],
    ignored: &[
        "lm_head.**",
        "ss_head.**",
        "pooler.**",
        "sequence_head.**",
        "token_head.**",
        "contact_head.**",
        "embeddings.position_ids",
    ],
};

/// Mole-BERT's network and the encoder of its tokenizer, with the codebook where it is given.
pub(super) const MOLE_BERT: Naming = Naming {
    prefixes: &["gnn."],
    rules: &[
        rule("x_embedding1.weight", &["x_embedding1.weight"]),
        rule("x_embedding2.weight", &["x_embedding2.weight"]),
        rule("gnns.#.mlp.0.*", &["gnns.#.mlp.0.*"]),
        rule("gnns.#.mlp.2.*", &["gnns.#.mlp.2.*"]),
        rule("gnns.#.edge_embedding1.weight", &["gnns.#.edge_embedding1.weight"]),
        rule("gnns.#.edge_embedding2.weight", &["gnns.#.edge_embedding2.weight"]),
        rule("batch_norms.#.*", &["batch_norms.#.*"]),
        rule("batch_norms.#.running_mean", &["batch_norms.#.running_mean"]),
        rule("batch_norms.#.running_var", &["batch_norms.#.running_var"]),
        rule("embeddings.weight", &["codebook.weight"]),
    ],
    ignored: &["batch_norms.#.num_batches_tracked", "graph_pred_linear.**", "pool.**"],
};
