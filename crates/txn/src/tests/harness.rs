//! A driver whose log, markers and producer ids do what a test says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_model::{ErrorCode, ProducerEpoch, ProducerId, TopicName, TopicPartition};

use crate::*;

pub(super) const V0: TransactionVersion = TransactionVersion::V0;
pub(super) const V2: TransactionVersion = TransactionVersion::V2;
pub(super) const ID: &str = "orders";

pub(super) struct Harness {
    pub(super) coordinator: Coordinator,
    pub(super) options: Options,
    pub(super) now_ms: i64,
    /// What is durable.
    pub(super) log: Vec<KeyValue>,
    pub(super) replies: BTreeMap<Token, Response>,
    pub(super) appends: VecDeque<(AppendId, Vec<KeyValue>)>,
    pub(super) markers: VecDeque<Markers>,
    /// All markers that were ever written.
    pub(super) written: Vec<Markers>,
    pub(super) notices: Vec<Notice>,
    pub(super) ids_wanted: usize,
    pub(super) next_producer_id: ProducerId,
    /// Whether the log answers at once.
    pub(super) instant_log: bool,
    /// Whether partitions answer at once.
    pub(super) instant_markers: bool,
    /// Whether there is always a producer id.
    pub(super) instant_ids: bool,
    pub(super) next_token: Token,
}

impl Harness {
    pub(super) fn new() -> Self {
        Harness::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let mut harness = Harness {
            coordinator: Coordinator::new(options.clone()),
            options,
            now_ms: 1_000_000,
            log: Vec::new(),
            replies: BTreeMap::new(),
            appends: VecDeque::new(),
            markers: VecDeque::new(),
            written: Vec::new(),
            notices: Vec::new(),
            ids_wanted: 0,
            next_producer_id: 7_000,
            instant_log: true,
            instant_markers: true,
            instant_ids: true,
            next_token: 0,
        };
        let effects = harness.coordinator.loaded(harness.now_ms);
        harness.carry_out(effects);
        harness
    }

    /// Another node, or this one after a crash: only the log is left.
    pub(super) fn restart(&mut self) {
        self.appends.clear();
        self.markers.clear();
        self.ids_wanted = 0;
        self.coordinator = Coordinator::new(self.options.clone());
        for (key, value) in &self.log {
            self.coordinator.apply(key, value.as_deref()).unwrap();
        }
        let effects = self.coordinator.loaded(self.now_ms);
        self.carry_out(effects);
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Reply { token, response } => {
                    let before = self.replies.insert(token, response);
                    assert_eq!(before, None, "request {token} was answered twice");
                }
                Effect::Append { append_id, records } if self.instant_log => {
                    self.log.extend(records);
                    effects.extend(self.coordinator.appended(self.now_ms, append_id, Ok(())));
                }
                Effect::Append { append_id, records } => {
                    self.appends.push_back((append_id, records));
                }
                Effect::WriteMarkers(markers) if self.instant_markers => {
                    effects.extend(self.report(markers, MarkerOutcome::Written));
                }
                Effect::WriteMarkers(markers) => self.markers.push_back(markers),
                Effect::AllocateProducerId if self.instant_ids => effects.extend(self.new_id()),
                Effect::AllocateProducerId => self.ids_wanted += 1,
                Effect::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    fn report(&mut self, markers: Markers, outcome: MarkerOutcome) -> Vec<Effect> {
        if outcome == MarkerOutcome::Written {
            self.written.push(markers.clone());
        }
        let outcomes = markers.partitions.iter().map(|p| (p.clone(), outcome));
        self.coordinator.marked(
            self.now_ms,
            &markers.transactional_id,
            markers.marking_id,
            outcomes.collect(),
        )
    }

    fn new_id(&mut self) -> Vec<Effect> {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        self.coordinator.producer_id_allocated(self.now_ms, Ok(id))
    }

    /// The oldest append's outcome.
    pub(super) fn settle_append(&mut self, outcome: Result<(), ErrorCode>) {
        let (append_id, records) = self.appends.pop_front().expect("an append is on its way");
        if outcome.is_ok() {
            self.log.extend(records);
        }
        let effects = self.coordinator.appended(self.now_ms, append_id, outcome);
        self.carry_out(effects);
    }

    /// The oldest markers' outcome, the same in each partition.
    pub(super) fn settle_markers(&mut self, outcome: MarkerOutcome) {
        let markers = self.markers.pop_front().expect("markers are on their way");
        let effects = self.report(markers, outcome);
        self.carry_out(effects);
    }

    /// Answers the oldest wish for a producer id.
    pub(super) fn settle_id(&mut self, outcome: Result<(), ErrorCode>) {
        assert!(self.ids_wanted > 0, "nobody wants a producer id");
        self.ids_wanted -= 1;
        let effects = match outcome {
            Ok(()) => self.new_id(),
            Err(error) => self
                .coordinator
                .producer_id_allocated(self.now_ms, Err(error)),
        };
        self.carry_out(effects);
    }

    /// Time passes, with every deadline on the way.
    pub(super) fn pass(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        for _ in 0..200_000 {
            match self.coordinator.next_deadline_ms() {
                Some(at_ms) if at_ms <= end_ms => {
                    self.now_ms = self.now_ms.max(at_ms);
                    let effects = self.coordinator.tick(self.now_ms);
                    self.carry_out(effects);
                }
                _ => {
                    self.now_ms = end_ms;
                    return;
                }
            }
        }
        panic!("a deadline does not go away");
    }

    pub(super) fn ask(&mut self, request: Request) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        let effects = self.coordinator.handle(self.now_ms, token, request);
        self.carry_out(effects);
        token
    }

    pub(super) fn call(&mut self, request: Request) -> Response {
        let token = self.ask(request);
        let reply = self.replies.remove(&token);
        reply.expect("the request is answered at once")
    }

    pub(super) fn init(&mut self) -> InitResponse {
        self.init_as(None)
    }

    pub(super) fn init_as(&mut self, expected: Option<ProducerIdAndEpoch>) -> InitResponse {
        match self.call(init_request(expected)) {
            Response::Init(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn add(
        &mut self,
        producer: ProducerIdAndEpoch,
        partitions: &[(&str, i32)],
        version: TransactionVersion,
    ) -> ErrorCode {
        match self.call(add_request(producer, partitions, version)) {
            Response::AddPartitions(code) => code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn verify(
        &mut self,
        producer: ProducerIdAndEpoch,
        partition: (&str, i32),
    ) -> Result<ErrorCode, ErrorCode> {
        let request = Request::Verify(VerifyRequest {
            transactional_id: ID.into(),
            producer,
            partitions: [at(partition)].into(),
        });
        match self.call(request) {
            Response::Verify(response) => response.map(|codes| codes[&at(partition)]),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn end(
        &mut self,
        producer: ProducerIdAndEpoch,
        commit: bool,
        version: TransactionVersion,
    ) -> EndResponse {
        match self.call(end_request(producer, commit, version)) {
            Response::End(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn describe(&mut self) -> Result<Described, ErrorCode> {
        match self.call(Request::Describe(ID.into())) {
            Response::Describe(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self) -> TransactionState {
        self.describe().unwrap().state
    }

    /// A producer with an open transaction in one partition.
    pub(super) fn ongoing(&mut self, version: TransactionVersion) -> ProducerIdAndEpoch {
        let producer = self.init().unwrap();
        assert_eq!(self.add(producer, &[("a", 0)], version), ErrorCode::None);
        producer
    }

    /// Puts a record in place as if it had been in the log.
    pub(super) fn store(&mut self, transaction: &crate::transaction::Transaction) {
        let (key, value) = crate::records::encode(ID, Some(transaction));
        self.coordinator.apply(&key, value.as_deref()).unwrap();
        self.log.push((key, value));
    }
}

pub(super) fn at((topic, partition): (&str, i32)) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), partition)
}

pub(super) fn producer(
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch {
        producer_id,
        producer_epoch,
    }
}

pub(super) fn init_request(expected: Option<ProducerIdAndEpoch>) -> Request {
    Request::Init(InitRequest {
        transactional_id: ID.into(),
        transaction_timeout_ms: 60_000,
        enable_two_phase_commit: false,
        keep_prepared_transaction: false,
        expected,
    })
}

pub(super) fn add_request(
    producer: ProducerIdAndEpoch,
    partitions: &[(&str, i32)],
    client_version: TransactionVersion,
) -> Request {
    Request::AddPartitions(AddPartitionsRequest {
        transactional_id: ID.into(),
        producer,
        partitions: partitions.iter().map(|p| at(*p)).collect(),
        client_version,
        patience_ms: 0,
    })
}

pub(super) fn end_request(
    producer: ProducerIdAndEpoch,
    commit: bool,
    client_version: TransactionVersion,
) -> Request {
    Request::End(EndRequest {
        transactional_id: ID.into(),
        producer,
        commit,
        client_version,
    })
}

pub(super) fn id() -> Arc<str> {
    ID.into()
}
