//! `docs/kubernetes-reference.md`: all fields of all resources, from their definitions.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::api::{GROUP, VERSION};
use crate::offline::{self, Error};

/// Fields whose inside is Kubernetes' own, and described there.
const KUBERNETES: [(&str, &str); 5] = [
    ("resources", "`ResourceRequirements`"),
    ("env", "list of `EnvVar`"),
    ("tolerations", "list of `Toleration`"),
    ("imagePullSecrets", "list of `LocalObjectReference`"),
    ("conditions", "list of `Condition`"),
];

const INTRODUCTION: &str = "\
<!-- Made by `cargo xtask deploy`: change the types in crates/operator/src/api instead. -->

# Resources on Kubernetes

What can be said in each resource, what holds if nothing is said, and what the API server refuses. `kubectl explain
kafkacluster.spec` says the same; `ottla operator render -f FILE` shows what a resource becomes. Fields without a default
are left out unless they are needed; **bold** ones must be there.

";

/// The document.
///
/// # Errors
/// A definition has no JSON.
pub fn markdown() -> Result<String, Error> {
    let mut text = INTRODUCTION.to_owned();
    for definition in offline::definitions() {
        let names = &definition.spec.names;
        let definition = serde_json::to_value(&definition);
        let definition = definition.map_err(|error| Error::Printing(error.to_string()))?;
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let spec = &schema["properties"]["spec"];
        let short = names.short_names.iter().flatten().next();
        let short = short
            .map(|short| format!(", short `{short}`"))
            .unwrap_or_default();
        let _ = writeln!(text, "## {}\n", names.kind);
        let _ = writeln!(
            text,
            "{} (`apiVersion: {GROUP}/{VERSION}`{short})\n",
            prose(spec)
        );
        object(&mut text, "spec", spec);
        rules(&mut text, "And of the whole resource", schema);
        object(&mut text, "status", &schema["properties"]["status"]);
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// A schema's words, on one line.
fn prose(schema: &Value) -> String {
    let words = schema["description"].as_str().unwrap_or_default();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A table of an object's fields, then its rules, then the objects in it.
fn object(text: &mut String, path: &str, schema: &Value) {
    let Some(fields) = schema["properties"].as_object() else {
        return;
    };
    let _ = writeln!(text, "### `{path}`\n");
    text.push_str("| field | type | default | |\n|---|---|---|---|\n");
    for (name, field) in fields {
        row(text, name, field, schema);
    }
    text.push('\n');
    rules(text, "The API server refuses", schema);
    for (name, field) in fields {
        if KUBERNETES.iter().any(|(known, _)| known == name) {
            continue;
        }
        let list = &field["items"];
        if list["properties"].is_object() {
            object(text, &format!("{path}.{name}[]"), list);
        } else if field["properties"].is_object() {
            object(text, &format!("{path}.{name}"), field);
        }
    }
}

fn row(text: &mut String, name: &str, field: &Value, parent: &Value) {
    let required = parent["required"].as_array();
    let is_required = required.is_some_and(|required| required.iter().any(|r| r == name));
    let shown = if is_required {
        format!("**`{name}`**")
    } else {
        format!("`{name}`")
    };
    let default = match &field["default"] {
        Value::Null => String::new(),
        Value::Object(map) if inner(map, field) => "as below".to_owned(),
        Value::Array(_) => "one, `internal`, for pods".to_owned(),
        default => format!("`{}`", default.to_string().trim_matches('"')),
    };
    let kind = kind(name, field).replace('|', "\\|");
    let _ = writeln!(text, "| {shown} | {kind} | {default} | {} |", words(field));
}

/// What a field is, with the meaning of its values.
fn words(field: &Value) -> String {
    let mut words = prose(field);
    for choice in field["oneOf"].as_array().into_iter().flatten() {
        let value = choice["enum"][0].as_str().or(choice["const"].as_str());
        if let Some(value) = value {
            let _ = write!(words, " `{value}`: {}", prose(choice));
        }
    }
    words.replace('|', "\\|")
}

/// Whether an object's default only repeats those of its fields.
fn inner(default: &Map<String, Value>, field: &Value) -> bool {
    default.is_empty() || field["properties"].is_object()
}

/// The type and the bounds.
fn kind(name: &str, field: &Value) -> String {
    if let Some((_, kind)) = KUBERNETES.iter().find(|(known, _)| *known == name) {
        return (*kind).to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        let values = values.iter().filter_map(Value::as_str);
        let values: Vec<String> = values.map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    let number = |bound: &str| {
        let found = &field[bound];
        found
            .as_i64()
            .or_else(|| found.as_f64().map(|float| float as i64))
    };
    let range = |low: Option<i64>, high: Option<i64>, what: &str| match (low, high) {
        (Some(low), Some(high)) => format!(", {low} to {high}{what}"),
        (Some(low), None) => format!(", at least {low}{what}"),
        (None, Some(high)) => format!(", at most {high}{what}"),
        (None, None) => String::new(),
    };
    if field["x-kubernetes-int-or-string"] == true {
        return "quantity".to_owned();
    }
    match field["type"].as_str().unwrap_or_default() {
        "integer" => format!("integer{}", range(number("minimum"), number("maximum"), "")),
        "string" => {
            let mut kind = "string".to_owned();
            kind += &range(number("minLength"), number("maxLength"), " letters");
            if let Some(pattern) = field["pattern"].as_str() {
                let _ = write!(kind, ", `{pattern}`");
            }
            kind
        }
        "array" => {
            let inside = &field["items"];
            let of = inside["type"].as_str().unwrap_or("object");
            let bounds = range(number("minItems"), number("maxItems"), "");
            format!("list of {of}s{bounds}")
        }
        "object" if field["additionalProperties"].is_object() => "map of strings".to_owned(),
        other => other.to_owned(),
    }
}

/// What the API server checks beyond types and bounds.
fn rules(text: &mut String, title: &str, schema: &Value) {
    let rules = schema["x-kubernetes-validations"].as_array();
    let rules: Vec<&str> = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["message"].as_str())
        .collect();
    if rules.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}:\n");
    for rule in rules {
        let _ = writeln!(text, "- {rule}");
    }
    text.push('\n');
}
