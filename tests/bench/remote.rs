//! What the benchmarks of the stores on servers share.

use std::time::Instant;

use msal_cache::CredentialType;
use msal_cache::store::{Batch, Expect, Json, Op, Partition, Record};

pub(crate) fn record(
    section: CredentialType,
    key: &str,
    user: &str,
    size: usize,
    more: &str,
) -> Record {
    let secret = "x".repeat(size);
    let value = format!(
        r#"{{"home_account_id":"{user}","environment":"login.microsoftonline.com","client_id":"c","realm":"t","secret":"{secret}"{more}}}"#
    );
    Record::new(section, key, Json::new(value).unwrap())
}

/// What a sign-in stores: four records, about 4 KB.
pub(crate) fn sign_in(user: &str, n: usize) -> Batch {
    let expires = format!(r#","target":"s","expires_on":"4000000000","n":"{n}""#);
    let n = format!(r#","n":"{n}""#);
    let mut batch = Batch::new();
    let change = batch.change(Partition::user(user), Expect::Any);
    for (section, size, more) in [
        (CredentialType::AccessToken, 1500, &expires),
        (CredentialType::RefreshToken, 1000, &n),
        (CredentialType::IdToken, 1000, &n),
        (CredentialType::Account, 10, &n),
    ] {
        let key = format!("{user}-{}", section.as_str());
        change.put(record(section, &key, user, size, more));
    }
    batch
}

/// The values that a sign-in stores.
pub(crate) fn values(batch: &Batch) -> Vec<String> {
    let ops = batch.changes()[0].ops().iter();
    ops.filter_map(|op| match op {
        Op::Put(record) => Some(record.value().expose().to_owned()),
        Op::Delete { .. } => None,
    })
    .collect()
}

/// The median time of an operation, in microseconds, of alternatives that take turns.
pub(crate) fn medians<const N: usize>(
    runs: usize,
    mut sides: [&mut dyn FnMut(usize); N],
) -> [f64; N] {
    let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(runs));
    for run in 0..runs {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            let started = Instant::now();
            side(run);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

pub(crate) fn row(name: &str, time: f64, floor: &str, least: f64, target: f64) {
    println!(
        "{name:<44} {time:>9.2} us {:>7.2}x of {least:>9.2} us ({floor}), target {target}x",
        time / least
    );
}

/// Times async operations in turn.
macro_rules! in_turn {
    ($runs:expr, $($work:expr),+) => {{
        let mut times = Vec::new();
        for run in 0..$runs {
            let mut row = Vec::new();
            $(
                let started = Instant::now();
                $work(run).await;
                row.push(started.elapsed().as_secs_f64() * 1e6);
            )+
            times.push(row);
        }
        let median = |at: usize| {
            let mut of: Vec<f64> = times.iter().map(|row| row[at]).collect();
            of.sort_by(f64::total_cmp);
            of[of.len() / 2]
        };
        (0..times[0].len()).map(median).collect::<Vec<f64>>()
    }};
}

pub(crate) use in_turn;
