//! The page: head, banners, numbered sections, figures and tables, and the files that come with it.

use super::RenderedFile;
use super::drawing;
use super::figures::Figure;
use super::markup::{Attributes, Markup};
use super::numbers::counted;
use super::tsv::Tsv;
use crate::data::Task;
use crate::eval::result::Evaluation;

const STYLE: &str = include_str!("style.css");

/// What a section tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What the evaluation found: marked where the protocol is optimistic.
    Results,
    /// What went in.
    Input,
}

/// A page that is being written.
#[derive(Debug)]
pub struct Page<'a> {
    /// What it reports.
    pub evaluation: &'a Evaluation,
    /// The innermost open part.
    pub html: Markup,
    contents: Vec<(&'static str, String)>,
    files: Vec<RenderedFile>,
    about: About,
    n_figures: usize,
    n_tables: usize,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(evaluation: &'a Evaluation) -> Self {
        Self {
            evaluation,
            html: Markup::default(),
            contents: Vec::new(),
            files: Vec::new(),
            about: About::Input,
            n_figures: 0,
            n_tables: 0,
        }
    }

    /// True for the published recipe, which chooses its epoch on the fold that it reports.
    pub fn is_optimistic(&self) -> bool {
        self.evaluation.setup.protocol == "paper"
    }

    /// A section with its heading; nothing when `content` writes nothing.
    pub fn section(&mut self, id: &'static str, title: &str, about: About, content: impl FnOnce(&mut Self)) {
        self.about = about;
        let inner = self.inside(content);
        if inner.as_str().is_empty() {
            return;
        }
        self.contents.push((id, title.to_owned()));
        let (synthetic, optimistic) = (self.evaluation.synthetic, self.is_optimistic() && about == About::Results);
        self.html.element("section", &[("id", &id)], |section| {
            section.element("h2", &[], |heading| {
                heading.text(title);
                tags(heading, synthetic, optimistic);
            });
            section.trusted(inner.as_str());
        });
    }

    /// An element around what `content` writes; nothing when it writes nothing.
    pub fn wrap(&mut self, tag: &str, attributes: Attributes, content: impl FnOnce(&mut Self)) {
        let inner = self.inside(content);
        if !inner.as_str().is_empty() {
            self.html.element(tag, attributes, |element| element.trusted(inner.as_str()));
        }
    }

    fn inside(&mut self, content: impl FnOnce(&mut Self)) -> Markup {
        let outer = std::mem::take(&mut self.html);
        content(self);
        std::mem::replace(&mut self.html, outer)
    }

    /// A numbered figure, where there is one; its numbers become a file.
    pub fn figure(&mut self, figure: Option<Figure>) {
        let Some(figure) = figure else { return };
        self.n_figures += 1;
        let number = format!("Figure {}. ", self.n_figures);
        let link = self.keep(figure.id, figure.numbers);
        let note = self.note();
        let single = figure.panels.len() == 1;
        self.html.element("figure", &[("id", &format!("figure-{}", figure.id)), ("class", &figure.layout)], |html| {
            html.element("div", &[("class", &format!("panels {}", figure.layout))], |html| {
                for (i, panel) in figure.panels.iter().enumerate() {
                    drawing::panel(html, panel, &format!("{}-{i}", figure.id), !single);
                }
            });
            drawing::legend(html, &figure.legend);
            html.element("figcaption", &[], |caption| {
                caption.words("b", &[], format!("{number}{}", figure.title));
                caption.text(format!(" {} {note}", figure.caption.trim()));
                numbers_link(caption, &link);
            });
        });
    }

    /// A numbered table: caption, optional numbers for a file, and rows.
    pub fn table(&mut self, class: &str, caption: &str, numbers: Option<(&str, Tsv)>, rows: impl FnOnce(&mut Markup)) {
        self.n_tables += 1;
        let link = numbers.map(|(id, tsv)| self.keep(id, tsv));
        self.draw_table(class, &format!("Table {}. ", self.n_tables), caption, link.as_deref(), rows);
    }

    /// A table without a number, for what is folded away.
    pub fn further_table(&mut self, class: &str, caption: &str, rows: impl FnOnce(&mut Markup)) {
        self.draw_table(class, "", caption, None, rows);
    }

    fn draw_table(
        &mut self,
        class: &str,
        number: &str,
        caption: &str,
        link: Option<&str>,
        rows: impl FnOnce(&mut Markup),
    ) {
        let note = self.note();
        let (title, rest) = caption.split_once(". ").unwrap_or((caption.trim_end_matches('.'), ""));
        // A focusable region, so that a wide table can be scrolled with the keys.
        let region: Attributes = &[("class", &"scroll"), ("role", &"region"), ("tabindex", &0), ("aria-label", &title)];
        self.html.element("div", region, |html| {
            html.element("table", &[("class", &class)], |table| {
                table.element("caption", &[], |caption| {
                    // The inner part stays in view while a wide table is scrolled.
                    caption.element("span", &[("class", &"caption")], |html| {
                        html.words("b", &[], format!("{number}{title}."));
                        html.text(format!(" {rest} {note}"));
                        if let Some(link) = link {
                            numbers_link(html, link);
                        }
                    });
                });
                rows(table);
            });
        });
    }

    /// Keeps numbers as a file and gives its path.
    fn keep(&mut self, id: &str, numbers: Tsv) -> String {
        let path = format!("figures/{id}.tsv");
        self.files.push(RenderedFile { path: path.clone(), contents: numbers.into_text() });
        path
    }

    /// What every caption of a result repeats.
    fn note(&self) -> String {
        let synthetic = if self.evaluation.synthetic { "Synthetic data. " } else { "" };
        let optimistic =
            if self.is_optimistic() && self.about == About::Results { "Paper protocol: optimistic. " } else { "" };
        format!("{synthetic}{optimistic}")
    }

    /// The finished files, the page first.
    pub fn finish(self) -> Vec<RenderedFile> {
        let mut page = Markup::default();
        page.trusted("<!DOCTYPE html>\n");
        page.element("html", &[("lang", &"en")], |html| {
            html.element("head", &[], |head| self.head(head));
            html.element("body", &[], |body| {
                body.words("a", &[("class", &"skip"), ("href", &"#main")], "Skip to the results");
                body.element("header", &[], |header| self.header(header));
                body.element("main", &[("id", &"main")], |main| main.trusted(self.html.as_str()));
                let footer = format!(
                    "Written by {} (layout {}). This file needs no network and runs no program.",
                    self.evaluation.tool, self.evaluation.schema
                );
                body.element("footer", &[], |html| html.words("p", &[], footer));
            });
        });
        let mut files = vec![RenderedFile { path: "report.html".to_owned(), contents: page.as_str().to_owned() }];
        files.extend(self.files);
        files
    }

    fn head(&self, head: &mut Markup) {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
        let synthetic = if self.evaluation.synthetic { "SYNTHETIC: " } else { "" };
        head.leaf("meta", &[("charset", &"utf-8")]);
        head.leaf("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
        head.leaf("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
        head.leaf("meta", &[("name", &"generator"), ("content", &self.evaluation.tool)]);
        head.leaf("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy)]);
        // An empty icon, so that nothing asks a server for one.
        head.leaf("link", &[("rel", &"icon"), ("href", &"data:,")]);
        head.words("title", &[], format!("{synthetic}{} – evaluation", self.evaluation.title));
        head.element("style", &[], |style| style.trusted(STYLE));
    }

    fn header(&self, header: &mut Markup) {
        let setup = &self.evaluation.setup;
        let task = match setup.task {
            Task::Binary if setup.active_from.is_some() => "Affinity, scored as active or not",
            Task::Binary => "Interaction yes or no",
            Task::Regression => "Affinity",
            Task::MultiLabel => "Several labels",
        };
        header.words("p", &[("class", &"kicker")], "Evaluation report");
        header.words("h1", &[], &self.evaluation.title);
        header.element("p", &[("class", &"subtitle")], |p| {
            let split = setup.split.as_str();
            let facts = [
                task.to_owned(),
                format!("{} protocol", setup.protocol),
                if matches!(split, "random" | "rna" | "partner" | "both") {
                    format!("{split} split")
                } else {
                    split.to_owned()
                },
                counted(setup.folds, "fold"),
                counted(setup.seeds.len(), "seed"),
                counted(self.evaluation.data.n_pairs, "pair"),
            ];
            for fact in facts {
                p.words("span", &[], fact);
            }
        });
        if self.evaluation.synthetic {
            let text = "Every number below comes from generated data. It shows how the program works and says nothing \
                        about any real molecule.";
            banner(header, "synthetic", "SYNTHETIC", text);
        }
        if self.is_optimistic() {
            let text = "The published recipe chooses its epoch on the same fold that it reports. These figures are \
                        comparable with published ones, and too good: use the honest protocol to judge a model.";
            banner(header, "optimistic", "PAPER PROTOCOL, OPTIMISTIC", text);
        }
        header.element("nav", &[("aria-label", &"Sections")], |nav| {
            nav.element("ol", &[], |list| {
                for (id, title) in &self.contents {
                    list.element("li", &[], |item| item.words("a", &[("href", &format!("#{id}"))], title));
                }
            });
        });
    }
}

fn tags(heading: &mut Markup, synthetic: bool, optimistic: bool) {
    for (shown, class, text) in [(synthetic, "synthetic", "synthetic"), (optimistic, "optimistic", "optimistic")] {
        if shown {
            heading.text(" ");
            heading.words("span", &[("class", &format!("tag {class}"))], text);
        }
    }
}

fn banner(header: &mut Markup, class: &str, title: &str, text: &str) {
    header.element("p", &[("class", &format!("banner {class}")), ("role", &"note")], |p| {
        p.words("b", &[], title);
        p.text(format!(" {text}"));
    });
}

fn numbers_link(html: &mut Markup, path: &str) {
    html.element("span", &[("class", &"numbers")], |span| {
        span.text("Numbers: ");
        span.words("a", &[("href", &path)], path);
    });
}
