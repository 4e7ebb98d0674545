//! Reads the schema language that `schema/README.md` describes.

use std::path::{Path, PathBuf};

use crate::schema::{Api, Field, Kind, Message, Schema, Struct, Type, Versions};

/// What is wrong, and where.
pub(crate) struct SyntaxError {
    file: PathBuf,
    line: usize,
    message: String,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// One line that says something: its number, its depth, its words.
struct Line<'a> {
    number: usize,
    depth: usize,
    text: &'a str,
}

struct Parser<'a> {
    file: &'a Path,
    lines: Vec<Line<'a>>,
    next: usize,
}

/// Parses one file into `schema`.
pub(crate) fn parse(file: &Path, text: &str, schema: &mut Schema) -> Result<()> {
    let mut parser = Parser {
        file,
        lines: Vec::new(),
        next: 0,
    };
    for (i, raw) in text.lines().enumerate() {
        let code = raw
            .split_once('#')
            .map_or(raw, |(code, _comment)| code)
            .trim_end();
        if code.is_empty() {
            continue;
        }
        let text = code.trim_start();
        let spaces = code.len() - text.len();
        if spaces % 4 != 0 || code.contains('\t') {
            return Err(parser.error(i + 1, "indent by steps of four spaces, without tabs"));
        }
        parser.lines.push(Line {
            number: i + 1,
            depth: spaces / 4,
            text,
        });
    }
    parser.file(schema)
}

impl<'a> Parser<'a> {
    fn error(&self, line: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            file: self.file.to_owned(),
            line,
            message: message.into(),
        }
    }

    /// The next line when it is at `depth`; deeper lines are an error of the caller's making.
    fn take(&mut self, depth: usize) -> Result<Option<(usize, &'a str)>> {
        let Some(line) = self.lines.get(self.next) else {
            return Ok(None);
        };
        if line.depth > depth {
            return Err(self.error(
                line.number,
                "is indented too far: the line above has no fields",
            ));
        }
        if line.depth < depth {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some((line.number, line.text)))
    }

    fn file(&mut self, schema: &mut Schema) -> Result<()> {
        // The name and number that `request`, `response`, `key` and `value` blocks belong to.
        let mut owner: Option<(String, i16)> = None;
        while let Some((number, text)) = self.take(0)? {
            let mut words = text.split_whitespace().peekable();
            let keyword = words.next().unwrap_or_default();
            let kind = match keyword {
                "api" | "coordinator" => {
                    let (name, id) = self.name_and_number(number, &mut words)?;
                    if keyword == "api" {
                        let (broker, controller) = self.listeners()?;
                        let api = Api {
                            name: name.clone(),
                            key: id,
                            broker,
                            controller,
                        };
                        schema.apis.push(api);
                    }
                    owner = Some((name, id));
                    continue;
                }
                "request" => Kind::Request,
                "response" => Kind::Response,
                "key" => Kind::Key,
                "value" => Kind::Value,
                "header" => Kind::Header,
                "data" => Kind::Data,
                "record" => Kind::Record,
                other => return Err(self.error(number, format!("'{other}' begins no block"))),
            };
            let (name, id) = match kind {
                Kind::Header | Kind::Data => {
                    let name = words
                        .next()
                        .ok_or_else(|| self.error(number, "has no name"))?;
                    (name.to_owned(), None)
                }
                Kind::Record => {
                    let (name, id) = self.name_and_number(number, &mut words)?;
                    (name, Some(id))
                }
                _ => {
                    let (name, id) = owner.as_ref().ok_or_else(|| {
                        self.error(number, "needs a line 'api …' or 'coordinator …' above it")
                    })?;
                    let suffix = keyword[..1].to_uppercase() + &keyword[1..];
                    (format!("{name}{suffix}"), Some(*id))
                }
            };
            let message = self.message(number, kind, name, id, &mut words)?;
            schema.messages.push(message);
        }
        Ok(())
    }

    fn listeners(&mut self) -> Result<(bool, bool)> {
        let Some((number, text)) = self.take(0)? else {
            return Ok((false, false));
        };
        let mut words = text.split_whitespace();
        if words.next() != Some("listeners") {
            return Err(self.error(number, "expected 'listeners broker controller' after 'api'"));
        }
        let (mut broker, mut controller) = (false, false);
        for word in words {
            match word {
                "broker" => broker = true,
                "controller" => controller = true,
                other => return Err(self.error(number, format!("'{other}' is no listener"))),
            }
        }
        Ok((broker, controller))
    }

    fn name_and_number<'w>(
        &self,
        line: usize,
        words: &mut impl Iterator<Item = &'w str>,
    ) -> Result<(String, i16)> {
        match (
            words.next(),
            words.next(),
            words.next().and_then(|n| n.parse().ok()),
        ) {
            (Some(name), Some("="), Some(id)) => Ok((name.to_owned(), id)),
            _ => Err(self.error(line, "expected '<Name> = <number>'")),
        }
    }

    fn message<'w>(
        &mut self,
        line: usize,
        kind: Kind,
        name: String,
        number: Option<i16>,
        words: &mut impl Iterator<Item = &'w str>,
    ) -> Result<Message> {
        let mut versions = None;
        let (mut flexible_from, mut unstable) = (None, false);
        while let Some(word) = words.next() {
            match word {
                "versions" => {
                    versions = Some(self.versions(line, words.next().unwrap_or_default())?);
                }
                "flexible" => {
                    let range = self.versions(line, words.next().unwrap_or_default())?;
                    flexible_from = Some(range.first);
                }
                "unstable" => unstable = true,
                other => return Err(self.error(line, format!("'{other}' is not understood"))),
            }
        }
        let versions = versions.ok_or_else(|| self.error(line, "lacks 'versions A-B'"))?;
        if versions.last == i16::MAX {
            return Err(self.error(line, "a message's versions need an end: write 'A-B'"));
        }
        let mut structs = Vec::new();
        self.body(name.clone(), versions, 1, &mut structs)?;
        self.check(line, &structs)?;
        self.check_tags(versions, flexible_from, &structs)?;
        Ok(Message {
            kind,
            name,
            number,
            versions,
            flexible_from,
            unstable,
            structs,
        })
    }

    /// Reads the fields at `depth` into a new struct; structs inside follow it in `structs`.
    fn body(
        &mut self,
        name: String,
        versions: Versions,
        depth: usize,
        structs: &mut Vec<Struct>,
    ) -> Result<()> {
        let index = structs.len();
        structs.push(Struct {
            name,
            versions,
            fields: Vec::new(),
        });
        while let Some((line, text)) = self.take(depth)? {
            if let Some(rest) = text.strip_prefix("struct ") {
                let mut words = rest.split_whitespace();
                let name = words.next().unwrap_or_default().to_owned();
                let inner = match words.next() {
                    Some(range) => self.within(line, range.trim_start_matches('@'), versions)?,
                    None => versions,
                };
                self.body(name, inner, depth + 1, structs)?;
                continue;
            }
            let field = self.field(line, text, versions)?;
            if self
                .lines
                .get(self.next)
                .is_some_and(|next| next.depth == depth + 1)
            {
                let inner = match &field.kind {
                    Type::Struct(name) => name,
                    Type::Array(of) => match &**of {
                        Type::Struct(name) => name,
                        _ => return Err(self.error(line, "has fields but is no struct")),
                    },
                    _ => return Err(self.error(line, "has fields but is no struct")),
                };
                self.body(inner.clone(), field.versions, depth + 1, structs)?;
            }
            structs[index].fields.push(field);
        }
        Ok(())
    }

    /// `name: type @versions flags = default`
    fn field(&self, line: usize, text: &str, around: Versions) -> Result<Field> {
        let (text, default) = match text.split_once(" = ") {
            Some((text, default)) => (text, Some(default.trim().to_owned())),
            None => (text, None),
        };
        let (name, rest) = text
            .split_once(": ")
            .ok_or_else(|| self.error(line, "expected 'name: type'"))?;
        let mut words = rest.split_whitespace().peekable();
        let kind_text = words.next().unwrap_or_default();
        let (kind_text, null_range) = match kind_text.split_once('?') {
            Some((kind, range)) => (kind, Some(range)),
            None => (kind_text, None),
        };
        let mut field = Field {
            name: name.to_owned(),
            kind: self.kind(line, kind_text)?,
            nullable: None,
            versions: around,
            tag: None,
            inflexible: false,
            ignorable: false,
            default,
            file: self.file.to_owned(),
            line,
        };
        if let Some(range) = words.next_if(|word| word.starts_with('@')) {
            field.versions = self.within(line, &range[1..], around)?;
        }
        field.nullable = match null_range {
            None => None,
            Some("") => Some(field.versions),
            Some(range) => Some(self.within(line, range, field.versions)?),
        };
        while let Some(word) = words.next() {
            match word {
                // A key within its array: a fact for readers, without effect on the bytes.
                "key" => {}
                "ignorable" => field.ignorable = true,
                "inflexible" => field.inflexible = true,
                "tag" => {
                    let tag = words.next().unwrap_or_default();
                    let (tag, range) = match tag.split_once('@') {
                        Some((tag, range)) => (tag, self.within(line, range, field.versions)?),
                        None => (tag, field.versions),
                    };
                    let tag = tag
                        .parse()
                        .map_err(|_| self.error(line, "expected 'tag <n>'"))?;
                    field.tag = Some((tag, range));
                }
                other => return Err(self.error(line, format!("'{other}' is not understood"))),
            }
        }
        self.check_field(&field)?;
        Ok(field)
    }

    fn check_field(&self, field: &Field) -> Result<()> {
        let name = &field.name;
        if field.tag.is_some() && field.kind == Type::Records {
            return Err(self.error(field.line, format!("{name}: records cannot be tagged")));
        }
        if field.default.as_deref() == Some("null") && field.nullable.is_none() {
            return Err(self.error(
                field.line,
                format!("{name} is null by default, not nullable"),
            ));
        }
        let scalar = !matches!(
            field.kind,
            Type::Text | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_)
        );
        if scalar && field.nullable.is_some() {
            return Err(self.error(field.line, format!("{name}: a scalar cannot be null")));
        }
        Ok(())
    }

    fn kind(&self, line: usize, text: &str) -> Result<Type> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return Ok(Type::Array(Box::new(self.kind(line, inner)?)));
        }
        Ok(match text {
            "bool" => Type::Bool,
            "i8" => Type::I8,
            "i16" => Type::I16,
            "u16" => Type::U16,
            "i32" => Type::I32,
            "u32" => Type::U32,
            "i64" => Type::I64,
            "f64" => Type::F64,
            "uuid" => Type::Uuid,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Type::Struct(name.to_owned())
            }
            other => return Err(self.error(line, format!("'{other}' is no type"))),
        })
    }

    fn within(&self, line: usize, text: &str, around: Versions) -> Result<Versions> {
        self.versions(line, text)?.intersect(around).ok_or_else(|| {
            let Versions { first, last } = around;
            self.error(
                line,
                format!("'{text}' has no version in common with {first}-{last}"),
            )
        })
    }

    /// `3`, `3-7` or `3+`
    fn versions(&self, line: usize, text: &str) -> Result<Versions> {
        let number = |text: &str| {
            text.parse::<i16>().map_err(|_| {
                self.error(line, format!("'{text}' is no version; write 3, 3-7 or 3+"))
            })
        };
        let (first, last) = if let Some(first) = text.strip_suffix('+') {
            (number(first)?, i16::MAX)
        } else if let Some((first, last)) = text.split_once('-') {
            (number(first)?, number(last)?)
        } else {
            (number(text)?, number(text)?)
        };
        if first > last {
            return Err(self.error(line, format!("'{text}' ends before it begins")));
        }
        Ok(Versions { first, last })
    }

    /// Names every struct once, and names no struct that is missing.
    fn check(&self, line: usize, structs: &[Struct]) -> Result<()> {
        for (i, this) in structs.iter().enumerate() {
            if structs[..i].iter().any(|other| other.name == this.name) {
                return Err(self.error(line, format!("struct {} is defined twice", this.name)));
            }
            for field in &this.fields {
                let mut kind = &field.kind;
                while let Type::Array(of) = kind {
                    kind = of;
                }
                if let Type::Struct(name) = kind
                    && !structs.iter().any(|other| other.name == *name)
                {
                    return Err(self.error(field.line, format!("struct {name} is not defined")));
                }
            }
        }
        Ok(())
    }

    /// Tags exist in flexible versions only, stay for good, and are unique in their struct; so
    /// are names.
    fn check_tags(
        &self,
        versions: Versions,
        flexible_from: Option<i16>,
        structs: &[Struct],
    ) -> Result<()> {
        for this in structs {
            for (i, field) in this.fields.iter().enumerate() {
                let Field { name, line, .. } = field;
                let above = &this.fields[..i];
                if above.iter().any(|other| other.name == *name) {
                    return Err(self.error(*line, format!("{name}: a field of this name is above")));
                }
                let Some((tag, tagged)) = field.tag else {
                    continue;
                };
                if flexible_from.is_none_or(|from| tagged.first < from) {
                    return Err(self.error(
                        *line,
                        format!("{name}: tags exist in flexible versions only"),
                    ));
                }
                if tagged.last < this.versions.last.min(versions.last) {
                    return Err(
                        self.error(*line, format!("{name}: a tag goes on to the last version"))
                    );
                }
                if above
                    .iter()
                    .any(|other| other.tag.is_some_and(|(taken, _)| taken == tag))
                {
                    return Err(self.error(*line, format!("{name}: tag {tag} is already taken")));
                }
            }
        }
        Ok(())
    }
}
