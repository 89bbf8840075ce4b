//! The report as one picture: the time of an operation over the size of the cache, as an SVG that
//! is readable on light and on dark pages.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::report::{Report, thousands};

/// An operation, and how each store calls it.
const PANELS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Find a token again",
        &[
            ("memory", "exact hit"),
            ("file", "find again, unchanged"),
            ("sqlite", "find again, unchanged"),
            ("postgres", "find again, unchanged"),
            ("redis", "find again, unchanged"),
        ],
    ),
    ("Open the store and find a token", &[("file", OPEN), ("sqlite", OPEN)]),
    (
        "Store a sign-in",
        &[
            ("memory", "add one response"),
            ("file", "add one response, durable"),
            ("sqlite", "add one response, FULL"),
            ("postgres", "add one response, durable"),
            ("redis", "add one response"),
        ],
    ),
];
const OPEN: &str = "open and find one";

/// Its colours are readable on white and on black.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #444 }
.title { font-weight: 600; font-size: 15px }
.grid { stroke: #8884; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.floor { stroke-width: 1.5; stroke-dasharray: 2 4 }
.peer { stroke-width: 1.5; stroke-dasharray: 8 4 }
.memory { stroke: #2f7ed8 } .file { stroke: #c26a00 } .sqlite { stroke: #2e9e5b }
.postgres { stroke: #9a5fd0 } .redis { stroke: #d9443f } .other { stroke: #888 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } }
";

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 50.0;
/// The space to the right of a panel, for the names of its lines.
const NAMES: f64 = 160.0;
/// The height of a name.
const NAME: f64 = 14.0;

/// A line: its name, its classes of the style, and its times in nanoseconds by number of tokens.
struct Line {
    name: String,
    class: String,
    times: BTreeMap<usize, f64>,
}

impl Report {
    /// The lines of a panel: the stores, what a bare program takes for each, and the peers.
    fn lines(&self, operations: &[(&str, &str)]) -> Vec<Line> {
        let mut lines = Vec::new();
        for (store, operation) in operations {
            let rows =
                || self.rows.iter().filter(|it| (it.store, it.operation) == (*store, *operation));
            lines.push(Line {
                name: (*store).to_owned(),
                class: (*store).to_owned(),
                times: rows().map(|it| (it.tokens, it.ours)).collect(),
            });
            lines.push(Line {
                name: String::new(),
                class: format!("floor {store}"),
                times: rows().map(|it| (it.tokens, it.baseline)).collect(),
            });
            for (peer, times) in &self.peers {
                let times = times.iter().filter(|((its_store, its_operation, _), _)| {
                    (its_store.as_str(), its_operation.as_str()) == (*store, *operation)
                });
                lines.push(Line {
                    name: format!("{peer}, {store}"),
                    class: format!("peer {store}"),
                    times: times.map(|((_, _, tokens), ns)| (*tokens, *ns)).collect(),
                });
            }
        }
        lines.retain(|it| !it.times.is_empty());
        lines
    }

    /// The report as an SVG.
    pub(crate) fn picture(&self) -> String {
        let panels: Vec<_> =
            PANELS.map(|(title, operations)| (title, self.lines(operations))).into();
        let all = || panels.iter().flat_map(|(_, lines)| lines).flat_map(|it| &it.times);
        let tokens = Axis::around(all().map(|(tokens, _)| size(*tokens)));
        let times = Axis::around(all().map(|(_, ns)| *ns));
        let (width, height) = ((LEFT + WIDTH + NAMES) * 3.0, TOP + HEIGHT + 75.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
             <title>Time of an operation over the number of access tokens in the cache</title>\n\
             <style>{STYLE}</style>\n"
        );
        for (at, (title, lines)) in panels.iter().enumerate() {
            panel(
                &mut out,
                size(at) * (LEFT + WIDTH + NAMES) + LEFT,
                title,
                lines,
                &tokens,
                &times,
            );
        }
        let legend = "Across: access tokens in the cache. Solid: this crate. Dotted: a bare program \
                      that does only what is necessary. Dashed: other libraries.";
        writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{legend}</text>\n</svg>", height - 12.0)
            .unwrap();
        out
    }
}

/// A logarithmic axis, in powers of ten.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let from = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let to = values.fold(f64::MIN_POSITIVE, f64::max).log10().ceil();
        Self { from, to: to.max(from + 1.0) }
    }

    /// Where a value is, between 0 and 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        let (from, to) = (self.from, self.to);
        std::iter::successors(Some(from), |it| Some(it + 1.0))
            .take_while(move |it| *it <= to)
            .map(|it| 10_f64.powf(it))
    }
}

fn panel(out: &mut String, left: f64, title: &str, lines: &[Line], tokens: &Axis, times: &Axis) {
    let x = |value: f64| left + tokens.place(value) * WIDTH;
    let y = |value: f64| TOP + (1.0 - times.place(value)) * HEIGHT;
    let (right, bottom) = (left + WIDTH, TOP + HEIGHT);
    writeln!(out, "<text class=\"title\" x=\"{left}\" y=\"{}\">{title}</text>", TOP - 20.0)
        .unwrap();
    for power in tokens.powers() {
        let (x, name) = (x(power), count(power));
        writeln!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            bottom + 20.0
        )
        .unwrap();
    }
    for power in times.powers() {
        let (y, name) = (y(power), unit(power));
        writeln!(
            out,
            "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            left - 8.0,
            y + 4.0
        )
        .unwrap();
    }
    for line in lines {
        let mut path = String::new();
        for (at, (tokens, ns)) in line.times.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            write!(path, "{command}{:.1} {:.1}", x(size(*tokens)), y(*ns)).unwrap();
        }
        writeln!(out, "<path class=\"line {}\" d=\"{path}\"/>", line.class).unwrap();
    }
    let mut names: Vec<_> = lines
        .iter()
        .filter(|it| !it.name.is_empty())
        .filter_map(|it| Some((y(*it.times.last_key_value()?.1), it)))
        .collect();
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = TOP - NAME;
    for (y, line) in names {
        // The names of lines that end close together are moved apart.
        lowest = f64::max(y + 4.0, lowest + NAME);
        let end = x(size(*line.times.last_key_value().unwrap().0));
        writeln!(
            out,
            "<path class=\"grid\" d=\"M{end:.1} {y:.1}L{:.1} {:.1}\"/>\
             <text x=\"{:.1}\" y=\"{lowest:.1}\">{}</text>",
            right + 4.0,
            lowest - 4.0,
            right + 6.0,
            line.name
        )
        .unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
fn size(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a power of ten")]
fn count(power: f64) -> String {
    thousands(power.round() as usize)
}

/// A time in nanoseconds, a power of ten, as text.
fn unit(ns: f64) -> String {
    match ns {
        ..900.0 => format!("{ns:.0} ns"),
        ..900e3 => format!("{:.0} µs", ns / 1e3),
        ..900e6 => format!("{:.0} ms", ns / 1e6),
        _ => format!("{:.0} s", ns / 1e9),
    }
}
