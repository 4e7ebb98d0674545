//! Four-letter words: a client that sends one instead of a handshake gets a text, and the end of the
//! connection. Words and texts are those of ZooKeeper 3.9 (page "Commands", package
//! `org.apache.zookeeper.server.command`).
//!
//! ```text
//! 4 bytes ─▶ a word? ─▶ on 4lw.commands.whitelist? ─▶ text ─▶ end
//!     no: a frame's length    no: told so
//! ```
//!
//! ZooKeeper has no other words than these; `lcount` and the like are none.

mod connections;
mod server;
mod sessions;
mod watches;

pub(crate) use connections::reset as reset_connections;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::clients::connection::Connection;
use crate::clients::serve::{FLUSH_LIMIT, Frames};
use crate::monitor::ServerState;
use crate::monitor::reading::state_of;
use crate::server::Server;

/// What most words say on a server without a leader (`AbstractFourLetterCommand`).
pub(crate) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";
/// So much of an answer must leave within [`FLUSH_LIMIT`].
const CHUNK: usize = 64 << 10;
/// How long, and for how many bytes, the client may go on talking after its answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// Declares the words.
macro_rules! words {
    ($($(#[$doc:meta])* $word:ident = $text:literal,)+) => {
        /// A word that a client may send instead of a handshake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Word {
            $($(#[$doc])* $word,)+
        }

        impl Word {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Word] = &[$(Word::$word,)+];

            /// As it is sent.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Word::$word => $text,)+
                }
            }

            pub(crate) fn of(bytes: [u8; 4]) -> Option<Word> {
                [$(Word::$word,)+].into_iter().find(|word| word.name().as_bytes() == bytes)
            }
        }
    };
}

words! {
    /// The configuration.
    Conf = "conf",
    /// All connections in full.
    Cons = "cons",
    /// Begins the figures of connections anew.
    Crst = "crst",
    /// The sizes of the folders.
    Dirs = "dirs",
    /// Sessions and ephemeral nodes.
    Dump = "dump",
    /// Where the server runs.
    Envi = "envi",
    /// The mask of `stmk`.
    Gtmk = "gtmk",
    /// Digests of the tree.
    Hash = "hash",
    /// Whether the server only lets clients read.
    Isro = "isro",
    /// All figures.
    Mntr = "mntr",
    /// Whether the server is there.
    Ruok = "ruok",
    /// Begins the server's figures anew.
    Srst = "srst",
    /// The server in short.
    Srvr = "srvr",
    /// The server and its connections in short.
    Stat = "stat",
    /// Sets a mask of eight bytes, which come behind the word.
    Stmk = "stmk",
    /// Watches by session.
    Wchc = "wchc",
    /// Watches by path.
    Wchp = "wchp",
    /// How many watches there are.
    Wchs = "wchs",
}

/// Whether the configuration wants the word to be answered. ZooKeeper's own scripts need `srvr`, so
/// that nobody can forbid it.
fn is_allowed(server: &Server, word: Word) -> bool {
    word == Word::Srvr || server.config.four_letter_words.allows(word.name())
}

/// Answers a word, and waits for the client to hang up.
pub(crate) async fn serve<R, W>(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    word: Word,
    frames: &mut Frames<R>,
    writer: &mut W,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    // It is no client's connection any more.
    connection.close();
    connection.figures.count_received(1);
    server.meters.received.add(1);
    server.meters.received_bytes.add(word.name().len() as u64);
    tracing::debug!(peer = %connection.peer, word = word.name(), "a four-letter word");
    let Some(answer) = answer(server, word, frames).await? else {
        return Ok(());
    };
    let clock = &server.runtime.clock;
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    for chunk in answer.as_bytes().chunks(CHUNK) {
        clock
            .timeout(FLUSH_LIMIT, writer.write_all(chunk))
            .await
            .ok_or_else(late)??;
    }
    clock
        .timeout(FLUSH_LIMIT, writer.shutdown())
        .await
        .ok_or_else(late)??;
    connection.figures.count_sent();
    server.meters.sent_else.add(1);
    // What the client sends after its word (a line's end) must be taken, or the system throws the
    // answer away with it.
    clock
        .timeout(LINGER, frames.discard(LINGER_BYTES))
        .await
        .unwrap_or(Ok(()))
}

/// The answer to a word; none if the client has not sent what belongs to it.
async fn answer<R: AsyncRead + Unpin>(
    server: &Arc<Server>,
    word: Word,
    frames: &mut Frames<R>,
) -> io::Result<Option<String>> {
    if !is_allowed(server, word) {
        let name = word.name();
        let refused = format!("{name} is not executed because it is not in the whitelist.\n");
        return Ok(Some(refused));
    }
    Ok(match word {
        Word::Ruok => Some("imok".to_owned()),
        Word::Isro => Some(server::isro(server).to_owned()),
        Word::Gtmk => Some(server.trace_mask.load(Ordering::Relaxed).to_string()),
        Word::Stmk => {
            let limit = server.handshake_limit();
            let mask = server.runtime.clock.timeout(limit, frames.exactly()).await;
            mask.unwrap_or(Ok(None))?.map(|mask| {
                let mask = i64::from_be_bytes(mask);
                server.trace_mask.store(mask, Ordering::Relaxed);
                mask.to_string()
            })
        }
        other => {
            let reading = Arc::clone(server);
            let text = move || text(&reading, other);
            Some(server.runtime.tasks.blocking(text).await)
        }
    })
}

/// The text of a word. Blocks.
fn text(server: &Server, word: Word) -> String {
    let state = state_of(server);
    if word == Word::Envi {
        return server::envi();
    }
    if state == ServerState::Looking {
        let end = if word == Word::Hash { "" } else { "\n" };
        return format!("{NOT_SERVING}{end}");
    }
    match word {
        Word::Conf => server::conf(server),
        Word::Dirs => server::dirs(server),
        Word::Hash => server::hash(server),
        Word::Mntr => server::mntr(server),
        Word::Srvr => server::srvr(server),
        Word::Stat => server::stat(server),
        Word::Srst => server::srst(server),
        Word::Cons => connections::cons(server),
        Word::Crst => connections::crst(server),
        Word::Dump => sessions::dump(server),
        Word::Wchs => watches::wchs(server),
        Word::Wchc => watches::wchc(server),
        Word::Wchp => watches::wchp(server),
        Word::Envi | Word::Gtmk | Word::Isro | Word::Ruok | Word::Stmk => String::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
