//! Writes `ApiKey` with its table, `Request`, `Response`, and `MetadataRecord`.

use std::fmt::Write;

use crate::schema::{Api, Kind, Message, Schema};

pub(crate) fn registry(schema: &Schema) -> Result<String, String> {
    let mut out = String::new();
    keys(&mut out, schema)?;
    bodies(&mut out, schema, "Request");
    bodies(&mut out, schema, "Response");
    throttle_times(&mut out, schema)?;
    metadata(&mut out, schema);
    table(&mut out, schema);
    Ok(out)
}

fn find<'a>(schema: &'a Schema, api: &Api, suffix: &str) -> Result<&'a Message, String> {
    let name = format!("{}{suffix}", api.name);
    let found = schema.messages.iter().find(|message| message.name == name);
    found.ok_or_else(|| format!("api {} has no {}", api.name, suffix.to_lowercase()))
}

fn keys(out: &mut String, schema: &Schema) -> Result<(), String> {
    out.push_str(
        "/// Every API of Kafka 4.4, by its key, and our own from 10000 on.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\n\
         #[repr(i16)]\npub enum ApiKey {\n",
    );
    for api in &schema.apis {
        let _ = writeln!(out, "/// API key {0}.\n{1} = {0},", api.key, api.name);
    }
    out.push_str("}\n");
    let count = schema.apis.len();
    let _ = writeln!(out, "static APIS: [ApiFacts; {count}] = [");
    for api in &schema.apis {
        let request = find(schema, api, "Request")?;
        let response = find(schema, api, "Response")?;
        if request.versions != response.versions || request.flexible_from != response.flexible_from
        {
            return Err(format!(
                "api {}: request and response differ in versions",
                api.name
            ));
        }
        let Api {
            name,
            broker,
            controller,
            ..
        } = api;
        let (first, last) = (request.versions.first, request.versions.last);
        let flexible = request
            .flexible_from
            .map_or("None".into(), |from| format!("Some({from})"));
        let _ = writeln!(
            out,
            "ApiFacts {{ api: ApiKey::{name}, name: \"{name}\", first: {first}, last: {last}, \
             flexible_from: {flexible}, last_is_unstable: {}, on_broker: {broker}, \
             on_controller: {controller} }},",
            request.unstable
        );
    }
    out.push_str("];\n");
    Ok(())
}

fn bodies(out: &mut String, schema: &Schema, kind: &str) {
    let _ = writeln!(
        out,
        "/// The body of any {}.\n#[derive(Debug, Clone, PartialEq)]\npub enum {kind} {{",
        kind.to_lowercase()
    );
    let each = |out: &mut String, line: &dyn Fn(&str) -> String| {
        for api in &schema.apis {
            let _ = writeln!(out, "{}", line(&api.name));
        }
    };
    each(out, &|name| {
        format!("/// [`{name}{kind}`]\n{name}({name}{kind}),")
    });
    out.push_str("}\n");
    let _ = writeln!(out, "impl {kind} {{");
    // librdkafka 2.16 sends Metadata 13 with the bytes of a field that only older versions have
    // behind the body. Kafka never looks there, and so such clients work with it.
    let (left_over, end) = match kind {
        "Request" => ("are ignored, as Kafka does", ""),
        _ => ("are an error", "reader.finish()?;\n"),
    };
    let _ = write!(
        out,
        "/// Decodes the rest of the frame as the body of `api` and `version`; bytes left over {left_over}.\n\
         pub fn decode(api: ApiKey, version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {{\nlet body = match api {{\n",
    );
    each(out, &|name| {
        format!("ApiKey::{name} => {name}{kind}::decode(version, reader).map(Self::{name}),")
    });
    let _ = write!(out, "}}?;\n{end}Ok(body)\n}}\n");
    out.push_str(
        "/// Appends the body in the form of `version`.\n\
         pub fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {\nmatch self {\n",
    );
    each(out, &|name| {
        format!("Self::{name}(body) => body.encode(version, writer),")
    });
    out.push_str("}\n}\n/// The API that this body belongs to.\n#[must_use]\npub fn api(&self) -> ApiKey {\nmatch self {\n");
    each(out, &|name| format!("Self::{name}(_) => ApiKey::{name},"));
    out.push_str("}\n}\n");
    out.push_str(
        "/// A random body that `version` can carry.\n#[cfg(feature = \"arbitrary\")]\n#[must_use]\n\
         pub fn arbitrary(api: ApiKey, version: i16, seed: &mut Seed) -> Self {\nmatch api {\n",
    );
    each(out, &|name| {
        format!(
            "ApiKey::{name} => Self::{name}(<{name}{kind} as Message>::arbitrary(version, seed)),"
        )
    });
    out.push_str("}\n}\n}\n");
    each(out, &|name| {
        format!(
            "impl From<{name}{kind}> for {kind} {{ fn from(body: {name}{kind}) -> Self {{ Self::{name}(body) }} }}"
        )
    });
}

/// The one way in which a throttle time gets into any response that has one.
fn throttle_times(out: &mut String, schema: &Schema) -> Result<(), String> {
    const FIELD: &str = "throttle_time_ms";
    out.push_str(
        "impl Response {\n\
         /// Sets how long the client is asked to pause (KIP-219). False when this API's responses\n\
         /// have no place for it; versions without one leave it away.\n\
         pub fn set_throttle_time_ms(&mut self, throttle_time_ms: i32) -> bool {\nmatch self {\n",
    );
    let mut others = false;
    for api in &schema.apis {
        let name = &api.name;
        let response = find(schema, api, "Response")?;
        let fields = response.structs.first().map(|s| s.fields.as_slice());
        let mut fields = fields.unwrap_or_default().iter();
        if fields.any(|field| field.name == FIELD) {
            let _ = writeln!(out, "Self::{name}(body) => body.{FIELD} = {FIELD},");
        } else {
            others = true;
        }
    }
    if others {
        out.push_str("_ => return false,\n");
    }
    out.push_str("}\ntrue\n}\n}\n");
    Ok(())
}

/// The enum over `record` blocks, when there are any.
fn metadata(out: &mut String, schema: &Schema) {
    let mut records: Vec<_> = schema
        .messages
        .iter()
        .filter(|message| message.kind == Kind::Record)
        .filter_map(|message| Some((message.number?, message)))
        .collect();
    records.sort_by_key(|(id, _)| *id);
    out.push_str("/// Any record of the cluster's metadata log.\n#[derive(Debug, Clone, PartialEq)]\npub enum MetadataRecord {\n");
    for (id, message) in &records {
        let name = &message.name;
        let variant = name.strip_suffix("Record").unwrap_or(name);
        let _ = writeln!(out, "/// [`{name}`], record id {id}.\n{variant}({name}),");
    }
    out.push_str("}\nimpl MetadataRecord {\n");
    let arms = |out: &mut String, line: &dyn Fn(i16, &str, &str) -> String| {
        for (id, message) in &records {
            let name = message.name.as_str();
            let variant = name.strip_suffix("Record").unwrap_or(name);
            let _ = writeln!(out, "{}", line(*id, name, variant));
        }
    };
    out.push_str("/// The number that names this kind of record in the log.\n#[must_use]\npub fn record_id(&self) -> i16 {\nmatch self {\n");
    arms(out, &|id, _, variant| {
        format!("Self::{variant}(_) => {id},")
    });
    out.push_str("}\n}\n/// The highest version in which this record can be written.\n#[must_use]\npub fn max_version(&self) -> i16 {\nmatch self {\n");
    arms(out, &|_, name, variant| {
        format!("Self::{variant}(_) => {name}::MAX_VERSION,")
    });
    out.push_str("}\n}\n/// Decodes the body of the record that `id` names, in the form of `version`.\npub fn decode(id: i16, version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {\nmatch id {\n");
    arms(out, &|id, name, variant| {
        format!("{id} => {name}::decode(version, reader).map(Self::{variant}),")
    });
    out.push_str("_ => Err(DecodeError::UnknownRecord { id }),\n}\n}\n/// Appends the body in the form of `version`.\npub fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {\nmatch self {\n");
    arms(out, &|_, _, variant| {
        format!("Self::{variant}(record) => record.encode(version, writer),")
    });
    out.push_str("}\n}\n");
    out.push_str(
        "/// A random record of the kind that `id` names.\n#[cfg(feature = \"arbitrary\")]\n#[must_use]\n\
         pub fn arbitrary(id: i16, version: i16, seed: &mut Seed) -> Option<Self> {\nmatch id {\n",
    );
    arms(out, &|id, name, variant| {
        format!("{id} => Some(Self::{variant}(<{name} as Message>::arbitrary(version, seed))),")
    });
    out.push_str("_ => None,\n}\n}\n}\n");
    arms(out, &|_, name, variant| {
        format!(
            "impl From<{name}> for MetadataRecord {{ fn from(record: {name}) -> Self {{ Self::{variant}(record) }} }}"
        )
    });
}

/// The table of all messages, for tests.
fn table(out: &mut String, schema: &Schema) {
    out.push_str(
        "/// Every message of the schema, by name.\n#[cfg(feature = \"arbitrary\")]\n\
         pub static MESSAGES: &[AnyMessage] = &[\n",
    );
    for message in &schema.messages {
        let _ = writeln!(out, "AnyMessage::of::<{}>(),", message.name);
    }
    out.push_str("];\n");
}
