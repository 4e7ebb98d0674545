//! Random members, topics, time, losses and failures of the log, with clients that remember what
//! they read: no partition is ever read by two of them, and once they are left in peace, every
//! partition is read by one.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::{ErrorCode, PartitionIndex, TopicId};
use proptest::prelude::*;

use super::harness::*;
use crate::*;

const CLIENTS: usize = 5;
const TOPICS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// A client joins (anew), reading some of the topics, by names or by an expression.
    Join {
        client: usize,
        topics: u8,
        regex: bool,
        is_static: bool,
        range: bool,
    },
    /// A heartbeat. The client first gives up what it was told to, if it obeys; its answer may be
    /// lost.
    Beat {
        client: usize,
        obeys: bool,
        lost: bool,
    },
    Leave {
        client: usize,
        for_a_while: bool,
    },
    Topic {
        topic: usize,
        partitions: i32,
    },
    Settle {
        fails: bool,
    },
    Pass {
        ms: i64,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..CLIENTS;
    let step = prop_oneof![
        6 => (client.clone(), 0..8u8, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(client, topics, regex, is_static, range)| Step::Join {
                client, topics, regex, is_static, range,
            }),
        24 => (client.clone(), prop::bool::weighted(0.7), prop::bool::weighted(0.2))
            .prop_map(|(client, obeys, lost)| Step::Beat { client, obeys, lost }),
        2 => (client, any::<bool>())
            .prop_map(|(client, for_a_while)| Step::Leave { client, for_a_while }),
        3 => (0..TOPICS.len(), 0..6i32)
            .prop_map(|(topic, partitions)| Step::Topic { topic, partitions }),
        16 => prop::bool::weighted(0.1).prop_map(|fails| Step::Settle { fails }),
        3 => prop_oneof![Just(1i64), Just(5_000), Just(30_000), Just(50_000)]
            .prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..150)
}

type Held = BTreeSet<(TopicId, PartitionIndex)>;

/// A client, as it sees itself.
#[derive(Debug, Default, Clone)]
struct Client {
    member_id: String,
    instance_id: Option<String>,
    epoch: i32,
    /// What it reads.
    reads: Held,
    /// What it was last told to read.
    told: Held,
    is_member: bool,
    /// What it has joined with.
    joined_with: Option<ConsumerHeartbeatRequest>,
    /// Whether an answer was lost or an error: it says everything again, and is told everything.
    says_all: bool,
}

struct Model {
    w: World,
    clients: Vec<Client>,
    /// Who waits for which answer, and whether that will be lost.
    waiting: BTreeMap<Token, (usize, String, bool)>,
    /// Ids are used once: a client that joins anew is another member.
    joined: usize,
}

impl Model {
    fn new() -> Self {
        let mut w = World::with(|o| o.consumer.group_size_max = 4);
        w.set_topic("c", 3);
        w.h.instant_log = false;
        Model {
            w,
            clients: vec![Client::default(); CLIENTS],
            waiting: BTreeMap::new(),
            joined: 0,
        }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Join {
                client,
                topics,
                regex,
                is_static,
                range,
            } => {
                self.join(client, topics, regex, is_static, range);
            }
            Step::Beat {
                client,
                obeys,
                lost,
            } => self.beat(client, obeys, lost),
            Step::Leave {
                client,
                for_a_while,
            } => self.leave(client, for_a_while),
            Step::Topic { topic, partitions } => {
                // Kafka never takes partitions away.
                let name = TOPICS[topic];
                let now = self.w.cluster.topics.get(name).map_or(0, |t| t.1);
                if partitions == 0 || partitions > now {
                    self.w.set_topic(name, partitions);
                }
            }
            Step::Settle { fails } => {
                if !self.w.h.appends.is_empty() {
                    let failure = Err(ErrorCode::KafkaStorageError);
                    self.w.h.settle(if fails { failure } else { Ok(()) });
                }
            }
            Step::Pass { ms } => self.w.h.pass(ms),
            Step::Restart => {
                self.w.h.settle_all();
                self.hear();
                self.w.h.restart();
                self.w.show();
                self.w.check_replay();
            }
        }
        self.hear();
        self.check_disjoint();
    }

    fn send(&mut self, client: usize, request: ConsumerHeartbeatRequest, lost: bool) {
        let id = self.clients[client].member_id.clone();
        // One request at a time, as clients do.
        if !self
            .waiting
            .values()
            .any(|(c, i, _)| *c == client && *i == id)
        {
            let token = self.w.h.send(Request::ConsumerHeartbeat(request));
            self.waiting.insert(token, (client, id, lost));
        }
    }

    fn join(&mut self, client: usize, topics: u8, regex: bool, is_static: bool, range: bool) {
        self.joined += 1;
        let names = TOPICS
            .iter()
            .enumerate()
            .filter(|(i, _)| topics & (1 << i) != 0);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        let member_id = format!("m{:03}", self.joined);
        let mut request = match regex && !names.is_empty() {
            true => joins_by_regex(&member_id, &names.join("|")),
            false => joins(&member_id, &names),
        };
        let instance_id = is_static.then(|| format!("pod{client}"));
        request.instance_id = instance_id.as_deref().map(Into::into);
        request.assignor = range.then(|| "range".into());
        // Whatever it was before, it has stopped reading.
        self.clients[client] = Client {
            member_id,
            instance_id,
            is_member: true,
            joined_with: Some(request.clone()),
            ..Client::default()
        };
        self.send(client, request, false);
    }

    fn beat(&mut self, client: usize, obeys: bool, lost: bool) {
        let c = &mut self.clients[client];
        if !c.is_member || c.epoch == 0 {
            return;
        }
        if obeys {
            c.reads = c.told.clone();
        }
        let mut request = beats(&c.member_id, c.epoch);
        request.instance_id = c.instance_id.as_deref().map(Into::into);
        let mut owned: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
        for (topic, partition) in &c.reads {
            owned.entry(*topic).or_default().push(*partition);
        }
        request.owned = Some(owned.into_iter().collect());
        if let Some(joined_with) = c.joined_with.clone().filter(|_| c.says_all) {
            request.rebalance_timeout_ms = joined_with.rebalance_timeout_ms;
            request.topics = joined_with.topics;
            request.regex = joined_with.regex;
        }
        self.send(client, request, lost);
    }

    fn leave(&mut self, client: usize, for_a_while: bool) {
        let c = &mut self.clients[client];
        if !c.is_member {
            return;
        }
        let for_a_while = for_a_while && c.instance_id.is_some();
        let mut request = beats(&c.member_id, if for_a_while { -2 } else { -1 });
        request.instance_id = c.instance_id.as_deref().map(Into::into);
        *c = Client::default();
        let token = self.w.h.send(Request::ConsumerHeartbeat(request));
        self.waiting.insert(token, (client, String::new(), true));
    }

    /// Clients take their answers.
    fn hear(&mut self) {
        let arrived: Vec<_> = self.waiting.keys().copied().collect();
        for token in arrived
            .into_iter()
            .filter(|t| self.w.h.answers.contains_key(t))
        {
            let (client, id, lost) = self.waiting.remove(&token).unwrap();
            let answer = self.w.beaten(token);
            let c = &mut self.clients[client];
            if c.member_id != id {
                continue;
            }
            c.says_all = lost || answer.error == ErrorCode::NotCoordinator;
            if lost {
                continue;
            }
            match answer.error {
                ErrorCode::None => {
                    c.epoch = answer.member_epoch;
                    if let Some(assignment) = answer.assignment {
                        let topics = assignment.into_iter();
                        let told: Held = topics
                            .flat_map(|(t, partitions)| partitions.into_iter().map(move |p| (t, p)))
                            .collect();
                        // New partitions it reads at once; others it gives up when it obeys.
                        c.reads.extend(told.iter().copied());
                        c.told = told;
                    }
                }
                // Joined in vain, or to be repeated.
                ErrorCode::NotCoordinator if c.epoch > 0 => {}
                _ => *c = Client::default(),
            }
        }
    }

    /// No two clients whose place in the group is durable read the same partition. One that was
    /// removed without having heard of it does not count: nobody can reach it.
    fn check_disjoint(&self) {
        let durable = self.w.h.replayed();
        let Some(group) = durable.consumers.get("g") else {
            return;
        };
        let mut read = BTreeMap::new();
        for client in self.clients.iter().filter(|c| c.is_member) {
            if !group.members.contains_key(&*client.member_id) {
                continue;
            }
            for partition in &client.reads {
                let other = read.insert(*partition, &client.member_id);
                assert_eq!(
                    other, None,
                    "{partition:?} is read by {} too",
                    client.member_id
                );
            }
        }
    }

    /// Lets everyone finish.
    fn finish(&mut self) {
        self.w.h.settle_all();
        self.hear();
        for _ in 0..40 {
            for client in 0..CLIENTS {
                self.beat(client, true, false);
                self.w.h.settle_all();
                self.hear();
                self.check_disjoint();
            }
            self.w.h.pass(2_000);
            self.w.h.settle_all();
        }
        self.w.check_replay();
        let Some(group) = self.w.h.coordinator.consumers.get("g") else {
            return;
        };
        // Static members that are away, and those whose client has joined anew, are gone by now.
        let known: BTreeSet<&str> = group.members.keys().map(|id| &**id).collect();
        let present = self.clients.iter().filter(|c| c.is_member);
        assert_eq!(
            present.map(|c| &*c.member_id).collect::<BTreeSet<_>>(),
            known
        );
        let mut all = Held::new();
        for name in group.subscribed_topics() {
            if let Some(topic) = self.w.cluster.topic(&name) {
                all.extend((0..topic.partitions).map(|p| (topic.id, p)));
            }
        }
        let read: Held = self.clients.iter().flat_map(|c| c.reads.clone()).collect();
        assert_eq!(read, all);
        if !group.members.is_empty() {
            assert_eq!(group.state().name(), "Stable");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_partition_is_read_twice_and_in_the_end_each_is_read(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.play(step);
        }
        model.finish();
    }
}
