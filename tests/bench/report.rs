//! The report, as a table or as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

/// One operation at one size.
pub(crate) struct Row {
    pub(crate) store: &'static str,
    pub(crate) operation: &'static str,
    /// Access tokens in the cache.
    pub(crate) tokens: usize,
    /// The highest ratio that meets the target.
    pub(crate) target: Option<f64>,
    /// The time of this crate in nanoseconds.
    pub(crate) ours: f64,
    /// The time of the baseline in nanoseconds.
    pub(crate) baseline: f64,
}

/// The times of a peer in nanoseconds, by store, operation and number of tokens.
pub(crate) type Peer = BTreeMap<(String, String, usize), f64>;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) peers: Vec<(&'static str, Peer)>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn push(&mut self, row: Row) {
        eprintln!(
            "{:>7} {:>8}  {:<28} {:>10} / {:>10}  {:>6.2}{}",
            row.store,
            row.tokens,
            row.operation,
            time(row.ours),
            time(row.baseline),
            row.ours / row.baseline,
            row.target.map_or(String::new(), |it| format!(" of {it}")),
        );
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    /// The time of a peer, as a multiple of ours.
    fn peer(peer: &Peer, row: &Row) -> Option<f64> {
        let key = (row.store.to_owned(), row.operation.to_owned(), row.tokens);
        peer.get(&key).map(|peer| peer / row.ours)
    }

    /// A Markdown table: for each number of tokens, our time and its ratio to the baseline; for each
    /// peer, its time as a multiple of ours.
    pub(crate) fn table(&self) -> String {
        let sizes: BTreeSet<_> = self.rows.iter().map(|row| row.tokens).collect();
        let mut out = String::from("| store | operation | target |");
        let heads = sizes.iter().map(|size| thousands(*size));
        let heads = heads.chain(self.peers.iter().map(|(name, _)| (*name).to_owned()));
        out.extend(heads.flat_map(|head| [" ".to_owned(), head, " |".to_owned()]));
        out.push_str("\n|---|---|--:|");
        out.push_str(&"--:|".repeat(sizes.len() + self.peers.len()));
        let mut done = BTreeSet::new();
        for first in &self.rows {
            if !done.insert((first.store, first.operation)) {
                continue;
            }
            let target = first.target.map_or(String::new(), |it| it.to_string());
            write!(out, "\n| {} | {} | {target} |", first.store, first.operation).unwrap();
            let rows: BTreeMap<_, _> = self
                .rows
                .iter()
                .filter(|it| (it.store, it.operation) == (first.store, first.operation))
                .map(|row| (row.tokens, row))
                .collect();
            for size in &sizes {
                match rows.get(size) {
                    Some(row) => {
                        let (ours, ratio) = (time(row.ours), row.ours / row.baseline);
                        write!(out, " {ours}, {ratio:.2} |").unwrap();
                    }
                    None => out.push_str(" |"),
                }
            }
            for (_, peer) in &self.peers {
                let slower = rows.values().filter_map(|row| Self::peer(peer, row));
                let slower: Vec<_> = slower.map(times).collect();
                write!(out, " {} |", slower.join(", ")).unwrap();
            }
        }
        for note in &self.notes {
            write!(out, "\n\n{note}").unwrap();
        }
        out
    }

    /// The report as JSON.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let peers: serde_json::Map<_, _> = self
                .peers
                .iter()
                .filter_map(|(name, peer)| {
                    Some(((*name).to_owned(), Self::peer(peer, row)?.into()))
                })
                .collect();
            json!({
                "store": row.store, "operation": row.operation, "tokens": row.tokens,
                "ours_ns": row.ours, "floor_ns": row.baseline, "ratio": row.ours / row.baseline,
                "target": row.target, "peers_slower_by": peers,
            })
        });
        json!({"rows": rows.collect::<Vec<_>>(), "notes": self.notes})
    }
}

fn time(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.1} us", ns / 1e3),
        ..1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

/// A ratio as text, for example `2.5x`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded")]
fn times(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.1}x") } else { format!("{}x", thousands(ratio as usize)) }
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
