//! A node as a process, a client of it, and what its HTTP port tells.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{
    Acks, Client, ClientOptions, CommittedOffset, Consumer, ConsumerOptions, Error, NewTopic, Start,
};
use ottla_model::ErrorCode;
use ottla_record::{BatchBuilder, BatchOptions};
use ottla_runtime::Runtime;
use ottla_testkit::{Broker, Launch, Process, Profile, Signal, free_port, node_binary};

/// Longer than anything takes that does happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The node's binary, built on demand.
pub(crate) fn binary() -> PathBuf {
    let profile = if cfg!(debug_assertions) {
        Profile::Dev
    } else {
        Profile::Release
    };
    node_binary(profile).unwrap()
}

/// How to start a node with these settings.
pub(crate) fn launch(settings: &[(&str, &str)]) -> Launch {
    let usual = [
        ("offsets.topic.num.partitions", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let all = usual.iter().chain(settings);
    Launch::Ottla {
        binary: binary(),
        settings: all
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

/// A running node with these settings.
pub(crate) fn node(settings: &[(&str, &str)]) -> Broker {
    Broker::start(launch(settings)).unwrap()
}

/// Everything that the running node has printed.
pub(crate) fn log_of(node: &Broker) -> String {
    node.process().unwrap().log()
}

/// SIGTERM or SIGINT; how it ended, how long that took, and the whole log.
pub(crate) fn stop(node: &mut Broker, signal: Signal) -> (ExitStatus, Duration, String) {
    let mut process = node.take_process().unwrap();
    let began = Instant::now();
    process.signal(signal).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    (status, began.elapsed(), process.log())
}

/// The body of an HTTP answer with its status line.
pub(crate) fn http(node: &Broker, path: &str) -> String {
    try_http(node, path).unwrap()
}

/// The same, or what kept it from coming.
pub(crate) fn try_http(node: &Broker, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", node.http_port()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A metric's value, summed over its labels of which `label` is part.
pub(crate) fn metric(node: &Broker, name: &str, label: &str) -> f64 {
    let answer = http(node, "/metrics");
    let rows = answer.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([' ', '{']))
            && line.contains(label)
    });
    let values: Vec<f64> = rows
        .map(|row| row.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(!values.is_empty(), "no metric {name} with {label}");
    values.iter().sum()
}

/// Waits until the condition holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `ottla server` with these arguments until it ends by itself; its exit status and output.
pub(crate) fn run_to_end(arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    run_command_to_end(
        Command::new(binary())
            .arg("server")
            .args(arguments)
            .envs(env.iter().copied()),
    )
}

/// Runs a command until it ends by itself; its exit status and output.
pub(crate) fn run_command_to_end(command: &mut Command) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut process = Process::spawn(command.current_dir(folder.path()), &log).unwrap();
    match process.wait(PATIENCE) {
        Ok(status) => (status.code(), process.log()),
        Err(error) => panic!("{error}:\n{}", process.log()),
    }
}

/// `--set` arguments for a node on free ports with its data there.
pub(crate) fn place(data: &std::path::Path) -> Vec<String> {
    let port = || free_port().unwrap();
    vec![
        "--set".into(),
        "process.roles=broker,controller".into(),
        "--set".into(),
        format!("log.dirs={}", data.display()),
        "--set".into(),
        format!("listeners=PLAINTEXT://127.0.0.1:{}", port()),
        "--set".into(),
        format!("ottla.http.listener=127.0.0.1:{}", port()),
    ]
}

/// A client that blocks.
pub(crate) struct Session {
    tokio: tokio::runtime::Runtime,
    pub(crate) client: Client,
}

impl Session {
    /// A client that retries what may pass.
    pub(crate) fn patient(node: &Broker) -> Self {
        Self::with_deadline(node, PATIENCE)
    }

    /// A client that gives up soon, to see what the node says.
    pub(crate) fn impatient(node: &Broker) -> Self {
        Self::with_deadline(node, Duration::from_millis(300))
    }

    fn with_deadline(node: &Broker, deadline: Duration) -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let connect = |deadline| {
            let options = ClientOptions {
                deadline,
                ..ClientOptions::default()
            };
            Client::connect(Runtime::real(), vec![node.bootstrap()], options)
        };
        let client = tokio.block_on(connect(deadline)).unwrap();
        Session { tokio, client }
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.tokio.block_on(future)
    }

    pub(crate) fn create(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.try_create(name, partitions, configs).unwrap();
    }

    pub(crate) fn try_create(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            assignments: Vec::new(),
            configs: configs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let mut outcomes = self.run(self.client.create_topics(&[topic], false))?;
        outcomes.remove(0).1.map(drop)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), Error> {
        let mut outcomes = self.run(self.client.delete_topics(&[name]))?;
        outcomes.remove(0).1
    }

    /// The names of all topics that are not internal.
    pub(crate) fn topics(&self) -> Vec<String> {
        let metadata = self.run(self.client.metadata(None)).unwrap();
        let topics = metadata.topics.iter().filter(|t| !t.is_internal);
        topics
            .filter_map(|t| Some(t.name.as_deref()?.to_owned()))
            .collect()
    }

    /// Produces one record with `acks=all`; its offset.
    pub(crate) fn produce(&self, topic: &str, partition: i32, value: &[u8]) -> Result<i64, Error> {
        let batch = batch(&[value]);
        let produced = self.client.produce(topic, partition, Acks::All, batch);
        self.run(produced).map(|p| p.base_offset)
    }

    pub(crate) fn commit(&self, group: &str, topic: &str, offset: i64) -> Result<(), Error> {
        let committed = CommittedOffset {
            topic: topic.to_owned(),
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        self.run(self.client.commit_offsets(group, &[committed]))
    }

    /// The offset that a group has committed, of one partition.
    pub(crate) fn committed(&self, group: &str) -> i64 {
        let offsets = self.run(self.client.committed_offsets(group)).unwrap();
        offsets.first().unwrap().offset
    }

    /// All records of a partition from `from` on.
    pub(crate) fn read_from(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<Vec<(i64, Bytes)>, Error> {
        self.run(async {
            let options = ConsumerOptions {
                max_wait: Duration::from_millis(50),
                ..ConsumerOptions::default()
            };
            let mut consumer = Consumer::new(self.client.clone(), options);
            consumer
                .assign(topic, Some(&[partition]), Start::Offset(from))
                .await?;
            let mut records = Vec::new();
            while let Some(read) = consumer.next(Duration::from_millis(200)).await? {
                records.push((read.record.offset, read.record.value.unwrap_or_default()));
                if consumer.is_at_end() {
                    break;
                }
            }
            Ok(records)
        })
    }
}

/// A batch of records with these values and no keys.
pub(crate) fn batch(values: &[&[u8]]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = i64::try_from(now.unwrap().as_millis()).unwrap();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for value in values {
        builder.append(now_ms, None, Some(value), &[]).unwrap();
    }
    builder.build().unwrap()
}

/// A value that names its record and is `len` bytes long.
pub(crate) fn value(number: usize, len: usize) -> Vec<u8> {
    let mut value = format!("record-{number}-").into_bytes();
    value.resize(len.max(value.len()), b'.');
    value
}

/// That the call was refused with this code, at its last try.
pub(crate) fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, code: ErrorCode) {
    match outcome {
        Err(error) if error.code() == Some(code) => {}
        other => panic!("{code:?} was expected, and not {other:?}"),
    }
}
