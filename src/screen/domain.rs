//! How near pairs lie to what a model was trained on, and their predictions as rows of a table.

use super::table::{Cell, Kind};
use crate::backend::Cpu;
use crate::data::{Dataset, Entities};
use crate::error::Result;
use crate::progress::{Progress, check_interrupt};
use crate::train::{Model, Prediction, TrainIndex};

/// Entities whose vectors are held in memory while their similarity is computed.
const ENTITIES: usize = 4096;

/// The pairs of a data set beside the training entities of a model.
pub struct Domain<'a> {
    model: &'a Model,
    data: &'a Dataset,
    sim_rna: Vec<f32>,
    sim_partner: Vec<f32>,
}

impl<'a> Domain<'a> {
    /// Computes the similarity of every entity to the training entities.
    ///
    /// # Errors
    /// What the ops report; [`crate::error::Error::Interrupted`].
    pub fn new(model: &'a Model, data: &'a Dataset, progress: &dyn Progress) -> Result<Self> {
        progress.begin("similarity", "entities", Some((data.rna.len() + data.partner.len()) as u64));
        let sim_rna = similarities(&model.rna_index, &data.rna, progress)?;
        let sim_partner = similarities(&model.partner_index, &data.partner, progress)?;
        progress.finish();
        Ok(Self { model, data, sim_rna, sim_partner })
    }

    /// Names and kinds of the columns of [`cells`](Self::cells); `label_name` for several labels only.
    #[must_use]
    pub fn columns(model: &Model) -> Vec<(&'static str, Kind)> {
        let label = (model.config.label_names.len() > 1).then_some(("label_name", Kind::Text));
        let numbers = ["score", "logit", "probability", "spread", "gate_mean", "sim_rna", "sim_partner"];
        [("rna_id", Kind::Text), ("partner_id", Kind::Text)]
            .into_iter()
            .chain(label)
            .chain(numbers.map(|name| (name, Kind::Real)))
            .chain([("out_of_domain", Kind::Whole)])
            .collect()
    }

    /// The prediction of one label of pair `row` as a row of the table.
    #[must_use]
    pub fn cells(&self, row: usize, label: usize, prediction: &Prediction) -> Vec<Cell> {
        let pair = self.data.pairs[row];
        let (rna, partner) = (pair.rna as usize, pair.partner as usize);
        let names = &self.model.config.label_names;
        let mut cells =
            vec![Cell::Text(self.data.rna.ids[rna].clone()), Cell::Text(self.data.partner.ids[partner].clone())];
        if names.len() > 1 {
            cells.push(Cell::Text(names[label].clone()));
        }
        // Score and logit keep every digit: sorting by them gives the ranks.
        cells.extend([Cell::Real(Some(prediction.score)), Cell::Real(Some(prediction.logit))]);
        cells.extend([prediction.probability, prediction.spread, prediction.gate_mean].map(rounded));
        cells.extend([self.sim_rna[rna], self.sim_partner[partner]].map(|cosine| rounded(Some(f64::from(cosine)))));
        cells.push(Cell::Whole(i32::from(self.is_out_of_domain(row))));
        cells
    }

    /// True when either side of pair `row` is less similar to the training entities than 95 % of them are to each other.
    #[must_use]
    pub fn is_out_of_domain(&self, row: usize) -> bool {
        let pair = self.data.pairs[row];
        self.sim_rna[pair.rna as usize] < self.model.rna_index.quantile_5
            || self.sim_partner[pair.partner as usize] < self.model.partner_index.quantile_5
    }
}

fn rounded(value: Option<f64>) -> Cell {
    Cell::Real(value.map(|x| (x * 1e6).round() / 1e6))
}

fn similarities(index: &TrainIndex, entities: &Entities, progress: &dyn Progress) -> Result<Vec<f32>> {
    let members: Vec<u32> = (0..entities.len() as u32).collect();
    let mut found = Vec::with_capacity(members.len());
    for members in members.chunks(ENTITIES) {
        check_interrupt()?;
        found.extend(index.nearest(&Cpu::all_threads(), entities, members)?);
        progress.advance(members.len() as u64);
    }
    Ok(found)
}
