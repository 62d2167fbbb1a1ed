//! The folder that an evaluation leaves, and what it prints.

use std::fmt::Write as _;
use std::path::Path;

use biollmnet::data::{PairTable, Task};
use biollmnet::error::{Error, Result};
use biollmnet::eval::result::{Evaluation, Role};
use biollmnet::eval::run::{Request, Runs};
use biollmnet::eval::scores::main_metrics;
use biollmnet::files::output_folder::OutputFolder;
use biollmnet::metrics::probability;
use biollmnet::report;
use serde_json::json;

use super::Context;
use super::output::{print, print_json};
use super::pair_input::write_rejects;

/// The `kind` of an evaluation in its manifest.
pub const KIND: &str = "evaluation";

/// Writes metrics.json, predictions.tsv, report.html, figures/ and, where there is something to list, rejects.tsv and
/// test-rejects.tsv, those of the separate test set.
pub fn write(
    folder: OutputFolder,
    request: &Request<'_>,
    evaluation: &Evaluation,
    runs: &Runs,
    table: &PairTable,
    test: Option<&PairTable>,
) -> Result<()> {
    let json = serde_json::to_string_pretty(evaluation)
        .map_err(|e| Error::data(format!("the evaluation cannot be written as JSON: {e}"), "report this"))?;
    folder.write("metrics.json", (json + "\n").as_bytes())?;
    folder.write("predictions.tsv", predictions(request, runs).as_bytes())?;
    for file in report::render(evaluation) {
        folder.write(&file.path, file.contents.as_bytes())?;
    }
    write_rejects(table, &folder, "rejects.tsv")?;
    if let Some(test) = test {
        write_rejects(test, &folder, "test-rejects.tsv")?;
    }
    folder.commit(
        json!({ "title": evaluation.title, "protocol": evaluation.setup.protocol, "split": evaluation.setup.split }),
    )?;
    Ok(())
}

/// Every prediction of every network and baseline, in the order of models, seeds, folds and pairs.
fn predictions(request: &Request<'_>, runs: &Runs) -> String {
    let tested = request.tested();
    let mut text = String::from("model\tseed\tfold\trna_id\tpartner_id\tlabel_name\tlabel\tscore\tlogit\n");
    for run in &runs.models {
        for part in &run.parts {
            let split = &request.plan.trainings[part.split];
            for (i, &row) in split.test.iter().enumerate() {
                let pair = tested.pairs[row as usize];
                for (l, label_name) in tested.label_names.iter().enumerate() {
                    let value = part.predictions[i * tested.n_labels() + l];
                    let score = if request.data.task == Task::Regression { value } else { probability(value) };
                    let label = tested.labels[row as usize * tested.n_labels() + l];
                    let label = if label.is_nan() { String::new() } else { label.to_string() };
                    let _ = writeln!(
                        text,
                        "{}\t{}\t{}\t{}\t{}\t{label_name}\t{label}\t{score:.6}\t{value:.6}",
                        run.name,
                        split.seed,
                        split.fold,
                        tested.rna.ids[pair.rna as usize],
                        tested.partner.ids[pair.partner as usize],
                    );
                }
            }
        }
    }
    text
}

/// The verdict and the main metrics of every model.
pub fn print_summary(evaluation: &Evaluation, out: &Path, context: &Context) -> Result<()> {
    if context.json {
        return print_json(&json!({
            "out": out, "verdict": evaluation.verdict, "models": evaluation.models, "setup": evaluation.setup,
        }));
    }
    let metrics = main_metrics(evaluation.setup.task, evaluation.setup.active_from.is_some());
    print(format!("{:<34}{:>22}{:>22}", "model", metrics[0], metrics[1]))?;
    for model in &evaluation.models {
        let cell = |metric: &str| {
            let Some(value) = model.metrics.get(metric) else { return String::new() };
            let spread = value.sd_seeds.map_or(String::new(), |sd| format!(" ± {sd:.3}"));
            value.mean.map_or("undefined".to_owned(), |mean| format!("{mean:.3}{spread}").replace("-0.000", "0.000"))
        };
        let mark = if model.role == Role::Network { "*" } else { " " };
        print(format!("{mark}{:<33}{:>22}{:>22}", model.label, cell(metrics[0]), cell(metrics[1])))?;
    }
    print("")?;
    for finding in &evaluation.verdict {
        let word = match finding.holds {
            Some(true) => "holds       ",
            Some(false) => "NOT SO      ",
            None => "note        ",
        };
        print(format!("{word}{}: {}", finding.claim, finding.text))?;
    }
    print(format!("\nreport: {}", out.join("report.html").display()))
}
