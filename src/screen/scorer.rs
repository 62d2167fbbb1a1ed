//! Predictions of pairs, chunks of them side by side.

use rayon::prelude::*;

use super::domain::Domain;
use crate::data::Dataset;
use crate::error::Result;
use crate::ops::gated_fusion::GatedFusion;
use crate::progress::{Progress, check_interrupt};
use crate::train::{Model, Prediction, Scoring};

/// Pairs whose predictions are held in memory.
const WAVE: usize = 1 << 17;

/// Scores the pairs of a data set, whose labels it never reads.
pub struct Scorer<'a, B: GatedFusion> {
    scoring: Scoring<'a, B>,
    data: &'a Dataset,
    /// Where the pairs lie beside the training entities.
    pub domain: Domain<'a>,
}

impl<'a, B: GatedFusion + Sync> Scorer<'a, B> {
    /// Takes the model to the device, and computes the similarity of every entity to the training entities, on the CPU.
    ///
    /// # Errors
    /// What the ops report; [`crate::error::Error::Interrupted`].
    pub fn new(backend: &'a B, model: &'a Model, data: &'a Dataset, progress: &dyn Progress) -> Result<Self> {
        Ok(Self { scoring: Scoring::new(model, backend)?, data, domain: Domain::new(model, data, progress)? })
    }

    /// Predicts all pairs and hands each over in order: its index, and one prediction per label.
    ///
    /// # Errors
    /// What the ops report and `take` returns; [`crate::error::Error::Interrupted`].
    pub fn each(
        &self,
        progress: &dyn Progress,
        mut take: impl FnMut(usize, &[Prediction]) -> Result<()>,
    ) -> Result<()> {
        let width = self.scoring.model.config.label_names.len();
        let rows: Vec<u32> = (0..self.data.len() as u32).collect();
        progress.begin("predicting", "pairs", Some(rows.len() as u64));
        for wave in rows.chunks(WAVE) {
            let chunks: Result<Vec<Vec<Prediction>>> = wave
                .par_chunks(self.scoring.pairs_together())
                .map(|rows| {
                    check_interrupt()?;
                    let found = self.scoring.predict(self.data, rows)?;
                    progress.advance(rows.len() as u64);
                    Ok(found)
                })
                .collect();
            for (&row, predictions) in wave.iter().zip(chunks?.concat().chunks_exact(width)) {
                take(row as usize, predictions)?;
            }
        }
        progress.finish();
        Ok(())
    }
}
