//! Tables of pairs, and how they are divided.

use std::io::Cursor;
use std::sync::Arc;

use biollmnet::data::folds::{read_clusters, read_folds};
use biollmnet::data::{
    Columns, Dataset, EncoderIdentity, Entities, FoldOptions, MemoryVectors, Pair, PairTable, SplitKind, Task,
};
use biollmnet::files::input::Input;

use super::{read, scratch};
use crate::target::Target;

pub const PAIRS: Target = Target {
    name: "pairs",
    read: |bytes| {
        let named: Columns = "rna=rna_id,partner=partner_id,label=label".parse().unwrap();
        [Columns::default(), Columns::default().without_labels(), named]
            .map(|columns| {
                let table = Input::from_reader("x.tsv", Cursor::new(bytes.to_vec()))
                    .and_then(|input| PairTable::from_input(input, &columns));
                if let Ok(table) = &table {
                    let labels = table.label_names.len();
                    assert!(table.rows.iter().all(|row| row.labels.len() == labels && !row.rna.is_empty()));
                    read(table.check_rows());
                    if table.task().is_some() {
                        read(table.check_labelled());
                        read(table.check_trainable());
                    }
                    table.write_rejects(std::io::sink()).unwrap();
                }
                read(table)
            })
            .contains(&true)
    },
    seeds: Vec::new,
    words: &[
        b"\t",
        b",",
        b"\n",
        b"\r\n",
        b"\"",
        b"\"\"",
        b"rna_id",
        b"partner_id",
        b"label",
        b"1",
        b"0",
        b"0.5",
        b"nan",
        b"inf",
        b"-",
        b"\xef\xbb\xbf",
        b" ",
        b"r1\tp1\t1\n",
    ],
    mend: None,
};

pub const FOLDS: Target = Target {
    name: "folds",
    read: |bytes| {
        let path = scratch::file("folds.tsv", bytes);
        let data = data();
        [SplitKind::Random, SplitKind::Rna, SplitKind::Partner, SplitKind::Both]
            .map(|split| {
                let options = FoldOptions { seeds: vec![0], split, ..FoldOptions::default() };
                read(read_folds(&path, &data, &options))
            })
            .contains(&true)
    },
    seeds: Vec::new,
    words: &[b"\t", b"\n", b"row0", b"s0_fold", b"s0_val_in", b"s0_coldrna", b"-", b"0,1", b",", b"r1", b"p1"],
    mend: None,
};

pub const CLUSTERS: Target = Target {
    name: "clusters",
    read: |bytes| read(read_clusters(&scratch::file("clusters.tsv", bytes), &data())),
    seeds: Vec::new,
    words: &[b"\t", b"\n", b"r1", b"r5", b"p1", b"p3", b"\r\n", b" "],
    mend: None,
};

/// Six RNAs `r0`…, four partners `p0`…, each pair of them, labelled 0 and 1 by turns.
fn data() -> Dataset {
    let (rnas, partners) = (6, 4);
    let entities = |prefix: &str, n: u32| Entities {
        ids: (0..n).map(|i| format!("{prefix}{i}")).collect(),
        rows: (0..n as usize).collect(),
        group: (0..n).collect(),
        length: vec![9; n as usize],
        digest: vec![String::new(); n as usize],
        source: Arc::new(MemoryVectors { dim: 1, values: vec![0.5; n as usize] }),
        encoder: EncoderIdentity { name: "x".into(), digest: "x".into(), pooling: "mean".into() },
    };
    let pair = |row0| Pair { row0, rna: row0 / partners, partner: row0 % partners };
    let all: Vec<Pair> = (0..rnas * partners).map(pair).collect();
    Dataset {
        rna: entities("r", rnas),
        partner: entities("p", partners),
        labels: all.iter().map(|pair| ((pair.rna + pair.partner) % 2) as f32).collect(),
        pairs: all,
        label_names: vec!["label".into()],
        task: Task::Binary,
    }
}
