//! A folded network: what is left to compute for a pair once each entity has been folded.

use crate::error::{Error, Result};

/// How the folded operands of a pair meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairForm {
    /// A head of one hidden layer, its last weights folded into the operands.
    SignedL1,
    /// A deeper head on `relu(a + b)`.
    Relu,
    /// An input-dependent gate, and the whole head behind it.
    Gate,
}

impl PairForm {
    /// Tables of folded operands of each side: p and u of a gate, one otherwise.
    #[must_use]
    pub fn n_tables(self) -> usize {
        match self {
            Self::SignedL1 | Self::Relu => 1,
            Self::Gate => 2,
        }
    }
}

/// What a member's logit becomes before the members are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Itself.
    Identity,
    /// σ(z).
    Logistic,
}

/// A linear layer of a head, with ReLU behind it unless it is the last one.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadLayer {
    /// `[d_out, d_in]`.
    pub weight: Vec<f32>,
    /// `[d_out]`.
    pub bias: Vec<f32>,
    /// Width that it reads.
    pub d_in: usize,
    /// Width that it writes.
    pub d_out: usize,
}

/// One network of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct PairMember {
    /// Its weight in the value.
    pub weight: f32,
    /// Signed L1: elements that are added; those after them are subtracted.
    pub n_positive: usize,
    /// The layers that are left; none for the signed L1 form.
    pub head: Vec<HeadLayer>,
}

/// The folded networks of an ensemble, all of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct PairNetwork {
    /// How operands meet.
    pub form: PairForm,
    /// Width of a row of each table, without padding.
    pub width: usize,
    /// What becomes of the logits.
    pub link: Link,
    /// The members, at least one.
    pub members: Vec<PairMember>,
}

impl PairNetwork {
    /// Checks that widths and signs fit each other; a head ends with one output.
    ///
    /// # Errors
    /// [`Error::Shape`] that names what does not fit.
    pub fn check(&self) -> Result<()> {
        let wrong = |expected: String, found: String| Err(Error::Shape { op: "pair_score", expected, found });
        let Some(first) = self.members.first() else {
            return wrong("a member or more".into(), "none".into());
        };
        if self.width == 0 {
            return wrong("operands of a width".into(), "width 0".into());
        }
        for member in &self.members {
            if member.n_positive > self.width {
                return wrong(format!("at most {} signs", self.width), member.n_positive.to_string());
            }
            if member.head.len() != first.head.len() || (self.form == PairForm::SignedL1) != member.head.is_empty() {
                return wrong("the head of the form in each member".into(), format!("{} layers", member.head.len()));
            }
            let mut width = self.width;
            for (layer, beside) in member.head.iter().zip(&first.head) {
                let (found, sizes) = ([layer.d_in, layer.d_out], [layer.weight.len(), layer.bias.len()]);
                if found != [width, beside.d_out] || sizes != [layer.d_in * layer.d_out, layer.d_out] {
                    return wrong(format!("a layer {width} → {}", beside.d_out), format!("{found:?}, sizes {sizes:?}"));
                }
                width = layer.d_out;
            }
            if !member.head.is_empty() && width != 1 {
                return wrong("a head with one output".into(), width.to_string());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(d_in: usize, d_out: usize) -> HeadLayer {
        HeadLayer { weight: vec![0.0; d_in * d_out], bias: vec![0.0; d_out], d_in, d_out }
    }

    fn network(form: PairForm, heads: &[&[[usize; 2]]]) -> PairNetwork {
        let head = |layers: &&[[usize; 2]]| layers.iter().map(|&[d_in, d_out]| layer(d_in, d_out)).collect();
        let member = |layers| PairMember { weight: 1.0, n_positive: 2, head: head(layers) };
        PairNetwork { form, width: 4, link: Link::Identity, members: heads.iter().map(member).collect() }
    }

    #[test]
    fn members_that_do_not_fit_are_refused() {
        network(PairForm::SignedL1, &[&[], &[]]).check().unwrap();
        network(PairForm::Relu, &[&[[4, 3], [3, 1]]]).check().unwrap();
        network(PairForm::Gate, &[&[[4, 1]], &[[4, 1]]]).check().unwrap();
        let heads: [(PairForm, &[&[[usize; 2]]]); 7] = [
            (PairForm::SignedL1, &[]),
            (PairForm::SignedL1, &[&[[4, 1]]]),
            (PairForm::Relu, &[&[]]),
            (PairForm::Relu, &[&[[4, 3], [2, 1]]]),
            (PairForm::Relu, &[&[[4, 2]]]),
            (PairForm::Gate, &[&[[5, 1]]]),
            (PairForm::Gate, &[&[[4, 1]], &[[4, 3], [3, 1]]]),
        ];
        for (form, heads) in heads {
            assert!(network(form, heads).check().is_err(), "{form:?} {heads:?}");
        }
        let mut signs = network(PairForm::SignedL1, &[&[]]);
        signs.members[0].n_positive = 5;
        assert!(signs.check().unwrap_err().to_string().contains("at most 4 signs"));
    }
}
