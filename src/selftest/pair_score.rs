//! Entries with targets by folded operands: every form with either link, one member and several, lists on both sides of
//! the tiles, thresholds, lists that are too short, operands that are no numbers.

use super::Subject;
use super::bench::{Bench, Case, Found as Outcome};
use super::linear::sum_bound;
use super::numbers::{Numbers, Operand, wide, widened_rows};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::pair_score::{
    Found, HeadLayer, Link, PairForm, PairMember, PairNetwork, PairOperands, Survivor, pair_score,
};

const OP: &str = "pair_score";

struct Pairs<A> {
    network: PairNetwork,
    /// Entries and targets.
    n: [usize; 2],
    entries: Vec<A>,
    targets: Vec<f32>,
    offsets: Vec<f32>,
    least: Vec<f32>,
}

/// Form and width, outputs of the head's layers but the last, members, link.
type Network = (PairForm, usize, &'static [usize], usize, Link);

fn name(form: PairForm) -> &'static str {
    match form {
        PairForm::SignedL1 => "signed L1",
        PairForm::Relu => "ReLU",
        PairForm::Gate => "gate",
    }
}

impl<A: Activation> Pairs<A> {
    fn of((form, width, hidden, n_members, link): Network, n: [usize; 2]) -> Self {
        let mut numbers = Numbers::new(width + n[0]);
        let mut member = |m: usize| {
            let (mut d_in, mut head) = (width, Vec::new());
            for &d_out in hidden.iter().chain([&1]).filter(|_| form != PairForm::SignedL1) {
                let weight = numbers.weights::<A>(d_out, d_in);
                let bias = A::widened(&numbers.activations::<A>(d_out, 0.1, 0.5)).into_owned();
                head.push(HeadLayer { weight, bias, d_in, d_out });
                d_in = d_out;
            }
            PairMember { weight: 0.7 - 0.3 * m as f32, n_positive: width * (m + 1) / 3, head }
        };
        let members: Vec<_> = (0..n_members).map(&mut member).collect();
        let rows = n_members * form.n_tables();
        let network = PairNetwork { form, width, link, members };
        Self {
            entries: numbers.activations(rows * n[0] * width, 0.0, 1.0),
            targets: numbers.around(rows * n[1] * width, 0.0, 1.0),
            offsets: numbers.around(n_members * n[1], 0.0, 1.0),
            least: vec![f32::NEG_INFINITY; n[1]],
            network,
            n,
        }
    }

    /// The first survivors by place, how many there were, and the complaint where words behind their list were written.
    fn survivors<B: Backend>(&self, device: &B, capacity: usize) -> Result<(Vec<Survivor>, usize, Option<String>)> {
        const UNTOUCHED: u32 = 0xb5b5_b5b5;
        const BEHIND: usize = 96;
        let (width, row) = (self.network.width, device.padded(self.network.width));
        let entries = Operand::new(device, &widened_rows(&self.entries, width, row), row)?;
        let targets = Operand::new(device, &widened_rows(&self.targets, width, row), row)?;
        let offsets = Operand::new(device, &self.offsets, self.n[1])?;
        let least = Operand::new(device, &self.least, self.n[1])?;
        let operands = PairOperands {
            entries: entries.all(device),
            targets: targets.all(device),
            offsets: offsets.all(device),
            least: least.all(device),
        };
        let words = vec![UNTOUCHED; 3 * capacity + BEHIND];
        // What an earlier call counted is not to stay.
        let mut found = Found { capacity, count: device.uploaded(&[77])?, survivors: device.uploaded(&words)? };
        let loaded = device.load_folded(&self.network)?;
        pair_score(device, &self.network, &loaded, &operands, self.n, &mut found)?;
        let (mut count, mut words) = ([0], words);
        device.download(device.view(&found.count, 0..1), &mut count)?;
        device.download(device.view(&found.survivors, 0..words.len()), &mut words)?;
        let behind = words[3 * capacity..].iter().any(|&word| word != UNTOUCHED);
        let fault = behind.then(|| "words behind the survivors were written".to_owned());
        let count = count[0] as usize;
        let all = words[..3 * capacity.min(count)].as_chunks::<3>().0.iter();
        let survivor = |&[target, entry, bits]: &[u32; 3]| Survivor { target, entry, value: f32::from_bits(bits) };
        let mut survivors: Vec<_> = all.map(survivor).collect();
        survivors.sort_by_key(|survivor| (survivor.target, survivor.entry));
        Ok((survivors, count, fault))
    }

    /// The values of all pairs, target after target.
    fn values<B: Backend>(&self, device: &B) -> Result<(Vec<f32>, Option<String>)> {
        let (survivors, count, fault) = self.survivors(device, self.n[0] * self.n[1])?;
        let place = |survivor: &Survivor| survivor.target as usize * self.n[0] + survivor.entry as usize;
        let complete = count == self.n[0] * self.n[1] && survivors.iter().map(place).eq(0..count);
        let missing = (!complete).then(|| format!("{count} survivors are not every pair once"));
        Ok((survivors.iter().map(|survivor| survivor.value).collect(), fault.or(missing)))
    }

    /// The rows of a member: of the first table, and of the second where there is one.
    fn rows<'a>(&self, all: &'a [f64], m: usize, n: usize, row: usize) -> [&'a [f64]; 2] {
        let (width, n_tables) = (self.network.width, self.network.form.n_tables());
        [0, n_tables - 1].map(|table| &all[((m * n_tables + table) * n + row) * width..][..width])
    }

    fn logit(&self, rounding: Rounding, m: usize, [a, b]: [[&[f64]; 2]; 2], offset: f64) -> f64 {
        let (member, of) = (&self.network.members[m], |x| rounding.of(x));
        let pairs = a[0].iter().zip(b[0]);
        let mut x: Vec<f64> = match self.network.form {
            PairForm::SignedL1 => {
                let sign = |k| if k < member.n_positive { 1.0 } else { -1.0 };
                let sum = pairs.enumerate().map(|(k, (a, b))| sign(k) * of(a.max(-b))).sum();
                return of(of(sum) + offset);
            }
            PairForm::Relu => pairs.map(|(a, b)| of(a + of(*b)).max(0.0)).collect(),
            PairForm::Gate => {
                let gates = a[1].iter().zip(b[1]).map(|(u, v)| of(1.0 / (1.0 + (-of(u + of(*v))).exp())));
                pairs.zip(gates).map(|((p, r), s)| of(r + of(s * of(p - of(*r))))).collect()
            }
        };
        for (i, layer) in member.head.iter().enumerate() {
            let (weight, bias) = (wide(&layer.weight), wide(&layer.bias));
            let least = if i + 1 < member.head.len() { 0.0 } else { f64::NEG_INFINITY };
            x = reference::linear(rounding, &x, &weight, &bias, layer.d_in).into_iter().map(|x| x.max(least)).collect();
        }
        x[0]
    }
}

impl<A: Activation> Case<A> for Pairs<A> {
    fn op(&self) -> &'static str {
        OP
    }
    fn size(&self) -> String {
        let PairNetwork { form, width, link, members } = &self.network;
        let ([entries, targets], head) = (self.n, members[0].head.len());
        let link = if *link == Link::Logistic { "logistic" } else { "identity" };
        format!(
            "{}, {entries} entries by {targets} targets, width {width}, head of {head}, {} members, {link}",
            name(*form),
            members.len()
        )
    }
    fn run<B: Backend>(&self, device: &B) -> Result<Outcome> {
        let (values, fault) = self.values(device)?;
        Ok(Outcome { values, fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        let (entries, targets) = (wide(&self.entries), wide(&self.targets));
        let value = |target: usize, entry: usize| {
            let members = self.network.members.iter().enumerate().map(|(m, member)| {
                let a = self.rows(&entries, m, self.n[0], entry);
                let b = self.rows(&targets, m, self.n[1], target);
                let z = self.logit(rounding, m, [a, b], f64::from(self.offsets[m * self.n[1] + target]));
                let linked =
                    if self.network.link == Link::Logistic { rounding.of(1.0 / (1.0 + (-z).exp())) } else { z };
                rounding.of(f64::from(member.weight) * linked)
            });
            rounding.of(members.sum())
        };
        (0..self.n[1])
            .flat_map(|target| (0..self.n[0]).map(move |entry| (target, entry)))
            .map(|(t, e)| value(t, e))
            .collect()
    }
    /// That of the widest sum, whose terms are of order 1.
    fn single_bound(&self, largest: f64) -> f64 {
        let widths = self.network.members[0].head.iter().map(|layer| layer.d_in);
        sum_bound(widths.max().unwrap_or(0).max(self.network.width), largest)
    }
}

const NETWORKS: [(Network, [usize; 2]); 14] = [
    ((PairForm::SignedL1, 64, &[], 1, Link::Identity), [130, 129]),
    ((PairForm::SignedL1, 21, &[], 3, Link::Logistic), [127, 65]),
    ((PairForm::SignedL1, 5, &[], 2, Link::Identity), [257, 17]),
    ((PairForm::SignedL1, 33, &[], 1, Link::Logistic), [3, 1]),
    // Two layers of a width that is whole pieces of 16 bytes: on tensor cores in f16.
    ((PairForm::Relu, 64, &[64], 1, Link::Identity), [129, 33]),
    ((PairForm::Relu, 168, &[41], 2, Link::Logistic), [70, 35]),
    ((PairForm::Relu, 136, &[100], 1, Link::Logistic), [17, 66]),
    ((PairForm::Relu, 512, &[64], 1, Link::Identity), [31, 5]),
    ((PairForm::Relu, 37, &[16], 1, Link::Identity), [65, 3]),
    ((PairForm::Relu, 40, &[136, 9, 20, 7], 2, Link::Identity), [33, 3]),
    ((PairForm::Gate, 24, &[], 1, Link::Identity), [9, 31]),
    ((PairForm::Gate, 70, &[33], 2, Link::Logistic), [33, 5]),
    ((PairForm::Gate, 513, &[64, 3], 1, Link::Identity), [8, 2]),
    ((PairForm::Gate, 8, &[8], 3, Link::Identity), [1, 1]),
];

/// One network of each kernel, for what is not about numbers.
const KERNELS: [(Network, [usize; 2]); 4] = [
    ((PairForm::SignedL1, 20, &[], 2, Link::Identity), [140, 50]),
    ((PairForm::Relu, 40, &[24], 2, Link::Logistic), [140, 35]),
    ((PairForm::Relu, 41, &[24], 1, Link::Identity), [40, 3]),
    ((PairForm::Gate, 40, &[24], 1, Link::Identity), [40, 3]),
];

/// Half of the pairs survive with the values that they have when all do; of lists that are too short the count is right.
fn threshold<B: Backend, A: Activation>(device: &B, mut case: Pairs<A>) -> Result<Option<String>> {
    let (values, fault) = case.values(device)?;
    if fault.is_some() {
        return Ok(fault);
    }
    let n_entries = case.n[0];
    for (least, own) in case.least.iter_mut().zip(values.chunks_exact(n_entries)) {
        let mut sorted = own.to_vec();
        sorted.sort_by(f32::total_cmp);
        // A value itself: a pair that reaches it is in.
        *least = sorted[n_entries / 2];
    }
    let stays = |&(i, &value): &(usize, &f32)| value >= case.least[i / n_entries];
    let expected: Vec<Survivor> = values
        .iter()
        .enumerate()
        .filter(stays)
        .map(|(i, &value)| Survivor { target: (i / n_entries) as u32, entry: (i % n_entries) as u32, value })
        .collect();
    let (survivors, count, beside) = case.survivors(device, expected.len())?;
    let wrong = (count != expected.len() || survivors != expected).then(|| "other survivors".to_owned());
    let (some, lost, past) = case.survivors(device, expected.len().saturating_sub(1))?;
    let known = some.iter().all(|survivor| expected.contains(survivor));
    let short = (lost != expected.len() || !known).then(|| format!("{lost} survivors of {}", expected.len()));
    Ok(wrong.or(beside).or(short).or(past))
}

/// Pairs of an entry and of a target that hold a NaN survive any threshold, and no others do.
fn not_numbers<B: Backend, A: Activation>(device: &B, mut case: Pairs<A>) -> Result<Option<String>> {
    let ([n_entries, n_targets], width) = (case.n, case.network.width);
    let (entry, target) = (n_entries - 2, n_targets - 1);
    case.entries[entry * width + width - 1] = A::rounded(f32::NAN);
    case.targets[target * width] = f32::NAN;
    case.least.fill(f32::INFINITY);
    let (survivors, count, fault) = case.survivors(device, n_entries * n_targets)?;
    let expected = n_entries + n_targets - 1;
    let fits = |s: &Survivor| s.value.is_nan() && (s.entry as usize == entry || s.target as usize == target);
    let wrong = count != expected || !survivors.iter().all(fits);
    Ok(fault.or_else(|| wrong.then(|| format!("{count} survivors, of which {expected} are not numbers"))))
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (network, n) in NETWORKS {
        bench.check(&Pairs::<A>::of(network, n));
    }
    for (network, n) in KERNELS {
        let (case, what) = (|| Pairs::<A>::of(network, n), format!("{}, width {}", name(network.0), network.1));
        bench.holds::<A>(OP, format!("{what}, half of the pairs"), |device| threshold(device, case()));
        bench.holds::<A>(OP, format!("{what}, beside NaN"), |device| not_numbers(device, case()));
        bench.holds::<A>(OP, format!("{what}, no entry"), |device| {
            let (_, count, fault) = Pairs::<A>::of(network, [0, n[1]]).survivors(device, 1)?;
            Ok(fault.or_else(|| (count != 0).then(|| format!("{count} survivors"))))
        });
    }
}
