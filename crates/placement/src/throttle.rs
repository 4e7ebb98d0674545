//! Which replicas a limit for copying is for, in the words of Kafka's properties (KIP-73).

use std::collections::BTreeMap;

use crate::Move;

/// The properties of a broker: how many bytes it may send in a second, and fetch.
pub const RATES: [&str; 2] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
];
/// The property of a topic that names the replicas from which is copied: `PARTITION:BROKER`, or `*`.
pub const THROTTLED_LEADERS: &str = "leader.replication.throttled.replicas";
/// The property of a topic that names the replicas to which is copied.
pub const THROTTLED_FOLLOWERS: &str = "follower.replication.throttled.replicas";

/// The replicas of one topic between which is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Those that there are: each may be the leader.
    pub leaders: Vec<String>,
    /// Those that come.
    pub followers: Vec<String>,
}

impl Throttled {
    /// The properties with their values.
    pub fn properties(&self) -> [(&'static str, String); 2] {
        [
            (THROTTLED_LEADERS, self.leaders.join(",")),
            (THROTTLED_FOLLOWERS, self.followers.join(",")),
        ]
    }
}

/// What is copied when these moves are carried out, topic by topic.
pub fn throttled<'a>(moves: impl IntoIterator<Item = &'a Move>) -> BTreeMap<&'a str, Throttled> {
    let mut topics: BTreeMap<&str, Throttled> = BTreeMap::new();
    for one in moves.into_iter().filter(|one| !one.is_reorder()) {
        let topic = topics.entry(&one.topic).or_default();
        let named = |id: i32| format!("{}:{id}", one.partition);
        topic.leaders.extend(one.from.iter().copied().map(named));
        topic.followers.extend(one.adding().map(named));
    }
    topics
}
