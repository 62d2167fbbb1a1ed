//! `biollmnet evaluate`.

use std::path::PathBuf;

use biollmnet::backend::Cpu;
use biollmnet::data::folds::{Clusters, FoldOptions, Plan, SplitKind, read_clusters, read_folds};
use biollmnet::data::{Columns, Dataset, Entities, Side, Task};
use biollmnet::error::{Error, Result};
use biollmnet::eval::assemble::{Labels, evaluate};
use biollmnet::eval::result::DataOverview;
use biollmnet::eval::run::{Protocol, Request};
use biollmnet::files::output_folder::OutputFolder;
use biollmnet::metrics::ACTIVE_AFFINITY;
use biollmnet::models::fusion::Fusion;
use clap::{Args, ValueEnum};

use super::device::Opened;
use super::evaluation_folder;
use super::pair_input::{JoinedPairs, PairInput, load_labelled, title};
use super::training_flags::TrainingFlags;
use super::{Context, Outcome};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    input: PairInput,
    /// The folder to write: metrics.json, predictions.tsv, report.html, figures/.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    training: TrainingFlags,
    /// honest: nothing is chosen on a test fold; paper: the published recipe, optimistic.
    #[arg(long, value_enum, default_value_t = ProtocolFlag::Honest)]
    protocol: ProtocolFlag,
    /// What test and training pairs must not share.
    #[arg(long, value_enum, default_value_t = SplitFlag::Random)]
    split: SplitFlag,
    /// Folds.
    #[arg(long, value_name = "K", default_value_t = 5)]
    folds: usize,
    /// Seeds 0 … N−1: each draws its own folds and starts its own networks.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Folds from a file with the columns `row0`, `rna_id`, `partner_id`, `s0_fold`, `s0_val_in`, …
    #[arg(long, value_name = "TSV", conflicts_with_all = ["hold_out", "test_pairs"])]
    folds_file: Option<PathBuf>,
    /// Fusions to compare, the one that is judged first: static, input, concat, average [default: the preset's, then
    /// the others].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    fusion: Vec<Fusion>,
    /// Train on all other pairs and test on those of one entity: rna=ID or partner=ID.
    #[arg(long, value_name = "SIDE=ID", conflicts_with = "test_pairs")]
    hold_out: Option<HoldOut>,
    /// Test on the pairs of another set.
    #[arg(long, value_name = "TSV")]
    test_pairs: Option<PathBuf>,
    /// Store of the RNAs of --test-pairs [default: that of --rna].
    #[arg(long, value_name = "STORE", requires = "test_pairs")]
    test_rna: Option<PathBuf>,
    /// Store of the partners of --test-pairs [default: that of --partner].
    #[arg(long, value_name = "STORE", requires = "test_pairs")]
    test_partner: Option<PathBuf>,
    /// Columns of --test-pairs [default: those of --columns].
    #[arg(long, value_name = "COLUMNS", requires = "test_pairs")]
    test_columns: Option<Columns>,
    /// Where the training labels are values and those of --test-pairs are 0 and 1: the predicted value from which a pair
    /// counts as 1.
    #[arg(long, value_name = "VALUE", default_value_t = ACTIVE_AFFINITY, value_parser = finite, requires = "test_pairs", allow_negative_numbers = true)]
    active_from: f64,
    /// Clusters of similar sequences, representative TAB member: kept together by the disjoint splits and intervals.
    #[arg(long, value_name = "TSV")]
    clusters: Option<PathBuf>,
    /// Heading of the report [default: from the name of the pairs file, or of both].
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The data is generated: say so in every heading of the report.
    #[arg(long)]
    synthetic: bool,
    /// Replace a finished evaluation.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolFlag {
    Honest,
    Paper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SplitFlag {
    Random,
    Rna,
    Partner,
    Both,
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| format!("'{text}' is not a number"))
}

/// One held-out entity.
#[derive(Debug, Clone)]
struct HoldOut {
    side: Side,
    id: String,
}

impl std::str::FromStr for HoldOut {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (side, id) = text.split_once('=').ok_or("write it as rna=ID or partner=ID")?;
        let side = match side {
            "rna" => Side::Rna,
            "partner" => Side::Partner,
            other => return Err(format!("'{other}' is neither rna nor partner")),
        };
        Ok(Self { side, id: id.to_owned() })
    }
}

/// Evaluates and writes the folder.
pub fn run(args: &EvaluateArgs, context: &Context) -> Result<Outcome> {
    let config = args.training.config()?;
    let opened = context.backend()?;
    // The folder is taken first: a long evaluation must not end at a place that cannot be written.
    let folder = OutputFolder::create(&args.out, evaluation_folder::KIND, args.force)?;
    let pairs = args.input.load(context)?;
    let test = args.test_data(context)?;
    let clusters = args.clusters.as_deref().map(|path| read_clusters(path, &pairs.data)).transpose()?;
    if let Some(unnamed) = clusters.as_ref().map(|clusters| clusters.unnamed).filter(|&n| n > 0) {
        context.note(format!("warning: --clusters leaves out {unnamed} ids; each is grouped by its sequence alone"));
    }
    let options = FoldOptions {
        seeds: (0..args.seeds).collect(),
        folds: args.folds,
        split: match args.split {
            SplitFlag::Random => SplitKind::Random,
            SplitFlag::Rna => SplitKind::Rna,
            SplitFlag::Partner => SplitKind::Partner,
            SplitFlag::Both => SplitKind::Both,
        },
        inner: config.inner,
    };
    let test_set = test.as_ref().map(|test| &test.data);
    let (plan, split) = args.plan(&pairs.data, test_set, &options, clusters.as_ref())?;
    plan.warnings.iter().for_each(|warning| context.note(format!("warning: {warning}")));
    let fusions = fusions(&args.fusion, config.network.fusion)?;
    let request = Request {
        data: &pairs.data,
        test: test_set,
        plan: &plan,
        config: &config,
        fusions: &fusions,
        protocol: if args.protocol == ProtocolFlag::Honest { Protocol::Honest } else { Protocol::Paper },
        active_from: args.active_from,
    };
    if request.is_thresholded() && request.protocol == Protocol::Paper {
        return Err(Error::usage(
            "the paper protocol chooses its epoch by the correlation with the tested values, and --test-pairs has classes",
            "use --protocol honest",
        ));
    }
    let labels = Labels {
        title: args.title(),
        command: context.command.clone(),
        synthetic: args.synthetic,
        split,
        case_rna: args.hold_out.as_ref().filter(|hold_out| hold_out.side == Side::Rna).map(|h| h.id.clone()),
    };
    let overview = overview(&pairs, test.as_ref());
    let (clusters, progress) = (clusters.as_ref(), context.progress.as_ref());
    let (evaluation, runs) = match opened {
        Opened::Cpu => evaluate(&Cpu::single(), &request, clusters, &labels, overview, progress),
        Opened::Cuda(cuda) => evaluate(cuda, &request, clusters, &labels, overview, progress),
    }?;
    let test_table = test.as_ref().map(|test| &test.table);
    evaluation_folder::write(folder, &request, &evaluation, &runs, &pairs.table, test_table)?;
    evaluation_folder::print_summary(&evaluation, &args.out, context)?;
    let rejected = pairs.table.rejects.len() + test.map_or(0, |test| test.table.rejects.len());
    Ok(Outcome::from_rejected(rejected))
}

/// The given fusions, or `main` and then the others.
fn fusions(given: &[Fusion], main: Fusion) -> Result<Vec<Fusion>> {
    let all = [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average];
    if given.is_empty() {
        return Ok([main].into_iter().chain(all.into_iter().filter(|&f| f != main)).collect());
    }
    let repeated = given.iter().enumerate().find(|(i, fusion)| given[..*i].contains(fusion));
    match repeated {
        Some((_, fusion)) => {
            Err(Error::usage(format!("--fusion names {} twice", fusion.name()), "name each fusion once"))
        }
        None => Ok(given.to_vec()),
    }
}

/// What the data says about itself, with what only the reader knows.
pub fn overview(pairs: &JoinedPairs, test: Option<&JoinedPairs>) -> DataOverview {
    let rejected = |pairs: &JoinedPairs| {
        pairs.table.rejected_by_reason().into_iter().map(|(why, n)| (why.to_owned(), n)).collect()
    };
    DataOverview {
        rejected: rejected(pairs),
        test_rejected: test.map(rejected).unwrap_or_default(),
        ..DataOverview::of(&pairs.data, test.map(|test| &test.data))
    }
}

/// Refuses a test set that a network of the training set cannot score.
fn check_alike(data: &Dataset, test: &Dataset) -> Result<()> {
    let same_labels = match (data.task, test.task) {
        (Task::MultiLabel, Task::MultiLabel) => data.label_names == test.label_names,
        // Values can be told apart by classes, not classes by values.
        (Task::Regression, Task::Binary) => true,
        (of_data, of_test) => of_data == of_test,
    };
    if !same_labels {
        let labels = |set: &Dataset| match set.task {
            Task::Binary => "0 and 1".to_owned(),
            Task::Regression => "numbers".to_owned(),
            Task::MultiLabel => set.label_names.join(", "),
        };
        return Err(Error::data(
            format!("the training labels are {}, the test labels {}", labels(data), labels(test)),
            "use labels of one kind in both sets, or values in the training set and 0 and 1 in the test set; \
             --test-columns names the columns of the test set",
        ));
    }
    for (name, side) in [("RNA", Side::Rna), ("partner", Side::Partner)] {
        let (of_data, of_test) = (data.entities(side), test.entities(side));
        if (&of_data.encoder, of_data.dim()) != (&of_test.encoder, of_test.dim()) {
            let encoder = |e: &Entities| format!("'{}' ({}, width {})", e.encoder.name, e.encoder.pooling, e.dim());
            return Err(Error::data(
                format!(
                    "the training {name} vectors are of {}, the test ones of {}",
                    encoder(of_data),
                    encoder(of_test)
                ),
                "embed both sets with the same encoder",
            ));
        }
    }
    Ok(())
}

impl EvaluateArgs {
    /// The heading: as given, or the name of the data set, of both in train → test.
    fn title(&self) -> String {
        let named = || match &self.test_pairs {
            Some(test) => format!("{} → {}", title(&self.input.pairs), title(test)),
            None => title(&self.input.pairs),
        };
        self.title.clone().unwrap_or_else(named)
    }

    fn test_data(&self, context: &Context) -> Result<Option<JoinedPairs>> {
        let Some(pairs) = &self.test_pairs else { return Ok(None) };
        let columns = self.test_columns.as_ref().or(self.input.columns.as_ref());
        let rna = self.test_rna.as_deref().unwrap_or(&self.input.rna);
        let partner = self.test_partner.as_deref().unwrap_or(&self.input.partner);
        load_labelled(pairs, columns, rna, partner, context).map(Some)
    }

    /// The plan, and the split in words.
    fn plan(
        &self,
        data: &Dataset,
        test: Option<&Dataset>,
        options: &FoldOptions,
        clusters: Option<&Clusters>,
    ) -> Result<(Plan, String)> {
        if let Some(test) = test {
            check_alike(data, test)?;
            return Ok((Plan::train_test(data, test, options)?, "train→test".to_owned()));
        }
        if let Some(HoldOut { side, id }) = &self.hold_out {
            let name = if *side == Side::Rna { "rna" } else { "partner" };
            return Ok((Plan::hold_out(data, *side, id, options)?, format!("hold-out {name}={id}")));
        }
        let plan = match &self.folds_file {
            Some(path) => read_folds(path, data, options)?,
            None => Plan::cross_validation(data, options, clusters)?,
        };
        Ok((plan, options.split.as_str().to_owned()))
    }
}
