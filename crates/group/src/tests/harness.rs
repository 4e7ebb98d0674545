//! A driver for tests: it keeps the log, the time, and the answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_model::{ErrorCode, TopicId};

use crate::*;

/// One batch of the log.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Records {
        producer_id: Option<i64>,
        records: Vec<KeyValue>,
    },
    Marker {
        producer_id: i64,
        commit: bool,
    },
}

impl Entry {
    pub(super) fn records(&self) -> &[KeyValue] {
        match self {
            Entry::Records { records, .. } => records,
            Entry::Marker { .. } => &[],
        }
    }
}

/// Requests take 64-bit tokens; tests count them up.
pub(super) struct Harness {
    pub(super) coordinator: Coordinator,
    pub(super) now_ms: i64,
    pub(super) answers: BTreeMap<Token, Response>,
    pub(super) asked: u64,
    /// Appends that have not been settled yet.
    pub(super) appends: Vec<(AppendId, Entry)>,
    /// What is durable.
    pub(super) log: Vec<Entry>,
    pub(super) notices: Vec<Notice>,
    /// Whether appends become durable at once.
    pub(super) instant_log: bool,
}

impl Harness {
    pub(super) fn new() -> Self {
        Harness::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let mut harness = Harness {
            coordinator: Coordinator::new(options),
            now_ms: 1_000_000,
            answers: BTreeMap::new(),
            asked: 0,
            appends: Vec::new(),
            log: Vec::new(),
            notices: Vec::new(),
            instant_log: true,
        };
        let effects = harness.coordinator.loaded(harness.now_ms);
        harness.carry_out(effects);
        harness
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, response } => {
                    assert!(token <= self.asked, "token {token} was never given");
                    let twice = self.answers.insert(token, response);
                    assert!(
                        twice.is_none(),
                        "token {token} is answered twice: {twice:?}"
                    );
                }
                Effect::Append {
                    append_id,
                    records,
                    producer,
                } => {
                    assert!(!records.is_empty());
                    let producer_id = producer.map(|p| p.id);
                    let entry = Entry::Records {
                        producer_id,
                        records,
                    };
                    self.appends.push((append_id, entry));
                }
                Effect::AppendMarker { append_id, marker } => {
                    let entry = Entry::Marker {
                        producer_id: marker.producer.id,
                        commit: marker.commit,
                    };
                    self.appends.push((append_id, entry));
                }
                Effect::Notice(notice) => self.notices.push(notice),
            }
        }
        while self.instant_log && !self.appends.is_empty() {
            self.settle(Ok(()));
        }
    }

    /// Settles the oldest append.
    pub(super) fn settle(&mut self, outcome: Result<(), ErrorCode>) {
        let (append_id, entry) = self.appends.remove(0);
        if outcome.is_ok() {
            self.log.push(entry);
        }
        let effects = self.coordinator.appended(self.now_ms, append_id, outcome);
        self.carry_out(effects);
    }

    pub(super) fn settle_all(&mut self) {
        while !self.appends.is_empty() {
            self.settle(Ok(()));
        }
    }

    /// Sends a request and returns its token.
    pub(super) fn send(&mut self, request: Request) -> Token {
        self.asked += 1;
        let mut random = [0; 16];
        random[..8].copy_from_slice(&self.asked.to_be_bytes());
        let effects = self
            .coordinator
            .handle(self.now_ms, self.asked, request, random);
        self.carry_out(effects);
        self.asked
    }

    /// Somebody sets the clock; no time passes.
    pub(super) fn set_clock(&mut self, by_ms: i64) {
        self.now_ms += by_ms;
        self.coordinator.clock_stepped(by_ms);
    }

    /// Lets time pass, firing what falls due on the way, in the order in which it does.
    pub(super) fn pass(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some(deadline_ms) = self.coordinator.next_deadline_ms() {
            if deadline_ms > end_ms {
                break;
            }
            self.now_ms = self.now_ms.max(deadline_ms);
            let effects = self.coordinator.tick(self.now_ms);
            self.carry_out(effects);
        }
        self.now_ms = end_ms;
    }

    pub(super) fn is_parked(&self, token: Token) -> bool {
        !self.answers.contains_key(&token)
    }

    pub(super) fn joined(&self, token: Token) -> &JoinResponse {
        match self.answers.get(&token) {
            Some(Response::Join(answer)) => answer,
            other => panic!("token {token} has {other:?}, not an answer to JoinGroup"),
        }
    }

    pub(super) fn synced(&self, token: Token) -> &SyncResponse {
        match self.answers.get(&token) {
            Some(Response::Sync(answer)) => answer,
            other => panic!("token {token} has {other:?}, not an answer to SyncGroup"),
        }
    }

    pub(super) fn left(&self, token: Token) -> &LeaveResponse {
        match self.answers.get(&token) {
            Some(Response::Leave(answer)) => answer,
            other => panic!("token {token} has {other:?}, not an answer to LeaveGroup"),
        }
    }

    pub(super) fn committed(&self, token: Token) -> ErrorCode {
        match self.answers.get(&token) {
            Some(Response::OffsetCommit(answer)) => answer.topics[0].partitions[0].1,
            other => panic!("token {token} has {other:?}, not an answer to OffsetCommit"),
        }
    }

    pub(super) fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let token = self.send(Request::Heartbeat(HeartbeatRequest {
            group_id: "g".into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: None,
        }));
        match &self.answers[&token] {
            Response::Heartbeat(error) => *error,
            other => panic!("{other:?} is not an answer to Heartbeat"),
        }
    }

    /// The committed offset of partition 0 of topic `t`.
    pub(super) fn fetch(&mut self) -> i64 {
        let token = self.send(fetch_request(false));
        self.fetched(token)
    }

    pub(super) fn fetched(&self, token: Token) -> i64 {
        match &self.answers[&token] {
            Response::OffsetFetch(answer) => answer.topics[0].partitions[0].offset,
            other => panic!("{other:?} is not an answer to OffsetFetch"),
        }
    }

    /// The error of the same partition when only stable offsets will do.
    pub(super) fn fetch_stable(&mut self) -> Result<i64, ErrorCode> {
        let token = self.send(fetch_request(true));
        match &self.answers[&token] {
            Response::OffsetFetch(answer) => match &answer.topics[0].partitions[0] {
                found if found.error.is_none() => Ok(found.offset),
                found => Err(found.error),
            },
            other => panic!("{other:?} is not an answer to OffsetFetch"),
        }
    }

    pub(super) fn end(&mut self, producer_id: i64, commit: bool) -> Token {
        self.send(Request::EndTransaction(EndTransactionRequest {
            producer: Producer {
                id: producer_id,
                epoch: 0,
            },
            coordinator_epoch: 0,
            commit,
            transaction_version: 2,
        }))
    }

    pub(super) fn ended(&self, token: Token) -> ErrorCode {
        match self.answers.get(&token) {
            Some(Response::EndTransaction(error)) => *error,
            other => panic!("token {token} has {other:?}, not the end of a transaction"),
        }
    }

    pub(super) fn delete_group(&mut self) -> Token {
        self.send(Request::DeleteGroup(DeleteGroupRequest {
            group_id: "g".into(),
        }))
    }

    pub(super) fn deleted(&self, token: Token) -> ErrorCode {
        match self.answers.get(&token) {
            Some(Response::DeleteGroup(error)) => *error,
            other => panic!("token {token} has {other:?}, not an answer to DeleteGroups"),
        }
    }

    pub(super) fn offset_deleted(&self, token: Token) -> &OffsetDeleteResponse {
        match self.answers.get(&token) {
            Some(Response::OffsetDelete(answer)) => answer,
            other => panic!("token {token} has {other:?}, not an answer to OffsetDelete"),
        }
    }

    pub(super) fn describe(&mut self) -> DescribedGroup {
        let token = self.send(Request::Describe(DescribeRequest {
            group_id: "g".into(),
            reports_unknown_group: true,
        }));
        match &self.answers[&token] {
            Response::Describe(group) => group.clone(),
            other => panic!("{other:?} is not an answer to DescribeGroups"),
        }
    }

    pub(super) fn state(&mut self) -> &'static str {
        self.describe().state
    }

    /// Makes a stable group of new members and returns their ids, the leader's first.
    pub(super) fn stable_group(&mut self, clients: &[&str]) -> Vec<std::sync::Arc<str>> {
        let tokens: Vec<Token> = clients.iter().map(|c| self.send(join(c))).collect();
        self.pass(6_000);
        self.sync_all(&tokens)
    }

    /// Sends SyncGroup for everyone who has joined with these tokens; the leader assigns each
    /// member its own id. Returns the ids, the leader's first.
    pub(super) fn sync_all(&mut self, tokens: &[Token]) -> Vec<std::sync::Arc<str>> {
        let answers: Vec<JoinResponse> = tokens.iter().map(|t| self.joined(*t).clone()).collect();
        let leader = answers[0].leader.clone();
        let mut ids = vec![leader.clone()];
        for answer in &answers {
            assert_eq!(answer.error, ErrorCode::None);
            assert_eq!(answer.leader, leader);
            let mut request = sync_request(&answer.member_id, answer.generation_id);
            if answer.member_id == leader {
                request.assignments = answer
                    .members
                    .iter()
                    .map(|m| {
                        let id = m.member_id.clone();
                        (id.clone(), Bytes::copy_from_slice(id.as_bytes()))
                    })
                    .collect();
            } else {
                ids.push(answer.member_id.clone());
            }
            self.send(Request::Sync(request));
        }
        ids
    }

    /// A second coordinator that has read the log of this one.
    pub(super) fn replayed(&self) -> Coordinator {
        let mut coordinator = Coordinator::new(self.coordinator.out.options.clone());
        for entry in &self.log {
            match entry {
                Entry::Records {
                    producer_id,
                    records,
                } => {
                    for (key, value) in records {
                        let value = value.as_deref();
                        coordinator.apply(*producer_id, key, value).unwrap();
                    }
                }
                Entry::Marker {
                    producer_id,
                    commit,
                } => coordinator.apply_marker(*producer_id, *commit),
            }
        }
        coordinator
    }

    /// Puts a coordinator in this one's place that has read its log.
    pub(super) fn restart(&mut self) {
        self.coordinator = self.replayed();
        self.appends.clear();
        let effects = self.coordinator.loaded(self.now_ms);
        self.carry_out(effects);
    }
}

/// A `ConsumerProtocolSubscription` to one topic.
pub(super) fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend([0xff; 4]);
    bytes.into()
}

pub(super) fn protocol(name: &str, topic: &str) -> Protocol {
    Protocol {
        name: name.into(),
        metadata: subscription(topic),
    }
}

/// A first join of group `g` by a client of version 3, which needs no member id.
pub(super) fn join_request(client: &str) -> JoinRequest {
    JoinRequest {
        group_id: "g".into(),
        member_id: "".into(),
        group_instance_id: None,
        client_id: client.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", "t")],
        reason: None,
        requires_known_member_id: false,
        supports_skip_assignment: true,
    }
}

pub(super) fn join(client: &str) -> Request {
    Request::Join(join_request(client))
}

pub(super) fn rejoin(member_id: &str) -> Request {
    Request::Join(JoinRequest {
        member_id: member_id.into(),
        ..join_request("c")
    })
}

pub(super) fn join_static(instance_id: &str) -> Request {
    Request::Join(JoinRequest {
        group_instance_id: Some(instance_id.into()),
        ..join_request("c")
    })
}

pub(super) fn sync_request(member_id: &str, generation_id: i32) -> SyncRequest {
    SyncRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: Vec::new(),
    }
}

pub(super) fn sync(member_id: &str, generation_id: i32) -> Request {
    Request::Sync(sync_request(member_id, generation_id))
}

pub(super) fn leave(member_id: &str, instance_id: Option<&str>) -> Request {
    Request::Leave(LeaveRequest {
        group_id: "g".into(),
        members: vec![LeavingMember {
            member_id: member_id.into(),
            group_instance_id: instance_id.map(Into::into),
            reason: Some("done".into()),
        }],
    })
}

/// A commit of partition 0 of topic `t`.
pub(super) fn commit_request(
    member_id: &str,
    generation_id: i32,
    offset: i64,
) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        retention_time_ms: None,
        reports_unknown_group: true,
        topics: vec![CommitTopic {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partitions: vec![CommitPartition {
                partition: 0,
                offset,
                leader_epoch: 3,
                metadata: Some("note".into()),
            }],
        }],
    }
}

pub(super) fn commit(member_id: &str, generation_id: i32, offset: i64) -> Request {
    Request::OffsetCommit(commit_request(member_id, generation_id, offset))
}

/// The same commit in the transaction of a producer.
pub(super) fn txn_commit_request(
    producer_id: i64,
    member_id: &str,
    generation_id: i32,
    offset: i64,
) -> TxnOffsetCommitRequest {
    let plain = commit_request(member_id, generation_id, offset);
    TxnOffsetCommitRequest {
        group_id: plain.group_id,
        producer: Producer {
            id: producer_id,
            epoch: 0,
        },
        generation_id,
        member_id: plain.member_id,
        group_instance_id: None,
        reports_unknown_group: true,
        topics: plain.topics,
    }
}

pub(super) fn txn_commit(producer_id: i64, offset: i64) -> Request {
    Request::TxnOffsetCommit(txn_commit_request(producer_id, "", -1, offset))
}

/// A deletion of the offset of partition 0 of topic `t`.
pub(super) fn delete_offset() -> Request {
    Request::OffsetDelete(OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![OffsetDeleteTopic {
            topic: "t".into(),
            partitions: vec![0],
        }],
    })
}

pub(super) fn fetch_request(require_stable: bool) -> Request {
    Request::OffsetFetch(OffsetFetchRequest {
        group_id: "g".into(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![FetchTopic {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partitions: vec![0],
        }]),
        require_stable,
    })
}
