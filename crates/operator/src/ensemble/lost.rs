//! Servers whose volume is gone are built again from the others.
//!
//! ```text
//!   give up the claim ─▶ the pod comes with an empty volume ─▶ the leader takes the old server's vote,
//!   and the new one in without it ─▶ it catches up, and gets the vote
//! ```
//!
//! A server is known by its number and by its volume: with another volume it is not taken for its old
//! self, and cannot vote as if it had what that had. So nobody has to change the members; the others
//! have to be able to, which takes a majority of them all.

use std::collections::BTreeSet;

use super::Round;
use super::servers::Servers;
use crate::error::Error;
use crate::lost;
use crate::roll::quorum_bears;

/// Gives up what has been away for longer than the resource says, if others have it.
pub(super) async fn rebuild(round: &mut Round<'_>) -> Result<(), Error> {
    let after = round.ensemble.spec.rolling.rebuild_after_seconds;
    let nodes = round.nodes.clone();
    for lost in lost::overdue(round, &nodes, after).await? {
        match reason_to_keep(&round.servers, lost.node.id) {
            Some(why) => lost::keep(round, &lost, &why).await,
            None => lost::give_up(round, &lost).await?,
        }
    }
    Ok(())
}

/// Why a server's volume must not be given up, if so.
fn reason_to_keep(servers: &Servers, id: i32) -> Option<String> {
    let voters: &BTreeSet<i32> = match &servers.voters {
        Some(voters) if servers.leader().is_some() => voters,
        _ => return Some("no server leads, so nothing is given up".to_owned()),
    };
    let others = servers.in_step_without(id);
    let may_go = !voters.contains(&id) || voters.len() > 1 && quorum_bears(voters, id, others);
    (!may_go).then(|| {
        format!(
            "only {others} of {} servers are in step without it, which is no majority, so its volume is \
             kept",
            voters.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn servers(modes: &[(i32, &str)], synced: usize, voters: &[i32]) -> Servers {
        let modes = modes.iter().map(|(id, mode)| (*id, (*mode).to_owned()));
        Servers {
            modes: modes.collect::<BTreeMap<_, _>>(),
            synced,
            voters: Some(voters.iter().copied().collect()),
        }
    }

    #[test]
    fn a_volume_is_given_up_only_while_the_others_are_a_majority() {
        let all = servers(&[(1, "leader"), (2, "follower")], 1, &[1, 2, 3]);
        assert_eq!(reason_to_keep(&all, 3), None);
        // The follower has not got everything yet.
        let behind = servers(&[(1, "leader"), (2, "follower")], 0, &[1, 2, 3]);
        assert!(reason_to_keep(&behind, 3).is_some());
        let unknown = Servers::default();
        assert!(reason_to_keep(&unknown, 3).is_some());
        // It has the only vote.
        let only = servers(&[(1, "standalone")], 0, &[1]);
        assert!(reason_to_keep(&only, 1).is_some());
        // It never had one.
        assert_eq!(reason_to_keep(&only, 2), None);
    }
}
