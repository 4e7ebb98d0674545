//! A broker in memory that can be told to fail.

#![expect(
    clippy::field_reassign_with_default,
    reason = "answers are built step by step, as their request is gone through"
)]

mod clusters;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_model::{ErrorCode, Uuid};
use ottla_net::{
    Dispatch, Handle, Incoming, ListenerOptions, Options, Outcome, Peer, Reply, Server,
};
use ottla_record::{Batch, split_batches};
use ottla_runtime::{Runtime, Service, Shutdown};
use ottla_wire::messages::api_versions_response::ApiVersion;
use ottla_wire::messages::create_topics_response::CreatableTopicResult;
use ottla_wire::messages::delete_topics_response::DeletableTopicResult;
use ottla_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_wire::messages::find_coordinator_response::Coordinator;
use ottla_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use ottla_wire::messages::*;
use ottla_wire::{ApiKey, Chunks, Request, Response, Text, encode_response};
use parking_lot::Mutex;

use crate::{Client, ClientOptions};

pub(crate) const NODE: i32 = 7;

/// What happens to a request instead of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is refused with a code, and nothing is done.
    Code(ErrorCode),
    /// It is done, but the connection closes before the response.
    LoseResponse,
    /// Nothing is done, and there is no response.
    Silence,
}

/// One partition's batches.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) batches: Vec<Batch>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    last_of_producer: HashMap<i64, i32>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<String, Vec<Log>>,
    pub(crate) faults: HashMap<ApiKey, VecDeque<Fault>>,
    pub(crate) seen: HashMap<ApiKey, usize>,
    pub(crate) cluster: clusters::ClusterState,
    committed: BTreeMap<(String, i32), i64>,
    producer_ids: i64,
}

pub(crate) struct Node {
    pub(crate) state: Mutex<State>,
    /// Serves the oldest version of everything instead of all.
    oldest: bool,
    handle: OnceLock<Handle>,
    shutdown: Shutdown,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.announce();
    }
}

const SERVED: [ApiKey; 19] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
    ApiKey::DescribeCluster,
    ApiKey::DescribeQuorum,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::ElectLeaders,
    ApiKey::DescribeTopicPartitions,
];

impl Node {
    /// A node with one topic.
    pub(crate) async fn start(topic: &str, partitions: usize, oldest: bool) -> Arc<Self> {
        let mut state = State::default();
        let logs = (0..partitions).map(|_| Log::default()).collect();
        state.topics.insert(topic.to_owned(), logs);
        let node = Arc::new(Node {
            state: Mutex::new(state),
            oldest,
            handle: OnceLock::new(),
            shutdown: Shutdown::new(),
        });
        let options = Options {
            listeners: vec![ListenerOptions {
                name: "PLAINTEXT".into(),
                bind_host: "127.0.0.1".into(),
                port: 0,
            }],
            drain_timeout: Duration::ZERO,
            ..Options::default()
        };
        let bound = Server::bind(Runtime::real(), options, Arc::clone(&node)).await;
        let (server, handle) = bound.unwrap();
        node.handle.get_or_init(|| handle);
        tokio::spawn(server.run(node.shutdown.clone()));
        node
    }

    pub(crate) fn address(&self) -> String {
        let at = self.handle.get().unwrap().local_addr("PLAINTEXT");
        at.unwrap().to_string()
    }

    pub(crate) async fn client(&self) -> Client {
        let connected = Client::connect(Runtime::real(), vec![self.address()], options()).await;
        connected.unwrap()
    }

    /// The next requests of this API meet these faults.
    pub(crate) fn fail(&self, api: ApiKey, faults: impl IntoIterator<Item = Fault>) {
        self.state
            .lock()
            .faults
            .entry(api)
            .or_default()
            .extend(faults);
    }

    pub(crate) fn seen(&self, api: ApiKey) -> usize {
        self.state.lock().seen.get(&api).copied().unwrap_or(0)
    }
}

/// Options with waits of tests.
pub(crate) fn options() -> ClientOptions {
    ClientOptions {
        retry_backoff: Duration::from_millis(1),
        retry_backoff_max: Duration::from_millis(10),
        ..ClientOptions::default()
    }
}

impl Dispatch for Node {
    fn versions(&self, _: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let all = api.stable_versions();
        let last = if self.oldest {
            *all.start()
        } else {
            *all.end()
        };
        SERVED.contains(&api).then_some(*all.start()..=last)
    }

    fn unsupported_api_versions(&self, peer: &Peer, header: &RequestHeader) -> Reply {
        let mut body = self.api_versions(peer);
        body.error_code = ErrorCode::UnsupportedVersion.code();
        let id = header.correlation_id;
        let frame = encode_response(id, ApiKey::ApiVersions, 0, &body.into());
        frame.unwrap().into()
    }

    async fn dispatch(&self, peer: &Arc<Peer>, incoming: Incoming) -> Outcome {
        let (api, version) = (incoming.api, incoming.header.request_api_version);
        let fault = {
            let mut state = self.state.lock();
            *state.seen.entry(api).or_default() += 1;
            state.faults.get_mut(&api).and_then(VecDeque::pop_front)
        };
        let code = match fault {
            Some(Fault::Silence) => return Outcome::later(std::future::pending()),
            Some(Fault::Code(code)) => code.code(),
            _ => 0,
        };
        let acks = match &incoming.body {
            Request::Produce(body) => body.acks,
            _ => 1,
        };
        let body = self.answer(peer, version, incoming.body, code);
        if matches!(fault, Some(Fault::LoseResponse)) {
            return Reply::Close("as the test wants".into()).into();
        }
        if acks == 0 {
            return Reply::Nothing.into();
        }
        let id = incoming.header.correlation_id;
        encode_response(id, api, version, &body).unwrap().into()
    }
}

impl Node {
    fn api_versions(&self, peer: &Peer) -> ApiVersionsResponse {
        let key = |api: &ApiKey| {
            let served = self.versions(peer, *api)?;
            Some(ApiVersion {
                api_key: api.to_i16(),
                min_version: *served.start(),
                max_version: *served.end(),
                ..ApiVersion::default()
            })
        };
        ApiVersionsResponse {
            api_keys: SERVED.iter().filter_map(key).collect(),
            ..ApiVersionsResponse::default()
        }
    }

    fn answer(&self, peer: &Peer, version: i16, request: Request, code: i16) -> Response {
        let mut state = self.state.lock();
        match request {
            Request::ApiVersions(_) => self.api_versions(peer).into(),
            Request::Metadata(body) => self.metadata(&state, &body, code).into(),
            Request::Produce(body) => state.produce(body, code).into(),
            Request::Fetch(body) => state.fetch(body, code).into(),
            Request::ListOffsets(body) => state.list_offsets(body, code).into(),
            Request::CreateTopics(body) => state.create_topics(body, code).into(),
            Request::DeleteTopics(body) => state.delete_topics(body).into(),
            Request::OffsetCommit(body) => state.commit(body, code).into(),
            Request::OffsetFetch(body) => state.committed(&body, version).into(),
            Request::InitProducerId(_) => {
                state.producer_ids += 1;
                let mut body = InitProducerIdResponse::default();
                body.producer_id = state.producer_ids;
                body.producer_epoch = 0;
                body.error_code = code;
                body.into()
            }
            Request::FindCoordinator(body) => {
                let mut answer = FindCoordinatorResponse::default();
                if version >= 4 {
                    let mut found = Coordinator::default();
                    found.key = body.coordinator_keys[0].clone();
                    (found.node_id, found.error_code) = (NODE, code);
                    answer.coordinators = vec![found];
                } else {
                    (answer.node_id, answer.error_code) = (NODE, code);
                }
                answer.into()
            }
            Request::DescribeCluster(_) => {
                let mut body = DescribeClusterResponse::default();
                body.cluster_id = "test-cluster".into();
                body.into()
            }
            other => clusters::answer(&mut state, other, code),
        }
    }

    fn metadata(&self, state: &State, request: &MetadataRequest, code: i16) -> MetadataResponse {
        let at = self.handle.get().unwrap().local_addr("PLAINTEXT").unwrap();
        let broker = MetadataResponseBroker {
            node_id: NODE,
            host: at.ip().to_string().into(),
            port: i32::from(at.port()),
            ..MetadataResponseBroker::default()
        };
        let describe = |name: &str| {
            let mut topic = MetadataResponseTopic::default();
            topic.name = Some(name.into());
            topic.topic_id = id_of(name);
            topic.error_code = code;
            let Some(logs) = state.topics.get(name) else {
                topic.error_code = ErrorCode::UnknownTopicOrPartition.code();
                return topic;
            };
            let partition = |partition_index| MetadataResponsePartition {
                partition_index,
                leader_id: NODE,
                ..MetadataResponsePartition::default()
            };
            topic.partitions = (0..logs.len() as i32).map(partition).collect();
            topic
        };
        let topics = match &request.topics {
            None => state.topics.keys().map(|n| describe(n)).collect(),
            Some(wanted) => {
                let names = wanted.iter().filter_map(|t| t.name.as_deref());
                names.map(describe).collect()
            }
        };
        MetadataResponse {
            brokers: vec![broker],
            controller_id: NODE,
            topics,
            ..MetadataResponse::default()
        }
    }
}

/// A topic's id here: its name, filled up with zeros.
fn id_of(name: &str) -> Uuid {
    let mut id = [0; 16];
    id.iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    Uuid(id)
}

/// The topic of a request that has either its name or its id.
fn name_of(name: &Text, id: Uuid) -> Text {
    if id.is_zero() {
        return name.clone();
    }
    let text = std::str::from_utf8(&id.0).unwrap();
    text.trim_end_matches('\0').into()
}

impl State {
    pub(crate) fn log(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        let logs = self.topics.get_mut(topic)?;
        logs.get_mut(usize::try_from(partition).ok()?)
    }

    fn produce(&mut self, request: ProduceRequest, code: i16) -> ProduceResponse {
        let mut answer = ProduceResponse::default();
        for topic in request.topic_data {
            let mut answered = TopicProduceResponse::default();
            let name = name_of(&topic.name, topic.topic_id);
            (answered.name, answered.topic_id) = (topic.name, topic.topic_id);
            for data in topic.partition_data {
                let mut partition = PartitionProduceResponse::default();
                partition.index = data.index;
                partition.error_code = code;
                let bytes = data.records.unwrap_or_default().into_contiguous();
                match self.log(&name, data.index) {
                    _ if code != 0 => {}
                    None => partition.error_code = ErrorCode::UnknownTopicOrPartition.code(),
                    Some(log) => match log.append(bytes) {
                        Ok(offset) => partition.base_offset = offset,
                        Err(code) => partition.error_code = code.code(),
                    },
                }
                answered.partition_responses.push(partition);
            }
            answer.responses.push(answered);
        }
        answer
    }

    fn fetch(&mut self, request: FetchRequest, code: i16) -> FetchResponse {
        let mut answer = FetchResponse::default();
        for topic in request.topics {
            let mut answered = FetchableTopicResponse::default();
            let name = name_of(&topic.topic, topic.topic_id);
            (answered.topic, answered.topic_id) = (topic.topic, topic.topic_id);
            for wanted in topic.partitions {
                let mut data = PartitionData::default();
                data.partition_index = wanted.partition;
                data.error_code = code;
                data.records = Some(Chunks::new());
                let log = self.log(&name, wanted.partition).unwrap();
                data.high_watermark = log.end;
                if !(log.start..=log.end).contains(&wanted.fetch_offset) {
                    data.error_code = ErrorCode::OffsetOutOfRange.code();
                } else if code == 0 {
                    let wanted = |b: &&Batch| b.header().last_offset() >= wanted.fetch_offset;
                    let mut parts: Vec<_> = log.batches.iter().filter(wanted).take(3).collect();
                    // The last batch comes cut off, as when a response is full.
                    let cut = (parts.len() > 1).then(|| parts.pop()).flatten();
                    let mut bytes: Vec<_> = parts.iter().map(|b| b.bytes().clone()).collect();
                    bytes.extend(cut.map(|b| b.bytes().slice(..b.bytes().len() - 1)));
                    data.records = Some(bytes.into());
                }
                answered.partitions.push(data);
            }
            answer.responses.push(answered);
        }
        answer
    }

    fn list_offsets(&mut self, request: ListOffsetsRequest, code: i16) -> ListOffsetsResponse {
        let mut answer = ListOffsetsResponse::default();
        for topic in request.topics {
            let mut answered = ListOffsetsTopicResponse::default();
            answered.name = topic.name.clone();
            for wanted in topic.partitions {
                let log = self.log(&topic.name, wanted.partition_index).unwrap();
                let mut found = ListOffsetsPartitionResponse::default();
                found.partition_index = wanted.partition_index;
                found.error_code = code;
                found.offset = match wanted.timestamp {
                    -2 => log.start,
                    -1 => log.end,
                    _ => -1,
                };
                answered.partitions.push(found);
            }
            answer.topics.push(answered);
        }
        answer
    }

    fn create_topics(&mut self, request: CreateTopicsRequest, code: i16) -> CreateTopicsResponse {
        let mut answer = CreateTopicsResponse::default();
        for topic in request.topics {
            let mut result = CreatableTopicResult::default();
            result.name = topic.name.clone();
            result.error_code = code;
            if self.topics.contains_key(&*topic.name) {
                result.error_code = ErrorCode::TopicAlreadyExists.code();
                result.error_message = Some("it is there already".into());
            } else if code == 0 && !request.validate_only {
                let logs = (0..topic.num_partitions.max(1)).map(|_| Log::default());
                self.topics.insert(topic.name.to_string(), logs.collect());
            }
            answer.topics.push(result);
        }
        answer
    }

    fn delete_topics(&mut self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let mut names = request.topic_names;
        names.extend(request.topics.into_iter().filter_map(|t| t.name));
        let mut answer = DeleteTopicsResponse::default();
        for name in names {
            let mut result = DeletableTopicResult::default();
            if self.topics.remove(&*name).is_none() {
                result.error_code = ErrorCode::UnknownTopicOrPartition.code();
            }
            result.name = Some(name);
            answer.responses.push(result);
        }
        answer
    }

    fn commit(&mut self, request: OffsetCommitRequest, code: i16) -> OffsetCommitResponse {
        let mut answer = OffsetCommitResponse::default();
        for topic in request.topics {
            let mut answered = OffsetCommitResponseTopic::default();
            let topic_name = name_of(&topic.name, topic.topic_id);
            (answered.name, answered.topic_id) = (topic.name, topic.topic_id);
            for p in topic.partitions {
                if code == 0 {
                    let name = (topic_name.to_string(), p.partition_index);
                    self.committed.insert(name, p.committed_offset);
                }
                let mut partition = OffsetCommitResponsePartition::default();
                (partition.partition_index, partition.error_code) = (p.partition_index, code);
                answered.partitions.push(partition);
            }
            answer.topics.push(answered);
        }
        answer
    }

    fn committed(&self, request: &OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
        let mut answer = OffsetFetchResponse::default();
        let mut group = OffsetFetchResponseGroup::default();
        group.group_id = request
            .groups
            .first()
            .map(|g| g.group_id.clone())
            .unwrap_or_default();
        for ((topic, partition), offset) in &self.committed {
            if version >= 8 {
                let mut p = OffsetFetchResponsePartitions::default();
                (p.partition_index, p.committed_offset) = (*partition, *offset);
                let mut t = OffsetFetchResponseTopics::default();
                (t.name, t.partitions) = (topic.into(), vec![p]);
                group.topics.push(t);
            } else {
                let mut p = OffsetFetchResponsePartition::default();
                (p.partition_index, p.committed_offset) = (*partition, *offset);
                let mut t = OffsetFetchResponseTopic::default();
                (t.name, t.partitions) = (topic.into(), vec![p]);
                answer.topics.push(t);
            }
        }
        if version >= 8 {
            answer.groups.push(group);
        }
        answer
    }
}

impl Log {
    /// Appends as a broker does: checks the producer's sequence, sets the offset.
    fn append(&mut self, bytes: Bytes) -> Result<i64, ErrorCode> {
        let mut first = None;
        for batch in split_batches(bytes) {
            let batch = batch.map_err(|e| e.code())?;
            batch.verify_crc().map_err(|e| e.code())?;
            let header = *batch.header();
            if header.has_producer() {
                let last = self.last_of_producer.get(&header.producer_id).copied();
                if last.is_some_and(|last| header.base_sequence <= last) {
                    return Err(ErrorCode::DuplicateSequenceNumber);
                }
                if header.base_sequence != last.map_or(0, |last| last + 1) {
                    return Err(ErrorCode::OutOfOrderSequenceNumber);
                }
                let last = header.last_sequence();
                self.last_of_producer.insert(header.producer_id, last);
            }
            first.get_or_insert(self.end);
            let mut stamped = BytesMut::from(&batch.bytes()[..]);
            stamped[..8].copy_from_slice(&self.end.to_be_bytes());
            self.end += i64::from(header.record_count);
            self.batches.push(Batch::parse(stamped.freeze()).unwrap());
        }
        Ok(first.unwrap_or(self.end))
    }
}
