//! Servers that come and go: one vote at a time, those that come when their pod runs, those that go
//! before it is taken away.

use std::collections::BTreeSet;

use super::servers::{Servers, address};
use super::{Round, admin};
use crate::api::Reason;
use crate::error::Error;
use crate::render::keeper::{self, CLIENT_PORT, ELECTION_PORT, POOL, SERVER_PORT};
use crate::render::{Node, Sizes, names};

/// Takes votes away from servers that are to go, and then their pods.
pub(super) async fn shrink(round: &mut Round<'_>, now: Sizes) -> Result<Sizes, Error> {
    let wanted = round.ensemble.spec.replicas;
    if now.of(POOL) <= wanted {
        return Ok(now);
    }
    let Some(voters) = round.servers.voters.clone() else {
        let text = format!(
            "{} servers are to go, when the ensemble answers",
            now.of(POOL) - wanted
        );
        round.doing(Reason::ScalingIn, text);
        return Ok(now);
    };
    match leaving(&voters, keeper::id(wanted), now.of(POOL)) {
        Leaving::Vote(id) => {
            if let Some(reason) = not_without(&round.servers, &voters, id) {
                let text = format!("server {id} is to go, but not now: {reason}");
                round.complain(Reason::ScalingIn, text).await;
                return Ok(now);
            }
            let Some((ip, password)) = reached(round) else {
                no_password(round).await;
                return Ok(now);
            };
            let removed = admin::remove(&round.context.runtime, &ip, &password, id).await;
            told(
                round,
                Reason::ScalingIn,
                removed,
                format!("server {id} has no vote any more"),
            )
            .await;
            Ok(now)
        }
        Leaving::Pods(size) => {
            let note = format!(
                "{} servers have no vote any more, and go",
                now.of(POOL) - size
            );
            round.announce(Reason::ScalingIn, note).await;
            let mut sizes = now;
            sizes.by_pool.insert(POOL.to_owned(), size);
            Ok(sizes)
        }
    }
}

/// What is next on the way to fewer servers.
#[derive(Debug, PartialEq, Eq)]
enum Leaving {
    /// This one loses its vote.
    Vote(i32),
    /// None that is to go votes: so many pods stay.
    Pods(i32),
}

/// Decides. `first` is the number of the first server that is to go; the last one goes first.
fn leaving(voters: &BTreeSet<i32>, first: i32, size: i32) -> Leaving {
    let last = voters.range(first..).next_back();
    match last {
        Some(id) => Leaving::Vote(*id),
        None => Leaving::Pods((first - keeper::id(0)).min(size)),
    }
}

/// Why the ensemble cannot do without a vote, if so: the others have to be a majority of what is left.
fn not_without(servers: &Servers, voters: &BTreeSet<i32>, id: i32) -> Option<String> {
    let left = voters.iter().filter(|voter| **voter != id).count();
    let in_step = servers.in_step_without(id);
    (in_step <= left / 2).then(|| format!("only {in_step} of the {left} others are in step"))
}

/// Gives votes to servers whose pods run.
pub(super) async fn join(round: &mut Round<'_>) -> Result<(), Error> {
    let wanted = round.ensemble.spec.replicas;
    let Some(voters) = round.servers.voters.clone() else {
        return Ok(());
    };
    let servers = round.nodes.iter().filter(|node| node.ordinal < wanted);
    let Some(node) = servers.clone().find(|node| !voters.contains(&node.id)) else {
        return Ok(());
    };
    let node = node.clone();
    // It follows without a vote, and so knows who it is and has what the others have.
    if !round.servers.modes.contains_key(&node.id) {
        let text = format!("server {} comes, when pod {} follows", node.id, node.pod);
        round.doing(Reason::ScalingOut, text);
        return Ok(());
    }
    let Some((ip, password)) = reached(round) else {
        no_password(round).await;
        return Ok(());
    };
    let line = line(round, &node);
    let added = admin::add(&round.context.runtime, &ip, &password, line).await;
    told(
        round,
        Reason::ScalingOut,
        added,
        format!("server {} votes now", node.id),
    )
    .await;
    Ok(())
}

/// As `zoo.cfg` has it.
fn line(round: &Round<'_>, node: &Node) -> String {
    let domain = &round.context.settings.cluster_domain;
    let host = names::keeper_pod_host(round.ensemble, node.ordinal, domain);
    format!(
        "server.{}={host}:{SERVER_PORT}:{ELECTION_PORT}:participant;{CLIENT_PORT}",
        node.id
    )
}

/// The leader, and the password with which it is asked.
fn reached(round: &Round<'_>) -> Option<(String, String)> {
    let leader = round.servers.leader()?;
    Some((address(round, leader)?, round.password.clone()?))
}

async fn no_password(round: &mut Round<'_>) {
    let text = "the members are to change, but this operator has no password for it: the resource \
                names its own superDigest, or Secrets are not allowed; use `ottla keeper members`";
    round.complain(Reason::Error, text.to_owned()).await;
}

async fn told(round: &mut Round<'_>, reason: Reason, changed: Result<(), Error>, note: String) {
    match changed {
        Ok(()) => round.announce(reason, note).await,
        Err(error) => {
            round.complain(reason, error.to_string()).await;
            // It is tried again soon.
            round.doing(reason, "the members are to change".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn votes_go_before_pods_and_the_last_one_first() {
        let five = BTreeSet::from([1, 2, 3, 4, 5]);
        assert_eq!(leaving(&five, 4, 5), Leaving::Vote(5));
        assert_eq!(
            leaving(&BTreeSet::from([1, 2, 3, 4]), 4, 5),
            Leaving::Vote(4)
        );
        assert_eq!(leaving(&BTreeSet::from([1, 2, 3]), 4, 5), Leaving::Pods(3));
    }

    #[test]
    fn the_others_have_to_be_a_majority() {
        let mode = |mode: &str| mode.to_owned();
        let mut servers = Servers {
            modes: BTreeMap::from([
                (1, mode("leader")),
                (2, mode("follower")),
                (3, mode("follower")),
            ]),
            synced: 2,
            voters: None,
        };
        let three = BTreeSet::from([1, 2, 3]);
        assert_eq!(not_without(&servers, &three, 3), None);
        servers.synced = 1;
        servers.modes.remove(&2);
        // Of the two that would be left only the leader is there.
        assert!(not_without(&servers, &three, 3).is_some());
    }
}
