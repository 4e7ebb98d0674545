//! JSON with its fields in order, in the form in which ZooKeeper's AdminServer writes it.

use std::fmt::Write as _;

use crate::monitor::Number;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(Fields),
}

/// Names and values in their order.
pub(crate) type Fields = Vec<(String, Json)>;

/// A whole number; what is beyond all numbers is the greatest one.
pub(crate) fn int(number: impl TryInto<i64>) -> Json {
    Json::Number(Number::Int(number.try_into().unwrap_or(i64::MAX)))
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

/// An object.
pub(crate) fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Json)>) -> Json {
    Json::Object(self::fields(fields))
}

/// The fields of an object.
pub(crate) fn fields<N: Into<String>>(fields: impl IntoIterator<Item = (N, Json)>) -> Fields {
    fields
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}

impl Json {
    /// The value as text. Values are as deep as the program has made them.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(Number::Float(number)) if !number.is_finite() => out.push_str("null"),
            Json::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Json::Text(text) => quote(out, text),
            Json::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { " " } else { ", " });
                    value.write(out, depth);
                }
                out.push_str(" ]");
            }
            Json::Object(fields) if fields.is_empty() => out.push_str("{ }"),
            Json::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if index == 0 { "\n" } else { ",\n" });
                    indent(out, depth + 1);
                    quote(out, name);
                    out.push_str(" : ");
                    value.write(out, depth + 1);
                }
                out.push('\n');
                indent(out, depth);
                out.push('}');
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_zookeeper_writes_them() {
        let value = object([
            ("avg", Json::Number(Number::Float(0.0))),
            ("none", Json::Null),
            ("empty", object::<&str>([])),
            ("list", Json::List(vec![])),
            ("ids", Json::List(vec![int(1_u8), int(-2)])),
            ("inner", object([("yes", Json::Bool(true))])),
            (
                "many",
                Json::List(vec![object([("a", text("b"))]), object([("c", int(0_u8))])]),
            ),
        ]);
        let wanted = "{\n  \"avg\" : 0.0,\n  \"none\" : null,\n  \"empty\" : { },\n  \"list\" : [ ],\n  \
                      \"ids\" : [ 1, -2 ],\n  \"inner\" : {\n    \"yes\" : true\n  },\n  \
                      \"many\" : [ {\n    \"a\" : \"b\"\n  }, {\n    \"c\" : 0\n  } ]\n}";
        assert_eq!(value.encode(), wanted);
    }

    #[test]
    fn texts_are_escaped() {
        let hostile = "a\"b\\c\nd\u{1}\u{1f600}/é";
        assert_eq!(
            text(hostile).encode(),
            "\"a\\\"b\\\\c\\nd\\u0001\u{1f600}/é\""
        );
        let back: String = serde_json::from_str(&text(hostile).encode()).unwrap();
        assert_eq!(back, hostile);
    }
}
