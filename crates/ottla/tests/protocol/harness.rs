//! A node in this process, and a client that speaks any version of any API to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ottla::Node;
use ottla_broker::{LogLevels, ROOT_LOGGER};
use ottla_config::{NodeConfig, Sources};
use ottla_model::{ErrorCode, Uuid};
use ottla_record::{Batch, BatchBuilder, BatchOptions, DecompressLimit, split_batches};
use ottla_runtime::Runtime;
use ottla_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::produce_response::PartitionProduceResponse;
use ottla_wire::messages::*;
use ottla_wire::{
    ApiKey, Chunks, Reader, Request, Response, Text, decode_response_header, encode_request,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any answer takes; a test that waits for this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Records are read without a bound that a test could meet.
pub(crate) const NO_LIMIT: DecompressLimit = DecompressLimit(1 << 30);

/// A request with the type of its answer.
pub(crate) trait Ask: Into<Request> {
    const API: ApiKey;
    type Answer;
    fn answer(response: Response) -> Self::Answer;
}

macro_rules! ask {
    ($($api:ident: $request:ty => $answer:ty,)*) => {$(
        impl Ask for $request {
            const API: ApiKey = ApiKey::$api;
            type Answer = $answer;
            fn answer(response: Response) -> $answer {
                match response {
                    Response::$api(answer) => answer,
                    other => panic!("an answer of another API: {other:?}"),
                }
            }
        }
    )*};
}

ask! {
    Produce: ProduceRequest => ProduceResponse,
    Fetch: FetchRequest => FetchResponse,
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
    Metadata: MetadataRequest => MetadataResponse,
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse,
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse,
    JoinGroup: JoinGroupRequest => JoinGroupResponse,
    Heartbeat: HeartbeatRequest => HeartbeatResponse,
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse,
    SyncGroup: SyncGroupRequest => SyncGroupResponse,
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse,
    ListGroups: ListGroupsRequest => ListGroupsResponse,
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse,
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse,
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse,
    AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse,
    EndTxn: EndTxnRequest => EndTxnResponse,
    WriteTxnMarkers: WriteTxnMarkersRequest => WriteTxnMarkersResponse,
    DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse,
    ListTransactions: ListTransactionsRequest => ListTransactionsResponse,
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse,
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse,
    DescribeProducers: DescribeProducersRequest => DescribeProducersResponse,
    DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse,
    DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse,
    OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse,
    AlterConfigs: AlterConfigsRequest => AlterConfigsResponse,
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse,
    GetTelemetrySubscriptions: GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse,
    PushTelemetry: PushTelemetryRequest => PushTelemetryResponse,
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse,
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse,
    DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse,
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse,
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    UnregisterBroker: UnregisterBrokerRequest => UnregisterBrokerResponse,
    UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse,
    AlterReplicaLogDirs: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse,
}

/// A log that only remembers its levels.
#[derive(Default)]
struct Levels(Mutex<BTreeMap<String, &'static str>>);

impl LogLevels for Levels {
    fn levels(&self) -> BTreeMap<String, &'static str> {
        let mut levels = self.0.lock().unwrap().clone();
        levels.entry(ROOT_LOGGER.to_owned()).or_insert("INFO");
        levels
    }

    fn knows(&self, part: &str) -> bool {
        part == ROOT_LOGGER || part.starts_with("ottla_")
    }

    fn set(&self, changes: &[(String, Option<String>)]) -> Result<(), String> {
        let mut levels = self.0.lock().unwrap();
        for (part, level) in changes {
            match level.as_deref() {
                Some("DEBUG") => levels.insert(part.clone(), "DEBUG"),
                Some(_) => levels.insert(part.clone(), "WARN"),
                None => levels.remove(part),
            };
        }
        Ok(())
    }
}

/// A running node, and the folder that its data is in.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    runtime: Runtime,
    dir: Arc<TempDir>,
}

impl TestNode {
    /// A node with an empty folder.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), settings)
            .await
            .unwrap()
    }

    /// A node with the folder of an earlier one.
    pub(crate) async fn start_in(
        dir: Arc<TempDir>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let config = Arc::new(config(dir.path(), settings));
        let runtime = Runtime::real();
        let node = match Node::start(&runtime, &config, Some(Arc::new(Levels::default()))).await {
            Ok(node) => node,
            Err(error) => {
                // What was begun lets go of the folder.
                runtime.tasks.stop().await;
                return Err(error);
            }
        };
        let begin = std::time::Instant::now();
        let partitions = || node.broker().unwrap().partitions();
        while partitions().0 > partitions().1 {
            assert!(begin.elapsed() < PATIENCE, "the logs are not opened");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(TestNode { node, runtime, dir })
    }

    /// Stops the node cleanly; its folder stays.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        self.node.stop(&self.runtime).await.unwrap();
        self.dir
    }

    /// Stops the node and starts another one in its place.
    pub(crate) async fn restart(self, settings: &[(&str, &str)]) -> Self {
        let dir = self.stop().await;
        Self::start_in(dir, settings).await.unwrap()
    }

    pub(crate) fn broker(&self) -> &ottla_broker::Handle {
        self.node.broker().unwrap()
    }

    pub(crate) fn kafka(&self) -> &ottla::Kafka {
        self.node.kafka.as_ref().unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let all = self.broker().addresses();
        all.into_iter()
            .find(|(name, _)| name == listener)
            .unwrap()
            .1
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address("PLAINTEXT")).await
    }
}

fn config(dir: &Path, settings: &[(&str, &str)]) -> NodeConfig {
    let data = dir.display().to_string();
    let usual = [
        ("log.dirs", data.as_str()),
        ("process.roles", "broker,controller"),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "3"),
    ];
    let flags = usual.iter().chain(settings);
    let sources = Sources {
        flags: flags
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        hostname: "node".to_owned(),
        ..Sources::default()
    };
    NodeConfig::load(sources).unwrap().config
}

/// A connection that asks in the version that it is told.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    next_id: i32,
    pub(crate) client_id: &'static str,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            next_id: 0,
            client_id: "test",
        }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask<R: Ask>(&mut self, version: i16, request: R) -> R::Answer {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: Ask>(&mut self, version: i16, request: R) -> i32 {
        let (id, frame) = self.frame(version, request);
        self.stream.write_all(&frame).await.unwrap();
        id
    }

    /// A request's bytes with its correlation id.
    pub(crate) fn frame<R: Ask>(&mut self, version: i16, request: R) -> (i32, Bytes) {
        self.next_id += 1;
        let client_id = Some(Text::from(self.client_id));
        let header = RequestHeader::new(R::API, version, self.next_id, client_id);
        (
            self.next_id,
            encode_request(&header, &request.into()).unwrap().to_bytes(),
        )
    }

    /// Waits for the answer to the request with this id, which must be the next one.
    pub(crate) async fn receive<R: Ask>(&mut self, version: i16, id: i32) -> R::Answer {
        let frame = self.next_frame().await;
        let frame = frame.unwrap_or_else(|| panic!("no answer to {} {version}", R::API));
        let mut reader = Reader::new(frame);
        let header = decode_response_header(R::API, version, &mut reader).unwrap();
        assert_eq!(header.correlation_id, id);
        let response = Response::decode(R::API, version, &mut reader).unwrap();
        reader
            .finish()
            .unwrap_or_else(|e| panic!("{} {version}: {e}", R::API));
        R::answer(response)
    }

    /// The next frame, or `None` when the node has closed the connection.
    pub(crate) async fn next_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an answer in time")
    }

    /// Whether the node closes the connection without another answer.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.next_frame().await.is_none()
    }

    /// Creates a topic and returns its id.
    pub(crate) async fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Uuid {
        let request = CreateTopicsRequest {
            topics: vec![new_topic(name, partitions, configs)],
            ..CreateTopicsRequest::default()
        };
        let created = self.ask(7, request).await.topics.remove(0);
        assert_eq!(created.error_code, 0, "{name}: {:?}", created.error_message);
        created.topic_id
    }

    /// Produces one batch with `acks=all` in version 12.
    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: impl Into<Chunks>,
    ) -> PartitionProduceResponse {
        let request = produce(topic, partition, batch, -1);
        self.ask(12, request)
            .await
            .responses
            .remove(0)
            .partition_responses
            .remove(0)
    }

    /// Produces records with these values and returns the first one's offset.
    pub(crate) async fn append(&mut self, topic: &str, values: &[&str]) -> i64 {
        let response = self.produce(topic, 0, values_batch(values)).await;
        assert_eq!(response.error_code, 0, "{:?}", response.error_message);
        response.base_offset
    }

    /// A producer id that is new.
    pub(crate) async fn producer_id(&mut self) -> i64 {
        let answer = self.ask(5, no_transactions()).await;
        assert_eq!(answer.error_code, 0);
        answer.producer_id
    }
}

pub(crate) fn new_topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: Text::from(*name),
        value: Some(Text::from(*value)),
        ..CreatableTopicConfig::default()
    });
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    }
}

/// A produce request of one batch, by name (up to version 12).
pub(crate) fn produce(
    topic: &str,
    partition: i32,
    batch: impl Into<Chunks>,
    acks: i16,
) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData {
        index: partition,
        records: Some(batch.into()),
        ..PartitionProduceData::default()
    }];
    ProduceRequest {
        acks,
        timeout_ms: 5_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data,
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    }
}

/// Now, as a producer sees it.
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

/// A batch of records with a time, a key and a value each.
pub(crate) fn batch(options: BatchOptions, records: &[(i64, Option<&str>, &str)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (timestamp, key, value) in records {
        let key = key.map(str::as_bytes);
        builder
            .append(*timestamp, key, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.build().unwrap()
}

/// A plain batch of values.
pub(crate) fn values_batch(values: &[&str]) -> Bytes {
    let now = now_ms();
    let records: Vec<_> = values.iter().map(|v| (now, None, *v)).collect();
    batch(BatchOptions::default(), &records)
}

/// The batches in fetched records.
pub(crate) fn batches(records: &Option<Chunks>) -> Vec<Batch> {
    let bytes = records.clone().unwrap().into_contiguous();
    let all: Result<Vec<Batch>, _> = split_batches(bytes).collect();
    let all = all.unwrap();
    all.iter().for_each(|b| b.verify_crc().unwrap());
    all
}

/// The offsets and values in fetched records.
pub(crate) fn values(records: &Option<Chunks>) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    for batch in batches(records) {
        for record in batch.records(NO_LIMIT).unwrap() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            all.push((record.offset, value));
        }
    }
    all
}

/// A request for a producer id without transactions.
pub(crate) fn no_transactions() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    }
}

/// The name of an error code, for assertions that can be read.
pub(crate) fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or_else(|| panic!("{code} is no error code"))
}
