//! Pairs of ids and two stores become a data set: the entities that occur, their vectors, and the usable pairs.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::store::Store;
use crate::data::{Dataset, Entities, Pair, PairRow, PairTable, Reject, RejectReason, Task, VectorSource};
use crate::error::{Error, Result};

/// Looks up both ids of every row. A row with an id that has no vector goes to `table.rejects`.
///
/// A table without labels gives a data set without label columns, for prediction.
///
/// # Errors
/// [`Error::Data`] when no row is usable, when most ids are found in the other store only (swapped columns), or when
/// the vector of a used id holds NaN.
pub fn join(table: &mut PairTable, rna: &Arc<Store>, partner: &Arc<Store>) -> Result<Dataset> {
    refuse_swap(table, rna, partner)?;
    let mut sides = [Collector::new(rna), Collector::new(partner)];
    let mut pairs = Vec::with_capacity(table.rows.len());
    let mut labels = Vec::with_capacity(table.rows.len() * table.label_names.len());
    for row in &table.rows {
        let [rna_side, partner_side] = &mut sides;
        let found = match (rna_side.entity(&row.rna), partner_side.entity(&row.partner)) {
            (Ok(rna), Ok(partner)) => Ok((rna, partner)),
            (Err(why), _) => Err((RejectReason::UnknownRna, why)),
            (_, Err(why)) => Err((RejectReason::UnknownPartner, why)),
        };
        match found {
            Ok((rna, partner)) => {
                pairs.push(Pair { rna, partner, row0: row.row0 });
                labels.extend_from_slice(&row.labels);
            }
            Err((reason, detail)) => table.rejects.push(reject(row, reason, detail)),
        }
    }
    table.rejects.sort_by_key(|reject| reject.row0);
    if pairs.is_empty() {
        let example =
            table.rejects.first().map_or(String::new(), |r| format!(", first '{}' with '{}'", r.rna, r.partner));
        return Err(Error::data(
            format!(
                "{}: no pair has both ids in the stores {} and {}{example}",
                table.path.display(),
                rna.path().display(),
                partner.path().display()
            ),
            "embed the FASTA files that these ids come from, or name the columns with --columns rna=…,partner=…",
        ));
    }
    let [rna, partner] = sides;
    Ok(Dataset {
        rna: rna.finish()?,
        partner: partner.finish()?,
        pairs,
        labels,
        label_names: table.label_names.clone(),
        task: table.task().unwrap_or(Task::Binary),
    })
}

fn reject(row: &PairRow, reason: RejectReason, detail: String) -> Reject {
    Reject { row0: row.row0, line: row.line, rna: row.rna.clone(), partner: row.partner.clone(), reason, detail }
}

/// Names the swap when most ids of both columns are found in the other store only.
fn refuse_swap(table: &PairTable, rna: &Store, partner: &Store) -> Result<()> {
    let has = |store: &Store, id: &str| store.lookup(id).is_some();
    let rows = table.rows.len();
    let straight = table.rows.iter().filter(|row| has(rna, &row.rna) && has(partner, &row.partner)).count();
    let crossed = table.rows.iter().filter(|row| has(partner, &row.rna) && has(rna, &row.partner)).count();
    if crossed * 2 <= rows || straight * 2 > rows {
        return Ok(());
    }
    let name = |i: usize| table.header.get(i).map_or("?", String::as_str);
    Err(Error::usage(
        format!(
            "{}: the two id columns look swapped: {crossed} of {rows} rows have their RNA id in the partner store and \
             their partner id in the RNA store",
            table.path.display()
        ),
        format!("name the columns, e.g. --columns rna={},partner={}, or swap --rna and --partner", name(1), name(0)),
    ))
}

/// The entities of one side, in order of first use.
struct Collector<'a> {
    store: &'a Arc<Store>,
    known: FxHashMap<usize, u32>,
    records: Vec<usize>,
}

impl<'a> Collector<'a> {
    fn new(store: &'a Arc<Store>) -> Self {
        Self { store, known: FxHashMap::default(), records: Vec::new() }
    }

    /// Number of the entity with this id; why not where it has no vector.
    fn entity(&mut self, id: &str) -> Result<u32, String> {
        let record = self.store.lookup(id).ok_or("the store has no such id")?;
        if self.store.record(record).row.is_none() {
            return Err(format!("refused by the store: {}", self.store.record(record).status.name()));
        }
        Ok(*self.known.entry(record).or_insert_with(|| {
            self.records.push(record);
            self.records.len() as u32 - 1
        }))
    }

    fn finish(self) -> Result<Entities> {
        let mut group_of_row: FxHashMap<usize, u32> = FxHashMap::default();
        let source: Arc<dyn VectorSource> = Arc::clone(self.store) as Arc<dyn VectorSource>;
        let mut entities = Entities {
            ids: Vec::new(),
            rows: Vec::new(),
            group: Vec::new(),
            length: Vec::new(),
            digest: Vec::new(),
            source,
            encoder: self.store.encoder().clone(),
        };
        let mut vector = vec![0.0; self.store.dim()];
        for record in self.records {
            let record = self.store.record(record);
            let row = record.row.unwrap_or_default();
            self.store.copy_row(row, &mut vector);
            if vector.iter().any(|x| !x.is_finite()) {
                return Err(Error::data(
                    format!("{}: the vector of '{}' holds NaN or an infinity", self.store.path().display(), record.id),
                    "make the store again, or leave this id out of the pairs",
                ));
            }
            let n_groups = group_of_row.len() as u32;
            entities.ids.push(record.id.to_owned());
            entities.rows.push(row);
            entities.group.push(*group_of_row.entry(row).or_insert(n_groups));
            entities.length.push(record.length);
            entities.digest.push(record.digest_hex());
        }
        Ok(entities)
    }
}
