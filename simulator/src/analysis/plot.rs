//! Plots as SVG, drawn in the colours of the page that they are in.

use std::fmt::Write as _;

/// A plot's size, and its margins.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// How many colours there are; the page's style has them.
const COLOURS: usize = 6;
/// The longest text of a label, in characters.
const LABEL: usize = 44;
/// The most dots of a row.
const DOTS: usize = 400;

/// A point of a line, and the interval around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A row of values with their mean and its interval.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
    pub(super) mean: f64,
    pub(super) half_width: f64,
}

/// A bar of stacked parts.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) parts: Vec<f64>,
}

/// Text for HTML, whoever wrote it: nothing in it is markup, no character of it invisible.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Those that turn the text around say so, too.
            hidden
                if hidden.is_control()
                    || matches!(hidden, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                safe.push('\u{fffd}');
            }
            other => safe.push(other),
        }
    }
    safe
}

fn label(text: &str) -> String {
    if text.chars().count() <= LABEL {
        return escaped(text);
    }
    escaped(&text.chars().take(LABEL - 1).chain(['…']).collect::<String>())
}

/// A number for people: few digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 1e6 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.2e}");
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// From values to places.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale of all values, and of 0 when it is near.
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if low > 0.0 && (low < high / 2.0 || low == high) {
            low = 0.0;
        }
        if high < 0.0 && (high > low / 2.0 || low == high) {
            high = 0.0;
        }
        if high - low < f64::MIN_POSITIVE {
            high = low + 1.0;
        }
        Self { low, high, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Round numbers within, about five.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|by| by * power).find(|step| *step >= rough).unwrap_or(rough);
        if !step.is_finite() || step <= 0.0 {
            return Vec::new();
        }
        let first = (self.low / step - 1e-9).ceil();
        (0..12).map(|at| (first + f64::from(at)) * step).take_while(|tick| *tick <= self.high + step * 1e-9).collect()
    }
}

fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\n",
        escaped(title)
    )
}

fn axis_below(svg: &mut String, x: &Scale, bottom: f64, name: &str) {
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            number(tick)
        );
    }
    let middle = f64::midpoint(x.from, x.to);
    let _ = writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        bottom + 34.0,
        escaped(name)
    );
}

/// Lines with bands, over numbers.
pub(super) fn lines(title: &str, lines: &[Line], x_name: &str) -> String {
    let (height, bottom) = (320.0, 320.0 - BOTTOM);
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Scale::of(points().map(|point| point.x), LEFT, WIDTH - RIGHT);
    let y = Scale::of(points().flat_map(|point| [point.y, point.low, point.high]), bottom, TOP);
    let mut svg = begin(height, title);
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(tick)
        );
    }
    axis_below(&mut svg, &x, bottom, x_name);
    for (place, line) in lines.iter().enumerate() {
        let colour = place % COLOURS;
        let there = |value: fn(&Point) -> f64| move |point: &Point| (point.x, value(point));
        let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
            points.map(|(at, value)| format!("{:.1},{:.1}", x.at(at), y.at(value))).collect::<Vec<_>>().join(" ")
        };
        let band =
            &mut line.points.iter().map(there(|it| it.low)).chain(line.points.iter().rev().map(there(|it| it.high)));
        let _ = writeln!(svg, "<polygon class=\"band c{colour}\" points=\"{}\"/>", path(band));
        let middle = path(&mut line.points.iter().map(there(|it| it.y)));
        let _ = writeln!(svg, "<polyline class=\"line c{colour}\" points=\"{middle}\"/>");
        if line.points.len() <= 40 {
            for point in &line.points {
                let (at, value) = (x.at(point.x), y.at(point.y));
                let _ = writeln!(svg, "<circle class=\"dot c{colour}\" cx=\"{at:.1}\" cy=\"{value:.1}\" r=\"3\"/>");
            }
        }
    }
    svg.push_str("</svg>\n");
    svg + &legend(lines.iter().map(|line| line.name.as_str()))
}

fn legend<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let entries: Vec<String> = names
        .filter(|name| !name.is_empty())
        .enumerate()
        .map(|(place, name)| format!("<span><i class=\"c{}\"></i>{}</span>", place % COLOURS, label(name)))
        .collect();
    if entries.is_empty() { String::new() } else { format!("<p class=\"legend\">{}</p>\n", entries.join(" ")) }
}

/// Rows of dots, with the mean and its interval.
pub(super) fn rows(title: &str, rows: &[Row], x_name: &str) -> String {
    const STEP: f64 = 34.0;
    let left = 230.0;
    let bottom = TOP + STEP * rows.len() as f64;
    let all = rows
        .iter()
        .flat_map(|row| row.values.iter().copied().chain([row.mean - row.half_width, row.mean + row.half_width]));
    let x = Scale::of(all, left, WIDTH - RIGHT - 10.0);
    let mut svg = begin(bottom + BOTTOM, title);
    axis_below(&mut svg, &x, bottom, x_name);
    for (place, row) in rows.iter().enumerate() {
        let middle = TOP + STEP * (place as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 10.0,
            middle + 4.0,
            label(&row.name)
        );
        let step = row.values.len().div_ceil(DOTS).max(1);
        for (at, value) in row.values.iter().step_by(step).enumerate() {
            // Beside one another: a row of equal values is not one dot.
            let aside = (at * 7 % 15) as f64 - 7.0;
            let _ = writeln!(
                svg,
                "<circle class=\"faint c{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"/>",
                place % COLOURS,
                x.at(*value),
                middle + aside
            );
        }
        if row.half_width.is_finite() {
            let (from, to) = (x.at(row.mean - row.half_width), x.at(row.mean + row.half_width));
            let _ = writeln!(
                svg,
                "<line class=\"whisker\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<circle class=\"mean\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"4\"><title>{}</title></circle>",
            x.at(row.mean),
            number(row.mean)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Stacked bars.
pub(super) fn bars(title: &str, bars: &[Bar], parts: &[&str], x_name: &str) -> String {
    const STEP: f64 = 30.0;
    let left = 230.0;
    let bottom = TOP + STEP * bars.len() as f64;
    let most = bars.iter().map(|bar| bar.parts.iter().sum::<f64>());
    let x = Scale::of(most.chain([0.0]), left, WIDTH - RIGHT - 10.0);
    let mut svg = begin(bottom + BOTTOM, title);
    axis_below(&mut svg, &x, bottom, x_name);
    for (place, bar) in bars.iter().enumerate() {
        let top = TOP + STEP * place as f64 + 5.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 10.0,
            top + 14.0,
            label(&bar.name)
        );
        let mut from = 0.0;
        for (part, value) in bar.parts.iter().enumerate() {
            let (begin, end) = (x.at(from), x.at(from + value));
            let _ = writeln!(
                svg,
                "<rect class=\"bar c{}\" x=\"{begin:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"20\"><title>{}</title></rect>",
                part % COLOURS,
                (end - begin).max(0.0),
                number(*value)
            );
            from += value;
        }
    }
    svg.push_str("</svg>\n");
    svg + &legend(parts.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let ticks = |values: &[f64]| Scale::of(values.iter().copied(), 0.0, 1.0).ticks();
        assert_eq!(ticks(&[0.0, 10.0]), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(&[100.0, 101.0]).len(), 6, "what is far from 0 is not drawn from there");
        for strange in [&[f64::NAN][..], &[], &[f64::INFINITY, 1.0], &[0.0], &[-3.0, -3.0], &[1e300, -1e300]] {
            assert!(ticks(strange).len() <= 12);
        }
    }

    #[test]
    fn nothing_in_a_text_is_markup_or_hidden() {
        assert_eq!(escaped("<b a='\"'>&\u{202e}\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}");
    }
}
