//! A folded network as the CPU reads it: the weights of each layer in tiles of outputs, term after term.

use crate::backend::Isa;
use crate::ops::linear::product::{PackRows, Shape};
use crate::ops::linear::split::Tiles;
use crate::ops::pair_score::{HeadLayer, Link, PairForm, PairNetwork};

/// A loaded network.
#[derive(Debug)]
pub struct CpuNetwork {
    pub(super) form: PairForm,
    pub(super) link: Link,
    /// Width of a row.
    pub(super) width: usize,
    /// Width of the widest activation.
    pub(super) widest: usize,
    pub(super) members: Vec<Member>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub weight: f32,
    pub n_positive: usize,
    pub head: Vec<Layer>,
}

#[derive(Debug)]
pub(super) struct Layer {
    /// Tiles of outputs, each turned into `[d_in, outputs]`.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub tiles: Tiles,
    pub d_in: usize,
}

impl CpuNetwork {
    pub(super) fn new(isa: Isa, network: &PairNetwork) -> Self {
        let layer = |layer: &HeadLayer| Layer::new(isa, layer);
        let members: Vec<Member> = network
            .members
            .iter()
            .map(|member| Member {
                weight: member.weight,
                n_positive: member.n_positive,
                head: member.head.iter().map(layer).collect(),
            })
            .collect();
        let head = network.members.iter().flat_map(|member| &member.head);
        let widest = head.map(|layer| layer.d_in.max(layer.d_out)).max().unwrap_or(0);
        Self { form: network.form, link: network.link, width: network.width, widest, members }
    }

    /// Tables of entries of all members.
    pub(super) fn n_tables(&self) -> usize {
        self.members.len() * self.form.n_tables()
    }
}

impl Layer {
    fn new(isa: Isa, layer: &HeadLayer) -> Self {
        let (d_in, tiles) = (layer.d_in, Tiles::of(layer.d_out, Shape::of(isa).rows));
        let mut weight = vec![0.0; layer.weight.len()];
        for tile in 0..tiles.count {
            let rows = tiles.rows(tile);
            let range = rows.start * d_in..rows.end * d_in;
            isa.dispatch(PackRows { d_in, rows: &layer.weight[range.clone()], to: &mut weight[range] });
        }
        Self { weight, bias: layer.bias.clone(), tiles, d_in }
    }
}
