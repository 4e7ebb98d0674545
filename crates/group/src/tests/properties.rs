//! Random requests, time and failures of the log: nothing panics, every request is answered once,
//! generations never go back, and what was written describes what is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{ErrorCode, Uuid};
use proptest::prelude::*;

use super::harness::*;
use crate::records::{self, Record};
use crate::*;

/// One thing that happens. Members are picked by number among those that have ever been named.
#[derive(Debug, Clone)]
enum Step {
    Join {
        group: u8,
        known_id: bool,
        sticky: bool,
    },
    JoinStatic {
        group: u8,
        pod: u8,
        skip: bool,
    },
    Rejoin {
        member: usize,
        changed: bool,
    },
    Sync {
        member: usize,
        old: bool,
    },
    Heartbeat {
        member: usize,
    },
    Leave {
        member: usize,
    },
    LeaveStatic {
        group: u8,
        pod: u8,
    },
    Commit {
        member: usize,
        offset: i64,
    },
    CommitSimple {
        group: u8,
        offset: i64,
        retention: bool,
    },
    CommitInTransaction {
        group: u8,
        producer: u8,
        offset: i64,
    },
    EndTransaction {
        producer: u8,
        commit: bool,
    },
    DeleteGroup {
        group: u8,
    },
    DeleteOffset {
        group: u8,
    },
    Fetch {
        group: u8,
        stable: bool,
    },
    DeleteTopic {
        id: u8,
    },
    /// All clients of a group send their SyncGroup, and the log keeps up.
    SyncAll {
        group: u8,
    },
    /// All clients of a group join again.
    RejoinAll {
        group: u8,
    },
    Settle {
        fails: bool,
    },
    Pass {
        ms: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = 0..12usize;
    let group = 0..2u8;
    let step = prop_oneof![
        4 => (group.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(group, known_id, sticky)| Step::Join { group, known_id, sticky }),
        3 => (group.clone(), 0..3u8, any::<bool>())
            .prop_map(|(group, pod, skip)| Step::JoinStatic { group, pod, skip }),
        8 => (member.clone(), prop::bool::weighted(0.2))
            .prop_map(|(member, changed)| Step::Rejoin { member, changed }),
        10 => (member.clone(), prop::bool::weighted(0.1))
            .prop_map(|(member, old)| Step::Sync { member, old }),
        4 => member.clone().prop_map(|member| Step::Heartbeat { member }),
        2 => member.clone().prop_map(|member| Step::Leave { member }),
        1 => (group.clone(), 0..3u8).prop_map(|(group, pod)| Step::LeaveStatic { group, pod }),
        4 => (member, 0..100i64).prop_map(|(member, offset)| Step::Commit { member, offset }),
        2 => (group.clone(), 0..100i64, any::<bool>()).prop_map(|(group, offset, retention)| {
            Step::CommitSimple { group, offset, retention }
        }),
        4 => (group.clone(), 0..3u8, 0..100i64).prop_map(|(group, producer, offset)| {
            Step::CommitInTransaction { group, producer, offset }
        }),
        3 => (0..3u8, any::<bool>())
            .prop_map(|(producer, commit)| Step::EndTransaction { producer, commit }),
        1 => group.clone().prop_map(|group| Step::DeleteGroup { group }),
        1 => group.clone().prop_map(|group| Step::DeleteOffset { group }),
        8 => group.clone().prop_map(|group| Step::SyncAll { group }),
        4 => group.clone().prop_map(|group| Step::RejoinAll { group }),
        2 => (group, any::<bool>()).prop_map(|(group, stable)| Step::Fetch { group, stable }),
        1 => (0..2u8).prop_map(|id| Step::DeleteTopic { id }),
        10 => prop::bool::weighted(0.15).prop_map(|fails| Step::Settle { fails }),
        10 => prop_oneof![
            4 => Just(1i64),
            8 => Just(3_000),
            4 => Just(10_000),
            1 => Just(31_000),
            1 => Just(61_000),
            1 => Just(700_000),
            1 => Just(8 * 24 * 60 * 60 * 1_000),
        ]
        .prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..120)
}

/// A member as its client remembers it.
#[derive(Clone)]
struct Client {
    group: Arc<str>,
    member_id: Arc<str>,
    generation_id: i32,
    pod: Option<Arc<str>>,
}

struct World {
    h: Harness,
    clients: Vec<Client>,
    /// Who waits under which token.
    asked_by: BTreeMap<Token, Client>,
    generations: BTreeMap<Arc<str>, i32>,
    /// Groups whose newest record could not be written.
    unwritten: BTreeSet<Arc<str>>,
}

fn group_id(group: u8) -> Arc<str> {
    format!("g{group}").into()
}

impl World {
    fn new() -> Self {
        let mut h = Harness::with(Options {
            group_size_max: 4,
            ..Options::default()
        });
        h.instant_log = false;
        World {
            h,
            clients: Vec::new(),
            asked_by: BTreeMap::new(),
            generations: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        }
    }

    fn client(&self, n: usize) -> Option<Client> {
        // The newest ones, so that those of long ago do not crowd the others out.
        self.clients.iter().rev().nth(n).cloned()
    }

    fn join(&mut self, client: Client, mut request: JoinRequest) {
        request.group_id = client.group.clone();
        request.member_id = client.member_id.clone();
        request.group_instance_id = client.pod.clone();
        let token = self.h.send(Request::Join(request));
        self.asked_by.insert(token, client);
    }

    fn take(&mut self, step: Step) {
        let no_id = |group: u8, pod: Option<u8>| Client {
            group: group_id(group),
            member_id: "".into(),
            generation_id: -1,
            pod: pod.map(|pod| format!("pod-{pod}").into()),
        };
        match step {
            Step::Join {
                group,
                known_id,
                sticky,
            } => {
                let mut request = join_request("c");
                request.requires_known_member_id = known_id;
                if sticky {
                    request.protocols.insert(0, protocol("sticky", "t"));
                }
                self.join(no_id(group, None), request);
            }
            Step::JoinStatic { group, pod, skip } => {
                let mut request = join_request("c");
                request.supports_skip_assignment = skip;
                self.join(no_id(group, Some(pod)), request);
            }
            Step::Rejoin { member, changed } => {
                if let Some(client) = self.client(member) {
                    let mut request = join_request("c");
                    if changed {
                        request.protocols = vec![protocol("range", "other")];
                    }
                    self.join(client, request);
                }
            }
            Step::Sync { member, old } => {
                if let Some(client) = self.client(member) {
                    self.sync(&client, client.generation_id - i32::from(old));
                }
            }
            Step::Heartbeat { member } => {
                if let Some(client) = self.client(member) {
                    self.h.send(Request::Heartbeat(HeartbeatRequest {
                        group_id: client.group,
                        generation_id: client.generation_id,
                        member_id: client.member_id,
                        group_instance_id: client.pod,
                    }));
                }
            }
            Step::Leave { member } => {
                if let Some(client) = self.client(member) {
                    self.leave(&client);
                }
            }
            Step::LeaveStatic { group, pod } => self.leave(&no_id(group, Some(pod))),
            Step::Commit { member, offset } => {
                if let Some(client) = self.client(member) {
                    let mut request =
                        commit_request(&client.member_id, client.generation_id, offset);
                    request.group_id = client.group;
                    self.h.send(Request::OffsetCommit(request));
                }
            }
            Step::CommitSimple {
                group,
                offset,
                retention,
            } => {
                let mut request = commit_request("", -1, offset);
                request.group_id = group_id(group);
                request.topics[0].topic_id = Uuid([(offset % 2) as u8; 16]);
                request.retention_time_ms = retention.then_some(5_000);
                self.h.send(Request::OffsetCommit(request));
            }
            Step::CommitInTransaction {
                group,
                producer,
                offset,
            } => {
                let mut request = txn_commit_request(i64::from(producer), "", -1, offset);
                request.group_id = group_id(group);
                request.topics[0].topic_id = Uuid([(offset % 2) as u8; 16]);
                self.h.send(Request::TxnOffsetCommit(request));
            }
            Step::EndTransaction { producer, commit } => {
                self.h.end(i64::from(producer), commit);
            }
            Step::DeleteGroup { group } => {
                self.h.send(Request::DeleteGroup(DeleteGroupRequest {
                    group_id: group_id(group),
                }));
            }
            Step::DeleteOffset { group } => {
                self.h.send(Request::OffsetDelete(OffsetDeleteRequest {
                    group_id: group_id(group),
                    topics: vec![OffsetDeleteTopic {
                        topic: "t".into(),
                        partitions: vec![0],
                    }],
                }));
            }
            Step::Fetch { group, stable } => {
                self.h.send(Request::OffsetFetch(OffsetFetchRequest {
                    group_id: group_id(group),
                    member_id: None,
                    member_epoch: -1,
                    topics: None,
                    require_stable: stable,
                }));
            }
            Step::DeleteTopic { id } => {
                let topics = [("t".into(), Uuid([id; 16]))];
                let effects = self.h.coordinator.topics_deleted(self.h.now_ms, &topics);
                self.h.carry_out(effects);
            }
            Step::SyncAll { group } => {
                for client in self.clients_of(group) {
                    self.sync(&client, client.generation_id);
                }
                self.compare();
            }
            Step::RejoinAll { group } => {
                for client in self.clients_of(group) {
                    self.join(client, join_request("c"));
                }
            }
            Step::Settle { fails } => self.settle(fails),
            Step::Pass { ms } => self.h.pass(ms),
        }
        self.look();
    }

    fn clients_of(&self, group: u8) -> Vec<Client> {
        let group = group_id(group);
        let clients = self.clients.iter().filter(|c| c.group == group);
        clients.cloned().collect()
    }

    fn sync(&mut self, client: &Client, generation_id: i32) {
        let mut request = sync_request(&client.member_id, generation_id);
        request.group_id = client.group.clone();
        request.protocol_name = None;
        request.assignments = self
            .clients
            .iter()
            .map(|c| (c.member_id.clone(), c.member_id.as_bytes().to_vec().into()))
            .collect();
        self.h.send(Request::Sync(request));
    }

    /// Lets the log catch up and compares what it says with what is.
    fn compare(&mut self) {
        while !self.h.appends.is_empty() {
            self.settle(false);
        }
        let replayed = self.h.replayed();
        assert_eq!(replayed.offsets, self.h.coordinator.offsets);
        assert_eq!(replayed.skipped_records(), 0);
        for (id, group) in &self.h.coordinator.groups {
            let settled = matches!(group.state, GroupState::Stable | GroupState::Empty);
            if settled && !self.unwritten.contains(id) {
                let ours = persistent(&self.h.coordinator, id);
                assert_eq!(ours, persistent(&replayed, id));
            }
        }
    }

    fn leave(&mut self, client: &Client) {
        self.h.send(Request::Leave(LeaveRequest {
            group_id: client.group.clone(),
            members: vec![LeavingMember {
                member_id: client.member_id.clone(),
                group_instance_id: client.pod.clone(),
                reason: None,
            }],
        }));
    }

    fn settle(&mut self, fails: bool) {
        let Some((_, entry)) = self.h.appends.first() else {
            return;
        };
        for (key, value) in entry.records() {
            let record = records::decode(key, value.as_deref()).unwrap();
            if let Some(Record::Group { group_id, .. }) = record {
                if fails {
                    self.unwritten.insert(group_id);
                } else {
                    self.unwritten.remove(&group_id);
                }
            }
        }
        let outcome = if fails {
            Err(ErrorCode::NotEnoughReplicas)
        } else {
            Ok(())
        };
        self.h.settle(outcome);
    }

    /// Clients take note of their answers, and generations are compared with those before.
    fn look(&mut self) {
        let asked_by = std::mem::take(&mut self.asked_by);
        for (token, mut client) in asked_by {
            let Some(Response::Join(answer)) = self.h.answers.get(&token) else {
                self.asked_by.insert(token, client);
                continue;
            };
            if matches!(answer.error, ErrorCode::None | ErrorCode::MemberIdRequired) {
                client.member_id = answer.member_id.clone();
                client.generation_id = answer.generation_id;
                self.clients.retain(|c| c.member_id != client.member_id);
                self.clients.push(client);
            }
        }
        let groups = &self.h.coordinator.groups;
        self.generations.retain(|id, _| groups.contains_key(id));
        for (id, group) in groups {
            group.assert_consistent();
            let before = self.generations.insert(id.clone(), group.generation_id);
            assert!(before.unwrap_or(0) <= group.generation_id, "{id} went back");
        }
    }

    /// All is written, and everyone who waits has had the time to be answered or dropped.
    fn come_to_rest(&mut self) {
        self.h.settle_all();
        for _ in 0..4 {
            self.h.pass(400_000);
            self.h.settle_all();
            self.look();
        }
    }
}

/// What a group's record says, if the group has one that must describe it.
fn persistent(coordinator: &Coordinator, id: &str) -> Option<Record> {
    let group = coordinator.groups.get(id)?;
    match group.to_record(|m| m.assignment.clone()) {
        Record::Group {
            group_id,
            value: Some(mut value),
        } => {
            // A stable group's record was written while the rebalance was being completed.
            value.state_timestamp_ms = None;
            Some(Record::Group {
                group_id,
                value: Some(value),
            })
        }
        other => Some(other),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_log_describes_the_state(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.compare();
    }

    #[test]
    fn every_request_is_answered_exactly_once(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.come_to_rest();
        // That none is answered twice is asserted when the answers are taken.
        let owed: Vec<Token> =
            (1..=world.h.asked).filter(|token| world.h.is_parked(*token)).collect();
        prop_assert!(owed.is_empty(), "{:?} were never answered", owed);
    }

    #[test]
    fn unloading_answers_all_that_is_owed(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        let effects = world.h.coordinator.unloaded();
        world.h.carry_out(effects);
        prop_assert_eq!(world.h.answers.len() as u64, world.h.asked);
    }

    #[test]
    fn records_of_any_bytes_do_no_harm(
        records in prop::collection::vec(
            (0..4u8, prop::collection::vec(any::<u8>(), 0..30),
             prop::option::of(prop::collection::vec(any::<u8>(), 0..60))), 0..20),
    ) {
        let mut coordinator = Coordinator::new(Options::default());
        for (kind, rest, value) in records {
            let mut key = vec![0, kind];
            key.extend(rest);
            let _ = coordinator.apply(None, &key, value.as_deref());
        }
        coordinator.loaded(0);
        coordinator.tick(i64::MAX);
    }
}
