//! Counters of this HttpServer and the text format of /metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::api::MetricView;

const PREFIX: &str = "ractorflow_";

#[derive(Default)]
pub struct HttpMetrics {
    /// By route template (never by path: that is unbounded) and status.
    requests: Mutex<BTreeMap<(&'static str, u16), (u64, u64)>>,
    streams: AtomicU64,
}

impl HttpMetrics {
    pub fn count(&self, route: &'static str, status: u16, took_us: u64) {
        let mut requests = self.requests.lock().expect("no panic while locked");
        let entry = requests.entry((route, status)).or_default();
        entry.0 += 1;
        entry.1 += took_us;
    }

    pub fn stream_opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub fn stream_closed(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn samples(&self) -> Vec<MetricView> {
        let mut samples = Vec::new();
        let requests = self.requests.lock().expect("no panic while locked");
        for ((route, status), (count, _)) in requests.iter() {
            samples.push(MetricView {
                name: "http_requests_total".to_owned(),
                help: "Requests answered.".to_owned(),
                kind: "counter".to_owned(),
                labels: vec![("route".to_owned(), (*route).to_owned()), ("code".to_owned(), status.to_string())],
                value: *count as f64,
            });
        }
        for ((route, status), (_, took_us)) in requests.iter() {
            samples.push(MetricView {
                name: "http_request_duration_seconds_total".to_owned(),
                help: "Time from request to the head of the answer, summed.".to_owned(),
                kind: "counter".to_owned(),
                labels: vec![("route".to_owned(), (*route).to_owned()), ("code".to_owned(), status.to_string())],
                value: *took_us as f64 / 1e6,
            });
        }
        samples.push(MetricView {
            name: "sse_clients".to_owned(),
            help: "Open event streams.".to_owned(),
            kind: "gauge".to_owned(),
            labels: Vec::new(),
            value: self.streams.load(Ordering::Relaxed) as f64,
        });
        samples
    }
}

/// The text exposition format, version 0.0.4: samples of one name together, help and type once.
pub fn encode(samples: &[MetricView]) -> String {
    let mut families: BTreeMap<&str, Vec<&MetricView>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| is_name(&sample.name)) {
        families.entry(&sample.name).or_default().push(sample);
    }
    let mut text = String::new();
    for (name, samples) in families {
        let first = samples[0];
        let kind = if first.kind == "counter" { "counter" } else { "gauge" };
        let _ = writeln!(text, "# HELP {PREFIX}{name} {}", first.help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(text, "# TYPE {PREFIX}{name} {kind}");
        for sample in samples {
            let labels: Vec<String> = sample
                .labels
                .iter()
                .filter(|(label, _)| is_name(label))
                .map(|(label, value)| format!("{label}=\"{}\"", escape_label(value)))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{PREFIX}{name}{labels} {}", sample.value);
        }
    }
    text
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> MetricView {
        let labels = labels.iter().map(|(l, v)| ((*l).to_owned(), (*v).to_owned())).collect();
        MetricView { name: name.to_owned(), help: "Help.".to_owned(), kind: "gauge".to_owned(), labels, value }
    }

    #[test]
    fn samples_of_one_name_stand_together_with_one_help_line() {
        let text = encode(&[
            sample("b", &[], 1.0),
            sample("a", &[("workflow", "日报\"\n\\")], 2.5),
            sample("b", &[("x", "y")], 3.0),
            sample("bad name", &[], 1.0),
        ]);
        assert_eq!(
            text,
            "# HELP ractorflow_a Help.\n# TYPE ractorflow_a gauge\nractorflow_a{workflow=\"日报\\\"\\n\\\\\"} 2.5\n\
             # HELP ractorflow_b Help.\n# TYPE ractorflow_b gauge\nractorflow_b 1\nractorflow_b{x=\"y\"} 3\n"
        );
    }
}
