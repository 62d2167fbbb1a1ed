//! A fusion network as its kernel reads it: widths, and where each weight lies among the parameters.

use crate::error::{Error, Result};

/// Most layers of a head, the last one included.
pub const MOST_HEAD_LAYERS: usize = 6;

/// A linear layer: weight `[d_out, d_in]` and bias `[d_out]` from these elements of the parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FusionLayer {
    /// First element of the weight.
    pub weight: u32,
    /// First element of the bias.
    pub bias: u32,
    /// Width that it reads.
    pub d_in: u32,
    /// Width that it writes.
    pub d_out: u32,
}

/// How p and r become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixing {
    /// `σ(g) ⊙ p + (1 − σ(g)) ⊙ r`, g from this element of the parameters.
    StaticGate(u32),
    /// The same with `g = W[p|r] + c`.
    InputGate(FusionLayer),
    /// `[p|r]`.
    Concatenation,
    /// `(p + r)/2`, the gate of g = 0.
    Average,
}

/// The shape of a network. Laid out as `kernels/gated_fusion.cu` declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FusionShape {
    pub(super) n_pairs: u32,
    d_partner: u32,
    d_rna: u32,
    mixing: u32,
    has_partner_projection: u32,
    has_rna_projection: u32,
    partner: FusionLayer,
    rna: FusionLayer,
    gate: FusionLayer,
    static_gate: u32,
    n_head: u32,
    head: [FusionLayer; MOST_HEAD_LAYERS],
}

fn expect(what: &str, expected: u32, found: u32) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { op: "gated_fusion", expected: format!("{what} of {expected}"), found: found.to_string() })
}

impl FusionShape {
    /// The network that takes vectors of these widths (partner, RNA), projects either side or not, mixes them, and reads
    /// the mixture by a head.
    ///
    /// # Errors
    /// [`Error::Data`] for a head of more than [`MOST_HEAD_LAYERS`]; [`Error::Shape`] when a layer does not read what
    /// the one before it writes.
    pub fn new(
        [d_partner, d_rna]: [u32; 2],
        [partner, rna]: [Option<FusionLayer>; 2],
        mixing: Mixing,
        head: &[FusionLayer],
    ) -> Result<Self> {
        if head.len() > MOST_HEAD_LAYERS {
            return Err(Error::data(
                format!("the head of this network has {} layers, its last one included", head.len()),
                format!("use a network with at most {} hidden layers", MOST_HEAD_LAYERS - 1),
            ));
        }
        let mut layers = [FusionLayer::default(); MOST_HEAD_LAYERS];
        layers[..head.len()].copy_from_slice(head);
        let shape = Self {
            n_pairs: 0,
            d_partner,
            d_rna,
            mixing: match mixing {
                Mixing::StaticGate(_) => 0,
                Mixing::InputGate(_) => 1,
                Mixing::Concatenation => 2,
                Mixing::Average => 3,
            },
            has_partner_projection: u32::from(partner.is_some()),
            has_rna_projection: u32::from(rna.is_some()),
            partner: partner.unwrap_or_default(),
            rna: rna.unwrap_or_default(),
            gate: if let Mixing::InputGate(gate) = mixing { gate } else { FusionLayer::default() },
            static_gate: if let Mixing::StaticGate(g) = mixing { g } else { 0 },
            n_head: head.len() as u32,
            head: layers,
        };
        shape.check()?;
        Ok(shape)
    }

    fn check(&self) -> Result<()> {
        let [p, r] = self.widths();
        for (what, layer, width) in
            [("partner projection", self.partner(), self.d_partner), ("RNA projection", self.rna(), self.d_rna)]
        {
            layer.map_or(Ok(()), |layer| expect(&format!("{what} with inputs"), width, layer.d_in))?;
        }
        if self.mixing() != Mixing::Concatenation {
            expect("an RNA with the partner's width", p, r)?;
        }
        if let Mixing::InputGate(gate) = self.mixing() {
            expect("gate with inputs", p.saturating_add(r), gate.d_in)?;
            expect("gate with outputs", p, gate.d_out)?;
        }
        let mut width = self.mixed_width();
        for layer in self.head() {
            expect("head layer with inputs", width, layer.d_in)?;
            width = layer.d_out;
        }
        let empty = self.layers().any(|layer| layer.d_in == 0 || layer.d_out == 0);
        if empty || self.n_head == 0 || p == 0 || r == 0 {
            let expected = "positive widths and a head".to_owned();
            return Err(Error::Shape { op: "gated_fusion", expected, found: format!("{self:?}") });
        }
        Ok(())
    }

    /// Width of the partners' vectors.
    #[must_use]
    pub fn d_partner(&self) -> usize {
        self.d_partner as usize
    }
    /// Width of the RNAs' vectors.
    #[must_use]
    pub fn d_rna(&self) -> usize {
        self.d_rna as usize
    }
    /// The partner's projection.
    #[must_use]
    pub fn partner(&self) -> Option<FusionLayer> {
        (self.has_partner_projection != 0).then_some(self.partner)
    }
    /// The RNA's projection.
    #[must_use]
    pub fn rna(&self) -> Option<FusionLayer> {
        (self.has_rna_projection != 0).then_some(self.rna)
    }
    /// How p and r become one.
    #[must_use]
    pub fn mixing(&self) -> Mixing {
        match self.mixing {
            0 => Mixing::StaticGate(self.static_gate),
            1 => Mixing::InputGate(self.gate),
            2 => Mixing::Concatenation,
            _ => Mixing::Average,
        }
    }
    /// The layers of the head, the last one included.
    #[must_use]
    pub fn head(&self) -> &[FusionLayer] {
        &self.head[..self.n_head as usize]
    }
    /// Widths of p and r.
    #[must_use]
    pub fn widths(&self) -> [u32; 2] {
        let width = |layer: Option<FusionLayer>, d| layer.map_or(d, |layer| layer.d_out);
        [width(self.partner(), self.d_partner), width(self.rna(), self.d_rna)]
    }
    /// Width of what the head reads.
    #[must_use]
    pub fn mixed_width(&self) -> u32 {
        let [p, r] = self.widths();
        if self.mixing() == Mixing::Concatenation { p.saturating_add(r) } else { p }
    }
    /// Logits of a pair.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.head().last().map_or(0, |last| last.d_out as usize)
    }

    fn layers(&self) -> impl Iterator<Item = FusionLayer> {
        let gate = if let Mixing::InputGate(gate) = self.mixing() { Some(gate) } else { None };
        self.partner().into_iter().chain(self.rna()).chain(gate).chain(self.head().iter().copied())
    }

    /// Parameters that the network reads: the end of the last weight.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        let end = |first: u32, len: usize| first as usize + len;
        let of_layer = |layer: FusionLayer| {
            let (d_in, d_out) = (layer.d_in as usize, layer.d_out as usize);
            end(layer.weight, d_in * d_out).max(end(layer.bias, d_out))
        };
        let g = if let Mixing::StaticGate(g) = self.mixing() { end(g, self.widths()[0] as usize) } else { 0 };
        self.layers().map(of_layer).fold(g, usize::max)
    }

    /// Shared memory that the kernel needs for `tile` pairs whose activations take `element` bytes: the formula at its
    /// top.
    pub(super) fn shared_bytes(&self, element: usize, tile: usize) -> usize {
        const WEIGHTS: usize = 36_864;
        let row = |width: usize| (width * element).next_multiple_of(128) + 16;
        let hidden = |first: usize| {
            let layers = &self.head()[..self.head().len() - 1];
            layers.iter().skip(first).step_by(2).map(|layer| layer.d_out as usize).max().unwrap_or(0)
        };
        let [p, r] = self.widths().map(|width| width as usize);
        let joined = (p + r).max(hidden(1));
        let gate = if matches!(self.mixing(), Mixing::InputGate(_)) { p } else { 0 };
        let read = |layer: Option<FusionLayer>| layer.map_or(0, |layer| layer.d_in as usize);
        let spare = gate.max(read(self.partner())).max(read(self.rna())).max(hidden(0));
        WEIGHTS + tile * (row(joined) + row(spare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(weight: u32, d_in: u32, d_out: u32) -> FusionLayer {
        FusionLayer { weight, bias: weight + d_in * d_out, d_in, d_out }
    }

    #[test]
    fn laid_out_as_the_kernel_reads_it() {
        assert_eq!((size_of::<FusionLayer>(), size_of::<FusionShape>()), (16, 176));
        let head = [layer(500, 4, 3), layer(600, 3, 2)];
        let shape = FusionShape::new([4, 7], [None, Some(layer(0, 7, 4))], Mixing::StaticGate(32), &head).unwrap();
        let offsets = [
            std::mem::offset_of!(FusionShape, mixing),
            std::mem::offset_of!(FusionShape, partner),
            std::mem::offset_of!(FusionShape, static_gate),
            std::mem::offset_of!(FusionShape, head),
        ];
        assert_eq!(offsets, [12, 24, 72, 80]);
        assert_eq!((shape.n_outputs(), shape.n_parameters(), shape.mixed_width()), (2, 608, 4));
        assert_eq!((shape.partner(), shape.rna(), shape.head()), (None, Some(layer(0, 7, 4)), &head[..]));
    }

    #[test]
    fn shared_memory_by_hand() {
        // The rna-protein preset in f32: rows of 1024 and 343 numbers.
        let sides = [Some(layer(0, 343, 512)), Some(layer(0, 256, 512))];
        let head = [layer(0, 512, 64), layer(0, 64, 1)];
        let shape = FusionShape::new([343, 256], sides, Mixing::StaticGate(0), &head).unwrap();
        assert_eq!(shape.shared_bytes(4, 8), 36_864 + 8 * ((4096 + 16) + (1408 + 16)));
        // In f16 with the other gate: rows of 1024 and 512 numbers.
        let gate = Mixing::InputGate(layer(0, 1024, 512));
        let shape = FusionShape::new([343, 256], sides, gate, &head).unwrap();
        assert_eq!(shape.shared_bytes(2, 32), 36_864 + 32 * ((2048 + 16) + (1024 + 16)));
        // Without projections the second hidden layer is the widest.
        let head = [layer(0, 10, 70), layer(0, 70, 90), layer(0, 90, 1)];
        let shape = FusionShape::new([5, 5], [None; 2], Mixing::Concatenation, &head).unwrap();
        assert_eq!(shape.shared_bytes(4, 16), 36_864 + 16 * ((384 + 16) + (384 + 16)));
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let new = |sides, mixing, head: &[FusionLayer]| FusionShape::new([4, 7], sides, mixing, head);
        let (rna, head) = ([None, Some(layer(0, 7, 4))], [layer(0, 4, 1)]);
        new(rna, Mixing::Average, &head).unwrap();
        new(rna, Mixing::InputGate(layer(0, 8, 4)), &head).unwrap();
        new([None; 2], Mixing::Concatenation, &[layer(0, 11, 1)]).unwrap();
        for (sides, mixing, head) in [
            ([None; 2], Mixing::Average, &head[..]),
            ([None, Some(layer(0, 6, 4))], Mixing::Average, &head),
            ([Some(layer(0, 5, 4)), rna[1]], Mixing::Average, &head),
            (rna, Mixing::InputGate(layer(0, 4, 4)), &head),
            (rna, Mixing::InputGate(layer(0, 8, 5)), &head),
            (rna, Mixing::Average, &[layer(0, 5, 1)]),
            (rna, Mixing::Average, &[layer(0, 4, 3), layer(0, 2, 1)]),
            (rna, Mixing::Average, &[layer(0, 4, 0)]),
            (rna, Mixing::Average, &[]),
        ] {
            let error = new(sides, mixing, head).unwrap_err();
            assert!(error.to_string().starts_with("gated_fusion: expected"), "{error}");
        }
        let deep = vec![layer(0, 4, 4); 7];
        new(rna, Mixing::Average, &deep[1..]).unwrap();
        let error = new(rna, Mixing::Average, &deep).unwrap_err();
        assert!(error.to_string().contains("7 layers") && error.help().contains("at most 5 hidden"), "{error}");
    }
}
