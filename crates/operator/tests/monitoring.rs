//! Alerts and dashboard name only metrics that the product has.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// What PromQL has of its own, and labels.
const WORDS: [&str; 3] = [
    "histogram_quantile",
    "ottla_dev_cluster",
    "ottla_dev_ensemble",
];

fn read(path: &str) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// The queries in a document.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    value => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// The metrics that a query names: words with an underscore, outside of braces.
fn metrics(query: &str) -> BTreeSet<String> {
    let mut outside = String::new();
    let mut depth = 0;
    for char in query.chars() {
        match char {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ if depth > 0 => {}
            char => outside.push(char),
        }
    }
    let words = outside.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let words = words.filter(|word| word.contains('_') && !WORDS.contains(word));
    words.map(str::to_owned).collect()
}

/// Whether somebody registers it. Counters are registered without `_total`.
fn is_exposed(name: &str, sources: &str, operator: &str) -> bool {
    let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
    let mut bases = suffixes
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix));
    bases.any(|base| {
        let registered = format!("\"{base}\"");
        // The operator's registry puts this before all names.
        let own = base.strip_prefix("ottla_operator_");
        let is_own = own.is_some_and(|own| operator.contains(&format!("\"{own}\"")));
        is_own || sources.contains(&registered)
    })
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let alerts: Value =
        serde_saphyr::from_str(&read("deploy/monitoring/alerts.yaml")).expect("YAML");
    let dashboard: Value =
        serde_json::from_str(&read("deploy/monitoring/dashboard.json")).expect("JSON");
    let mut found = Vec::new();
    queries(&alerts, &mut found);
    queries(&dashboard, &mut found);
    assert!(found.len() > 30, "{} queries", found.len());
    let files = [
        "crates/ottla/src/metrics.rs",
        "crates/ottla/src/http/keeper.rs",
        "crates/keeper/src/monitor/table.rs",
    ];
    let sources = files.map(read).join("\n");
    let operator = read("crates/operator/src/metrics.rs");
    let named: BTreeSet<String> = found.iter().flat_map(|query| metrics(query)).collect();
    let unknown: Vec<&String> = named
        .iter()
        .filter(|name| !is_exposed(name, &sources, &operator))
        .collect();
    assert!(unknown.is_empty(), "nobody exposes {unknown:?}");
    assert!(!is_exposed("ottla_no_such_thing", &sources, &operator));
}
