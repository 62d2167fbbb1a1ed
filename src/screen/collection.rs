//! All records of one or more stores as entities.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::data::{Entities, VectorSource};
use crate::embed::Store;
use crate::error::{Error, Result};

/// All accepted records of some stores.
#[derive(Clone)]
pub struct Collection {
    /// The records, in the order of the stores and of their inputs; `group` tells which share a vector.
    pub entities: Entities,
    /// Records that the stores had refused.
    pub refused: usize,
    /// Records that repeat an id and a sequence of an earlier store.
    pub repeated: usize,
}

/// The vectors of several stores, one after the other.
struct Concatenated {
    stores: Vec<Arc<Store>>,
    /// First row of each store.
    starts: Vec<usize>,
    rows: usize,
}

impl VectorSource for Concatenated {
    fn dim(&self) -> usize {
        self.stores.first().map_or(0, |store| store.dim())
    }
    fn n_rows(&self) -> usize {
        self.rows
    }
    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let store = self.starts.partition_point(|&start| start <= row) - 1;
        self.stores[store].copy_row(row - self.starts[store], out);
    }
}

/// The accepted records of `stores`, all of them by one encoder.
///
/// # Errors
/// [`Error::Usage`] when the stores are of different encoders; [`Error::Data`] when no record was accepted, a vector
/// holds NaN, or one id means different sequences in two stores.
pub fn collect(stores: &[Arc<Store>]) -> Result<Collection> {
    let Some(first) = stores.first() else {
        return Err(Error::usage("no store was named", "name at least one"));
    };
    let mut starts = Vec::with_capacity(stores.len());
    let mut rows = 0;
    for store in stores {
        if store.encoder() != first.encoder() || store.dim() != first.dim() {
            return Err(Error::usage(
                format!(
                    "{} holds vectors of '{}', {} of '{}'",
                    first.path().display(),
                    first.encoder().name,
                    store.path().display(),
                    store.encoder().name
                ),
                "screen stores of one encoder together",
            ));
        }
        store.check_finite()?;
        starts.push(rows);
        rows += store.n_rows();
    }
    let source = Concatenated { stores: stores.to_vec(), starts: starts.clone(), rows };
    let mut entities = Entities {
        ids: Vec::new(),
        rows: Vec::new(),
        group: Vec::new(),
        length: Vec::new(),
        digest: Vec::new(),
        source: Arc::new(source),
        encoder: first.encoder().clone(),
    };
    let (mut refused, mut repeated) = (0, 0);
    let mut earlier = FxHashMap::default();
    for (store, start) in stores.iter().zip(starts) {
        for record in store.records() {
            let Some(row) = record.row else {
                refused += 1;
                continue;
            };
            // Within one store ids are distinct.
            if stores.len() > 1
                && let Some(digest) = earlier.insert(record.id, record.digest)
            {
                if digest != record.digest {
                    return Err(Error::data(
                        format!("{}: '{}' has another sequence in an earlier store", store.path().display(), record.id),
                        "rename it in one of them, or screen the stores one by one",
                    ));
                }
                repeated += 1;
                continue;
            }
            entities.ids.push(record.id.to_owned());
            entities.rows.push(start + row);
            entities.group.push((start + row) as u32);
            entities.length.push(record.length);
            entities.digest.push(record.digest_hex());
        }
    }
    if entities.is_empty() {
        return Err(Error::data(
            format!("{}: every record was refused when the store was made", first.path().display()),
            "see rejects.tsv in the store",
        ));
    }
    Ok(Collection { entities, refused, repeated })
}

/// The entities at `chosen`, in that order.
pub(super) fn subset(entities: &Entities, chosen: &[u32]) -> Entities {
    let at = |i: &u32| *i as usize;
    Entities {
        ids: chosen.iter().map(|i| entities.ids[at(i)].clone()).collect(),
        rows: chosen.iter().map(|i| entities.rows[at(i)]).collect(),
        group: chosen.iter().map(|i| entities.group[at(i)]).collect(),
        length: chosen.iter().map(|i| entities.length[at(i)]).collect(),
        digest: chosen.iter().map(|i| entities.digest[at(i)].clone()).collect(),
        source: Arc::clone(&entities.source),
        encoder: entities.encoder.clone(),
    }
}

/// Entities by distinct vector.
pub(super) struct Distinct {
    /// Entities, those with one vector side by side.
    members: Vec<u32>,
    /// First place of each distinct vector in `members`, and the end.
    starts: Vec<usize>,
}

impl Distinct {
    pub fn of(entities: &Entities) -> Self {
        let mut members: Vec<u32> = (0..entities.len() as u32).collect();
        members.sort_by_key(|&e| entities.group[e as usize]);
        let row = |place: usize| entities.group[members[place] as usize];
        let starts = (0..members.len()).filter(|&place| place == 0 || row(place) != row(place - 1));
        let starts = starts.chain([members.len()]).collect();
        Self { members, starts }
    }
    /// Number of distinct vectors.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }
    /// Entities with distinct vector `i`.
    pub fn members(&self, i: usize) -> &[u32] {
        &self.members[self.starts[i]..self.starts[i + 1]]
    }
}
