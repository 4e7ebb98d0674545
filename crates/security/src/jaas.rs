//! JAAS's login files, as far as ZooKeeper's servers read them: who may log in with DIGEST-MD5.
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!     user_super="adminsecret"
//!     user_bob="bobsecret";
//! };
//! ```
//!
//! The syntax is that of Java's `javax.security.auth.login.Configuration`: sections, in each of them
//! modules with a flag and options, comments of two kinds.

use std::collections::BTreeMap;

use ottla_model::Secret;

/// The longest file that is read.
pub const JAAS_BYTES_MAX: usize = 1 << 20;

/// The flags of a module.
const FLAGS: &[&str] = &["required", "requisite", "sufficient", "optional"];

/// What is wrong with a login file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JaasError {
    /// The file is longer than any login file is.
    #[error("it has {bytes} bytes, and a login file has no more than {JAAS_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text is not in JAAS's syntax.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The section is not there.
    #[error("there is no section {section}; there is {}", shown(known))]
    NoSection {
        /// The section that is looked for.
        section: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The section has a module that is not supported.
    #[error(
        "section {section} has the module {module}, which is not supported; there is \
         org.apache.zookeeper.server.auth.DigestLoginModule"
    )]
    Module {
        /// The section.
        section: String,
        /// The module's class.
        module: String,
    },
    /// The section has no users.
    #[error("section {section} has no users; one is written as user_NAME=\"PASSWORD\"")]
    NoUsers {
        /// The section.
        section: String,
    },
}

fn shown(known: &[String]) -> String {
    match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    }
}

/// One module of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginModule {
    /// Its class.
    pub class: String,
    /// Its options; some of them are secrets.
    pub options: BTreeMap<String, Secret>,
}

/// A login file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginFile {
    sections: BTreeMap<String, Vec<LoginModule>>,
}

impl LoginFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, JaasError> {
        if text.len() > JAAS_BYTES_MAX {
            return Err(JaasError::TooLong { bytes: text.len() });
        }
        let mut words = Words::new(text);
        let mut sections = BTreeMap::new();
        while let Some(name) = words.next()? {
            let name = words.text_of(name, "a section's name")?;
            words.expect('{')?;
            let modules = words.modules()?;
            words.expect(';')?;
            if sections.insert(name.clone(), modules).is_some() {
                return Err(words.refused(format!("section {name} is there twice")));
            }
        }
        Ok(LoginFile { sections })
    }

    /// The modules of a section.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[LoginModule]> {
        self.sections.get(name).map(Vec::as_slice)
    }

    /// The users that a section lets in with DIGEST-MD5, with their passwords.
    ///
    /// # Errors
    /// The section is not there, has no users, or is for something else than DIGEST-MD5.
    pub fn digest_users(&self, section: &str) -> Result<BTreeMap<String, Secret>, JaasError> {
        let modules = self.section(section).ok_or_else(|| JaasError::NoSection {
            section: section.to_owned(),
            known: self.sections.keys().cloned().collect(),
        })?;
        let mut users = BTreeMap::new();
        for module in modules {
            let class = module.class.rsplit('.').next().unwrap_or_default();
            if class != "DigestLoginModule" {
                return Err(JaasError::Module {
                    section: section.to_owned(),
                    module: module.class.clone(),
                });
            }
            let named = module.options.iter().filter_map(|(option, password)| {
                let user = option.strip_prefix("user_")?;
                Some((user.to_owned(), password.clone()))
            });
            users.extend(named);
        }
        match users.is_empty() {
            true => Err(JaasError::NoUsers {
                section: section.to_owned(),
            }),
            false => Ok(users),
        }
    }
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// A word, or a text in quotes.
    Text(String),
    /// One of `{ } ; =`.
    Mark(char),
}

/// Takes pieces off the front of the text, comments left out.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
        }
    }

    fn refused(&self, reason: impl Into<String>) -> JaasError {
        JaasError::Syntax {
            line: self.line,
            reason: reason.into(),
        }
    }

    /// Goes forward, counting lines.
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (gone, rest) = self.rest.split_at(bytes);
        self.line += gone.bytes().filter(|&byte| byte == b'\n').count();
        self.rest = rest;
        gone
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), JaasError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.skip(blanks);
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.skip(end);
            } else if let Some(inside) = self.rest.strip_prefix("/*") {
                let end = inside.find("*/");
                let end = end.ok_or_else(|| self.refused("a comment has no end"))?;
                self.skip(end + 4);
            } else {
                return Ok(());
            }
        }
    }

    /// The next piece; none at the end.
    fn next(&mut self) -> Result<Option<Word>, JaasError> {
        self.skip_blanks_and_comments()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        if matches!(first, '{' | '}' | ';' | '=') {
            self.skip(1);
            return Ok(Some(Word::Mark(first)));
        }
        if first == '"' {
            return self.quoted().map(Some);
        }
        let is_word = |c: char| !c.is_whitespace() && !matches!(c, '{' | '}' | ';' | '=' | '"');
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let word = self.skip(end).to_owned();
        Ok(Some(Word::Text(word)))
    }

    fn quoted(&mut self) -> Result<Word, JaasError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.skip(at + 1);
                    return Ok(Word::Text(text));
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped)) => text.push(escaped),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(self.refused("a text in quotes has no end on its line"))
    }

    fn text_of(&self, word: Word, what: &str) -> Result<String, JaasError> {
        match word {
            Word::Text(text) => Ok(text),
            Word::Mark(mark) => Err(self.refused(format!("{mark} stands where {what} should be"))),
        }
    }

    fn needed(&mut self, what: &str) -> Result<Word, JaasError> {
        let word = self.next()?;
        word.ok_or_else(|| self.refused(format!("the file ends where {what} should be")))
    }

    fn expect(&mut self, mark: char) -> Result<(), JaasError> {
        match self.needed(&mark.to_string())? {
            Word::Mark(found) if found == mark => Ok(()),
            Word::Mark(found) => {
                Err(self.refused(format!("{found} stands where {mark} should be")))
            }
            Word::Text(_) => Err(self.refused(format!("a word stands where {mark} should be"))),
        }
    }

    /// The modules of a section, up to its closing brace.
    fn modules(&mut self) -> Result<Vec<LoginModule>, JaasError> {
        let mut modules = Vec::new();
        loop {
            let class = match self.needed("a module or }")? {
                Word::Mark('}') => return Ok(modules),
                other => self.text_of(other, "a module")?,
            };
            let flag = self.needed("a flag")?;
            let flag = self.text_of(flag, "a flag")?;
            if !FLAGS.contains(&flag.to_ascii_lowercase().as_str()) {
                let reason = format!("{class} has no flag before its options; it can be required");
                return Err(self.refused(reason));
            }
            let options = self.options()?;
            modules.push(LoginModule { class, options });
        }
    }

    /// The options of a module, up to its semicolon.
    fn options(&mut self) -> Result<BTreeMap<String, Secret>, JaasError> {
        let mut options = BTreeMap::new();
        loop {
            let name = match self.needed("an option or ;")? {
                Word::Mark(';') => return Ok(options),
                other => self.text_of(other, "an option")?,
            };
            self.expect('=')?;
            let value = self.needed("a value")?;
            let value = self.text_of(value, "a value")?;
            if options.insert(name.clone(), Secret::new(value)).is_some() {
                return Err(self.refused(format!("option {name} is there twice")));
            }
        }
    }
}

#[cfg(test)]
mod tests;
