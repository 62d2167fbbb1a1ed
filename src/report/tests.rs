//! The report as a whole: well-formed, escaped, self-contained, complete and repeatable.

use super::{RenderedFile, axis, markup, render, sample};
use crate::data::Task;
use crate::eval::result::{Evaluation, MetricValue};

fn all() -> [(&'static str, Evaluation); 4] {
    [
        ("binary", sample::binary()),
        ("regression", sample::regression()),
        ("crowded", sample::crowded()),
        ("empty", sample::empty()),
    ]
}

fn page(evaluation: &Evaluation) -> String {
    render(evaluation).swap_remove(0).contents
}

fn numbers(evaluation: &Evaluation, id: &str) -> Vec<Vec<String>> {
    let path = format!("figures/{id}.tsv");
    let file = render(evaluation).into_iter().find(|file| file.path == path);
    let text = file.map(|file| file.contents).unwrap_or_default();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The tags of a page: name, attributes, closing, self-closed.
fn tags(html: &str) -> Vec<(&str, &str, bool, bool)> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .filter(|(tag, _)| !tag.starts_with('!'))
        .map(|(tag, _)| {
            let (body, closed) = tag.strip_suffix('/').map_or((tag, false), |body| (body, true));
            let (body, closing) = body.strip_prefix('/').map_or((body, false), |body| (body, true));
            let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
            (name, attributes, closing, closed)
        })
        .collect()
}

fn assert_well_formed(name: &str, html: &str) {
    let mut open = Vec::new();
    for (tag, attributes, closing, closed) in tags(html) {
        assert_eq!(attributes.matches('"').count() % 2, 0, "{name}: quotes of <{tag} {attributes}>");
        if closing {
            assert_eq!(open.pop(), Some(tag), "{name}");
        } else if !closed {
            open.push(tag);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} stay open");
}

#[test]
fn tags_balance_and_ids_are_unique() {
    for (name, evaluation) in all() {
        let html = page(&evaluation);
        assert_well_formed(name, &html);
        let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let n_ids = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n_ids, "{name}: an id occurs twice");
    }
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    for (name, evaluation) in all() {
        let html = page(&evaluation);
        for forbidden in
            ["http://", "https://", "<script", "<iframe", "<img", " src=", "url(", "@import", "javascript:"]
        {
            assert!(!html.contains(forbidden), "{name} contains {forbidden}");
        }
    }
}

#[test]
fn every_string_is_escaped() {
    let attack = "</title><script>alert('x')</script>\" onload=\"x&";
    let mut evaluation = sample::binary();
    let names: Vec<String> = evaluation.models.iter().map(|model| model.name.clone()).collect();
    let evil = |name: &str| if names.iter().any(|n| n == name) { format!("{name}{attack}") } else { attack.to_owned() };
    for text in [&mut evaluation.title, &mut evaluation.tool, &mut evaluation.setup.command, &mut evaluation.setup.stop]
    {
        attack.clone_into(text);
    }
    let setup = &mut evaluation.setup;
    for text in [&mut setup.split, &mut setup.network, &mut setup.rna_encoder.name, &mut setup.partner_encoder.digest] {
        attack.clone_into(text);
    }
    for finding in &mut evaluation.verdict {
        (finding.claim, finding.text) = (attack.to_owned(), attack.to_owned());
    }
    for model in &mut evaluation.models {
        (model.name, model.label) = (evil(&model.name), evil(&model.name));
        model.metrics.insert(attack.to_owned(), MetricValue::default());
    }
    for comparison in &mut evaluation.comparisons {
        (comparison.model, comparison.against) = (evil(&comparison.model), evil(&comparison.against));
    }
    for curves in &mut evaluation.curves {
        curves.model = evil(&curves.model);
    }
    if let Some(study) = &mut evaluation.case_study {
        (study.rna, study.note) = (attack.to_owned(), attack.to_owned());
        for edge in &mut study.edges {
            edge.partner.push_str(attack);
        }
    }
    evaluation.data.contradictory.push(attack.to_owned());
    evaluation.data.rejected.insert(attack.to_owned(), 1);

    let html = page(&evaluation);
    assert_well_formed("attack", &html);
    assert!(!html.contains("<script") && !html.contains("onload=\""));
    assert!(html.contains("&lt;/title&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;"));
    assert!(page(&sample::binary()).contains("SYN2&lt;0&gt; SYN3&amp;A"));
}

#[test]
fn undefined_numbers_are_never_printed() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut evaluation = sample::binary();
        for (i, model) in evaluation.models.iter_mut().enumerate() {
            for score in model.metrics.values_mut().skip(i % 2) {
                (score.mean, score.sd_seeds, score.pooled) = (Some(odd), Some(odd), Some(odd));
                score.interval = Some((odd, odd));
                score.values = vec![vec![Some(odd), None]];
            }
        }
        for comparison in &mut evaluation.comparisons {
            (comparison.difference, comparison.interval, comparison.p_holm) = (odd, (odd, 1.0), odd);
        }
        for curves in &mut evaluation.curves {
            (curves.roc[1].0, curves.precision_recall[1].1, curves.reliability[0].1) = (odd, odd, odd);
        }
        for history in &mut evaluation.histories {
            history.inner_loss.fill(odd);
            history.train_loss[3] = odd;
        }
        if let Some(gate) = &mut evaluation.gate {
            (gate.per_dimension[0], gate.per_dimension_sd[1], gate.per_interaction.edges[0]) = (odd, odd, odd);
        }
        if let Some(study) = &mut evaluation.case_study {
            (study.edges[0].probability, study.edges[1].label) = (odd, odd);
        }
        evaluation.data.rna_lengths.edges[2] = odd;
        evaluation.data.similarity_rna = Some(odd);
        for RenderedFile { path, contents } in render(&evaluation) {
            let mut words = contents.split(|c: char| !c.is_alphanumeric());
            let found = words.find(|word| ["nan", "inf", "infinity"].contains(&word.to_lowercase().as_str()));
            assert_eq!(found, None, "{path} with {odd}");
        }
    }
}

#[test]
fn every_figure_is_described_and_has_its_numbers() {
    for (name, evaluation) in all() {
        let files = render(&evaluation);
        let html = &files[0].contents;
        let figures: Vec<&str> =
            html.split("<figure id=\"figure-").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(figures.is_empty(), name == "empty");
        for id in figures {
            let path = format!("figures/{id}.tsv");
            let file = files.iter().find(|file| file.path == path);
            assert!(file.is_some_and(|file| file.contents.lines().count() > 1), "{name}: {path}");
            assert!(html.contains(&format!("href=\"{path}\"")), "{name}: {path} is not linked");
        }
        for drawing in html.split("<svg ").skip(1) {
            let head = drawing.split('>').next().unwrap_or("");
            let body = drawing.split("</svg>").next().unwrap_or("");
            let named = head.contains("role=\"img\"") && body.contains("<title id=") && body.contains("<desc id=");
            assert!(named || head.contains("aria-hidden=\"true\""), "{name}: {head}");
        }
        for table in html.split("<table").skip(1) {
            let table = table.split("</table>").next().unwrap_or("");
            assert!(table.contains("<caption>"), "{name}");
            let heads = tags(table).into_iter().filter(|(tag, _, closing, _)| *tag == "th" && !closing);
            assert!(heads.into_iter().all(|(_, attributes, ..)| attributes.contains("scope=")), "{name}");
        }
    }
}

#[test]
fn drawings_and_numbers_agree() {
    let evaluation = sample::binary();
    let html = page(&evaluation);
    // A curve is drawn from its rows, point by point.
    let frame = super::plot::Frame::SQUARE;
    let x = axis::Scale::new(&axis::Axis::unit(""), (frame.left, frame.right));
    let y = axis::Scale::new(&axis::Axis::unit(""), (frame.bottom, frame.top));
    let of = |row: &[String], i: usize| row[i].parse::<f64>().unwrap_or(f64::NAN);
    let points: Vec<String> = numbers(&evaluation, "curves")
        .iter()
        .filter(|row| row[0] == "static" && row[1] == "roc")
        .map(|row| format!("{} {}", markup::Px(x.at(of(row, 2))), markup::Px(y.at(of(row, 3)))))
        .collect();
    assert!(points.len() > 100 && html.contains(&format!("d=\"M{}\"", points.join("L"))));

    for row in numbers(&evaluation, "forest") {
        assert!(row[3].is_empty() || html.contains(&format!(">{}</text>", super::numbers::rounded(of(&row, 3)))));
    }
    for row in numbers(&evaluation, "network") {
        let probability = super::numbers::value(of(&row, 3));
        assert!(html.contains(&format!("{}: label {}.000, probability {probability}", row[1], row[2])), "{row:?}");
    }
    let drawing =
        |id: &str| html.split(&format!("id=\"{id}-desc\"")).nth(1).and_then(|rest| rest.split("</svg>").next());
    let matrix = drawing("case_confusion-0").unwrap_or("");
    for row in numbers(&evaluation, "case_confusion") {
        assert!(row[1..].iter().all(|n| matrix.contains(&format!(">{n}</text>"))), "{row:?}");
    }
    let n_bars = numbers(&evaluation, "data").iter().filter(|row| row[0] == "rna_length" && row[3] != "0").count();
    assert_eq!(drawing("data-0").unwrap_or("").matches("<rect class=\"bar\"").count(), n_bars);
}

#[test]
fn the_same_evaluation_gives_the_same_bytes() {
    for (name, evaluation) in all() {
        assert!(render(&evaluation) == render(&evaluation.clone()), "{name}");
    }
}

#[test]
fn headings_say_synthetic_and_optimistic() {
    let headings = |html: &str| -> Vec<String> {
        html.split("<h2>").skip(1).filter_map(|rest| rest.split("</h2>").next()).map(str::to_owned).collect()
    };
    let published = page(&sample::regression());
    assert!(published.contains("PAPER PROTOCOL, OPTIMISTIC"));
    for heading in headings(&published) {
        let is_input = heading.starts_with("Data") || heading.starts_with("How to");
        assert_eq!(heading.contains("optimistic"), !is_input, "{heading}");
        assert!(heading.contains("synthetic"), "{heading}");
    }
    assert!(!page(&sample::empty()).contains("ynthetic data"));
    assert!(headings(&page(&sample::empty())).iter().all(|heading| !heading.contains("synthetic")));
}

#[test]
fn the_verdict_comes_first_and_says_it_in_words() {
    let html = page(&sample::binary());
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("SYNTHETIC</b>") < at("id=\"verdict\"") && at("id=\"verdict\"") < at("id=\"scores\""));
    assert!(html.contains("</svg>\nholds</span>") && html.contains("</svg>\ndoes not hold</span>"));
}

#[test]
fn small_and_many_label_evaluations_are_rendered() {
    let mut evaluation = sample::binary();
    evaluation.setup.task = Task::MultiLabel;
    evaluation.setup.seeds.truncate(1);
    evaluation.setup.folds = 1;
    for score in evaluation.models.iter_mut().flat_map(|model| model.metrics.values_mut()) {
        (score.sd_seeds, score.sd_folds, score.interval) = (None, None, None);
        score.values = vec![vec![score.mean]];
    }
    evaluation.histories.truncate(1);
    evaluation.models.truncate(1);
    evaluation.comparisons.clear();
    let html = page(&evaluation);
    assert_well_formed("small", &html);
    assert!(html.contains("1 fold<") && html.contains("1 seed<") && html.contains("one seed, so no SD"));
    assert!(!html.contains("figures/differences.tsv"));
}

#[test]
#[ignore = "writes the sample reports into the temporary folder, to be looked at"]
fn write_samples() -> std::io::Result<()> {
    let folder = std::env::temp_dir().join("report");
    for (name, evaluation) in all() {
        for RenderedFile { path, contents } in render(&evaluation) {
            let file = folder.join(name).join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(&folder))?;
            std::fs::write(file, contents)?;
        }
    }
    Ok(())
}
