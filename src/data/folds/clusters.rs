//! Clusters of similar sequences from a tool such as `MMseqs2`, in place of groups of identical ones.

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::data::{Dataset, Entities};
use crate::error::{Error, Result};
use crate::files::input::Input;

const LAYOUT: &str = "give lines of representative, TAB, member, as in the cluster TSV of MMseqs2";

/// Cluster number of every entity; entities of one sequence are always in one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    /// Of each RNA.
    pub rna: Vec<u32>,
    /// Of each partner.
    pub partner: Vec<u32>,
    /// Entities that the file does not name; they are grouped by sequence alone.
    pub unnamed: usize,
}

/// Reads `representative<TAB>member` lines (`MMseqs2`, `*_cluster.tsv`); one file may hold both sides.
///
/// Clusters that share a sequence are joined. Ids of neither side are ignored.
///
/// # Errors
/// The file cannot be read, a line has fewer than two columns, or no id is known.
pub fn read_clusters(path: &Path, data: &Dataset) -> Result<Clusters> {
    let mut input = Input::open(path)?;
    let [mut rna, mut partner] = [Joining::new(&data.rna), Joining::new(&data.partner)];
    let (mut text, mut line) = (Vec::new(), 0);
    while input.next_line(&mut text, line + 1)? {
        line += 1;
        let wrong = |reason: &str| Error::record(path, line, "", reason, LAYOUT);
        let text = std::str::from_utf8(&text).map_err(|_| wrong("this is not UTF-8 text"))?;
        if text.trim().is_empty() {
            continue;
        }
        let mut columns = text.split('\t').map(str::trim);
        let (Some(representative), Some(member)) = (columns.next(), columns.next()) else {
            return Err(wrong("fewer than two columns"));
        };
        rna.link(representative, member);
        partner.link(representative, member);
    }
    let unnamed = rna.unnamed() + partner.unnamed();
    if unnamed == data.rna.len() + data.partner.len() {
        return Err(Error::format(
            path,
            "no member is an id of the pairs",
            "cluster the same FASTA files that were embedded, so that the ids agree",
        ));
    }
    Ok(Clusters { rna: rna.clusters(), partner: partner.clusters(), unnamed })
}

/// The sequence groups of one side while links join them. Memory: that of the entities, whatever else the file names.
struct Joining<'a> {
    entities: &'a Entities,
    entity_of: FxHashMap<&'a str, usize>,
    /// Node of each representative of a known member.
    representative_of: FxHashMap<String, usize>,
    /// Nodes: the sequence groups, then the representatives in order of appearance.
    parent: Vec<usize>,
    /// Whether an entity is a member of a link.
    named: Vec<bool>,
}

impl<'a> Joining<'a> {
    fn new(entities: &'a Entities) -> Self {
        Self {
            entities,
            entity_of: entities.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect(),
            representative_of: FxHashMap::default(),
            parent: (0..entities.n_groups()).collect(),
            named: vec![false; entities.len()],
        }
    }

    fn link(&mut self, representative: &str, member: &str) {
        let Some(&entity) = self.entity_of.get(member) else { return };
        let node = self.representative_of.get(representative).copied().unwrap_or_else(|| {
            self.parent.push(self.parent.len());
            self.representative_of.insert(representative.to_owned(), self.parent.len() - 1);
            self.parent.len() - 1
        });
        self.named[entity] = true;
        let (a, b) = (root(&mut self.parent, node), root(&mut self.parent, self.entities.group[entity] as usize));
        self.parent[a] = b;
    }

    /// Entities that no link names.
    fn unnamed(&self) -> usize {
        self.named.iter().filter(|&&named| !named).count()
    }

    /// Number of the joined group of each entity.
    fn clusters(mut self) -> Vec<u32> {
        let mut number: FxHashMap<usize, u32> = FxHashMap::default();
        let groups = self.entities.group.iter();
        groups
            .map(|&group| {
                let next = number.len() as u32;
                *number.entry(root(&mut self.parent, group as usize)).or_insert(next)
            })
            .collect()
    }
}

/// Root of a node; halves the path on the way.
fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}
