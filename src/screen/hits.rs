//! The table of hits: predictions with all that helps to judge them.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::candidates::Hit;
use super::domain::Domain;
use super::library::Library;
use super::search::Screening;
use super::table::{Cell, Kind, TableFile};
use crate::data::{Dataset, Pair, Side, Task};
use crate::error::Result;
use crate::progress::Silent;
use crate::train::{Model, Prediction};

/// Hits that are judged together: what is one entity among them is judged once.
const TOGETHER: usize = 1 << 16;

/// The table of a screen, being written.
pub struct HitTable<'a> {
    screening: &'a Screening<'a>,
    file: TableFile,
    /// It is the table of a shard, whose rows begin with what they are [merged by](MERGED_BY).
    of_shard: bool,
    /// Records of targets, ranks from 1, hits.
    waiting: Vec<(u32, i32, Hit)>,
    /// Hits so far.
    pub n_hits: usize,
}

/// The first columns of the table of a shard: the record of the target, and what ranks are by.
pub(super) const MERGED_BY: [&str; 2] = ["target_record", "value"];

/// The columns of the table of a screen.
pub(super) fn columns(model: &Model) -> Vec<(String, Kind)> {
    let first = [("target", Kind::Text), ("rank", Kind::Whole)];
    first.into_iter().chain(Domain::columns(model)).map(|(name, kind)| (name.to_owned(), kind)).collect()
}

impl<'a> HitTable<'a> {
    /// Begins the table at `path`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn create(path: &Path, screening: &'a Screening<'a>) -> Result<Self> {
        let file = TableFile::create(path, &columns(screening.model))?;
        Ok(Self { screening, file, of_shard: false, waiting: Vec::new(), n_hits: 0 })
    }

    /// Begins the table of a shard.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(super) fn create_of_shard(path: &Path, screening: &'a Screening<'a>) -> Result<Self> {
        let mut all: Vec<_> = MERGED_BY.into_iter().map(|name| (name.to_owned(), Kind::Real)).collect();
        all.extend(columns(screening.model));
        let file = TableFile::create(path, &all)?;
        Ok(Self { screening, file, of_shard: true, waiting: Vec::new(), n_hits: 0 })
    }

    /// Appends the hits of a target, best first.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io); [`Error::Interrupted`](crate::error::Error::Interrupted).
    pub fn push(&mut self, target: u32, hits: &[Hit]) -> Result<()> {
        self.n_hits += hits.len();
        self.waiting.extend(hits.iter().zip(1..).map(|(&hit, rank)| (target, rank, hit)));
        if self.waiting.len() < TOGETHER { Ok(()) } else { self.write() }
    }

    /// Writes what waits.
    fn write(&mut self) -> Result<()> {
        let Screening { model, targets, label, .. } = *self.screening;
        for waiting in std::mem::take(&mut self.waiting).chunks(TOGETHER) {
            let data = pairs_of(self.screening, waiting);
            let domain = Domain::new(model, &data, &Silent)?;
            for (row, (target, rank, hit)) in waiting.iter().enumerate() {
                let known = |x: f64| (!x.is_nan()).then_some(x);
                let prediction = Prediction {
                    score: hit.score,
                    logit: hit.logit,
                    probability: model.calibration[label].map(|platt| platt.probability(hit.logit)),
                    spread: known(hit.spread),
                    gate_mean: known(hit.gate_mean),
                };
                let mut cells = Vec::new();
                if self.of_shard {
                    cells.extend([f64::from(*target), hit.value].map(|x| Cell::Real(Some(x))));
                }
                cells.extend([Cell::Text(targets.id(*target).to_owned()), Cell::Whole(*rank)]);
                cells.extend(domain.cells(row, label, &prediction));
                self.file.push(cells)?;
            }
        }
        Ok(())
    }

    /// Writes the rest and puts the table in its place.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self) -> Result<usize> {
        self.write()?;
        if self.of_shard {
            self.file.finish_in_folder()?;
        } else {
            self.file.finish()?;
        }
        Ok(self.n_hits)
    }
}

/// Some records, each once.
struct Chosen {
    records: Vec<u32>,
    places: FxHashMap<u32, u32>,
}

impl Chosen {
    fn place(&mut self, record: u32) -> u32 {
        *self.places.entry(record).or_insert_with(|| {
            self.records.push(record);
            self.records.len() as u32 - 1
        })
    }
}

/// The pairs of some hits, and only the entities that they need; without labels.
fn pairs_of(screening: &Screening<'_>, hits: &[(u32, i32, Hit)]) -> Dataset {
    let [mut targets, mut entries] = [(); 2].map(|()| Chosen { records: Vec::new(), places: FxHashMap::default() });
    let pair = |(row, (target, _, hit)): (usize, &(u32, i32, Hit))| {
        let (target, entry, row0) = (targets.place(*target), entries.place(hit.record), row as u32);
        match screening.targets_side {
            Side::Rna => Pair { rna: target, partner: entry, row0 },
            Side::Partner => Pair { rna: entry, partner: target, row0 },
        }
    };
    let pairs = hits.iter().enumerate().map(pair).collect();
    let of = |library: &Library, chosen: Chosen| library.entities(&chosen.records);
    let (targets, entries) = (of(screening.targets, targets), of(screening.library, entries));
    let (rna, partner) = match screening.targets_side {
        Side::Rna => (targets, entries),
        Side::Partner => (entries, targets),
    };
    Dataset { rna, partner, pairs, labels: Vec::new(), label_names: Vec::new(), task: Task::Binary }
}
