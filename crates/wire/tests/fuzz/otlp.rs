//! Metrics that a client pushes.

use ottla_wire::otlp;

/// However odd the bytes are: an error, or no more than they can hold.
pub(crate) fn body(data: &[u8]) {
    let Ok(metrics) = otlp::decode(data) else {
        return;
    };
    let points = metrics.iter().flat_map(|metric| &metric.points);
    let items: usize = points.map(|point| 1 + point.attributes.len()).sum();
    assert!(items + metrics.len() <= otlp::ITEMS_MAX);
    for metric in &metrics {
        assert!(!metric.points.is_empty());
        assert!(metric.name.len() <= data.len());
    }
}
