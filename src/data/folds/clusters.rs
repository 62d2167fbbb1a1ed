//! Clusters of similar sequences from a tool such as `MMseqs2`, in place of groups of identical ones.

use std::io::Read;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::data::{Dataset, Entities};
use crate::error::{Error, Result};
use crate::files::input::Input;

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
    let mut text = String::new();
    Input::open(path)?.read_to_string(&mut text).map_err(Error::io("read", path))?;
    let mut links = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut columns = line.split('\t').map(str::trim);
        let (Some(representative), Some(member)) = (columns.next(), columns.next()) else {
            return Err(Error::record(
                path,
                i as u64 + 1,
                "",
                "fewer than two columns",
                "give lines of representative, TAB, member, as in the cluster TSV of MMseqs2",
            ));
        };
        links.push((representative, member));
    }
    let (rna, named_rna) = joined(&data.rna, &links);
    let (partner, named_partner) = joined(&data.partner, &links);
    if named_rna + named_partner == 0 {
        return Err(Error::format(
            path,
            "no member is an id of the pairs",
            "cluster the same FASTA files that were embedded, so that the ids agree",
        ));
    }
    let unnamed = data.rna.len() + data.partner.len() - named_rna - named_partner;
    Ok(Clusters { rna, partner, unnamed })
}

/// Number of the joined group of each entity, and how many entities the links name as members.
fn joined(entities: &Entities, links: &[(&str, &str)]) -> (Vec<u32>, usize) {
    let n_groups = entities.n_groups();
    let entity_of: FxHashMap<&str, usize> = entities.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let mut representative_of: FxHashMap<&str, usize> = FxHashMap::default();
    // Nodes: the sequence groups, then the representatives in order of appearance.
    let mut parent: Vec<usize> = (0..n_groups).collect();
    let mut named = vec![false; entities.len()];
    for &(representative, member) in links {
        let Some(&entity) = entity_of.get(member) else { continue };
        let node = *representative_of.entry(representative).or_insert_with(|| {
            parent.push(parent.len());
            parent.len() - 1
        });
        named[entity] = true;
        let (a, b) = (root(&mut parent, node), root(&mut parent, entities.group[entity] as usize));
        parent[a] = b;
    }
    let mut number: FxHashMap<usize, u32> = FxHashMap::default();
    let numbers = entities
        .group
        .iter()
        .map(|&group| {
            let next = number.len() as u32;
            *number.entry(root(&mut parent, group as usize)).or_insert(next)
        })
        .collect();
    (numbers, named.iter().filter(|&&named| named).count())
}

/// Root of a node; halves the path on the way.
fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}
