//! What Tab offers: commands, their flags, and paths as the servers have them.

use std::time::Duration;

use clap::CommandFactory as _;
use ottla_runtime::Clock;

use super::line::Line;
use crate::keeper::client::Client;
use crate::keeper::paths::{join, parent};
use crate::keeper::words::last_word;

/// Whoever waits for a completion waits no longer than this.
const LIMIT: Duration = Duration::from_secs(2);

/// Where the completed word begins, and what it could be.
pub(super) type Offer = (usize, Vec<String>);

/// Completes the end of a line.
pub(super) async fn complete(line: &str, client: &Client, clock: &Clock) -> Offer {
    let Some((before, start)) = last_word(line) else {
        return (line.len(), Vec::new());
    };
    let word = &line[start..];
    if word.starts_with('/') {
        let found = clock.timeout(LIMIT, paths(word, client)).await;
        return (start, found.unwrap_or_default());
    }
    (start, names(&before, word))
}

/// The paths that begin so.
async fn paths(word: &str, client: &Client) -> Vec<String> {
    let above = match word.strip_suffix('/') {
        Some("") => "/",
        Some(above) => above,
        None => parent(word),
    };
    let Ok((children, _)) = client.children(above, false).await else {
        return Vec::new();
    };
    let paths = children.iter().map(|name| join(above, name));
    // What needs quotes is not offered: it would fall apart into words.
    let is_plain =
        |path: &String| !path.contains(|c: char| c.is_whitespace() || "'\"\\".contains(c));
    paths
        .filter(|path| path.starts_with(word) && is_plain(path))
        .collect()
}

/// The commands, or the flags of a command, that begin so.
fn names(before: &[String], word: &str) -> Vec<String> {
    let mut command = Line::command();
    command.build();
    let mut at = &command;
    for word in before.iter().filter(|word| !word.starts_with('-')) {
        match at.find_subcommand(word) {
            Some(found) => at = found,
            None => break,
        }
    }
    let mut offers: Vec<String> = if word.starts_with('-') {
        let flags = at.get_arguments().filter_map(clap::Arg::get_long);
        flags.map(|flag| format!("--{flag}")).collect()
    } else {
        let commands = at.get_subcommands();
        let all =
            commands.flat_map(|c| std::iter::once(c.get_name()).chain(c.get_visible_aliases()));
        all.map(str::to_owned).collect()
    };
    offers.retain(|offer| offer.starts_with(word));
    offers.sort_unstable();
    offers.dedup();
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(before: &[&str], word: &str) -> Vec<String> {
        let before: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        names(&before, word)
    }

    #[test]
    fn commands_and_flags_are_offered() {
        assert_eq!(offered(&[], "del"), ["delete", "deleteall"]);
        assert_eq!(offered(&["acl"], ""), ["get", "help", "set"]);
        assert_eq!(
            offered(&["quota", "set"], "--h"),
            ["--hard-bytes", "--hard-count", "--help"]
        );
        assert_eq!(offered(&["ls", "/a"], "--w"), ["--watch"]);
        assert!(offered(&["ls"], "x").is_empty());
    }
}
