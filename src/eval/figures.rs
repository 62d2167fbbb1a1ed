//! What the report draws of the predictions: curves, the gate's work, the case study.

use std::collections::BTreeMap;

use super::result::{CaseEdge, CaseStudy, GateSummary, Histogram, ModelCurves, Role};
use super::run::{ModelRun, Request, Runs};
use crate::data::Task;
use crate::metrics::{Confusion, Ranking, precision_recall_curve, probability, reliability, roc_curve};
use crate::models::fusion::Projection;

/// Most points of a scatter plot.
const SCATTER_POINTS: usize = 2000;
/// Most partners of a case study that nobody chose.
const CASE_PARTNERS: usize = 60;

/// Mean over the seeds of each tested row's first label: probability, or value where the network fits values. By row.
#[must_use]
pub fn mean_by_row(request: &Request<'_>, run: &ModelRun) -> BTreeMap<u32, f64> {
    let tested = request.tested();
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for part in &run.parts {
        let values = part.predictions.iter().step_by(tested.n_labels().max(1));
        for (&row, &value) in request.plan.trainings[part.split].test.iter().zip(values) {
            let value = if request.data.task == Task::Regression { value } else { probability(value) };
            let sum = sums.entry(row).or_default();
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(row, (sum, n))| (row, sum / n)).collect()
}

/// Curves of all models but the control and the majority, which have none worth drawing.
#[must_use]
pub fn curves(request: &Request<'_>, runs: &Runs) -> Vec<ModelCurves> {
    if request.data.task == Task::MultiLabel {
        return Vec::new();
    }
    let drawn = |run: &&ModelRun| run.role != Role::Control && run.name != "majority";
    runs.models.iter().filter(drawn).map(|run| model_curves(request, run)).collect()
}

fn model_curves(request: &Request<'_>, run: &ModelRun) -> ModelCurves {
    let tested = request.tested();
    let (rows, means): (Vec<u32>, Vec<f64>) = mean_by_row(request, run).into_iter().unzip();
    let truth = |row: &u32| f64::from(tested.label(*row as usize));
    if tested.task == Task::Regression {
        let every = rows.len().div_ceil(SCATTER_POINTS).max(1);
        let scatter = rows.iter().map(truth).zip(means).step_by(every).collect();
        return ModelCurves {
            model: run.name.clone(),
            roc: Vec::new(),
            precision_recall: Vec::new(),
            reliability: Vec::new(),
            confusion: [0; 4],
            scatter,
        };
    }
    let labels: Vec<bool> = rows.iter().map(|row| truth(row) > 0.5).collect();
    let ranking = Ranking::new((0..).zip(&labels).zip(&means).map(|((i, &label), &p)| (i, label, p)));
    let once = vec![1; rows.len()];
    let thresholded = request.is_thresholded();
    let at_threshold = Confusion::at(&labels, &means, if thresholded { request.active_from } else { 0.5 });
    ModelCurves {
        model: run.name.clone(),
        roc: roc_curve(&ranking, &once),
        precision_recall: precision_recall_curve(&ranking, &once),
        reliability: if thresholded { Vec::new() } else { reliability(&labels, &means) },
        confusion: [
            at_threshold.true_positive,
            at_threshold.false_positive,
            at_threshold.false_negative,
            at_threshold.true_negative,
        ]
        .map(|count| count as usize),
        scatter: Vec::new(),
    }
}

/// The gate of the main network over all trainings. Hidden dimensions have no identity from one training to the next,
/// so behind a two-sided projection each training's shares are sorted before they are averaged.
#[must_use]
pub fn gate(request: &Request<'_>, runs: &Runs) -> Option<GateSummary> {
    let first = runs.gates.first()?;
    let sorted = matches!(request.config.network.projection, Projection::Both(_));
    let shares: Vec<Vec<f64>> = runs
        .gates
        .iter()
        .map(|gate| {
            let mut shares = gate.per_dimension.clone();
            if sorted {
                shares.sort_by(|a, b| b.total_cmp(a));
            }
            shares
        })
        .collect();
    let n = shares.len() as f64;
    let mean = |d: usize| shares.iter().map(|s| s[d]).sum::<f64>() / n;
    let sd = |d: usize| {
        let centre = mean(d);
        (shares.iter().map(|s| (s[d] - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt()
    };
    let dimensions = 0..first.per_dimension.len();
    let contributions: Vec<f64> = runs.gates.iter().flat_map(|gate| gate.contribution.iter().copied()).collect();
    Some(GateSummary {
        per_dimension: dimensions.clone().map(mean).collect(),
        per_dimension_sd: dimensions.map(sd).collect(),
        per_interaction: Histogram::of(&contributions),
    })
}

/// Predictions of `chosen`, or of the RNA with the most tested pairs, by the main network; none of several labels, and
/// none of values that are scored as classes.
#[must_use]
pub fn case_study(request: &Request<'_>, runs: &Runs, chosen: Option<&str>) -> Option<CaseStudy> {
    let tested = request.tested();
    let drawable = tested.task != Task::MultiLabel && !request.is_thresholded();
    let main = runs.models.first().filter(|_| drawable)?;
    let means = mean_by_row(request, main);
    let rna_of = |row: u32| tested.pairs[row as usize].rna as usize;
    let rna = if let Some(id) = chosen {
        tested.rna.ids.iter().position(|known| known == id)?
    } else {
        let mut pairs = vec![0usize; tested.rna.len()];
        for &row in means.keys() {
            pairs[rna_of(row)] += 1;
        }
        let usable = (0..pairs.len()).filter(|&rna| pairs[rna] > 0 && pairs[rna] <= CASE_PARTNERS);
        usable.max_by(|&a, &b| pairs[a].cmp(&pairs[b]).then_with(|| tested.rna.ids[b].cmp(&tested.rna.ids[a])))?
    };
    let mut edges: Vec<CaseEdge> = means
        .iter()
        .filter(|(row, _)| rna_of(**row) == rna)
        .map(|(&row, &probability)| CaseEdge {
            partner: tested.partner.ids[tested.pairs[row as usize].partner as usize].clone(),
            label: f64::from(tested.label(row as usize)),
            probability,
        })
        .collect();
    edges.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.partner.cmp(&b.partner)));
    let seeds = request.plan.trainings.iter().map(|split| split.seed).collect::<std::collections::BTreeSet<_>>().len();
    let who = match chosen {
        Some(_) => "All of its pairs were held out of training",
        None => "The RNA with the most tested pairs, each predicted by networks that never saw the pair",
    };
    let note = if seeds == 1 { format!("{who}.") } else { format!("{who}; mean of {seeds} seeds.") };
    Some(CaseStudy { rna: tested.rna.ids[rna].clone(), note, edges })
}
