//! A plot: a frame with two axes, and marks in the units of the data.

use std::fmt::Write;

use super::axis::{Axis, Scale};
use super::markup::{Attributes, Markup, Px};

/// A finished drawing: one `<svg>` of a figure.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Heading above the drawing and its accessible name.
    pub title: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// Width of the drawing in its own units.
    pub width: f64,
    /// Height of the drawing in its own units.
    pub height: f64,
    /// The marks.
    pub marks: Markup,
}

/// Outer size of a drawing and the edges of its plotting area.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Width of the drawing.
    pub width: f64,
    /// Height of the drawing.
    pub height: f64,
    /// Left edge of the plotting area.
    pub left: f64,
    /// Right edge.
    pub right: f64,
    /// Top edge.
    pub top: f64,
    /// Bottom edge.
    pub bottom: f64,
}

impl Frame {
    /// The usual panel.
    pub const PANEL: Self = Self { width: 420.0, height: 320.0, left: 54.0, right: 408.0, top: 10.0, bottom: 270.0 };
    /// A panel that shares its row with two others.
    pub const COMPACT: Self = Self { width: 350.0, height: 270.0, left: 54.0, right: 342.0, top: 10.0, bottom: 222.0 };
    /// The same with axes that run over the same values.
    pub const COMPACT_SQUARE: Self =
        Self { width: 350.0, height: 346.0, left: 50.0, right: 342.0, top: 8.0, bottom: 300.0 };
    /// A panel whose axes run over the same values.
    pub const SQUARE: Self = Self { width: 420.0, height: 410.0, left: 54.0, right: 408.0, top: 8.0, bottom: 362.0 };
}

/// A plot that is being drawn.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The frame.
    pub frame: Frame,
    /// Horizontal scale.
    pub x: Scale,
    /// Vertical scale.
    pub y: Scale,
    /// What is drawn so far.
    pub marks: Markup,
}

impl Plot {
    /// Draws grid, axes, ticks and labels.
    pub fn new(frame: Frame, x: &Axis, y: &Axis) -> Self {
        let mut plot = Self::bare(frame, x, y);
        plot.vertical_axis(y);
        plot.horizontal_axis(x);
        plot
    }

    /// Sets the scales and draws nothing.
    pub fn bare(frame: Frame, x: &Axis, y: &Axis) -> Self {
        Self {
            frame,
            x: Scale::new(x, (frame.left, frame.right)),
            y: Scale::new(y, (frame.bottom, frame.top)),
            marks: Markup::default(),
        }
    }

    /// Draws the vertical axis at the left edge.
    pub fn vertical_axis(&mut self, axis: &Axis) {
        let Frame { left, right, top, bottom, .. } = self.frame;
        for (&tick, label) in axis.ticks.iter().zip(axis.tick_labels()) {
            let y = self.y.at(tick);
            self.segment("grid", (left, y), (right, y));
            self.label("tick end", (left - 6.0, y + 4.0), &label);
        }
        let middle = f64::midpoint(top, bottom);
        let turned = format!("rotate(-90 14 {})", Px(middle));
        let place: Attributes =
            &[("class", &"axis-name middle"), ("x", &14), ("y", &Px(middle)), ("transform", &turned)];
        self.marks.words("text", place, &axis.label);
    }

    /// Draws the horizontal axis at the lower edge of the frame.
    pub fn horizontal_axis(&mut self, axis: &Axis) {
        let Frame { left, right, top, bottom, .. } = self.frame;
        for (&tick, label) in axis.ticks.iter().zip(axis.tick_labels()) {
            let x = self.x.at(tick);
            self.segment("grid", (x, top), (x, bottom));
            self.label("tick middle", (x, bottom + 17.0), &label);
        }
        self.segment("axis", (left, bottom), (right, bottom));
        self.label("axis-name middle", (f64::midpoint(left, right), bottom + 38.0), &axis.label);
    }

    /// A straight line between two places of the drawing.
    pub fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.marks.leaf(
            "line",
            &[("class", &class), ("x1", &Px(from.0)), ("y1", &Px(from.1)), ("x2", &Px(to.0)), ("y2", &Px(to.1))],
        );
    }

    /// A straight line between two points of the data.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ends = [from, to].map(|(x, y)| (self.x.at(x), self.y.at(y)));
        self.segment(class, ends[0], ends[1]);
    }

    /// Text at a place of the drawing.
    pub fn label(&mut self, class: &str, at: (f64, f64), text: &str) {
        self.marks.words("text", &[("class", &class), ("x", &Px(at.0)), ("y", &Px(at.1))], text);
    }

    /// A line through points of the data; points that are not numbers are left out.
    pub fn curve(&mut self, class: &str, title: &str, points: &[(f64, f64)]) {
        let path = self.path(points);
        if path.is_empty() {
            return;
        }
        self.marks.element("path", &[("class", &class), ("d", &path)], |mark| mark.words("title", &[], title));
    }

    /// A filled band between two lines over the same x.
    pub fn band(&mut self, class: &str, low: &[(f64, f64)], high: &[(f64, f64)]) {
        let outline: Vec<(f64, f64)> = high.iter().chain(low.iter().rev()).copied().collect();
        let path = self.path(&outline);
        if !path.is_empty() {
            self.marks.leaf("path", &[("class", &class), ("d", &format!("{path}Z"))]);
        }
    }

    /// Many small round points in one path.
    pub fn cloud(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for &(x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            // Writing into a string cannot fail.
            let _ = write!(path, "M{} {}h0", Px(self.x.at(x)), Px(self.y.at(y)));
        }
        if !path.is_empty() {
            self.marks.leaf("path", &[("class", &class), ("d", &path)]);
        }
    }

    /// One round point of the data with a tooltip.
    pub fn point(&mut self, class: &str, radius: f64, title: &str, at: (f64, f64)) {
        if !at.0.is_finite() || !at.1.is_finite() {
            return;
        }
        let (x, y) = (self.x.at(at.0), self.y.at(at.1));
        let attributes: Attributes = &[("class", &class), ("cx", &Px(x)), ("cy", &Px(y)), ("r", &Px(radius))];
        self.marks.element("circle", attributes, |mark| mark.words("title", &[], title));
    }

    /// A rectangle given by two corners of the drawing, with a tooltip.
    pub fn block(&mut self, class: &str, title: &str, from: (f64, f64), to: (f64, f64)) {
        let attributes: Attributes = &[
            ("class", &class),
            ("x", &Px(from.0.min(to.0))),
            ("y", &Px(from.1.min(to.1))),
            ("width", &Px((to.0 - from.0).abs())),
            ("height", &Px((to.1 - from.1).abs())),
        ];
        self.marks.element("rect", attributes, |mark| mark.words("title", &[], title));
    }

    /// The finished drawing.
    pub fn panel(self, title: impl Into<String>, description: impl Into<String>) -> Panel {
        let Frame { width, height, .. } = self.frame;
        Panel { title: title.into(), description: description.into(), width, height, marks: self.marks }
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for &(x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let command = if path.is_empty() { 'M' } else { 'L' };
            // Writing into a string cannot fail.
            let _ = write!(path, "{command}{} {}", Px(self.x.at(x)), Px(self.y.at(y)));
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Frame, Plot};

    #[test]
    fn marks_skip_what_is_not_a_number() {
        let mut plot = Plot::new(Frame::PANEL, &Axis::unit("x"), &Axis::unit("y"));
        plot.curve("c", "t", &[(f64::NAN, 0.5), (0.0, 0.0), (1.0, f64::INFINITY), (1.0, 1.0)]);
        plot.point("p", 2.0, "t", (f64::NAN, 0.0));
        plot.cloud("k", &[(f64::NAN, 0.0)]);
        let panel = plot.panel("", "");
        let drawing = panel.marks.as_str();
        assert!(drawing.contains("d=\"M54 270L408 10\""), "{drawing}");
        assert!(!drawing.contains("circle") && !drawing.contains("class=\"k\""));
    }
}
