//! Writes `random(v, seed)`: a value that a message of that version can carry.
//!
//! Fields that do not exist in the version keep their default, so that what is encoded decodes
//! to the same value.

use std::fmt::Write;

use crate::generate::{Scope, condition, has_unknown_tags, ident};
use crate::schema::{Field, Type};

pub(crate) fn arbitrary(out: &mut String, scope: &Scope<'_>) -> Result<(), String> {
    out.push_str("#[cfg(feature = \"arbitrary\")]\n");
    out.push_str(
        "pub(crate) fn random(v: i16, s: &mut Seed) -> Self {\nlet mut this = Self::default();\n",
    );
    for field in &scope.this.fields {
        let name = ident(&field.name);
        let assign = format!("this.{name} = {};", value(field));
        match condition(field.versions, scope.this.versions) {
            None => out.push_str(&assign),
            Some(condition) => {
                let _ = write!(out, "if {condition} {{ {assign} }}");
            }
        }
        out.push('\n');
    }
    if has_unknown_tags(scope) {
        let from = scope.message.flexible_from.unwrap_or(0);
        let _ = writeln!(
            out,
            "if v >= {from} {{ this.unknown_tags = s.unknown_tags(); }}"
        );
    }
    out.push_str("let _ = (v, &s);\nthis\n}\n");
    Ok(())
}

fn value(field: &Field) -> String {
    let plain = plain(&field.kind);
    let Some(nullable) = field.nullable else {
        return plain;
    };
    match condition(nullable, field.versions) {
        None => format!("if s.flip() {{ Some({plain}) }} else {{ None }}"),
        Some(condition) => {
            format!("if !({condition}) || s.flip() {{ Some({plain}) }} else {{ None }}")
        }
    }
}

fn plain(kind: &Type) -> String {
    match kind {
        Type::Bool => "s.flip()".into(),
        Type::I8 => "s.i64() as i8".into(),
        Type::I16 => "s.i64() as i16".into(),
        Type::U16 => "s.i64() as u16".into(),
        Type::I32 => "s.i64() as i32".into(),
        Type::U32 => "s.i64() as u32".into(),
        Type::I64 => "s.i64()".into(),
        Type::F64 => "s.f64()".into(),
        Type::Uuid => "s.uuid()".into(),
        Type::Text => "s.text()".into(),
        Type::Bytes => "s.bytes()".into(),
        Type::Records => "s.records()".into(),
        Type::Struct(name) => format!("{name}::random(v, s)"),
        Type::Array(of) => format!("s.array(|s| {})", plain(of)),
    }
}
