//! The findings in words, the most important first: what the network beats, and what the data does not support.

use super::result::{Comparison, DataOverview, Finding, ModelScores, Role};
use super::run::Protocol;
use super::scores::{main_metrics, smaller_is_better};
use crate::data::Task;

mod values;

/// Level of Holm's p values below which a difference counts.
const LEVEL: f64 = 0.05;
/// A side is called separable when this share of its ids or more occurs with one label only.
const SEPARABLE: f64 = 0.95;
/// An AUROC below this, and as far above 0.5 as its mirror image is below, is called near chance.
const NEAR_CHANCE: f64 = 0.6;

/// What the verdict is drawn from.
pub struct Evidence<'a> {
    /// What is scored.
    pub task: Task,
    /// Where a regression is scored as a classification: the value from which a prediction counts as positive.
    pub active_from: Option<f64>,
    /// Protocol.
    pub protocol: Protocol,
    /// The data.
    pub data: &'a DataOverview,
    /// All models, the main network first.
    pub models: &'a [ModelScores],
    /// The main network against the others.
    pub comparisons: &'a [Comparison],
    /// Warnings of the split.
    pub warnings: &'a [String],
}

fn remark(claim: &str, text: String) -> Finding {
    Finding { claim: claim.to_owned(), holds: None, text }
}

/// A label as it stands within a sentence.
fn in_sentence(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// A number with three decimals; `undefined` where there is none.
fn shown(value: Option<f64>) -> String {
    value.map_or("undefined".to_owned(), |value| format!("{value:.3}"))
}

/// A difference with all that says how sure it is.
fn uncertain(c: &Comparison) -> String {
    format!("{:+.3} [{:.3}, {:.3}], Holm p {:.3}", c.difference, c.interval.0, c.interval.1, c.p_holm)
}

impl Evidence<'_> {
    /// All findings.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.headline();
        findings.extend(self.against_chance());
        findings.extend(self.against_the_mean());
        findings.extend(self.about_the_data());
        findings.extend(self.against_baselines());
        findings.extend(self.fusions());
        findings.extend(self.control());
        findings.extend(self.warnings.iter().map(|warning| remark("note", warning.clone())));
        findings
    }

    fn main_metrics(&self) -> [&'static str; 2] {
        main_metrics(self.task, self.active_from.is_some())
    }

    fn metric(&self) -> &'static str {
        self.main_metrics()[0]
    }

    fn comparison(&self, against: &str) -> Option<&Comparison> {
        self.comparisons.iter().find(|c| c.against == against && c.metric == self.metric())
    }

    fn headline(&self) -> Vec<Finding> {
        let Some(main) = self.models.first() else { return Vec::new() };
        let score = |metric: &str| {
            let value = main.metrics.get(metric)?;
            let spread = value.sd_seeds.map_or(String::new(), |sd| format!(" ± {sd:.3}"));
            Some(format!("{metric} {}{spread}", shown(value.mean)))
        };
        let figures: Vec<String> = self.main_metrics().into_iter().filter_map(score).collect();
        let mut findings = vec![remark("score", format!("{}: {}.", main.label, figures.join(", ")))];
        if self.protocol == Protocol::Paper {
            let text = "Optimistic: the epoch was chosen on the fold that is reported (the published recipe). \
                        Compare with --protocol honest.";
            findings.push(remark("optimistic", text.to_owned()));
            findings.extend(values::best_folds(main));
        }
        findings
    }

    /// Whether there is a ranking at all, where that is in doubt.
    fn against_chance(&self) -> Vec<Finding> {
        let Some(main) = self.models.first().filter(|_| self.task == Task::Binary) else { return Vec::new() };
        let mut findings = Vec::new();
        if let Some(value) = self.active_from {
            let spread = main.metrics.get("MCC").and_then(|mcc| mcc.sd_seeds);
            let moves = spread.map_or(String::new(), |sd| format!(" (± {sd:.3} here)"));
            findings.push(remark(
                "values scored as classes",
                format!(
                    "The network fits values and the test set has classes: a pair counts as positive from a predicted \
                     value of {value} on. Where values fall about that threshold moves with the seed{moves}; AUROC \
                     needs no threshold and leads."
                ),
            ));
        }
        let Some(auroc) = main.metrics.get("AUROC") else { return findings };
        let (Some(area), Some((low, high))) = (auroc.pooled, auroc.interval) else { return findings };
        if self.active_from.is_some() || area < NEAR_CHANCE || low <= 0.5 {
            let near = if (1.0 - NEAR_CHANCE..NEAR_CHANCE).contains(&area) { " This is near chance." } else { "" };
            findings.push(Finding {
                claim: "ranks better than chance".to_owned(),
                holds: Some(low > 0.5),
                text: format!("Pooled AUROC {area:.3} [{low:.3}, {high:.3}]; a guess has 0.5.{near}"),
            });
        }
        findings
    }

    fn about_the_data(&self) -> Vec<Finding> {
        let data = self.data;
        let mut findings = Vec::new();
        let sides = [("RNA", data.n_rna_one_label, data.n_rna), ("partner", data.n_partner_one_label, data.n_partner)];
        for (side, one_label, all) in sides {
            if self.task == Task::Binary && all > 0 && one_label as f64 >= SEPARABLE * all as f64 {
                findings.push(Finding {
                    claim: format!("the set tests interactions, not {side}s"),
                    holds: Some(false),
                    text: format!(
                        "{one_label} of {all} {side} ids occur with one label only: whoever recognises the {side} knows \
                         the answer. This set does not support a claim about interactions."
                    ),
                });
            }
        }
        if !data.contradictory.is_empty() || data.n_contradictory_sequence_pairs > 0 {
            findings.push(remark(
                "contradictory labels",
                format!(
                    "{} pairs of ids and {} pairs of sequences carry different labels; all rows are kept and listed.",
                    data.contradictory.len(),
                    data.n_contradictory_sequence_pairs
                ),
            ));
        }
        let left_out =
            [("", &data.rejected, "rejects.tsv"), (" of the test set", &data.test_rejected, "test-rejects.tsv")];
        for (whose, rejected, file) in left_out {
            let text = match rejected.values().sum::<usize>() {
                0 => continue,
                1 => format!("1 row{whose} was left out while reading; see {file}."),
                n => format!("{n} rows{whose} were left out while reading; see {file}."),
            };
            findings.push(remark("rejected rows", text));
        }
        if data.n_dropped_by_split > 0 {
            let text =
                format!("{} mixed pairs are in no test fold of the both-disjoint split.", data.n_dropped_by_split);
            findings.push(remark("dropped pairs", text));
        }
        findings
    }

    fn against_baselines(&self) -> Vec<Finding> {
        let baselines = self.models.iter().filter(|model| model.role == Role::Baseline && model.name != "majority");
        let mut findings: Vec<(f64, Finding)> = baselines
            .filter_map(|baseline| {
                let c = self.comparison(&baseline.name)?;
                let better = if smaller_is_better(&c.metric) { -c.difference } else { c.difference };
                let holds = better > 0.0 && c.p_holm < LEVEL;
                let of = |model: &ModelScores| shown(model.metrics.get(&c.metric).and_then(|value| value.pooled));
                let text = format!(
                    "Pooled {} {} against {}: difference {}.",
                    c.metric,
                    self.models.first().map_or(String::new(), of),
                    of(baseline),
                    uncertain(c)
                );
                let claim = format!("beats {}", in_sentence(&baseline.label));
                Some((better, Finding { claim, holds: Some(holds), text }))
            })
            .collect();
        // The hardest baseline first.
        findings.sort_by(|a, b| a.0.total_cmp(&b.0));
        findings.into_iter().map(|(_, finding)| finding).collect()
    }

    fn fusions(&self) -> Option<Finding> {
        let ablations: Vec<&ModelScores> = self.models.iter().filter(|model| model.role == Role::Ablation).collect();
        let (main, metric) = (self.models.first()?, self.metric());
        if ablations.is_empty() {
            return None;
        }
        let score = |model: &ModelScores| {
            let value = model.metrics.get(metric)?;
            let spread = value.sd_seeds.map_or(String::new(), |sd| format!(" ± {sd:.3}"));
            Some(format!("{} {}{spread}", model.name, shown(value.mean)))
        };
        let scores: Vec<String> = [main].into_iter().chain(ablations.iter().copied()).filter_map(score).collect();
        let differ: Vec<&str> = ablations
            .iter()
            .filter(|model| self.comparison(&model.name).is_some_and(|c| c.p_holm < LEVEL))
            .map(|model| model.name.as_str())
            .collect();
        let seen = if differ.is_empty() {
            "no difference between the fusions is seen".to_owned()
        } else {
            format!("{} differs from {}", main.name, differ.join(", "))
        };
        let claim = "the fusion matters".to_owned();
        Some(Finding {
            claim,
            holds: Some(!differ.is_empty()),
            text: format!("{metric}: {}; {seen}.", scores.join(", ")),
        })
    }

    fn control(&self) -> Option<Finding> {
        let control = self.models.iter().find(|model| model.role == Role::Control)?;
        // Standard errors of a guess on n pairs: 1/√n for a correlation, about 0.6/√n for an area under the curve.
        let (metric, chance, error) = match self.task {
            Task::Binary => ("AUROC", 0.5, 0.6),
            Task::Regression => ("Pearson", 0.0, 1.0),
            Task::MultiLabel => ("AUROC_macro", 0.5, 0.6),
        };
        let value = control.metrics.get(metric)?.mean?;
        let n_tested = if self.data.n_test_pairs > 0 { self.data.n_test_pairs } else { self.data.n_pairs };
        let within = (2.0 * error / (n_tested.max(1) as f64).sqrt()).max(0.1);
        Some(Finding {
            claim: "shuffled labels score as chance".to_owned(),
            holds: Some((value - chance).abs() <= within),
            text: format!("Trained on shuffled labels the network reaches {metric} {value:.3}; chance is {chance}."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::result::MetricValue;

    pub(super) fn model(name: &str, role: Role, mcc: f64) -> ModelScores {
        let value = |v| MetricValue { mean: Some(v), pooled: Some(v), ..MetricValue::default() };
        let metrics = [("MCC", mcc), ("AUROC", 0.5 + mcc / 2.0)].map(|(name, v)| (name.to_owned(), value(v)));
        ModelScores {
            name: name.to_owned(),
            label: name.to_owned(),
            role,
            metrics: metrics.into(),
            at_inner_threshold: [].into(),
        }
    }

    pub(super) fn comparison(against: &str, difference: f64, p: f64) -> Comparison {
        Comparison {
            model: "static".into(),
            against: against.into(),
            metric: "MCC".into(),
            difference,
            interval: (difference - 0.1, difference + 0.1),
            p,
            p_holm: p,
        }
    }

    #[test]
    fn a_ranking_near_chance_is_called_that() {
        let findings = |area: f64, low: f64, active_from| {
            let auroc = MetricValue { pooled: Some(area), interval: Some((low, 0.99)), ..MetricValue::default() };
            let models =
                [ModelScores { metrics: [("AUROC".to_owned(), auroc)].into(), ..model("static", Role::Network, 0.0) }];
            let (data, task) = (DataOverview::default(), Task::Binary);
            let evidence = Evidence {
                task,
                active_from,
                protocol: Protocol::Honest,
                data: &data,
                models: &models,
                comparisons: &[],
                warnings: &[],
            };
            evidence.findings().into_iter().find(|finding| finding.claim == "ranks better than chance")
        };
        let near = findings(0.54, 0.47, Some(4.0)).unwrap();
        assert!(near.holds == Some(false) && near.text.contains("near chance"), "{near:?}");
        let barely = findings(0.55, 0.51, None).unwrap();
        assert!(barely.holds == Some(true) && barely.text.contains("near chance"), "{barely:?}");
        // Nothing is said where nothing is in doubt, unless the threshold is.
        assert_eq!(findings(0.9, 0.8, None), None);
        assert_eq!(findings(0.9, 0.8, Some(4.0)).unwrap().holds, Some(true));
    }

    #[test]
    fn a_separable_set_and_a_stronger_baseline_are_said_plainly() {
        let models = [
            model("static", Role::Network, 0.4),
            model("length-threshold", Role::Baseline, 0.7),
            model("id-only", Role::Baseline, 0.1),
            model("input", Role::Ablation, 0.41),
            model("shuffled", Role::Control, 0.0),
        ];
        let comparisons = [
            comparison("length-threshold", -0.3, 0.001),
            comparison("id-only", 0.3, 0.001),
            comparison("input", -0.01, 0.8),
        ];
        let data = DataOverview { n_rna: 100, n_rna_one_label: 100, n_partner: 50, ..DataOverview::default() };
        let evidence = Evidence {
            task: Task::Binary,
            active_from: None,
            protocol: Protocol::Honest,
            data: &data,
            models: &models,
            comparisons: &comparisons,
            warnings: &[],
        };
        let findings = evidence.findings();
        let holds = |claim: &str| findings.iter().find(|f| f.claim == claim).unwrap().holds;
        assert_eq!(holds("the set tests interactions, not RNAs"), Some(false));
        assert_eq!(holds("beats length-threshold"), Some(false));
        assert_eq!(holds("beats id-only"), Some(true));
        assert_eq!(holds("the fusion matters"), Some(false));
        assert_eq!(holds("shuffled labels score as chance"), Some(true));
        let order: Vec<&str> = findings.iter().map(|f| f.claim.as_str()).collect();
        assert!(
            order.iter().position(|c| *c == "beats length-threshold")
                < order.iter().position(|c| *c == "beats id-only")
        );
    }
}
