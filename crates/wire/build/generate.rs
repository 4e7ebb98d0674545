//! Writes the structs with their defaults, decoders and encoders.
//!
//! The output favours few, plain expressions over repeated blocks, because rustc's time grows
//! with it: a decoder is one struct literal, in wire order, whose fields carry their version
//! condition.

use std::fmt::Write;

use crate::arbitrary;
use crate::schema::{Field, Kind, Message, Schema, Struct, Type, Versions};

/// What the generators of one struct need to know about its surroundings.
pub(crate) struct Scope<'a> {
    pub message: &'a Message,
    pub this: &'a Struct,
    /// `true`, `false`, or the local `flex`.
    pub flex: &'static str,
}

pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    let bytes = name.as_bytes();
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() {
            let after_lower = i > 0 && !bytes[i - 1].is_ascii_uppercase();
            let before_lower = bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
            // "KRaft" reads as one word.
            let in_kraft = i > 0 && bytes[i - 1] == b'K' && c == 'R';
            if i > 0 && (after_lower || before_lower) && !in_kraft {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The Rust name of a field: keywords get a trailing underscore.
pub(crate) fn ident(name: &str) -> String {
    const KEYWORDS: [&str; 6] = ["type", "match", "ref", "move", "use", "where"];
    if KEYWORDS.contains(&name) {
        format!("{name}_")
    } else {
        name.to_owned()
    }
}

pub(crate) fn messages(schema: &Schema) -> Result<String, String> {
    let mut out = String::new();
    for message in &schema.messages {
        let module = snake(&message.name);
        let name = &message.name;
        let _ = writeln!(out, "pub use {module}::{name};");
        let _ = writeln!(out, "/// [`{name}`] and what it is made of.");
        let _ = writeln!(out, "pub mod {module} {{\nuse super::prelude::*;");
        for this in &message.structs {
            one_struct(&mut out, message, this)?;
        }
        message_trait(&mut out, message);
        out.push_str("}\n");
    }
    Ok(out)
}

fn one_struct(out: &mut String, message: &Message, this: &Struct) -> Result<(), String> {
    let flex = match message.flexible_from {
        None => "false",
        Some(from) if from <= this.versions.first => "true",
        Some(from) if from > this.versions.last => "false",
        Some(_) => "flex",
    };
    let scope = Scope {
        message,
        this,
        flex,
    };
    definition(out, &scope);
    defaults(out, &scope)?;
    let name = &this.name;
    let _ = writeln!(out, "impl {name} {{");
    decoder(out, &scope)?;
    encoder(out, &scope)?;
    arbitrary::arbitrary(out, &scope)?;
    out.push_str("}\n");
    Ok(())
}

fn is_message(scope: &Scope<'_>) -> bool {
    scope.message.name == scope.this.name
}

pub(crate) fn has_unknown_tags(scope: &Scope<'_>) -> bool {
    scope.flex != "false"
}

fn definition(out: &mut String, scope: &Scope<'_>) {
    let this = scope.this;
    let name = &this.name;
    let versions = show(this.versions, scope.message.versions);
    match (is_message(scope), scope.message.flexible_from) {
        (true, Some(from)) => {
            let _ = writeln!(out, "/// Versions {versions}, flexible from {from}.");
        }
        _ => {
            let _ = writeln!(out, "/// Versions {versions}.");
        }
    }
    let _ = writeln!(
        out,
        "#[derive(Debug, Clone, PartialEq)]\npub struct {name} {{"
    );
    for field in &this.fields {
        let mut doc = format!("Versions {}", show(field.versions, scope.message.versions));
        if let Some((tag, _)) = field.tag {
            let _ = write!(doc, ", tag {tag}");
        }
        if field
            .nullable
            .is_some_and(|nullable| nullable != field.versions)
        {
            let range = field.nullable.unwrap_or(field.versions);
            let _ = write!(doc, ", nullable in {}", show(range, scope.message.versions));
        }
        if let Some(default) = &field.default {
            let _ = write!(doc, ", default {default}");
        }
        let _ = writeln!(
            out,
            "/// {doc}.\npub {}: {},",
            ident(&field.name),
            rust_type(field)
        );
    }
    if has_unknown_tags(scope) {
        out.push_str("/// Tagged fields that this version of the schema does not know.\n");
        out.push_str("pub unknown_tags: UnknownTags,\n");
    }
    out.push_str("}\n");
}

fn show(versions: Versions, message: Versions) -> String {
    if versions.last > message.last || (versions.last == message.last && versions != message) {
        format!("{}+", versions.first)
    } else {
        format!("{}–{}", versions.first, versions.last)
    }
}

fn rust_type(field: &Field) -> String {
    let plain = plain_type(&field.kind);
    if field.nullable.is_some() {
        format!("Option<{plain}>")
    } else {
        plain
    }
}

fn plain_type(kind: &Type) -> String {
    match kind {
        Type::Bool => "bool".into(),
        Type::I8 => "i8".into(),
        Type::I16 => "i16".into(),
        Type::U16 => "u16".into(),
        Type::I32 => "i32".into(),
        Type::U32 => "u32".into(),
        Type::I64 => "i64".into(),
        Type::F64 => "f64".into(),
        Type::Uuid => "Uuid".into(),
        Type::Text => "Text".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Chunks".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(of) => format!("Vec<{}>", plain_type(of)),
    }
}

/// Kafka's rule: null only when the schema says so, else zero and empty. Records are the
/// exception: null without being asked.
fn default_value(field: &Field) -> Result<String, String> {
    let plain = match (&field.kind, field.default.as_deref()) {
        (_, Some("null")) => return Ok("None".into()),
        (Type::Records, None) if field.nullable.is_some() => return Ok("None".into()),
        (Type::Bool, None) => "false".into(),
        (Type::Bool, Some(value @ ("true" | "false"))) => value.to_owned(),
        (Type::F64, None) => "0.0".into(),
        (Type::F64, Some(value)) if value.parse::<f64>().is_ok() => format!("{value}f64"),
        (Type::I8 | Type::I16 | Type::U16 | Type::I32 | Type::U32 | Type::I64, value) => {
            let value = value.unwrap_or("0");
            let parsed = match value.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None => value.parse::<i64>().ok(),
            };
            parsed.ok_or_else(|| bad_default(field))?.to_string()
        }
        (Type::Uuid, None) => "Uuid::ZERO".into(),
        (Type::Text, None) => "Text::new()".into(),
        (Type::Text, Some(value)) if value.starts_with('"') => {
            format!("Text::from_static({value})")
        }
        (Type::Bytes, None) => "Bytes::new()".into(),
        (Type::Records, None) => "Chunks::new()".into(),
        (Type::Array(_), None) => "Vec::new()".into(),
        (Type::Struct(name), None) => format!("{name}::default()"),
        _ => return Err(bad_default(field)),
    };
    Ok(if field.nullable.is_some() {
        format!("Some({plain})")
    } else {
        plain
    })
}

fn bad_default(field: &Field) -> String {
    let default = field.default.as_deref().unwrap_or_default();
    let (file, line) = (field.file.display(), field.line);
    format!(
        "{file}:{line}: '{default}' is no default for {}",
        field.name
    )
}

fn defaults(out: &mut String, scope: &Scope<'_>) -> Result<(), String> {
    let _ = write!(
        out,
        "impl Default for {0} {{ fn default() -> Self {{ Self {{",
        scope.this.name
    );
    for field in &scope.this.fields {
        let _ = write!(out, "{}: {}, ", ident(&field.name), default_value(field)?);
    }
    if has_unknown_tags(scope) {
        out.push_str("unknown_tags: UnknownTags::new() ");
    }
    out.push_str("} } }\n");
    Ok(())
}

/// An expression that is true when `v`, which lies in `around`, lies in `versions`;
/// `None` when that is always so.
pub(crate) fn condition(versions: Versions, around: Versions) -> Option<String> {
    let Versions { first, last } = versions;
    match (first <= around.first, last >= around.last) {
        (true, true) => None,
        (false, true) => Some(format!("v >= {first}")),
        (true, false) => Some(format!("v <= {last}")),
        (false, false) if first == last => Some(format!("v == {first}")),
        (false, false) => Some(format!("({first}..={last}).contains(&v)")),
    }
}

fn begin(out: &mut String, scope: &Scope<'_>) {
    if scope.flex == "flex"
        && let Some(from) = scope.message.flexible_from
    {
        let _ = writeln!(out, "let flex = v >= {from};");
    }
}

/// The versions in which a field stands among the others, not among the tags.
fn untagged(field: &Field) -> Option<Versions> {
    match field.tag {
        None => Some(field.versions),
        Some((_, tagged)) if tagged.first <= field.versions.first => None,
        Some((_, tagged)) => Some(Versions {
            first: field.versions.first,
            last: tagged.first - 1,
        }),
    }
}

fn decoder(out: &mut String, scope: &Scope<'_>) -> Result<(), String> {
    let this = scope.this;
    out.push_str("pub(crate) fn read(v: i16, r: &mut Reader) -> Result<Self, DecodeError> {\n");
    begin(out, scope);
    let tagged: Vec<_> = this
        .fields
        .iter()
        .filter_map(|f| Some((f, f.tag?)))
        .collect();
    let with_tags = has_unknown_tags(scope) && !tagged.is_empty();
    out.push_str(if with_tags {
        "let mut this = Self {\n"
    } else {
        "Ok(Self {\n"
    });
    for field in &this.fields {
        let name = ident(&field.name);
        let Some(versions) = untagged(field) else {
            let _ = writeln!(out, "{name}: {},", default_value(field)?);
            continue;
        };
        let read = read_field(field, scope, versions);
        match condition(versions, this.versions) {
            None => {
                let _ = writeln!(out, "{name}: {read},");
            }
            Some(condition) => {
                let default = default_value(field)?;
                let _ = writeln!(
                    out,
                    "{name}: if {condition} {{ {read} }} else {{ {default} }},"
                );
            }
        }
    }
    match (has_unknown_tags(scope), with_tags) {
        (false, _) => out.push_str("})\n}\n"),
        (true, false) => {
            let _ = writeln!(
                out,
                "unknown_tags: r.unknown_tags({})?,\n}})\n}}",
                scope.flex
            );
        }
        (true, true) => {
            out.push_str("unknown_tags: UnknownTags::new(),\n};\n");
            let open = if scope.flex == "flex" {
                "if flex {\n"
            } else {
                "{\n"
            };
            out.push_str(open);
            out.push_str("this.unknown_tags = r.tags(|tag, r| {\nmatch tag {\n");
            for (field, (tag, versions)) in tagged {
                let guard = condition(versions, this.versions)
                    .map_or(String::new(), |condition| format!(" if {condition}"));
                // In front of a tagged struct stands a compact length's null, not a plain one's.
                let read = read_field(field, scope, versions)
                    .replace("r.is_present()", "r.is_present_in_tag()");
                let _ = writeln!(out, "{tag}{guard} => this.{} = {read},", ident(&field.name));
            }
            out.push_str("_ => return Ok(false),\n}\nOk(true)\n})?;\n}\nOk(this)\n}\n");
        }
    }
    Ok(())
}

/// Whether lengths of this field are compact.
fn field_flex(field: &Field, scope: &Scope<'_>) -> &'static str {
    if field.inflexible {
        "false"
    } else {
        scope.flex
    }
}

/// Reads a field in `versions`, where it exists.
fn read_field(field: &Field, scope: &Scope<'_>, versions: Versions) -> String {
    let flex = field_flex(field, scope);
    let kind = &field.kind;
    let Some(nullable) = field.nullable else {
        return format!("{}?", read_plain(kind, scope, flex));
    };
    let opt = match kind {
        Type::Text => format!("r.opt_text({flex})?"),
        Type::Bytes => format!("r.opt_bytes({flex})?"),
        Type::Records => format!("r.opt_records({flex})?"),
        Type::Array(of) => {
            format!(
                "r.opt_array({flex}, {}, |r| {})?",
                min_size(of, scope),
                read_plain(of, scope, flex)
            )
        }
        _ => format!(
            "if r.is_present()? {{ Some({}?) }} else {{ None }}",
            read_plain(kind, scope, flex)
        ),
    };
    match condition(nullable, versions) {
        None => opt,
        Some(condition) => {
            format!(
                "if {condition} {{ {opt} }} else {{ Some({}?) }}",
                read_plain(kind, scope, flex)
            )
        }
    }
}

/// An expression of type `Result<T, DecodeError>`.
fn read_plain(kind: &Type, scope: &Scope<'_>, flex: &str) -> String {
    match kind {
        Type::Bool => "r.bool()".into(),
        Type::I8 => "r.i8()".into(),
        Type::I16 => "r.i16()".into(),
        Type::U16 => "r.u16()".into(),
        Type::I32 => "r.i32()".into(),
        Type::U32 => "r.u32()".into(),
        Type::I64 => "r.i64()".into(),
        Type::F64 => "r.f64()".into(),
        Type::Uuid => "r.uuid()".into(),
        Type::Text => format!("r.text({flex})"),
        Type::Bytes => format!("r.bytes({flex})"),
        Type::Records => format!("r.records({flex})"),
        Type::Struct(name) => format!("{name}::read(v, r)"),
        Type::Array(of) => {
            format!(
                "r.array({flex}, {}, |r| {})",
                min_size(of, scope),
                read_plain(of, scope, flex)
            )
        }
    }
}

/// The fewest bytes that an element takes in any version: counts are checked against it.
fn min_size(kind: &Type, scope: &Scope<'_>) -> usize {
    match kind {
        Type::Bool | Type::I8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I32 | Type::U32 => 4,
        Type::I64 | Type::F64 => 8,
        Type::Uuid => 16,
        Type::Text | Type::Bytes | Type::Records | Type::Array(_) => 1,
        Type::Struct(name) => {
            let Some(this) = scope.message.structs.iter().find(|s| s.name == *name) else {
                return 1;
            };
            let last = this.versions.last.min(scope.message.versions.last);
            (this.versions.first..=last)
                .map(|v| struct_size(this, scope, v))
                .min()
                .unwrap_or(1)
                .max(1)
        }
    }
}

fn struct_size(this: &Struct, scope: &Scope<'_>, v: i16) -> usize {
    let flexible = scope.message.flexible_from.is_some_and(|from| v >= from);
    let fields = this
        .fields
        .iter()
        .filter(|f| untagged(f).is_some_and(|range| range.contains(v)));
    let sizes = fields.map(|field| match (&field.kind, flexible && !field.inflexible) {
        (Type::Text, false) => 2,
        (Type::Bytes | Type::Records | Type::Array(_), false) => 4,
        (Type::Struct(_), _) if field.nullable.is_some_and(|range| range.contains(v)) => 1,
        (kind, _) => min_size(kind, scope),
    });
    sizes.sum::<usize>() + usize::from(flexible)
}

fn encoder(out: &mut String, scope: &Scope<'_>) -> Result<(), String> {
    let this = scope.this;
    out.push_str(
        "pub(crate) fn write(&self, v: i16, w: &mut Writer) -> Result<(), EncodeError> {\n",
    );
    begin(out, scope);
    for field in &this.fields {
        let place = format!("\"{}.{}\"", this.name, field.name);
        if let Some(versions) = untagged(field) {
            let write = write_field(field, scope, versions, &place);
            match condition(versions, this.versions) {
                None => out.push_str(&write),
                Some(condition) => {
                    let _ = write!(out, "if {condition} {{ {write} }}");
                }
            }
            out.push('\n');
        }
        if !field.ignorable
            && let Some(present) = condition(field.versions, this.versions)
        {
            let filled = is_not_default(field)?;
            let _ = writeln!(
                out,
                "if !({present}) && {filled} {{ return Err(EncodeError::absent({place}, v)); }}"
            );
        }
    }
    if has_unknown_tags(scope) {
        tags(out, scope)?;
    }
    out.push_str("Ok(())\n}\n");
    Ok(())
}

fn tags(out: &mut String, scope: &Scope<'_>) -> Result<(), String> {
    let this = scope.this;
    let mut tagged: Vec<_> = this
        .fields
        .iter()
        .filter_map(|f| Some((f, f.tag?)))
        .collect();
    tagged.sort_by_key(|(_, (tag, _))| *tag);
    if tagged.is_empty() {
        let _ = writeln!(
            out,
            "w.unknown_tags({}, &self.unknown_tags, \"{}\", v)?;",
            scope.flex, this.name
        );
        return Ok(());
    }
    let open = if scope.flex == "flex" {
        "if flex {\n"
    } else {
        "{\n"
    };
    out.push_str(open);
    let mut sum = String::new();
    for (i, (field, (_, versions))) in tagged.iter().enumerate() {
        let filled = is_not_default(field)?;
        let filled = match condition(*versions, this.versions) {
            None => filled,
            Some(condition) => format!("({condition}) && ({filled})"),
        };
        let _ = writeln!(out, "let t{i} = {filled};");
        let _ = write!(sum, "{}usize::from(t{i})", if i == 0 { "" } else { " + " });
    }
    let _ = writeln!(
        out,
        "let mut tags = w.open_tags({sum}, &self.unknown_tags);"
    );
    for (i, (field, (tag, versions))) in tagged.iter().enumerate() {
        let place = format!("\"{}.{}\"", this.name, field.name);
        let write = write_field(field, scope, *versions, &place);
        let _ = writeln!(
            out,
            "if t{i} {{ tags.write(w, {tag}, |w| {{ {write} Ok(()) }})?; }}"
        );
    }
    out.push_str("tags.finish(w)?;\n}\n");
    if scope.flex == "flex" {
        let name = &this.name;
        let _ = writeln!(
            out,
            "if !flex {{ self.unknown_tags.must_be_empty(\"{name}\", v)?; }}"
        );
    }
    Ok(())
}

fn is_not_default(field: &Field) -> Result<String, String> {
    let name = format!("self.{}", ident(&field.name));
    let default = default_value(field)?;
    Ok(match (&field.kind, default.as_str()) {
        (_, "None") => format!("{name}.is_some()"),
        (Type::Bool, "false") => name,
        (Type::Text | Type::Bytes | Type::Array(_) | Type::Records, _)
            if field.default.is_none() =>
        {
            if field.nullable.is_some() {
                format!("{name}.as_ref().is_none_or(|x| !x.is_empty())")
            } else {
                format!("!{name}.is_empty()")
            }
        }
        _ => format!("{name} != {default}"),
    })
}

fn write_field(field: &Field, scope: &Scope<'_>, versions: Versions, place: &str) -> String {
    let flex = field_flex(field, scope);
    let name = format!("self.{}", ident(&field.name));
    let kind = &field.kind;
    let Some(nullable) = field.nullable else {
        let by_ref = !is_copy(kind);
        let value = if by_ref { format!("&{name}") } else { name };
        return format!("{};", write_plain(kind, flex, &value));
    };
    let opt = match kind {
        Type::Text => format!("w.opt_text({name}.as_ref(), {flex})?;"),
        Type::Bytes => format!("w.opt_bytes({name}.as_ref(), {flex})?;"),
        Type::Records => format!("w.opt_records({name}.as_ref(), {flex})?;"),
        Type::Array(of) => {
            let each = write_element(of, flex);
            format!("w.opt_array({name}.as_deref(), {flex}, |w, x| {each})?;")
        }
        _ => format!("w.present({name}.is_some()); if let Some(x) = &{name} {{ x.write(v, w)?; }}"),
    };
    let required = format!("required(&{name}, {place}, v)?");
    match condition(nullable, versions) {
        None => opt,
        Some(condition) => {
            format!(
                "if {condition} {{ {opt} }} else {{ {}; }}",
                write_plain(kind, flex, &required)
            )
        }
    }
}

pub(crate) fn is_copy(kind: &Type) -> bool {
    !matches!(
        kind,
        Type::Text | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_)
    )
}

fn write_element(kind: &Type, flex: &str) -> String {
    if is_copy(kind) {
        format!("{{ {}; Ok(()) }}", write_plain(kind, flex, "*x"))
    } else {
        write_plain(kind, flex, "x")
            .trim_end_matches('?')
            .to_owned()
    }
}

/// Writes `value`: by value for scalars, else a reference.
fn write_plain(kind: &Type, flex: &str, value: &str) -> String {
    match kind {
        Type::Bool => format!("w.bool({value})"),
        Type::I8 => format!("w.i8({value})"),
        Type::I16 => format!("w.i16({value})"),
        Type::U16 => format!("w.u16({value})"),
        Type::I32 => format!("w.i32({value})"),
        Type::U32 => format!("w.u32({value})"),
        Type::I64 => format!("w.i64({value})"),
        Type::F64 => format!("w.f64({value})"),
        Type::Uuid => format!("w.uuid({value})"),
        Type::Text => format!("w.text({value}, {flex})?"),
        Type::Bytes => format!("w.bytes({value}, {flex})?"),
        Type::Records => format!("w.records({value}, {flex})?"),
        Type::Struct(name) => format!("{name}::write({value}, v, w)?"),
        Type::Array(of) => format!(
            "w.array({value}, {flex}, |w, x| {})?",
            write_element(of, flex)
        ),
    }
}

fn message_trait(out: &mut String, message: &Message) {
    let Message {
        name,
        versions: Versions { first, last },
        ..
    } = message;
    let flexible = message
        .flexible_from
        .map_or("None".to_owned(), |from| format!("Some({from})"));
    let _ = writeln!(
        out,
        "impl Message for {name} {{
const NAME: &'static str = \"{name}\";
const MIN_VERSION: i16 = {first};
const MAX_VERSION: i16 = {last};
const FLEXIBLE_FROM: Option<i16> = {flexible};
fn read_body(version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {{ Self::read(version, reader) }}
fn write_body(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {{ self.write(version, writer) }}
#[cfg(feature = \"arbitrary\")]
fn arbitrary(version: i16, seed: &mut Seed) -> Self {{ {name}::random(version, seed) }}
}}
impl {name} {{
/// Decodes the body of `version`, which must be one of this message's versions.
pub fn decode(version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {{ <Self as Message>::decode(version, reader) }}
/// Encodes the body as `version`, which must be one of this message's versions.
pub fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {{ <Self as Message>::encode(self, version, writer) }}
}}"
    );
    match (message.kind, message.number) {
        (Kind::Key, Some(number)) => {
            let _ = writeln!(
                out,
                "impl CoordinatorKey for {name} {{ const RECORD_TYPE: i16 = {number}; }}"
            );
        }
        (Kind::Record, Some(number)) => {
            let _ = writeln!(
                out,
                "impl {name} {{ /// The number that names this record in the metadata log.\npub const RECORD_ID: i16 = {number}; }}"
            );
        }
        _ => {}
    }
}
