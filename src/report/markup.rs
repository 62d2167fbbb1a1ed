//! A writer for HTML and inline SVG: tags balance by construction, every text and attribute is escaped.

use std::fmt::{self, Display, Write};

/// Attributes of an element: names are ours, values may be anything.
pub type Attributes<'a> = &'a [(&'a str, &'a dyn Display)];

/// A piece of markup.
#[derive(Debug, Clone, Default)]
pub struct Markup {
    out: String,
}

impl Markup {
    /// The markup so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// An element around what `content` writes.
    pub fn element(&mut self, tag: &str, attributes: Attributes, content: impl FnOnce(&mut Self)) {
        self.start(tag, attributes);
        self.out.push('>');
        content(self);
        self.end(tag);
    }

    /// An element that holds text only.
    pub fn words(&mut self, tag: &str, attributes: Attributes, text: impl Display) {
        self.element(tag, attributes, |inner| inner.text(text));
    }

    /// An element without content.
    pub fn leaf(&mut self, tag: &str, attributes: Attributes) {
        self.start(tag, attributes);
        self.out.push_str("/>");
    }

    /// Text, escaped.
    pub fn text(&mut self, text: impl Display) {
        // Writing into a string cannot fail, and a `Display` that fails leaves a shorter text.
        let _ = write!(Escaper(&mut self.out), "{text}");
    }

    /// Markup that was written by this type, or is part of the program.
    pub fn trusted(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    fn start(&mut self, tag: &str, attributes: Attributes) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.text(value);
            self.out.push('"');
        }
    }

    fn end(&mut self, tag: &str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        if is_block(tag) {
            self.out.push('\n');
        }
    }
}

/// Tags after which a new line keeps the source readable and changes nothing on the page.
fn is_block(tag: &str) -> bool {
    matches!(
        tag,
        "section" | "figure" | "svg" | "tr" | "p" | "h1" | "h2" | "h3" | "li" | "table" | "div" | "style" | "head"
    )
}

struct Escaper<'a>(&'a mut String);

impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(letter),
                // Control letters are not allowed in markup, and bidirectional overrides could disguise an id.
                _ if letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    self.0.push(char::REPLACEMENT_CHARACTER);
                }
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

/// A length or coordinate of a drawing: at most two decimals; 0 for what is not a number.
#[derive(Debug, Clone, Copy)]
pub struct Px(pub f64);

impl Display for Px {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round();
        if !hundredths.is_finite() || hundredths == 0.0 {
            return formatter.write_str("0");
        }
        write!(formatter, "{}", hundredths / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Markup, Px};

    #[test]
    fn texts_and_attributes_are_escaped() {
        let mut markup = Markup::default();
        markup.words("b", &[("title", &"\"<'&>")], "a<script>&\u{0}\u{202e}");
        assert_eq!(markup.as_str(), "<b title=\"&quot;&lt;&#39;&amp;&gt;\">a&lt;script&gt;&amp;\u{fffd}\u{fffd}</b>");
    }

    #[test]
    fn elements_nest() {
        let mut markup = Markup::default();
        markup.element("g", &[], |inner| inner.leaf("path", &[("d", &"M0 0")]));
        assert_eq!(markup.as_str(), "<g><path d=\"M0 0\"/></g>");
    }

    #[test]
    fn coordinates_are_short_and_finite() {
        let text = [1.0, 0.125, -0.001, f64::NAN, f64::INFINITY, 33.333_333].map(|v| Px(v).to_string());
        assert_eq!(text, ["1", "0.13", "0", "0", "0", "33.33"]);
    }
}
