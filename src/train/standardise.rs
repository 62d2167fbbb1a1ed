//! Input standardisation, fitted on the training entities and stored in the checkpoint.

use serde::{Deserialize, Serialize};

use crate::data::{Dataset, Entities};

/// Scale of one side: `z = (x − mean)/sd` per feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SideScale {
    /// Mean of each feature; empty where inputs are used as they are.
    pub mean: Vec<f32>,
    /// `1/sd` of each feature; 1 where sd < 1e-12.
    pub inverse_sd: Vec<f32>,
}

impl SideScale {
    /// Mean and population SD of each feature over `members`, each entity once.
    #[must_use]
    pub fn fit(entities: &Entities, members: &[u32]) -> Self {
        let dim = entities.dim();
        let mut row = vec![0f32; dim];
        let n = members.len().max(1) as f64;
        let mut mean = vec![0f64; dim];
        for &entity in members {
            entities.copy_vector(entity as usize, &mut row);
            mean.iter_mut().zip(&row).for_each(|(m, &x)| *m += f64::from(x));
        }
        for m in &mut mean {
            *m /= n;
        }
        let mut square = vec![0f64; dim];
        for &entity in members {
            entities.copy_vector(entity as usize, &mut row);
            for ((s, &x), &m) in square.iter_mut().zip(&row).zip(&mean) {
                *s += (f64::from(x) - m).powi(2);
            }
        }
        let inverse_sd = square.iter().map(|s| (s / n).sqrt()).map(|sd| if sd < 1e-12 { 1.0 } else { 1.0 / sd });
        Self { inverse_sd: inverse_sd.map(|x| x as f32).collect(), mean: mean.iter().map(|&m| m as f32).collect() }
    }

    /// Standardises one vector in place.
    pub fn apply(&self, vector: &mut [f32]) {
        for ((x, m), s) in vector.iter_mut().zip(&self.mean).zip(&self.inverse_sd) {
            *x = (*x - m) * s;
        }
    }
}

/// Scales of both sides; empty ones leave the inputs as they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standardiser {
    /// Scale of the RNA vectors.
    pub rna: SideScale,
    /// Scale of the partner vectors.
    pub partner: SideScale,
}

impl Standardiser {
    /// Fits both sides on the entities that occur in `rows`, each id once however many pairs it has.
    #[must_use]
    pub fn fit(data: &Dataset, rows: &[u32]) -> Self {
        let side = |entities: &Entities, of: fn(&crate::data::Pair) -> u32| {
            let mut seen = vec![false; entities.len()];
            for &row in rows {
                seen[of(&data.pairs[row as usize]) as usize] = true;
            }
            let members: Vec<u32> = (0..entities.len() as u32).filter(|&e| seen[e as usize]).collect();
            SideScale::fit(entities, &members)
        };
        Self { rna: side(&data.rna, |pair| pair.rna), partner: side(&data.partner, |pair| pair.partner) }
    }
}
