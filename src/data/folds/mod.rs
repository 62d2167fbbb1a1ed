//! Which pairs train, which stop and calibrate, and which are tested: decided once, the same for every model.

mod clusters;
mod cold;
mod draw;
mod file;

use serde::{Deserialize, Serialize};

pub use clusters::{Clusters, read_clusters};
pub use file::read_folds;

use super::{Dataset, Side, Task};
use crate::error::{Error, Result};

/// What test and training pairs must not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Nothing: pairs are dealt at random.
    Random,
    /// RNA sequences (or clusters).
    Rna,
    /// Partner sequences (or clusters).
    Partner,
    /// Neither; mixed pairs are dropped.
    Both,
}

impl SplitKind {
    /// `random`, `rna`, `partner` or `both`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Rna => "rna",
            Self::Partner => "partner",
            Self::Both => "both",
        }
    }
}

/// How to draw a plan.
#[derive(Debug, Clone)]
pub struct FoldOptions {
    /// One assignment of folds per seed.
    pub seeds: Vec<u64>,
    /// Number of folds.
    pub folds: usize,
    /// What test and training must not share.
    pub split: SplitKind,
    /// Share of the outer training part that is held back for stopping, threshold and calibration; 0 for none.
    pub inner: f64,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Self { seeds: vec![0, 1, 2], folds: 5, split: SplitKind::Random, inner: 0.1 }
    }
}

/// Rows of one training, as ascending indices into [`Dataset::pairs`]; the three parts are disjoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Seed of the assignment; a network initialises from it as well.
    pub seed: u64,
    /// Fold that is tested.
    pub fold: usize,
    /// Rows for gradient steps: the outer training part without `inner`.
    pub train: Vec<u32>,
    /// Inner validation rows.
    pub inner: Vec<u32>,
    /// Test rows; rows of the test set in a train→test plan.
    pub test: Vec<u32>,
}

impl Split {
    /// All pairs for training, a share of them held back as the inner part, nothing tested.
    ///
    /// # Errors
    /// A training part that is empty or has one class; an inner share outside `[0, 1)`.
    pub fn without_test(data: &Dataset, inner: f64, seed: u64) -> Result<Self> {
        check_inner(inner)?;
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let inner = draw::inner(data, &all, inner, seed, 0);
        let split = Self { seed, fold: 0, train: without(&all, &inner), inner, test: Vec::new() };
        split.check_train(data, "", "pairs of both labels must be left: mend the rejected rows, or add pairs")?;
        Ok(split)
    }

    /// Refuses a training part that is empty or has one class; `place` and `help` say where and what to do.
    fn check_train(&self, data: &Dataset, place: &str, help: &str) -> Result<()> {
        if self.train.is_empty() {
            return Err(Error::data(format!("no training pair is left{place}"), help));
        }
        match only_class(data, &self.train) {
            Some(class) => Err(Error::data(format!("every training pair{place} has the label {class}"), help)),
            None => Ok(()),
        }
    }

    /// The whole outer training part, `train` and `inner` together, ascending.
    #[must_use]
    pub fn outer(&self) -> Vec<u32> {
        let mut rows = [self.train.as_slice(), &self.inner].concat();
        rows.sort_unstable();
        rows
    }
}

/// All trainings of an evaluation, seed by seed and fold by fold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// One entry per seed and fold.
    pub trainings: Vec<Split>,
    /// Mixed pairs that a both-disjoint split drops, summed over the folds of the first seed.
    pub dropped: usize,
    /// What the reader of the figures should know, e.g. a test part with one class.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Cross-validation: each row is tested once per seed (fewer in a both-disjoint split).
    ///
    /// Classes are shuffled and dealt one after the other in classification, all rows in regression. Disjoint splits
    /// deal whole groups: sequences, or `clusters` where given.
    ///
    /// # Errors
    /// Fewer than two folds, more folds than rows or groups, an inner share outside `[0, 1)`, a training part that is
    /// empty or has one class.
    pub fn cross_validation(data: &Dataset, options: &FoldOptions, clusters: Option<&Clusters>) -> Result<Self> {
        check(options)?;
        let mut plan = Self::default();
        for &seed in &options.seeds {
            let folds = match options.split {
                SplitKind::Random => SeedFolds::Single(draw::dealt(data, options.folds, seed)?),
                SplitKind::Rna => SeedFolds::Single(cold::grouped(data, Side::Rna, options.folds, seed, clusters)?),
                SplitKind::Partner => {
                    SeedFolds::Single(cold::grouped(data, Side::Partner, options.folds, seed, clusters)?)
                }
                SplitKind::Both => SeedFolds::Both(
                    cold::grouped(data, Side::Rna, options.folds, seed, clusters)?,
                    cold::grouped(data, Side::Partner, options.folds, seed, clusters)?,
                ),
            };
            for fold in 0..options.folds {
                let (outer, test) = folds.parts(fold as u32);
                plan.count_dropped(data, seed == options.seeds[0], outer.len() + test.len());
                let inner = draw::inner(data, &outer, options.inner, seed, fold);
                plan.push(data, Split { seed, fold, train: without(&outer, &inner), inner, test })?;
            }
        }
        plan.warn_one_class(data);
        Ok(plan)
    }

    /// Trains on all pairs but those of one entity, tests on its pairs.
    ///
    /// # Errors
    /// No pair has `id` on that side; a training part that is empty or has one class.
    pub fn hold_out(data: &Dataset, side: Side, id: &str, options: &FoldOptions) -> Result<Self> {
        let entities = data.entities(side);
        let what = if side == Side::Rna { "RNA" } else { "partner" };
        let entity_of = |row: u32| data.pairs[row as usize].entity(side);
        let (test, outer): (Vec<u32>, Vec<u32>) =
            (0..data.len() as u32).partition(|&row| entities.ids[entity_of(row)] == id);
        let Some(&first) = test.first() else {
            return Err(Error::usage(
                format!("no pair has the {what} '{id}'"),
                "name an id as it stands in the pairs file, e.g. --hold-out rna=ID",
            ));
        };
        let group = entities.group[entity_of(first)];
        let twins = outer.iter().filter(|&&row| entities.group[entity_of(row)] == group).count();
        let mut plan = Self::single_test(data, &outer, &test, options)?;
        if twins > 0 {
            plan.warnings.push(format!("{twins} training pairs have an {what} of the same sequence as '{id}'"));
        }
        plan.warn_one_class(data);
        Ok(plan)
    }

    /// Trains on all pairs of `train`, tests on all pairs of `test`: [`Split::test`] indexes `test.pairs`.
    ///
    /// # Errors
    /// A training part that is empty or has one class.
    pub fn train_test(train: &Dataset, test: &Dataset, options: &FoldOptions) -> Result<Self> {
        let outer: Vec<u32> = (0..train.len() as u32).collect();
        let tested: Vec<u32> = (0..test.len() as u32).collect();
        let mut plan = Self::single_test(train, &outer, &tested, options)?;
        for (name, others, side) in [("RNA", "partners", Side::Rna), ("partner", "RNAs", Side::Partner)] {
            if let Some(first) = test.pairs.first()
                && test.pairs.iter().all(|pair| pair.entity(side) == first.entity(side))
            {
                let id = &test.entities(side).ids[first.entity(side)];
                plan.warnings.push(format!("every test pair has the {name} '{id}': the test ranks {others} alone"));
            }
        }
        plan.warn_one_class(test);
        Ok(plan)
    }

    fn single_test(data: &Dataset, outer: &[u32], test: &[u32], options: &FoldOptions) -> Result<Self> {
        check_inner(options.inner)?;
        let mut plan = Self::default();
        for &seed in &options.seeds {
            let inner = draw::inner(data, outer, options.inner, seed, 0);
            let train = without(outer, &inner);
            plan.push(data, Split { seed, fold: 0, train, inner, test: test.to_vec() })?;
        }
        Ok(plan)
    }

    fn count_dropped(&mut self, data: &Dataset, first_seed: bool, used: usize) {
        if first_seed {
            self.dropped += data.len() - used;
        }
    }

    fn push(&mut self, data: &Dataset, split: Split) -> Result<()> {
        let place = format!(" of fold {} (seed {})", split.fold, split.seed);
        split.check_train(data, &place, "use fewer folds, another split, or more pairs of both labels")?;
        if split.test.is_empty() {
            return Err(Error::data(
                format!("the test part of fold {} is empty (seed {})", split.fold, split.seed),
                "use fewer folds, another split, or more pairs",
            ));
        }
        self.trainings.push(split);
        Ok(())
    }

    fn warn_one_class(&mut self, tested: &Dataset) {
        for split in &self.trainings {
            if let Some(class) = only_class(tested, &split.test) {
                self.warnings.push(format!(
                    "seed {}, fold {}: every test pair has the label {class}, so ranking metrics are undefined there",
                    split.seed, split.fold
                ));
            }
        }
    }
}

/// Fold numbers of the rows for one seed; [`ABSENT`] where a row is in no fold.
enum SeedFolds {
    Single(Vec<u32>),
    Both(Vec<u32>, Vec<u32>),
}

/// Fold number of a row that is in no fold.
const ABSENT: u32 = u32::MAX;

impl SeedFolds {
    /// Outer training rows and test rows of one fold.
    fn parts(&self, fold: u32) -> (Vec<u32>, Vec<u32>) {
        let (a, b) = match self {
            Self::Single(folds) => (folds, folds),
            Self::Both(rna, partner) => (rna, partner),
        };
        let (mut outer, mut test) = (Vec::new(), Vec::new());
        for (row, (&a, &b)) in a.iter().zip(b).enumerate() {
            if a == ABSENT || b == ABSENT {
                continue;
            }
            match (a == fold, b == fold) {
                (true, true) => test.push(row as u32),
                (false, false) => outer.push(row as u32),
                _ => {}
            }
        }
        (outer, test)
    }
}

fn check(options: &FoldOptions) -> Result<()> {
    if options.folds < 2 {
        return Err(Error::usage(
            format!("--folds {} leaves nothing to train on", options.folds),
            "use --folds 2 or more, or --hold-out or --test-pairs for a single test",
        ));
    }
    check_inner(options.inner)
}

fn check_inner(inner: f64) -> Result<()> {
    if (0.0..1.0).contains(&inner) {
        return Ok(());
    }
    Err(Error::usage(format!("an inner part of {inner} of the training fold is impossible"), "use a share in [0, 1)"))
}

/// The label that all `rows` share in binary classification.
fn only_class(data: &Dataset, rows: &[u32]) -> Option<u8> {
    if data.task != Task::Binary {
        return None;
    }
    let mut classes = rows.iter().map(|&row| data.label(row as usize) >= 0.5);
    let first = classes.next()?;
    classes.all(|class| class == first).then_some(u8::from(first))
}

/// `rows` without `taken`; both ascending.
fn without(rows: &[u32], taken: &[u32]) -> Vec<u32> {
    rows.iter().copied().filter(|row| taken.binary_search(row).is_err()).collect()
}

#[cfg(test)]
mod tests;
