//! The table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

/// One operation at one size.
pub(crate) struct Row {
    pub(crate) store: &'static str,
    pub(crate) operation: &'static str,
    /// Access tokens in the cache.
    pub(crate) tokens: usize,
    /// What the ratio is meant to be at most.
    pub(crate) target: Option<f64>,
    /// In nanoseconds.
    pub(crate) ours: f64,
    pub(crate) floor: f64,
}

/// What a peer needed: by store, operation and number of tokens, in nanoseconds.
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
            time(row.floor),
            row.ours / row.floor,
            row.target.map_or(String::new(), |it| format!(" of {it}")),
        );
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    fn peer(&self, peer: &Peer, row: &Row) -> Option<f64> {
        let _ = self;
        let key = (row.store.to_owned(), row.operation.to_owned(), row.tokens);
        peer.get(&key).map(|peer| peer / row.ours)
    }

    /// As a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out =
            String::from("| store | operation | tokens | ours | floor | ratio | target |");
        for (name, _) in &self.peers {
            write!(out, " {name} |").unwrap();
        }
        out.push_str("\n|---|---|--:|--:|--:|--:|--:|");
        out.push_str(&"--:|".repeat(self.peers.len()));
        for row in &self.rows {
            write!(
                out,
                "\n| {} | {} | {} | {} | {} | {:.2} | {} |",
                row.store,
                row.operation,
                thousands(row.tokens),
                time(row.ours),
                time(row.floor),
                row.ours / row.floor,
                row.target.map_or(String::new(), |it| it.to_string()),
            )
            .unwrap();
            for (_, peer) in &self.peers {
                match self.peer(peer, row) {
                    Some(ratio) => write!(out, " {ratio:.*}x |", usize::from(ratio < 10.0)),
                    None => write!(out, " |"),
                }
                .unwrap();
            }
        }
        for note in &self.notes {
            write!(out, "\n\n{note}").unwrap();
        }
        out
    }

    /// For a machine.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let peers: serde_json::Map<_, _> = self
                .peers
                .iter()
                .filter_map(|(name, peer)| Some(((*name).to_owned(), self.peer(peer, row)?.into())))
                .collect();
            json!({
                "store": row.store, "operation": row.operation, "tokens": row.tokens,
                "ours_ns": row.ours, "floor_ns": row.floor, "ratio": row.ours / row.floor,
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
