//! Two tiny published-style checkpoints inside the program, and what the reference libraries make of them in f64.

use safetensors::SafeTensors;

use super::Subject;
use super::bench::{Bench, Compared, difference, in_f64};
use super::encoder::{Definition, Network, SINGLE, forward};
#[cfg(test)]
use super::reference;
use super::reference::Rounding;
use crate::backend::{Activation, Cpu};
use crate::error::{Error, Result};
use crate::models::backbone::{HUGGING_FACE_ESM, MULTIMOLECULE};
use crate::models::encoder::{AttentionResidual, EncoderConfig, FeedForward};
use crate::ops::Backend;
use crate::tokens::TokenBatch;
use crate::weights::elements::Element;
use crate::weights::naming::Naming;
use crate::weights::{Checkpoint, Scope, Tensor};

/// A checkpoint, the tokens of a sequence, and the mean of its states without the first and the last.
pub(super) struct Golden {
    pub network: Network,
    tokens: [u32; 19],
    pub mean: [f64; 32],
}

/// Mean over the residues of `p_len17`, from transformers in f64.
const ESM2_MEAN: [f64; 32] = [
    1.156_465_417_337,
    0.733_663_309_490,
    -0.167_924_050_293,
    -1.161_658_502_551,
    1.602_822_180_535,
    -0.543_961_169_505,
    0.347_532_295_503,
    1.992_601_086_412,
    0.847_467_113_087,
    -0.100_925_268_944,
    0.038_746_719_477,
    -0.042_374_760_921,
    -0.598_762_846_890,
    0.445_562_390_838,
    0.594_769_823_954,
    0.028_174_661_191,
    0.446_997_587_904,
    -0.674_373_131_796,
    -0.043_947_472_204,
    -1.125_358_416_824,
    -0.380_741_847_751,
    -0.503_840_415_997,
    -1.570_737_060_572,
    -1.097_426_390_628,
    1.404_484_705_391,
    -0.253_559_285_072,
    -0.660_535_024_429,
    0.350_627_554_613,
    -0.273_137_309_963,
    -0.000_988_762_403_153,
    0.309_957_498_566,
    0.094_039_229_367,
];
/// Mean over the letters of `r_len17`, from multimolecule in f64.
const RINALMO_MEAN: [f64; 32] = [
    -0.238_677_553_215,
    0.043_378_901_288,
    0.626_787_558_481,
    0.119_276_533_493,
    -0.129_027_185_297,
    0.245_248_871_332,
    0.652_543_653_155,
    0.339_476_203_402,
    0.606_155_580_123,
    -0.638_562_705_223,
    -1.356_777_339_479,
    0.365_280_122_772,
    -0.417_379_947_127,
    0.289_262_268_673,
    -0.610_468_114_356,
    -0.681_055_968_417,
    0.228_621_033_555,
    -0.023_884_901_346,
    -0.040_687_588_425,
    -0.073_026_695_982,
    0.243_101_573_403,
    -1.182_029_891_289,
    0.650_401_211_741,
    -0.432_849_061_304,
    2.130_416_984_575,
    -0.103_281_075_634,
    -0.135_155_275_561,
    -0.179_151_765_795,
    -0.036_255_269_791,
    0.034_074_149_512,
    0.533_912_674_134,
    0.682_649_303_339,
];
/// Both goldens.
///
/// # Errors
/// When the program's own checkpoints are not whole.
pub(super) fn goldens() -> Result<[Golden; 2]> {
    let esm2 = EncoderConfig {
        n_layers: 2,
        d_model: 32,
        n_heads: 2,
        d_ff: 128,
        vocab_size: 33,
        mask_id: 32,
        layer_norm_eps: 1e-5,
        rope_theta: 1e4,
        token_dropout: true,
        attention_residual: AttentionResidual::Input,
        attention_bias: true,
        feed_forward: FeedForward::Gelu,
    };
    let rinalmo = EncoderConfig {
        d_ff: 85,
        vocab_size: 28,
        mask_id: 4,
        attention_residual: AttentionResidual::Normalised,
        attention_bias: false,
        feed_forward: FeedForward::SwiGlu,
        ..esm2.clone()
    };
    let esm2_bytes = include_bytes!("../../tests/golden/esm2_hf_tiny/model.safetensors");
    let rinalmo_bytes = include_bytes!("../../tests/golden/rinalmo_mm_tiny/model.safetensors");
    let network = |name, config, bytes, naming| {
        Ok::<_, Error>(Network { name, config, scope: scope(bytes, naming)?, precision: None })
    };
    Ok([
        Golden {
            network: network("golden_esm2", esm2, esm2_bytes, &HUGGING_FACE_ESM)?,
            tokens: [0, 4, 7, 13, 18, 20, 18, 15, 21, 23, 5, 23, 16, 19, 22, 16, 22, 15, 2],
            mean: ESM2_MEAN,
        },
        Golden {
            network: network("golden_rinalmo", rinalmo, rinalmo_bytes, &MULTIMOLECULE)?,
            tokens: [1, 8, 9, 9, 9, 6, 7, 8, 7, 7, 8, 9, 8, 6, 8, 9, 6, 8, 2],
            mean: RINALMO_MEAN,
        },
    ])
}

fn scope(bytes: &[u8], naming: &Naming) -> Result<Scope> {
    let broken = |what: String| Error::data(format!("a checkpoint of the self-test is broken: {what}"), "report it");
    let file = SafeTensors::deserialize(bytes).map_err(|error| broken(error.to_string()))?;
    let tensors = file.iter().map(|(name, view)| {
        let element = Element::from_name(&view.dtype().to_string());
        let tensor = element.and_then(|element| Tensor::copied(name, element, view.shape().to_vec(), view.data()));
        tensor.ok_or_else(|| broken(name.to_owned()))
    });
    Scope::renamed(Checkpoint::of_tensors("self-test", tensors.collect::<Result<Vec<_>>>()?), naming)
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for number in 0..2 {
        let name = ["golden_esm2", "golden_rinalmo"][number];
        bench.near::<A>(name, "mean of 17 residues", |device| {
            let golden = &goldens()?[number];
            let (found, twin) = (golden.of_device::<B, A>(device)?, golden.of_device::<Cpu, A>(&Cpu::single())?);
            let error = Some(difference(&found, &golden.mean));
            Ok(Compared { error, bound: golden.bound::<A>()?, from_cpu: Some(difference(&found, &twin)), fault: None })
        });
    }
}

impl Golden {
    fn batch(&self) -> TokenBatch {
        let mut batch = TokenBatch::default();
        batch.push(&self.tokens);
        batch
    }

    fn of_device<B: Backend, A: Activation>(&self, device: &B) -> Result<Vec<f64>> {
        let encoder = self.network.load::<B, A>(device)?;
        let mut work = encoder.workspace::<A>(device)?;
        forward(device, &encoder, &mut work, &self.batch())?;
        Ok(in_f64(&encoder.means(device, 19, &[[1, 18]], &work)?))
    }

    /// The mean by the self-test's own definition.
    #[cfg(test)]
    pub fn by_definition(&self) -> Result<Vec<f64>> {
        let states =
            Definition { rounding: Rounding::None, half: false, network: &self.network }.states(&self.batch())?;
        Ok(reference::segment_means(&states, &[[1, 18]], 32))
    }

    /// In f16 twice the error of a state of the plain implementation, weights included.
    fn bound<A: Activation>(&self) -> Result<f64> {
        if A::NAME != "f16" {
            return Ok(SINGLE / 2.0);
        }
        let states = |rounding, half| Definition { rounding, half, network: &self.network }.states(&self.batch());
        Ok(2.0 * difference(&states(Rounding::Half, true)?, &states(Rounding::None, false)?))
    }
}
