//! How panels and legends become part of the page.

use super::figures::{Key, Swatch};
use super::markup::{Attributes, Markup, Px};
use super::plot::Panel;

/// One panel of a figure: `id` makes the ids of its title and description; the title also stands above it when `titled`.
pub fn panel(html: &mut Markup, panel: &Panel, id: &str, titled: bool) {
    html.element("div", &[("class", &"panel")], |html| {
        if titled {
            html.words("p", &[("class", &"panel-title")], &panel.title);
        }
        let (title, description) = (format!("{id}-title"), format!("{id}-desc"));
        let attributes: Attributes = &[
            ("role", &"img"),
            ("viewBox", &format!("0 0 {} {}", Px(panel.width), Px(panel.height))),
            ("width", &Px(panel.width)),
            ("height", &Px(panel.height)),
            ("aria-labelledby", &format!("{title} {description}")),
        ];
        html.element("svg", attributes, |svg| {
            svg.words("title", &[("id", &title)], &panel.title);
            svg.words("desc", &[("id", &description)], &panel.description);
            svg.trusted(panel.marks.as_str());
        });
    });
}

/// What lines and marks mean; nothing without keys.
pub fn legend(html: &mut Markup, keys: &[Key]) {
    if keys.is_empty() {
        return;
    }
    html.element("ul", &[("class", &"legend")], |list| {
        for key in keys {
            list.element("li", &[], |item| {
                let (width, start) = if matches!(key.swatch, Swatch::Line(_)) { (28, 0) } else { (12, 8) };
                let view = format!("{start} 0 {width} 12");
                let attributes: Attributes =
                    &[("aria-hidden", &"true"), ("width", &width), ("height", &12), ("viewBox", &view)];
                item.element("svg", attributes, |svg| match &key.swatch {
                    Swatch::Line(class) => {
                        svg.leaf("line", &[("class", class), ("x1", &1), ("y1", &6), ("x2", &27), ("y2", &6)]);
                    }
                    Swatch::Dot(class) => svg.leaf("circle", &[("class", class), ("cx", &14), ("cy", &6), ("r", &4.5)]),
                    Swatch::Square(class) => {
                        let place: Attributes =
                            &[("class", class), ("x", &9.5), ("y", &1.5), ("width", &9), ("height", &9)];
                        svg.leaf("rect", place);
                    }
                });
                item.words("span", &[], &key.text);
            });
        }
    });
}
