//! What a step showed, as a list of named values that can be compared one by one.

use std::fmt;

use bytes::Bytes;
use ottla_jute::{Acl, ErrorCode, MultiResult, OpCode, Response, Stat};

use super::step::operation;

/// How a value is to be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// The same on both sides.
    Is(String),
    /// A transaction: in the same order to all others.
    Zxid(i64),
    /// How far a server was: behind the same transactions.
    Reached(i64),
    /// A session: the same one, under any number.
    Session(i64),
}

/// A value with its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// Where it was seen.
    pub name: String,
    /// What it is.
    pub value: Value,
}

/// All values of one step, in the order in which they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The values.
    pub fields: Vec<Field>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Field { name, value } in &self.fields {
            match value {
                Value::Is(text) => writeln!(f, "    {name} = {text}")?,
                Value::Zxid(zxid) | Value::Reached(zxid) => {
                    writeln!(f, "    {name} = zxid {zxid:#x}")?;
                }
                Value::Session(id) => writeln!(f, "    {name} = session {id:#x}")?,
            }
        }
        Ok(())
    }
}

impl Seen {
    /// Notes a value that must be the same.
    pub fn is(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.add(name, Value::Is(value.to_string()));
    }

    /// Notes a transaction.
    pub fn zxid(&mut self, name: impl Into<String>, zxid: i64) {
        self.add(name, Value::Zxid(zxid));
    }

    /// Notes how far a server was.
    pub fn reached(&mut self, name: impl Into<String>, zxid: i64) {
        self.add(name, Value::Reached(zxid));
    }

    /// Notes a session.
    pub fn session(&mut self, name: impl Into<String>, id: i64) {
        self.add(name, Value::Session(id));
    }

    fn add(&mut self, name: impl Into<String>, value: Value) {
        let name = name.into();
        self.fields.push(Field { name, value });
    }

    /// The text of a field that is compared as it is.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|field| match &field.value {
            Value::Is(text) if field.name == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// Notes what a reply's body says.
    pub fn reply(&mut self, op: i32, body: &Bytes, has_private_data: bool) {
        let known = OpCode::try_from(op).ok();
        let decoded = known.and_then(|op| Response::decode(op, body).ok());
        let Some(response) = decoded else {
            self.is(format!("body of {}", operation(op)), hex(body));
            return;
        };
        // What is said in another way than ours would be noticed by nobody else.
        if response.encode() != body {
            self.is("encoded otherwise", hex(body));
        }
        self.response(&response, has_private_data);
    }

    fn response(&mut self, response: &Response, has_private_data: bool) {
        match response {
            Response::Empty => {}
            Response::Create { path } | Response::Sync { path } => self.is("path", path),
            Response::Create2 { path, stat } => {
                self.is("path", path);
                self.stat("", stat, false);
            }
            Response::Stat(stat) => self.stat("", stat, has_private_data),
            Response::GetData { data, stat } => {
                self.data("data", data.as_ref(), has_private_data);
                self.stat("", stat, has_private_data);
            }
            Response::GetAcl { acl, stat } => {
                self.acl(acl);
                self.stat("", stat, has_private_data);
            }
            Response::GetChildren { children } => self.names("children", children),
            Response::GetChildren2 { children, stat } => {
                self.names("children", children);
                self.stat("", stat, has_private_data);
            }
            Response::Multi(results) => {
                for (at, result) in results.iter().enumerate() {
                    self.result(&format!("result {at} "), result, has_private_data);
                }
                self.is("results", results.len());
            }
            Response::Sasl { token } => self.data("token", token.as_ref(), false),
            Response::GetEphemerals { ephemerals } => self.names("ephemerals", ephemerals),
            Response::GetAllChildrenNumber { total_number } => self.is("total", total_number),
            Response::Error { err } => self.is("err in the body", err),
            Response::WhoAmI { client_info } => {
                let shown =
                    |info: &ottla_jute::ClientInfo| format!("{}:{}", info.auth_scheme, info.user);
                let all: Vec<String> = client_info.iter().map(shown).collect();
                self.names("identities", &all);
            }
        }
    }

    fn result(&mut self, prefix: &str, result: &MultiResult, has_private_data: bool) {
        match result {
            MultiResult::Create { path } => self.is(format!("{prefix}create"), path),
            MultiResult::Create2 { path, stat } => {
                self.is(format!("{prefix}create2"), path);
                self.stat(prefix, stat, false);
            }
            MultiResult::Delete => self.is(format!("{prefix}delete"), "done"),
            MultiResult::Check => self.is(format!("{prefix}check"), "done"),
            MultiResult::SetData(stat) => {
                self.is(format!("{prefix}setData"), "done");
                self.stat(prefix, stat, has_private_data);
            }
            MultiResult::GetChildren(children) => {
                self.names(&format!("{prefix}children"), children);
            }
            MultiResult::GetData { data, stat } => {
                self.data(&format!("{prefix}data"), data.as_ref(), has_private_data);
                self.stat(prefix, stat, has_private_data);
            }
            MultiResult::Error(err) => self.is(format!("{prefix}error"), error(*err)),
        }
    }

    fn data(&mut self, name: &str, data: Option<&Bytes>, is_private: bool) {
        match data {
            None => self.is(name, "null"),
            Some(_) if is_private => self.is(name, "(private)"),
            Some(data) if data.len() > 200 => {
                let sum: u64 = data.iter().map(|byte| u64::from(*byte)).sum();
                self.is(name, format!("{} bytes, sum {sum}", data.len()));
            }
            Some(data) => self.is(name, data.escape_ascii()),
        }
    }

    /// Names in an order that nobody promises.
    fn names(&mut self, name: &str, names: &[String]) {
        let mut sorted = names.to_vec();
        sorted.sort();
        self.is(name, format!("{sorted:?}"));
    }

    /// In their order, but for those that follow each other with the same permissions: what stands for
    /// all of a client's identities becomes a row of them in an order that nobody promises.
    fn acl(&mut self, acl: &[Acl]) {
        let shown = |acl: &Acl| format!("{}:{}:{}", acl.perms, acl.id.scheme, acl.id.id);
        let mut all = Vec::new();
        for alike in acl.chunk_by(|one, other| one.perms == other.perms) {
            let mut alike: Vec<String> = alike.iter().map(shown).collect();
            alike.sort();
            all.extend(alike);
        }
        self.is("acl", all.join(" "));
    }

    /// All but the times.
    fn stat(&mut self, prefix: &str, stat: &Stat, has_private_data: bool) {
        self.zxid(format!("{prefix}czxid"), stat.czxid);
        // Ours writes down what a real ZooKeeper has from its file.
        if !has_private_data {
            self.zxid(format!("{prefix}mzxid"), stat.mzxid);
        }
        self.zxid(format!("{prefix}pzxid"), stat.pzxid);
        self.is(format!("{prefix}version"), stat.version);
        self.is(format!("{prefix}cversion"), stat.cversion);
        self.is(format!("{prefix}aversion"), stat.aversion);
        self.session(format!("{prefix}ephemeralOwner"), stat.ephemeral_owner);
        if !has_private_data {
            self.is(format!("{prefix}dataLength"), stat.data_length);
        }
        self.is(format!("{prefix}numChildren"), stat.num_children);
        let ever_set = stat.mtime < stat.ctime;
        self.is(format!("{prefix}mtime is before ctime"), ever_set);
    }
}

/// The name of an error, or its number.
pub(super) fn error(err: i32) -> String {
    ErrorCode::try_from(err).map_or_else(|_| format!("error {err}"), |code| code.name().to_owned())
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes
        .iter()
        .take(200)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{} bytes: {shown}", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_compared_in_any_order_and_acls_in_theirs() {
        let seen = |response: Response| {
            let mut seen = Seen::default();
            seen.response(&response, false);
            seen
        };
        let children = |names: [&str; 2]| {
            let children = names.map(str::to_owned).to_vec();
            seen(Response::GetChildren { children })
        };
        assert_eq!(children(["a", "b"]), children(["b", "a"]));
        let acl = |acl: Vec<Acl>| {
            let stat = Stat::default();
            seen(Response::GetAcl { acl, stat })
        };
        let (open, readable, creator) = (Acl::open(), Acl::readable(), Acl::creator());
        assert_ne!(
            acl(vec![open.clone(), readable.clone()]),
            acl(vec![readable, open.clone()])
        );
        // Both may do the same.
        assert_eq!(
            acl(vec![open.clone(), creator.clone()]),
            acl(vec![creator, open])
        );
    }

    #[test]
    fn a_body_that_is_encoded_otherwise_is_noted() {
        let path = "/a".to_owned();
        let mut body = Response::Create { path }.encode().to_vec();
        let mut seen = Seen::default();
        seen.reply(OpCode::Create.code(), &Bytes::from(body.clone()), false);
        assert_eq!(seen.text("encoded otherwise"), None);
        body.push(0);
        seen.reply(OpCode::Create.code(), &Bytes::from(body), false);
        assert!(seen.text("encoded otherwise").is_some());
    }
}
