//! The shape of a fusion network: all of it is configuration stored with the checkpoint.

use serde::{Deserialize, Serialize};

use crate::data::Task;
use crate::error::{Error, Result};
use crate::ops::gated_fusion::MOST_HEAD_LAYERS;
use crate::ops::pair_loss::Loss;

/// Which operands are projected, each by Linear → ReLU → dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// None: both operands enter the gate as they are and must have one width.
    None,
    /// The RNA alone, to the partner's width (the paper).
    OneSided,
    /// Both, to a hidden width (the published code).
    Both(usize),
}

/// How the two operands become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// `σ(g)⊙p + (1−σ(g))⊙r` with one trained vector g.
    Static,
    /// The same with `g = W[p|r] + c`.
    Input,
    /// `[p|r]`.
    Concat,
    /// `(p + r)/2`.
    Average,
}

impl Fusion {
    /// Name as flags and files spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Input => "input",
            Self::Concat => "concat",
            Self::Average => "average",
        }
    }
    /// Name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Static => "static gate",
            Self::Input => "input-dependent gate",
            Self::Concat => "concatenation",
            Self::Average => "element-wise average",
        }
    }
}

impl std::str::FromStr for Fusion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Static, Self::Input, Self::Concat, Self::Average]
            .into_iter()
            .find(|fusion| fusion.name() == text)
            .ok_or_else(|| format!("'{text}' is not one of static, input, concat, average"))
    }
}

/// A fusion network without its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Width of the partner's vectors, `d_a`.
    pub d_partner: usize,
    /// Width of the RNA's vectors, `d_b`.
    pub d_rna: usize,
    /// Which operands are projected.
    pub projection: Projection,
    /// How they become one.
    pub fusion: Fusion,
    /// Widths of the hidden layers of the head; a last linear layer to `n_outputs` follows.
    pub head: Vec<usize>,
    /// Number of labels.
    pub n_outputs: usize,
    /// Dropout behind each projection.
    pub dropout_projection: f32,
    /// Dropout behind each hidden layer of the head.
    pub dropout_head: f32,
    /// What is predicted; fixes the loss.
    pub task: Task,
}

impl FusionConfig {
    /// Checks that the widths fit each other.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the field.
    pub fn check(&self) -> Result<()> {
        let positive = [("d_partner", self.d_partner), ("d_rna", self.d_rna), ("n_outputs", self.n_outputs)];
        let head = self.head.iter().map(|&width| ("head", width));
        let both = match self.projection {
            Projection::Both(width) => Some(("projection", width)),
            _ => None,
        };
        for (name, width) in positive.into_iter().chain(head).chain(both) {
            if width == 0 || width > 1 << 20 {
                return Err(Error::usage(
                    format!("network: {name} is {width}"),
                    "choose a width between 1 and 1 048 576",
                ));
            }
        }
        if self.head.len() >= MOST_HEAD_LAYERS {
            return Err(Error::usage(
                format!("network: the head has {} hidden layers", self.head.len()),
                format!("choose at most {}", MOST_HEAD_LAYERS - 1),
            ));
        }
        for (name, rate) in [("dropout_projection", self.dropout_projection), ("dropout_head", self.dropout_head)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Error::usage(format!("network: {name} is {rate}"), "choose a rate in 0 ≤ rate < 1"));
            }
        }
        if self.projection == Projection::None && self.fusion != Fusion::Concat && self.d_partner != self.d_rna {
            return Err(Error::usage(
                format!(
                    "network: without a projection the operands must have one width, not {} and {}",
                    self.d_partner, self.d_rna
                ),
                "use projection = \"one-sided\" or { both = WIDTH }, or fusion = \"concat\"",
            ));
        }
        Ok(())
    }

    /// Width of the partner where the operands meet.
    #[must_use]
    pub fn partner_width(&self) -> usize {
        match self.projection {
            Projection::None | Projection::OneSided => self.d_partner,
            Projection::Both(width) => width,
        }
    }

    /// Width of the RNA where the operands meet.
    #[must_use]
    pub fn rna_width(&self) -> usize {
        match self.projection {
            Projection::None => self.d_rna,
            Projection::OneSided => self.d_partner,
            Projection::Both(width) => width,
        }
    }

    /// Width of what the head reads.
    #[must_use]
    pub fn fused_width(&self) -> usize {
        match self.fusion {
            Fusion::Concat => self.partner_width() + self.rna_width(),
            _ => self.partner_width(),
        }
    }

    /// The loss of the task.
    #[must_use]
    pub fn loss(&self) -> Loss {
        match self.task {
            Task::Regression => Loss::SquaredError,
            Task::Binary | Task::MultiLabel => Loss::BinaryCrossEntropy,
        }
    }

    /// Floating-point operations of the matrix products of one training step, per pair: forward, the gradient of every
    /// weight, and the gradient of every layer's input but the first.
    #[must_use]
    pub fn training_flops(&self) -> f64 {
        let projected = |from: usize, to: usize, is: bool| if is { (from * to) as f64 } else { 0.0 };
        let first = projected(self.d_partner, self.partner_width(), matches!(self.projection, Projection::Both(_)))
            + projected(self.d_rna, self.rna_width(), self.projection != Projection::None);
        let gate = projected(self.fused_width() * 2, self.fused_width(), self.fusion == Fusion::Input);
        let widths: Vec<usize> =
            [self.fused_width()].iter().chain(&self.head).chain([&self.n_outputs]).copied().collect();
        let head: f64 = widths.windows(2).map(|pair| (pair[0] * pair[1]) as f64).sum();
        4.0 * first + 6.0 * (gate + head)
    }

    /// The network in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let side = |name: &str, from: usize, to: usize, projected: bool| {
            if projected { format!("{name} {from}→{to}") } else { format!("{name} {from}") }
        };
        let head: Vec<String> =
            [self.fused_width()].iter().chain(&self.head).chain([&self.n_outputs]).map(usize::to_string).collect();
        format!(
            "{}, {}, {}, head {}",
            side("partner", self.d_partner, self.partner_width(), matches!(self.projection, Projection::Both(_))),
            side("RNA", self.d_rna, self.rna_width(), self.projection != Projection::None),
            self.fusion.label(),
            head.join("-")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FusionConfig {
        FusionConfig {
            d_partner: 343,
            d_rna: 256,
            projection: Projection::Both(512),
            fusion: Fusion::Static,
            head: vec![64],
            n_outputs: 1,
            dropout_projection: 0.1,
            dropout_head: 0.5,
            task: Task::Binary,
        }
    }

    #[test]
    fn summary_reads_like_the_paper() {
        assert_eq!(config().summary(), "partner 343→512, RNA 256→512, static gate, head 512-64-1");
        let paper = FusionConfig { projection: Projection::OneSided, head: vec![512, 64], ..config() };
        assert_eq!(paper.summary(), "partner 343, RNA 256→343, static gate, head 343-512-64-1");
    }

    #[test]
    fn widths_that_do_not_fit_are_refused() {
        for bad in [
            FusionConfig { projection: Projection::None, ..config() },
            FusionConfig { head: vec![0], ..config() },
            FusionConfig { head: vec![2; 6], ..config() },
            FusionConfig { dropout_head: 1.0, ..config() },
            FusionConfig { projection: Projection::Both(0), ..config() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        let joined = FusionConfig { projection: Projection::None, fusion: Fusion::Concat, ..config() };
        joined.check().unwrap();
        assert_eq!(joined.fused_width(), 343 + 256);
    }
}
