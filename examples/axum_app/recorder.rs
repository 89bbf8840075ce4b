//! Metrics as Prometheus reads them. An app takes the crate `metrics-exporter-prometheus`; this recorder
//! keeps the example small.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The upper limits of the buckets of a histogram, in seconds.
const BUCKETS: [f64; 7] = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, f64::INFINITY];

static SERIES: LazyLock<Mutex<BTreeMap<(String, String), Series>>> = LazyLock::new(Mutex::default);

enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

#[derive(Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS.len()],
    sum: Mutex<f64>,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = BUCKETS.iter().position(|limit| value <= *limit).unwrap_or(BUCKETS.len() - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) += value;
    }
}

/// Installs the recorder.
pub(crate) fn install() -> Result<(), crate::Failure> {
    Ok(metrics::set_global_recorder(Prometheus)?)
}

struct Prometheus;

/// The series of a name and its labels, which is made where it is missing.
fn series<T>(key: &Key, missing: Series, pick: impl FnOnce(&Series) -> Option<T>) -> Option<T> {
    let labels: Vec<_> =
        key.labels().map(|it| format!("{}=\"{}\"", it.key(), it.value())).collect();
    let mut all = SERIES.lock().unwrap_or_else(PoisonError::into_inner);
    pick(all.entry((key.name().to_owned(), labels.join(","))).or_insert(missing))
}

impl Recorder for Prometheus {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let counter = series(key, Series::Counter(Arc::default()), |it| match it {
            Series::Counter(counter) => Some(counter.clone()),
            _ => None,
        });
        counter.map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let gauge = series(key, Series::Gauge(Arc::default()), |it| match it {
            Series::Gauge(gauge) => Some(gauge.clone()),
            _ => None,
        });
        gauge.map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let histogram = series(key, Series::Histogram(Arc::default()), |it| match it {
            Series::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        });
        histogram.map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

/// All series in the text format of Prometheus.
pub(crate) fn render() -> String {
    let mut out = String::new();
    for ((name, labels), series) in &*SERIES.lock().unwrap_or_else(PoisonError::into_inner) {
        // Writing to a string can't fail.
        let _ = match series {
            Series::Counter(it) => {
                writeln!(out, "{name}{{{labels}}} {}", it.load(Ordering::Relaxed))
            }
            Series::Gauge(it) => {
                writeln!(out, "{name}{{{labels}}} {}", f64::from_bits(it.load(Ordering::Relaxed)))
            }
            Series::Histogram(buckets) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let mut count = 0;
                for (limit, bucket) in BUCKETS.iter().zip(&buckets.counts) {
                    count += bucket.load(Ordering::Relaxed);
                    let limit = if limit.is_finite() { limit.to_string() } else { "+Inf".into() };
                    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{limit}\"}} {count}");
                }
                let sum = *buckets.sum.lock().unwrap_or_else(PoisonError::into_inner);
                writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}")
            }
        };
    }
    out
}
