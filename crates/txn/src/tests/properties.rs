//! Random producers, delays, repetitions, crashes and failures of the log, against a model of the
//! partitions that the producers write to: no transaction is torn, none is committed that its
//! producer did not commit, what was promised happens, and nothing stays open.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::ErrorCode;
use proptest::prelude::*;

use super::harness::*;
use crate::*;

const PARTITIONS: i32 = 3;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A producer without anything under way does its next thing.
    Act {
        client: usize,
        partition: i32,
        end: bool,
        commit: bool,
    },
    /// What a producer has sent arrives.
    Deliver {
        client: usize,
    },
    /// A message of version 2 that was sent at any time before arrives again.
    Repeat {
        message: usize,
    },
    /// The producer's process is replaced by a new one.
    Replace {
        client: usize,
    },
    /// The log answers.
    Settle {
        ok: bool,
    },
    /// The partitions answer.
    Mark {
        answers: Vec<Answer>,
    },
    /// A producer id is there, or not.
    Id {
        ok: bool,
    },
    Pass {
        ms: i64,
    },
    /// The coordinator dies; so many of the appends on their way have reached the disk.
    Crash {
        durable: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Written,
    /// It was written, but the answer is lost.
    Lost,
    Refused,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..3usize;
    let answer = prop_oneof![4 => Just(Answer::Written), 1 => Just(Answer::Lost), 1 => Just(Answer::Refused)];
    let answers = prop::collection::vec(answer, PARTITIONS as usize);
    let step = prop_oneof![
        20 => (client.clone(), 0..PARTITIONS, any::<bool>(), any::<bool>())
            .prop_map(|(client, partition, end, commit)| Step::Act { client, partition, end, commit }),
        30 => client.clone().prop_map(|client| Step::Deliver { client }),
        10 => (0..200usize).prop_map(|message| Step::Repeat { message }),
        2 => client.prop_map(|client| Step::Replace { client }),
        30 => prop::bool::weighted(0.95).prop_map(|ok| Step::Settle { ok }),
        20 => answers.prop_map(|answers| Step::Mark { answers }),
        3 => prop::bool::weighted(0.9).prop_map(|ok| Step::Id { ok }),
        6 => prop_oneof![
            8 => Just(20i64),
            4 => Just(1_000),
            1 => Just(70_000),
            1 => Just(8 * 24 * 60 * 60 * 1_000),
        ].prop_map(|ms| Step::Pass { ms }),
        2 => (0..3usize).prop_map(|durable| Step::Crash { durable }),
    ];
    prop::collection::vec(step, 1..250)
}

/// What a producer sends.
#[derive(Debug, Clone, Copy)]
enum Message {
    Init,
    /// AddPartitionsToTxn; in version 2 it stands for the first half of a Produce.
    Add {
        txn: usize,
        mine: ProducerIdAndEpoch,
        partition: i32,
        write: usize,
    },
    /// A Produce; in version 2 its second half.
    Write {
        txn: usize,
        mine: ProducerIdAndEpoch,
        partition: i32,
        write: usize,
    },
    End {
        txn: usize,
        mine: ProducerIdAndEpoch,
        commit: bool,
    },
}

/// A transaction as its producer knows it.
#[derive(Debug, Default)]
struct Txn {
    /// What EndTxn was sent.
    sent: Option<bool>,
    /// What EndTxn was answered with success.
    promised: Option<bool>,
}

#[derive(Debug)]
struct Client {
    version: TransactionVersion,
    mine: Option<ProducerIdAndEpoch>,
    txn: Option<usize>,
    /// What waits for its answer, or to be sent.
    doing: Option<Message>,
    token: Option<Token>,
}

/// What one partition knows of one producer id.
#[derive(Debug, Default)]
struct Producer {
    epoch: i16,
    /// The open transaction's epoch, and its writes.
    open: Option<(i16, BTreeSet<usize>)>,
    written: BTreeSet<usize>,
}

struct World {
    h: Harness,
    clients: Vec<Client>,
    /// Who waits under which token; `None` for repetitions, whose answers nobody reads.
    asked_by: BTreeMap<Token, (Option<usize>, Message)>,
    /// All messages of version 2.
    sent: Vec<Message>,
    txns: Vec<Txn>,
    /// The transaction of each write.
    writes: Vec<usize>,
    partitions: Vec<BTreeMap<i64, Producer>>,
    /// Whether each write that a marker has decided is committed.
    fates: BTreeMap<usize, bool>,
}

impl World {
    fn new() -> Self {
        let mut h = Harness::new();
        h.instant_log = false;
        h.instant_markers = false;
        h.instant_ids = false;
        let client = |version| Client {
            version,
            mine: None,
            txn: None,
            doing: None,
            token: None,
        };
        World {
            h,
            clients: vec![client(V2), client(V0), client(V2)],
            asked_by: BTreeMap::new(),
            sent: Vec::new(),
            txns: Vec::new(),
            writes: Vec::new(),
            partitions: (0..PARTITIONS).map(|_| BTreeMap::new()).collect(),
            fates: BTreeMap::new(),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Act {
                client,
                partition,
                end,
                commit,
            } => {
                self.act(client, partition, end, commit);
            }
            Step::Deliver { client } => self.deliver(client),
            Step::Repeat { message } => self.repeat(message),
            Step::Replace { client } => self.reset(client),
            Step::Settle { ok } => {
                if !self.h.appends.is_empty() {
                    let failed = Err(ErrorCode::KafkaStorageError);
                    self.h.settle_append(if ok { Ok(()) } else { failed });
                }
            }
            Step::Mark { answers } => self.mark(&answers),
            Step::Id { ok } => {
                if self.h.ids_wanted > 0 {
                    let failed = Err(ErrorCode::NotController);
                    self.h.settle_id(if ok { Ok(()) } else { failed });
                }
            }
            Step::Pass { ms } => self.h.pass(ms),
            Step::Crash { durable } => self.crash(durable),
        }
        self.read_answers();
    }

    fn act(&mut self, at: usize, partition: i32, end: bool, commit: bool) {
        let client = &mut self.clients[at];
        if client.doing.is_some() {
            return;
        }
        let message = match (client.mine, client.txn) {
            (None, _) => Message::Init,
            (Some(mine), Some(txn)) if end => {
                self.txns[txn].sent = Some(commit);
                Message::End { txn, mine, commit }
            }
            (Some(mine), txn) => {
                let txn = txn.unwrap_or_else(|| {
                    self.txns.push(Txn::default());
                    self.txns.len() - 1
                });
                client.txn = Some(txn);
                self.writes.push(txn);
                let write = self.writes.len() - 1;
                Message::Add {
                    txn,
                    mine,
                    partition,
                    write,
                }
            }
        };
        client.doing = Some(message);
        if client.version == V2 && !matches!(message, Message::Init) {
            self.sent.push(message);
        }
    }

    fn deliver(&mut self, at: usize) {
        let client = &self.clients[at];
        let (Some(message), None) = (client.doing, client.token) else {
            return;
        };
        if let Message::Write {
            txn,
            mine,
            partition,
            write,
        } = message
        {
            let verified = client.version == V2
                || self.h.verify(mine, ("a", partition)) == Ok(ErrorCode::None);
            if verified && self.write(txn, mine, partition, write) {
                self.clients[at].doing = None;
            } else {
                self.reset(at);
            }
            return;
        }
        let version = client.version;
        let token = self.h.ask(request(message, version));
        self.clients[at].token = Some(token);
        self.asked_by.insert(token, (Some(at), message));
    }

    fn repeat(&mut self, index: usize) {
        if let Some(&message) = self.sent.get(index % self.sent.len().max(1)) {
            let token = self.h.ask(request(message, V2));
            self.asked_by.insert(token, (None, message));
        }
    }

    fn reset(&mut self, at: usize) {
        let client = &mut self.clients[at];
        (client.mine, client.txn) = (None, None);
        (client.doing, client.token) = (None, None);
    }

    fn read_answers(&mut self) {
        for (token, response) in std::mem::take(&mut self.h.replies) {
            let Some((client, message)) = self.asked_by.remove(&token) else {
                continue;
            };
            match client {
                Some(at) if self.clients[at].token == Some(token) => {
                    self.clients[at].token = None;
                    self.answered(at, message, response);
                }
                _ => self.repetition_answered(message, &response),
            }
        }
    }

    fn answered(&mut self, at: usize, message: Message, response: Response) {
        let error = match &response {
            Response::Init(Err(e)) | Response::End(Err(e)) | Response::AddPartitions(e) => *e,
            _ => ErrorCode::None,
        };
        match error {
            ErrorCode::None => {}
            // The client sends it again.
            ErrorCode::ConcurrentTransactions
            | ErrorCode::NotCoordinator
            | ErrorCode::NotController => return,
            _ => return self.reset(at),
        }
        let client = &mut self.clients[at];
        client.doing = None;
        match (message, response) {
            (Message::Init, Response::Init(Ok(mine))) => client.mine = Some(mine),
            (
                Message::Add {
                    txn,
                    mine,
                    partition,
                    write,
                },
                Response::AddPartitions(_),
            ) => {
                client.doing = Some(Message::Write {
                    txn,
                    mine,
                    partition,
                    write,
                });
            }
            (Message::End { txn, commit, .. }, Response::End(Ok(next))) => {
                client.txn = None;
                client.mine = next.or(client.mine);
                assert_eq!(next.is_some(), client.version == V2);
                self.txns[txn].promised = Some(commit);
            }
            (message, response) => panic!("{message:?} was answered with {response:?}"),
        }
    }

    /// A Produce that arrives again writes again, if the partition lets it.
    fn repetition_answered(&mut self, message: Message, response: &Response) {
        if let (
            Message::Add {
                txn,
                mine,
                partition,
                write,
            },
            Response::AddPartitions(code),
        ) = (message, response)
            && *code == ErrorCode::None
        {
            self.write(txn, mine, partition, write);
        }
    }

    /// A partition takes a batch, as its log does: not below the epoch that it knows.
    fn write(
        &mut self,
        txn: usize,
        mine: ProducerIdAndEpoch,
        partition: i32,
        write: usize,
    ) -> bool {
        let producers = &mut self.partitions[usize::try_from(partition).unwrap()];
        let known = producers.entry(mine.producer_id).or_default();
        if mine.producer_epoch < known.epoch {
            return false;
        }
        if !known.written.insert(write) {
            return true;
        }
        known.epoch = mine.producer_epoch;
        let (epoch, writes) = known
            .open
            .get_or_insert_with(|| (mine.producer_epoch, BTreeSet::new()));
        assert_eq!(*epoch, mine.producer_epoch, "two transactions in one");
        writes.insert(write);
        assert_eq!(self.writes[write], txn);
        true
    }

    fn mark(&mut self, answers: &[Answer]) {
        let Some(markers) = self.h.markers.pop_front() else {
            return;
        };
        let outcomes = markers.partitions.iter().map(|at| {
            let index = usize::try_from(at.partition).unwrap();
            let outcome = match answers[index] {
                Answer::Refused => MarkerOutcome::Failed(ErrorCode::NotLeaderOrFollower),
                Answer::Lost => {
                    self.marker(index, &markers);
                    MarkerOutcome::Failed(ErrorCode::RequestTimedOut)
                }
                Answer::Written => self.marker(index, &markers),
            };
            (at.clone(), outcome)
        });
        let outcomes = outcomes.collect();
        let id = markers.transactional_id.clone();
        let effects = self
            .h
            .coordinator
            .marked(self.h.now_ms, &id, markers.marking_id, outcomes);
        self.h.carry_out(effects);
    }

    /// A partition takes a marker, as its log does, and decides what is open.
    fn marker(&mut self, partition: usize, markers: &Markers) -> MarkerOutcome {
        let known = self.partitions[partition]
            .entry(markers.producer_id)
            .or_default();
        let epoch = markers.producer_epoch;
        let fenced = if markers.transaction_version.bumps_epoch() {
            epoch < known.epoch || (epoch == known.epoch && known.open.is_some())
        } else {
            epoch < known.epoch
        };
        if fenced {
            let newer = known.open.as_ref().is_none_or(|(open, _)| *open >= epoch);
            assert!(newer, "a refused marker leaves its own transaction open");
            return MarkerOutcome::Fenced;
        }
        known.epoch = epoch;
        if let Some((_, writes)) = known.open.take() {
            for write in writes {
                let txn = &self.txns[self.writes[write]];
                if markers.commit {
                    assert_eq!(txn.sent, Some(true), "nobody has committed {write}");
                    assert_ne!(txn.promised, Some(false));
                } else {
                    assert_ne!(txn.promised, Some(true), "{write} was promised");
                }
                let before = self.fates.insert(write, markers.commit);
                assert_eq!(before, None, "a write is decided once");
            }
        }
        MarkerOutcome::Written
    }

    fn crash(&mut self, durable: usize) {
        let appends = std::mem::take(&mut self.h.appends);
        for (_, records) in appends.into_iter().take(durable) {
            self.h.log.extend(records);
        }
        self.asked_by.clear();
        for client in &mut self.clients {
            client.token = None;
        }
        self.h.restart();
    }

    /// Everything works again, for long enough.
    fn calm_down(&mut self) {
        for _ in 0..50 {
            while self.h.ids_wanted > 0 {
                self.h.settle_id(Ok(()));
            }
            while !self.h.appends.is_empty() {
                self.h.settle_append(Ok(()));
            }
            self.mark(&[Answer::Written; PARTITIONS as usize]);
            self.read_answers();
            self.h.pass(10_000);
        }
    }

    fn check(&self) {
        assert_eq!(self.h.coordinator.open_transactions(), 0);
        assert_eq!(self.h.coordinator.counts().pending_appends, 0);
        let mut fates: BTreeMap<usize, bool> = BTreeMap::new();
        for (partition, producers) in self.partitions.iter().enumerate() {
            for (id, producer) in producers {
                assert_eq!(producer.open, None, "producer {id} hangs in {partition}");
                for write in &producer.written {
                    let committed = self.fates[write];
                    let txn = self.writes[*write];
                    let others = *fates.entry(txn).or_insert(committed);
                    assert_eq!(others, committed, "transaction {txn} is torn");
                    if let Some(promised) = self.txns[txn].promised {
                        assert_eq!(promised, committed, "transaction {txn}");
                    }
                }
            }
        }
    }
}

fn request(message: Message, version: TransactionVersion) -> Request {
    match message {
        Message::Init => init_request(None),
        Message::Add {
            mine, partition, ..
        }
        | Message::Write {
            mine, partition, ..
        } => add_request(mine, &[("a", partition)], version),
        Message::End { mine, commit, .. } => end_request(mine, commit, version),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn transactions_are_atomic_whatever_crashes_is_late_or_comes_twice(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.calm_down();
        world.check();
    }
}
