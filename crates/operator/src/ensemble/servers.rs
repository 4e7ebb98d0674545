//! What the servers of an ensemble say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use ottla_runtime::Runtime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Round, admin};
use crate::disruptions::quorum_bears_a_loss;
use crate::render::keeper::CLIENT_PORT;

/// How long a server may take to answer a word.
const LIMIT: Duration = Duration::from_secs(2);
/// A longer answer is cut.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What is known of all servers.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// `leader`, `follower`, or what else each one says, by number.
    pub(super) modes: BTreeMap<i32, String>,
    /// How many followers with a vote have what the leader has.
    pub(super) synced: usize,
    /// The numbers of those that vote; unknown while none answers.
    pub(super) voters: Option<BTreeSet<i32>>,
}

impl Servers {
    /// Asks each pod, and the leader for the members.
    pub(super) async fn of(round: &Round<'_>) -> Self {
        let runtime = &round.context.runtime;
        let asked = round.nodes.iter().map(|node| async {
            let ip = round.observed.pods.get(&node.pod)?.ip.as_deref()?;
            let mode = mode(&word(runtime, ip, "srvr").await?)?;
            Some((node.id, mode))
        });
        let modes: BTreeMap<i32, String> = join_all(asked).await.into_iter().flatten().collect();
        let mut servers = Servers {
            modes,
            ..Servers::default()
        };
        let Some(ip) = servers.leader().and_then(|id| address(round, id)) else {
            return servers;
        };
        let told = word(runtime, &ip, "mntr").await;
        let told = told.as_deref().and_then(synced_followers);
        // Where the word is not allowed, those that follow are counted.
        let followers = servers.modes.values().filter(|mode| *mode == "follower");
        servers.synced = told.unwrap_or_else(|| followers.count());
        match admin::members(runtime, &ip).await {
            Ok(voters) => servers.voters = Some(voters),
            Err(error) => tracing::debug!("no members: {error}"),
        }
        servers
    }

    /// Who leads.
    pub(super) fn leader(&self) -> Option<i32> {
        let mut modes = self.modes.iter();
        let found = modes.find(|(_, mode)| ["leader", "standalone"].contains(&mode.as_str()));
        found.map(|(id, _)| *id)
    }

    /// Whether there is still a majority after one more loss; unknown while nobody answers.
    pub(super) fn bear_a_loss(&self) -> Option<bool> {
        self.leader()?;
        let voters = self.voters.as_ref()?.len();
        Some(quorum_bears_a_loss(voters, self.synced + 1))
    }

    /// How many servers with a vote would be in step if this one were not there.
    pub(super) fn in_step_without(&self, id: i32) -> usize {
        let all = self.synced + usize::from(self.leader().is_some());
        let is_one =
            self.leader() == Some(id) || self.modes.get(&id).is_some_and(|m| m == "follower");
        all.saturating_sub(usize::from(is_one))
    }
}

/// Where a server's pod is.
pub(super) fn address(round: &Round<'_>, id: i32) -> Option<String> {
    let node = round.nodes.iter().find(|node| node.id == id)?;
    round.observed.pods.get(&node.pod)?.ip.clone()
}

/// The answer to a four-letter word.
async fn word(runtime: &Runtime, ip: &str, word: &str) -> Option<String> {
    let port = u16::try_from(CLIENT_PORT).ok()?;
    let asking = async {
        let mut stream = runtime.network.connect(ip, port, LIMIT).await.ok()?;
        stream.write_all(word.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        let mut answer = Vec::new();
        let mut limited = stream.take(ANSWER_BYTES_MAX);
        limited.read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    runtime.clock.timeout(LIMIT, asking).await.flatten()
}

/// What the answer to `srvr` says that a server is.
fn mode(answer: &str) -> Option<String> {
    let mut lines = answer.lines();
    let mode = lines.find_map(|line| line.strip_prefix("Mode: "))?;
    Some(mode.trim().to_owned())
}

/// How many followers are in step, as the leader's answer to `mntr` says.
fn synced_followers(answer: &str) -> Option<usize> {
    let mut lines = answer.lines();
    let count = lines.find_map(|line| line.strip_prefix("zk_synced_followers"))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let answer = "Zookeeper version: 3.9.4\nConnections: 1\nMode: follower\nNode count: 5\n";
        assert_eq!(mode(answer).as_deref(), Some("follower"));
        assert_eq!(
            mode("This ZooKeeper instance is not currently serving requests\n"),
            None
        );
        let answer = "zk_followers\t2\nzk_synced_followers\t1\n";
        assert_eq!(synced_followers(answer), Some(1));
        assert_eq!(synced_followers("mntr is not executed"), None);
    }

    #[test]
    fn a_server_that_goes_does_not_count() {
        let mode = |mode: &str| mode.to_owned();
        let servers = Servers {
            modes: BTreeMap::from([
                (1, mode("leader")),
                (2, mode("follower")),
                (3, mode("follower")),
            ]),
            synced: 2,
            voters: None,
        };
        assert_eq!(servers.leader(), Some(1));
        assert_eq!(servers.in_step_without(1), 2);
        assert_eq!(servers.in_step_without(2), 2);
        assert_eq!(servers.bear_a_loss(), None);
        // It is away already.
        assert_eq!(servers.in_step_without(4), 3);
    }
}
