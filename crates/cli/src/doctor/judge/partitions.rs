//! Topics and their partitions.

use super::super::facts::{Facts, Topic};
use super::super::report::{Check, Status, counted};
use super::cluster::milliseconds;

/// So many partitions are named in one line.
const NAMED: usize = 5;
/// A clock that is further off confuses retention and time stamps.
const SKEW_MS: u64 = 1000;

type Wrong = fn(&Topic) -> &[i32];

/// Partitions, and the topics that Kafka keeps for itself.
pub(super) fn topics(facts: &Facts) -> Vec<Check> {
    let topics = match &facts.topics {
        None => return Vec::new(),
        Some(Ok(topics)) => topics,
        Some(Err(reason)) => {
            let found = format!("they could not be looked at: {reason}");
            return vec![Check::ok("partitions", "topics", found).but(
                Status::Warning,
                "whether partitions have leaders and replicas is not known",
                "run this as a user who may describe topics",
            )];
        }
    };
    let kinds: [(&'static str, Wrong, Status, &str, &str, &str); 3] = [
        (
            "leaderless",
            |topic| &topic.leaderless,
            Status::Problem,
            "without a leader",
            "nobody can write there or read from there",
            "bring back the brokers that hold them: `ottla topic describe` shows which",
        ),
        (
            "under-min-isr",
            |topic| &topic.under_min_isr,
            Status::Problem,
            "with fewer replicas in sync than min.insync.replicas",
            "producers with acks=all are refused with NOT_ENOUGH_REPLICAS",
            "bring back the brokers that are missing from the ISR (`ottla topic describe`); \
             min.insync.replicas should be lower than the replication factor",
        ),
        (
            "under-replicated",
            |topic| &topic.under_replicated,
            Status::Warning,
            "with a replica that is not in sync",
            "if another broker fails, they may be without a leader",
            "bring back the brokers that are missing from the ISR (`ottla topic describe`)",
        ),
    ];
    let mut checks = Vec::new();
    for (check, wrong, status, what, means, remedy) in kinds {
        let (count, names) = named(topics, wrong);
        if count > 0 {
            let found = format!("{} {what}: {names}", counted(count, "partition"));
            checks.push(Check::ok(check, "topics", found).but(status, means, remedy));
        }
    }
    checks.extend(no_margin(topics));
    for topic in topics {
        if let Some(error) = &topic.error {
            let found = format!("the cluster cannot describe it: {error}");
            checks.push(
                Check::ok("topic", &format!("topic {}", topic.name), found).but(
                    Status::Warning,
                    "clients of this topic get the same answer",
                    "look at the controller's log",
                ),
            );
        }
    }
    if checks.is_empty() {
        let partitions: usize = topics.iter().map(|topic| topic.partitions).sum();
        let found = format!(
            "{} in {} have a leader and all replicas in sync",
            counted(partitions, "partition"),
            counted(topics.len(), "topic")
        );
        checks.push(Check::ok("partitions", "topics", found));
    }
    checks.extend(internal(facts, topics));
    checks
}

/// Topics that can be written to only while all their replicas are in sync.
fn no_margin(topics: &[Topic]) -> Option<Check> {
    let factor = |topic: &&Topic| topic.replication_factor;
    let tight: Vec<&str> = topics
        .iter()
        .filter(|topic| factor(topic) > 1 && topic.min_isr.is_some_and(|min| min >= factor(topic)))
        .map(|topic| topic.name.as_str())
        .collect();
    if tight.is_empty() {
        return None;
    }
    let shown = tight.get(..NAMED).unwrap_or(&tight).join(", ");
    let more = match tight.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = format!(
        "{} with min.insync.replicas as high as the replication factor: {shown}{more}",
        counted(tight.len(), "topic")
    );
    Some(Check::ok("min-isr", "topics", found).but(
        Status::Warning,
        "as soon as one broker is down or restarts, producers with acks=all are refused",
        "lower min.insync.replicas by one (`ottla config set topic/NAME min.insync.replicas=N`), or \
         give the topic one replica more (`ottla topic reassign NAME --replication-factor N`)",
    ))
}

/// How many, and the names of the first.
fn named(topics: &[Topic], wrong: Wrong) -> (usize, String) {
    let all = topics.iter().flat_map(|topic| {
        wrong(topic)
            .iter()
            .map(move |p| format!("{}-{p}", topic.name))
    });
    let all: Vec<String> = all.collect();
    let shown = all.get(..NAMED).unwrap_or(&all).join(", ");
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (all.len(), format!("{shown}{more}"))
}

fn internal(facts: &Facts, topics: &[Topic]) -> Vec<Check> {
    let kinds = [
        (
            "__consumer_offsets",
            "offsets.topic.replication.factor",
            "a group commits",
        ),
        (
            "__transaction_state",
            "transaction.state.log.replication.factor",
            "a producer uses transactions",
        ),
    ];
    let checks = kinds.into_iter().map(|(name, property, when)| {
        let subject = format!("topic {name}");
        let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
            let found =
                format!("not there yet; the cluster makes it when {when} for the first time");
            return Check::ok("internal-topics", &subject, found);
        };
        let found = format!(
            "{}, replication factor {}",
            counted(topic.partitions, "partition"),
            topic.replication_factor
        );
        let check = Check::ok("internal-topics", &subject, found);
        if topic.replication_factor > 1 || facts.brokers.len() < 2 {
            return check;
        }
        check.but(
            Status::Warning,
            "while one broker is down, some clients that need it cannot work",
            format!(
                "give its partitions more replicas (`ottla topic reassign {name} \
                 --replication-factor 3`), and set {property} \
                 before a cluster is first used"
            ),
        )
    });
    checks.collect()
}

/// The record that was written and read back, and what it tells about clocks.
pub(super) fn round_trip(facts: &Facts) -> Vec<Check> {
    let Some((topic, trip)) = &facts.round_trip else {
        return Vec::new();
    };
    let subject = format!("topic {topic}");
    let trip = match trip {
        Ok(trip) => trip,
        Err(reason) => {
            let found = format!("a record could not be written and read back: {reason}");
            return vec![Check::ok("round-trip", &subject, found).but(
                Status::Problem,
                "producers or consumers of this topic fail in the same way",
                "mend what is reported above first; then look at the broker's log",
            )];
        }
    };
    let found = format!(
        "a record was written to partition {} at offset {} in {}, and read back in {}",
        trip.partition,
        trip.offset,
        milliseconds(trip.write),
        milliseconds(trip.read)
    );
    let mut checks = vec![Check::ok("round-trip", &subject, found)];
    let unsure_ms = u64::try_from(trip.write.as_millis() / 2).unwrap_or(u64::MAX);
    checks.push(match trip.skew_ms {
        None => Check::ok(
            "clock",
            "cluster",
            "its clock cannot be compared: only a topic with \
             message.timestamp.type=LogAppendTime tells the broker's time",
        ),
        Some(skew) => {
            let found = format!("its clock is {skew} ms from ours, give or take {unsure_ms} ms");
            let check = Check::ok("clock", "cluster", found);
            if skew.unsigned_abs() <= unsure_ms.saturating_add(SKEW_MS) {
                check
            } else {
                check.but(
                    Status::Warning,
                    "retention, look-ups by time and tokens that expire go wrong",
                    "let both machines take the time from NTP",
                )
            }
        }
    });
    checks
}
