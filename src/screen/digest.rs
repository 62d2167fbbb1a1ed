//! What the result of a screen depends on, as one digest.

use super::search::Screening;

impl Screening<'_> {
    /// Digest of all that the hits depend on: of the whole library, whichever of its rows are searched here. Where the folded
    /// library is kept is no part of it: the hits are the same with any.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let Screening { model, targets, library, targets_side, label, top_k, min_score, excluded, folded: _, rows: _ } =
            self;
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: String| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(env!("CARGO_PKG_VERSION").to_owned());
        add(format!("{targets_side:?} {label} {top_k} {:?}", min_score.map(f64::to_bits)));
        add(format!("{:?} {:?}", model.config, model.calibration));
        for index in [&model.rna_index, &model.partner_index] {
            add(format!("{} {:?} {:?}", index.dim, index.quantile_5.to_bits(), index.digests));
            add(blake3::hash(bytemuck::cast_slice(&index.units)).to_string());
        }
        for member in &model.members {
            add(format!("{:?} {:?}", member.network.config, member.label_scale.to_bits()));
            add(blake3::hash(bytemuck::cast_slice(&member.parameters)).to_string());
            for scale in [&member.scale.rna, &member.scale.partner] {
                add(blake3::hash(bytemuck::cast_slice(&scale.mean)).to_string());
                add(blake3::hash(bytemuck::cast_slice(&scale.inverse_sd)).to_string());
            }
        }
        for store in targets.stores().iter().chain(library.stores()) {
            // The checksums of the parts stand for the vectors, the table of records for the ids.
            add(store.content_digest().to_owned());
        }
        let mut excluded: Vec<(u32, u32)> = excluded.iter().copied().collect();
        excluded.sort_unstable();
        add(format!("{excluded:?}"));
        *hasher.finalize().as_bytes()
    }
}
