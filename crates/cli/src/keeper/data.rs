//! A znode's data and stat, for people and for machines.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use ottla_jute::Stat;
use serde::Serialize;

use super::session::Session;
use crate::moment::utc_text;
use crate::{Error, base64};

/// A znode's stat. Zxids are hexadecimal, as ZooKeeper writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StatView {
    czxid: String,
    ctime: String,
    mzxid: String,
    mtime: String,
    pzxid: String,
    cversion: i32,
    version: i32,
    aversion: i32,
    /// The session of an ephemeral znode; 0x0 for others.
    ephemeral_owner: String,
    data_length: i32,
    children: i32,
}

/// A number as ZooKeeper writes zxids and sessions.
pub(crate) fn hex(number: i64) -> String {
    format!("0x{number:x}")
}

impl From<Stat> for StatView {
    fn from(stat: Stat) -> Self {
        StatView {
            czxid: hex(stat.czxid),
            ctime: utc_text(stat.ctime),
            mzxid: hex(stat.mzxid),
            mtime: utc_text(stat.mtime),
            pzxid: hex(stat.pzxid),
            cversion: stat.cversion,
            version: stat.version,
            aversion: stat.aversion,
            ephemeral_owner: hex(stat.ephemeral_owner),
            data_length: stat.data_length,
            children: stat.num_children,
        }
    }
}

impl StatView {
    /// The lines that zkCli prints, with times in UTC.
    pub(crate) fn lines(&self) -> String {
        let lines = [
            ("cZxid", self.czxid.clone()),
            ("ctime", self.ctime.clone()),
            ("mZxid", self.mzxid.clone()),
            ("mtime", self.mtime.clone()),
            ("pZxid", self.pzxid.clone()),
            ("cversion", self.cversion.to_string()),
            ("dataVersion", self.version.to_string()),
            ("aclVersion", self.aversion.to_string()),
            ("ephemeralOwner", self.ephemeral_owner.clone()),
            ("dataLength", self.data_length.to_string()),
            ("numChildren", self.children.to_string()),
        ];
        lines
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect()
    }
}

/// Data as text where they are text, else as base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DataView {
    /// Null if the znode has none.
    data: Option<String>,
    /// `text` or `base64`.
    encoding: &'static str,
}

impl DataView {
    pub(crate) fn of(data: Option<&Bytes>) -> Self {
        let text = data.map(|bytes| std::str::from_utf8(bytes));
        match text {
            None => DataView {
                data: None,
                encoding: "text",
            },
            Some(Ok(text)) => DataView {
                data: Some(text.to_owned()),
                encoding: "text",
            },
            Some(Err(_)) => DataView {
                data: data.map(|bytes| base64::encode(bytes)),
                encoding: "base64",
            },
        }
    }
}

/// How data are printed for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DataFormat {
    /// As they are, and a newline; to a terminal only what is text
    #[default]
    Text,
    /// Exactly as they are
    Raw,
    /// As base64
    Base64,
    /// As a dump of bytes
    Hex,
}

/// Prints data for people.
pub(crate) fn print(
    data: Option<&Bytes>,
    format: DataFormat,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let bytes: &[u8] = data.map_or(&[], |bytes| bytes);
    let to_terminal = session.streams.out_is_terminal;
    let shown = match format {
        DataFormat::Text if data.is_none() => {
            session.streams.say("the znode has no data (null)");
            return Ok(());
        }
        DataFormat::Raw => bytes.to_vec(),
        DataFormat::Base64 => (base64::encode(bytes) + "\n").into_bytes(),
        DataFormat::Hex => hex_dump(bytes).into_bytes(),
        DataFormat::Text if to_terminal && !is_printable(bytes) => hex_dump(bytes).into_bytes(),
        DataFormat::Text => [bytes, b"\n"].concat(),
    };
    let out = &mut session.streams.out;
    let written = out.write_all(&shown).and_then(|()| out.flush());
    written.map_err(Error::stdout)
}

/// Whether a terminal shows the bytes as they are.
fn is_printable(bytes: &[u8]) -> bool {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_plain))
}

/// Sixteen bytes a line: where, the bytes, and what of them is text.
fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = chunk
            .iter()
            .map(|byte| char::from(*byte))
            .map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c
                } else {
                    '.'
                }
            })
            .collect();
        text.push_str(&format!(
            "{:08x}  {:<47}  {shown}\n",
            line * 16,
            hex.join(" ")
        ));
    }
    text
}

/// Data that a command sends: from an argument, a file, or standard input.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DataArgs {
    /// The data; @FILE reads a file, - standard input
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// The data are base64
    #[arg(long)]
    base64: bool,
}

/// A znode's data are bounded by `jute.maxbuffer` anyway.
const INPUT_BYTES_MAX: u64 = 256 << 20;

impl DataArgs {
    /// Reads the data; none if there are none.
    pub(crate) fn read(&self, session: &mut Session<'_>) -> Result<Option<Bytes>, Error> {
        let Some(text) = &self.data else {
            return Ok(None);
        };
        let bytes = match text.strip_prefix('@') {
            _ if text == "-" => {
                let mut bytes = Vec::new();
                if let Some(input) = session.streams.input.take() {
                    let read = input.take(INPUT_BYTES_MAX).read_to_end(&mut bytes);
                    read.map_err(|source| Error::Stream {
                        stream: "cannot read standard input",
                        source,
                    })?;
                }
                bytes
            }
            Some(path) => {
                let read = session.runtime.disk.read(Path::new(path));
                read.map_err(|source| Error::File {
                    path: path.to_owned(),
                    source,
                })?
            }
            None => text.clone().into_bytes(),
        };
        if !self.base64 {
            return Ok(Some(bytes.into()));
        }
        let decoded = base64::decode(&bytes)
            .map_err(|reason| Error::Usage(format!("the data are no base64: {reason}")))?;
        Ok(Some(decoded.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_text_where_they_can_be() {
        let of = |bytes: &'static [u8]| DataView::of(Some(&Bytes::from_static(bytes)));
        assert_eq!(
            (of("ä".as_bytes()).encoding, of(b"\xff").encoding),
            ("text", "base64")
        );
        assert_eq!(of(b"\xff").data.as_deref(), Some("/w=="));
        assert_eq!(DataView::of(None).data, None);
    }

    #[test]
    fn bytes_that_are_no_text_are_dumped() {
        assert!(is_printable(b"a\tb\n") && !is_printable(b"\x1b[31m") && !is_printable(b"\xff"));
        let dump = hex_dump(b"0123456789abcdefg\x00");
        let expected = "\
00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef
00000010  67 00                                            g.
";
        assert_eq!(dump, expected);
    }

    #[test]
    fn a_stat_has_the_lines_of_zkcli() {
        let stat = Stat {
            czxid: 0x1_0000_0002,
            mzxid: 0x1_0000_0003,
            mtime: 1_500,
            version: 1,
            ephemeral_owner: 0x1000_1234,
            ..Stat::default()
        };
        let lines = StatView::from(stat).lines();
        assert!(
            lines.starts_with("cZxid = 0x100000002\nctime = 1970-01-01T00:00:00"),
            "{lines}"
        );
        assert!(lines.contains("dataVersion = 1\naclVersion = 0\nephemeralOwner = 0x10001234\n"));
    }
}
