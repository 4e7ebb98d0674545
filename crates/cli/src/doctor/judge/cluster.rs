//! The cluster as a whole.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::facts::{Answer, Door, Facts};
use super::super::report::{Check, Status, counted};

/// From here on a request on an idle cluster is slow.
const SLOW: Duration = Duration::from_millis(500);

/// All bootstrap addresses lead to one cluster.
pub(super) fn identity(facts: &Facts) -> Option<Check> {
    let ids = facts.bootstrap.iter().filter_map(|door| {
        let id = door.answer()?.cluster_id.as_deref()?;
        Some((door, id))
    });
    let ids: Vec<_> = ids.collect();
    let different: BTreeSet<&str> = ids.iter().map(|(_, id)| *id).collect();
    let brokers = counted(facts.brokers.len(), "broker");
    match different.len() {
        0 => None,
        1 => {
            let id = different.first()?;
            let found = format!("its id is {id}; it has {brokers}");
            Some(Check::ok("cluster-id", "cluster", found))
        }
        _ => {
            let list: Vec<_> = ids
                .iter()
                .map(|(door, id)| format!("{door} is {id}"))
                .collect();
            let found = format!(
                "the bootstrap addresses lead to different clusters: {}",
                list.join(", ")
            );
            Some(Check::ok("cluster-id", "cluster", found).but(
                Status::Problem,
                "a client works with whichever answers first",
                "give addresses of one cluster only",
            ))
        }
    }
}

/// Somebody can change topics.
pub(super) fn controller(facts: &Facts) -> Option<Check> {
    let answer = facts.answer()?;
    // A broker of Kafka names any broker as the controller, since any passes changes on.
    let leader = match &facts.quorum {
        Some(Ok(quorum)) => quorum.leader,
        _ => None,
    };
    Some(match leader.or(answer.controller) {
        Some(id) => Check::ok(
            "controller",
            "cluster",
            format!("its controller is node {id}"),
        ),
        None => Check::ok("controller", "cluster", "it has no controller").but(
            Status::Problem,
            "topics cannot be created or changed, and partitions get no new leaders",
            "look at the logs of the controllers: most of them must run and reach each other",
        ),
    })
}

/// Whoever is asked, all brokers are named.
pub(super) fn discovery(facts: &Facts) -> Vec<Check> {
    let known = |answer: &Answer| -> BTreeSet<i32> {
        answer.brokers.iter().map(|broker| broker.id).collect()
    };
    let doors = facts
        .bootstrap
        .iter()
        .chain(facts.brokers.iter().map(|(_, door)| door));
    let answers: Vec<(&Door, BTreeSet<i32>)> = doors
        .filter_map(|door| Some((door, known(door.answer()?))))
        .collect();
    let all: BTreeSet<i32> = answers.iter().flat_map(|(_, ids)| ids).copied().collect();
    let mut checks = Vec::new();
    for (door, ids) in &answers {
        let missing: Vec<String> = all.difference(ids).map(i32::to_string).collect();
        if !missing.is_empty() {
            let subject = format!("broker at {door}");
            let found = format!("it does not know of broker {}", missing.join(", "));
            checks.push(Check::ok("discovery", &subject, found).but(
                Status::Warning,
                "a client that begins there cannot find all brokers",
                "run this again in a minute: a broker that has just started or stopped is the usual \
                 reason; if it stays, look whether that broker follows the controller",
            ));
        }
    }
    if checks.is_empty() {
        let found = format!(
            "one address is enough: whoever answers names all of {}",
            counted(all.len(), "broker")
        );
        checks.push(Check::ok("discovery", "cluster", found));
    }
    checks
}

/// How long a request takes.
pub(super) fn latency(facts: &Facts) -> Option<Check> {
    let doors = facts
        .bootstrap
        .iter()
        .chain(facts.brokers.iter().map(|(_, door)| door));
    let slowest = doors.filter_map(|door| Some((door, door.answer()?.latency)));
    let (door, latency) = slowest.max_by_key(|(_, latency)| *latency)?;
    let found = format!(
        "a request takes {} at most (at {door})",
        milliseconds(latency)
    );
    let check = Check::ok("latency", "cluster", found);
    if latency < SLOW {
        return Some(check);
    }
    Some(check.but(
        Status::Warning,
        "everything that clients do takes at least as long",
        "look at the way there, and whether the broker has enough CPU",
    ))
}

/// `0.4 ms`.
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
