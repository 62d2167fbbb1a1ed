//! One evaluation from start to end: runs, scores, comparisons, figures, verdict.

use super::bootstrap::{Bootstrap, RESAMPLES};
use super::figures;
use super::result::{DataOverview, Evaluation, ModelScores, Setup};
use super::run::{Protocol, Request, Runs, run};
use super::scores::{Scorer, compare, main_metrics};
use super::verdict::Evidence;
use crate::backend::Cpu;
use crate::data::{Clusters, Entities, Pair, Task};
use crate::error::Result;
use crate::ops::TrainingBackend;
use crate::progress::Progress;
use crate::train::{Stop, TrainIndex};

/// What the caller knows and the report repeats.
#[derive(Debug, Clone)]
pub struct Labels {
    /// Name of the data set, for headings.
    pub title: String,
    /// The command line.
    pub command: String,
    /// True for generated data.
    pub synthetic: bool,
    /// The split in words.
    pub split: String,
    /// The chosen RNA of the case study.
    pub case_rna: Option<String>,
}

/// Version of the layout of `metrics.json`.
const SCHEMA: u32 = 1;

/// Runs and judges everything; networks train on `backend`. `overview` brings what only the reader of the pairs knows (rejected rows).
///
/// # Errors
/// What a training or a baseline reports.
pub fn evaluate<B: TrainingBackend + Sync>(
    backend: &B,
    request: &Request<'_>,
    clusters: Option<&Clusters>,
    labels: &Labels,
    overview: DataOverview,
    progress: &dyn Progress,
) -> Result<(Evaluation, Runs)> {
    let runs = run(backend, request, progress)?;
    let tested = request.tested();
    let mut rows: Vec<u32> = request.plan.trainings.iter().flat_map(|split| split.test.iter().copied()).collect();
    rows.sort_unstable();
    rows.dedup();
    let groups = if request.test.is_none() { clusters } else { None };
    let scorer = Scorer::new(request, Bootstrap::new(tested, groups, &rows, RESAMPLES, 0));
    progress.begin("intervals", "models", Some(runs.models.len() as u64));
    let mut scored = Vec::with_capacity(runs.models.len());
    for model in &runs.models {
        scored.push(scorer.score(model)?);
        progress.advance(1);
    }
    progress.finish();
    let comparisons = compare(main_metrics(tested.task, request.is_thresholded()), &scored);
    let models: Vec<ModelScores> = scored.into_iter().map(|(scores, _)| scores).collect();
    let similarity = |side: Sides| mean_similarity(request, side);
    let data = DataOverview {
        n_dropped_by_split: request.plan.dropped,
        similarity_rna: similarity(RNA)?,
        similarity_partner: similarity(PARTNER)?,
        ..overview
    };
    let setup = setup(request, labels, runs.parameters);
    let verdict = Evidence {
        task: setup.task,
        active_from: setup.active_from,
        protocol: request.protocol,
        data: &data,
        models: &models,
        comparisons: &comparisons,
        warnings: &request.plan.warnings,
    }
    .findings();
    let evaluation = Evaluation {
        schema: SCHEMA,
        tool: concat!("biollmnet ", env!("CARGO_PKG_VERSION")).to_owned(),
        title: labels.title.clone(),
        synthetic: labels.synthetic,
        setup,
        data,
        verdict,
        models,
        comparisons,
        curves: figures::curves(request, &runs),
        histories: runs.histories.clone(),
        gate: figures::gate(request, &runs),
        case_study: figures::case_study(request, &runs, labels.case_rna.as_deref()),
    };
    Ok((evaluation, runs))
}

fn setup(request: &Request<'_>, labels: &Labels, parameters: usize) -> Setup {
    let mut seeds: Vec<u64> = request.plan.trainings.iter().map(|split| split.seed).collect();
    seeds.dedup();
    let stop = match (request.protocol, request.config.stop) {
        (Protocol::Paper, _) => "best epoch on the evaluation fold itself (optimistic)".to_owned(),
        (_, Stop::Fixed) => "fixed: all epochs, last weights".to_owned(),
        (_, Stop::Patience(n)) => format!("patience:{n}: inner loss, best epoch's weights"),
        (_, Stop::Default) => {
            let start = if request.data.task == Task::Regression {
                "; the output starts at the mean training label"
            } else {
                ""
            };
            format!(
                "default: number of epochs by smoothed inner skill, then fitted again on the whole training part{start}"
            )
        }
    };
    let main =
        request.fusions.first().map_or_else(|| request.config.clone(), |&fusion| request.config.with_fusion(fusion));
    Setup {
        command: labels.command.clone(),
        task: request.tested().task,
        active_from: request.is_thresholded().then_some(request.active_from),
        protocol: request.protocol.name().to_owned(),
        split: labels.split.clone(),
        folds: request.plan.trainings.len() / seeds.len().max(1),
        seeds,
        epochs: request.config.epochs,
        stop,
        standardise: request.config.standardise,
        network: main.fusion_config(request.data).summary(),
        parameters,
        rna_encoder: request.data.rna.encoder.clone(),
        partner_encoder: request.data.partner.encoder.clone(),
    }
}

/// One side of a data set: its entities, and the entity of a pair.
type Sides = (fn(&crate::data::Dataset) -> &Entities, fn(&Pair) -> u32);
const RNA: Sides = (|data| &data.rna, |pair| pair.rna);
const PARTNER: Sides = (|data| &data.partner, |pair| pair.partner);

/// Mean over the tested pairs of the first seed of the largest cosine to a training entity.
fn mean_similarity(request: &Request<'_>, (entities, entity): Sides) -> Result<Option<f64>> {
    let backend = Cpu::all_threads();
    let (data, tested) = (request.data, request.tested());
    let distinct = |pairs: &[Pair], rows: &[u32]| -> Vec<u32> {
        let mut members: Vec<u32> = rows.iter().map(|&row| entity(&pairs[row as usize])).collect();
        members.sort_unstable();
        members.dedup();
        members
    };
    let (mut sum, mut n) = (0.0, 0usize);
    let first = request.plan.trainings.first().map(|split| split.seed);
    for split in request.plan.trainings.iter().filter(|split| Some(split.seed) == first) {
        let index = TrainIndex::new(&backend, entities(data), &distinct(&data.pairs, &split.outer()))?;
        let members = distinct(&tested.pairs, &split.test);
        let nearest = index.nearest(&backend, entities(tested), &members)?;
        for &row in &split.test {
            if let Ok(at) = members.binary_search(&entity(&tested.pairs[row as usize])) {
                sum += f64::from(nearest[at]);
                n += 1;
            }
        }
    }
    Ok((n > 0).then(|| sum / n as f64))
}
