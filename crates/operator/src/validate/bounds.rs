//! The bounds that a definition's schema sets, as far as the types do not set them themselves: an API
//! server refuses what is beyond them, and so does what does its work without one.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::Finding;

const COMMON: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What lies beyond the bounds of a schema, at any depth, fields that it does not know among it.
pub(super) fn beyond(schema: &Value, value: &Value, path: &str, found: &mut Vec<Finding>) {
    let said = match value {
        Value::Number(number) => of_number(schema, number.as_f64().unwrap_or_default()),
        Value::String(text) => of_text(schema, text),
        Value::Array(items) => of_list(schema, items),
        Value::Object(fields) => too_many(schema, "maxProperties", fields.len(), "properties"),
        Value::Null | Value::Bool(_) => None,
    };
    if let Some(message) = said {
        found.push(Finding {
            field: path.to_owned(),
            message,
        });
    }
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                beyond(&schema["items"], item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let known = &schema["properties"][name];
                let is_known = !known.is_null() || is_open(schema);
                // Every resource has these, whatever its definition says.
                let is_common = path.is_empty() && COMMON.contains(&name.as_str());
                let inner = if known.is_null() {
                    &schema["additionalProperties"]
                } else {
                    known
                };
                let path = [path, name].join(if path.is_empty() { "" } else { "." });
                if is_known || is_common {
                    beyond(inner, field, &path, found);
                } else {
                    let message = format!("there is no such field, but {}", names(schema));
                    found.push(Finding {
                        field: path,
                        message,
                    });
                }
            }
        }
        _ => {}
    }
}

/// Whether a schema bears fields that it does not name.
fn is_open(schema: &Value) -> bool {
    schema["properties"].is_null()
        || !schema["additionalProperties"].is_null()
        || schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn names(schema: &Value) -> String {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

fn of_number(schema: &Value, number: f64) -> Option<String> {
    let bound = |name: &str| schema[name].as_f64();
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        return Some(format!("{number} is too little: {least} at least"));
    }
    let most = bound("maximum").filter(|most| number > *most)?;
    Some(format!("{number} is too much: {most} at most"))
}

fn of_text(schema: &Value, text: &str) -> Option<String> {
    let length = text.chars().count();
    let too_few = too_few(schema, "minLength", length, "characters");
    let too_many = || too_many(schema, "maxLength", length, "characters");
    too_few.or_else(too_many).or_else(|| {
        let pattern = schema["pattern"].as_str()?;
        let is_match = Regex::new(pattern).ok()?.is_match(text);
        (!is_match).then(|| format!("{text} does not match {pattern}"))
    })
}

fn of_list(schema: &Value, items: &[Value]) -> Option<String> {
    let too_few = too_few(schema, "minItems", items.len(), "entries");
    let too_many = || too_many(schema, "maxItems", items.len(), "entries");
    too_few.or_else(too_many).or_else(|| {
        let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
        let mut seen = BTreeSet::new();
        let key = |item: &Value| -> Vec<String> {
            let parts = keys.iter().filter_map(Value::as_str);
            parts.map(|part| item[part].to_string()).collect()
        };
        let twice = items
            .iter()
            .map(key)
            .find(|key| !seen.insert(key.clone()))?;
        Some(format!("{} is there twice", twice.join(", ")))
    })
}

fn too_few(schema: &Value, bound: &str, count: usize, what: &str) -> Option<String> {
    let least = schema[bound].as_u64()?;
    (u64::try_from(count).unwrap_or(u64::MAX) < least)
        .then(|| format!("it has {count} {what}: {least} at least"))
}

fn too_many(schema: &Value, bound: &str, count: usize, what: &str) -> Option<String> {
    let most = schema[bound].as_u64()?;
    (u64::try_from(count).unwrap_or(u64::MAX) > most)
        .then(|| format!("it has {count} {what}: {most} at most"))
}
