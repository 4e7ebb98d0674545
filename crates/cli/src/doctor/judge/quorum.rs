//! The metadata quorum, and brokers that are registered and do not run.

use super::super::facts::{Facts, Fenced, Quorum};
use super::super::report::{Check, Status, counted};

/// A voter that has not been as far as the leader for so long does not follow it.
const LAG_MS: i64 = 10_000;

/// Whether metadata can be changed, and how many nodes can fail until it cannot.
pub(super) fn quorum(facts: &Facts) -> Option<Check> {
    let check = |found: String| Check::ok("quorum", "metadata quorum", found);
    let quorum = match facts.quorum.as_ref()? {
        Ok(quorum) => quorum,
        Err(reason) => {
            return Some(check(format!("it does not answer: {reason}")).but(
                Status::Problem,
                "without a majority of its voters nothing can be changed: no topic is created, and \
                 a partition whose leader fails gets no other",
                "start the controllers that do not run, and look whether they reach each other at \
                 the addresses in controller.quorum.bootstrap.servers or controller.quorum.voters",
            ));
        }
    };
    let voters = quorum.voters.len();
    let majority = voters / 2 + 1;
    let behind: Vec<i32> = quorum
        .voters
        .iter()
        .filter(|voter| is_behind(voter.lag_ms))
        .map(|voter| voter.id)
        .collect();
    let names: Vec<String> = behind.iter().map(i32::to_string).collect();
    let following = voters - behind.len();
    let found = format!(
        "{} leads {}{}",
        match quorum.leader {
            Some(leader) => format!("node {leader}"),
            None => "nobody".to_owned(),
        },
        counted(voters, "voter"),
        match behind.len() {
            0 => String::new(),
            _ => format!("; {} does not follow", names.join(", ")),
        }
    );
    let check = check(found);
    if quorum.leader.is_none() || following < majority {
        return Some(check.but(
            Status::Problem,
            format!("{majority} of {voters} voters must work, or nothing can be changed"),
            "start the controllers that do not run, and look whether they reach each other",
        ));
    }
    if !behind.is_empty() {
        let left = following - majority;
        return Some(check.but(
            Status::Warning,
            format!(
                "if {}, nothing can be changed any more",
                if left == 0 {
                    "one more fails".to_owned()
                } else {
                    format!("{} more fail", left + 1)
                }
            ),
            "start it, or look at its log; if it does not come back: `ottla quorum remove ID`, and \
             `ottla quorum add ID` with another node",
        ));
    }
    Some(alone(facts, quorum, check))
}

fn is_behind(lag_ms: Option<i64>) -> bool {
    // A voter that has never followed is told without a time.
    lag_ms.is_none_or(|lag| lag > LAG_MS)
}

/// All follow; but are they enough?
fn alone(facts: &Facts, quorum: &Quorum, check: Check) -> Check {
    if quorum.voters.len() > 1 || facts.brokers.len() < 2 {
        return check;
    }
    check.but(
        Status::Warning,
        "all knowledge about the cluster lies on one node: if it fails nothing can be changed, and \
         if its disk is lost the cluster is",
        "make two more nodes voters: `ottla quorum add ID`",
    )
}

/// Brokers that the cluster knows and does not hear.
pub(super) fn fenced(facts: &Facts) -> Vec<Check> {
    let check = |broker: &Fenced| {
        let subject = format!("broker {}", broker.id);
        let id = broker.id;
        let found = format!(
            "fenced: it is registered at {}, and the controller does not hear it",
            broker.address
        );
        Check::ok("fenced", &subject, found).but(
            Status::Warning,
            "it serves nobody, and its replicas fall behind",
            format!(
                "start it, or look whether it reaches the controller; if it has gone for good: \
                 `ottla broker decommission {id}`"
            ),
        )
    };
    facts.fenced.iter().map(check).collect()
}
