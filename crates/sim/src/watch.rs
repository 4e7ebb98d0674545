//! Looks at the nodes from inside: what each of them takes for the metadata, and what is in its logs.
//!
//! Clients see only what they ask for; two nodes that disagree may tell nobody for long.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ottla::Node;
use ottla_log::{Log, UpTo};
use ottla_metadata::Image;

use crate::history::{Event, History, Place, Replica, StoredBatch};

/// The bytes of a batch before its length is complete: base offset and length.
const BATCH_PREFIX_LEN: usize = 12;

/// What was noted already.
pub(crate) struct Watch {
    history: History,
    nodes: BTreeMap<usize, Seen>,
}

#[derive(Default)]
struct Seen {
    offset: i64,
    controller: Option<(u64, u64)>,
    leaders: BTreeMap<([u8; 16], i32), (i32, Option<i32>)>,
    brokers: BTreeMap<i32, (i64, [u8; 16])>,
}

impl Watch {
    pub(crate) fn new(history: History) -> Self {
        Watch {
            history,
            nodes: BTreeMap::new(),
        }
    }

    /// A node has lost what it knew, or begins anew.
    pub(crate) fn forget(&mut self, node: usize) {
        self.nodes.remove(&node);
    }

    /// Notes what a node shows, where that is news.
    pub(crate) fn look(&mut self, number: usize, node: &Node) {
        let seen = self.nodes.entry(number).or_insert_with(|| Seen {
            offset: -1,
            ..Seen::default()
        });
        let controller = controller(node);
        if let Some((term, leader)) = controller.filter(|_| controller != seen.controller) {
            seen.controller = controller;
            self.history.note(Event::ControllerSeen {
                node: number,
                term,
                leader,
            });
        }
        let image = image(node);
        let offset = image.metadata_offset();
        if offset == seen.offset {
            return;
        }
        seen.offset = offset;
        self.history.note(Event::ImageSeen {
            node: number,
            offset,
            digest: image_digest(&image),
        });
        for broker in image.brokers() {
            let (broker_epoch, incarnation) = (broker.epoch, broker.incarnation_id.0);
            let now = (broker_epoch, incarnation);
            if seen.brokers.insert(broker.id.0, now) != Some(now) {
                self.history.note(Event::BrokerSeen {
                    node: number,
                    offset,
                    broker: broker.id.0,
                    broker_epoch,
                    incarnation,
                });
            }
        }
        for topic in image.topics() {
            for (partition, image) in (0..).zip(topic.partitions.iter()) {
                let now = (image.leader_epoch, image.leader.map(|leader| leader.0));
                let key = (topic.id.0, partition);
                if seen.leaders.insert(key, now) != Some(now) {
                    self.history.note(Event::LeaderSeen {
                        node: number,
                        offset,
                        topic_id: topic.id.0,
                        partition,
                        leader_epoch: now.0,
                        leader: now.1,
                    });
                }
            }
        }
    }
}

/// The same for equal images.
fn image_digest(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{image:?}").hash(&mut hasher);
    hasher.finish()
}

/// A node of which it is to be known whether it is at rest.
pub(crate) struct Candidate {
    pub(crate) number: usize,
    /// The node, if it runs.
    pub(crate) node: Option<Arc<Node>>,
}

/// What keeps the nodes from being at rest: someone is away, behind, or waits for something.
pub(crate) fn unrest(candidates: &[Candidate]) -> Option<String> {
    let mut nodes = Vec::new();
    for candidate in candidates {
        let number = candidate.number;
        match &candidate.node {
            None => return Some(format!("n{number} does not run")),
            Some(node) => nodes.push((number, image(node), ends(node))),
        }
    }
    let newest = nodes.iter().map(|(_, i, _)| i.metadata_offset()).max()?;
    let behind = nodes.iter().find(|(_, i, _)| i.metadata_offset() != newest);
    if let Some((number, image, _)) = behind {
        let offset = image.metadata_offset();
        return Some(format!(
            "n{number} has the metadata up to {offset}, another node up to {newest}"
        ));
    }
    let (_, image, _) = nodes.first()?;
    for topic in image.topics() {
        for (index, partition) in (0..).zip(topic.partitions.iter()) {
            let name = format!("{}-{index}", topic.name);
            let replicas = &partition.replicas;
            let all_in_sync = replicas.iter().all(|id| partition.isr.contains(id));
            if partition.leader.is_none() || !all_in_sync || partition.is_reassigning() {
                return Some(format!("{name} is {partition:?}"));
            }
            let key = (topic.name.to_string(), index);
            let holders = nodes
                .iter()
                .filter(|(number, ..)| replicas.iter().any(|id| id.0 as usize == *number));
            let ends: Vec<_> = holders.map(|(n, _, ends)| (*n, ends.get(&key))).collect();
            let first = ends.first().and_then(|(_, end)| *end);
            let at_rest = |end: Option<&(i64, i64)>| {
                end.is_some_and(|(end, high_watermark)| end == high_watermark) && end == first
            };
            if !ends.iter().all(|(_, end)| at_rest(*end)) {
                return Some(format!("{name} has (node, (end, high watermark)) {ends:?}"));
            }
        }
    }
    None
}

/// Where each log of a node ends, and up to where it is committed.
fn ends(node: &Node) -> BTreeMap<(String, i32), (i64, i64)> {
    let logs = logs(node).into_iter();
    let ends = logs.map(|(topic, partition, log)| {
        let ends = (log.log_end_offset(), log.high_watermark());
        ((topic, partition), ends)
    });
    ends.collect()
}

/// Every replica of a node, as far as it is committed.
pub(crate) fn replicas(number: usize, node: &Node) -> Vec<Event> {
    let seen = logs(node).into_iter().map(|(topic, partition, log)| {
        let replica = Replica {
            node: number,
            start: log.log_start_offset(),
            high_watermark: log.high_watermark(),
            batches: batches(&log),
        };
        let place = Place { topic, partition };
        Event::ReplicaSeen { place, replica }
    });
    seen.collect()
}

fn logs(node: &Node) -> Vec<(String, i32, Log)> {
    let broker = node.broker();
    let mut logs = broker.map(ottla_broker::Handle::logs).unwrap_or_default();
    logs.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    logs
}

fn image(node: &Node) -> Arc<Image> {
    let kafka = node.kafka.as_ref();
    kafka.map_or_else(
        || Arc::new(Image::empty()),
        |kafka| kafka.controller.image(),
    )
}

/// The term and the leader of the metadata quorum, as the node knows it.
fn controller(node: &Node) -> Option<(u64, u64)> {
    let raft = node.kafka.as_ref()?.controller.raft_state();
    raft.leader.map(|leader| (raft.term, leader))
}

fn batches(log: &Log) -> Vec<StoredBatch> {
    let (mut found, mut offset) = (Vec::new(), log.log_start_offset());
    while offset < log.high_watermark() {
        let Ok(read) = log.read_blocking(offset, 1 << 20, true, UpTo::HighWatermark) else {
            break;
        };
        let bytes: Vec<u8> = read.chunks.iter().flat_map(|c| c.iter().copied()).collect();
        let mut rest = bytes.as_slice();
        while let Some((batch, behind)) = next_batch(rest) {
            found.push(batch);
            rest = behind;
        }
        if read.next_offset == offset {
            break;
        }
        offset = read.next_offset;
    }
    found
}

fn next_batch(bytes: &[u8]) -> Option<(StoredBatch, &[u8])> {
    let base_offset = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let len = i32::from_be_bytes(bytes.get(8..BATCH_PREFIX_LEN)?.try_into().ok()?);
    let len = BATCH_PREFIX_LEN + usize::try_from(len).ok()?;
    let (batch, behind) = (bytes.get(..len)?, bytes.get(len..)?);
    let epoch = batch.get(BATCH_PREFIX_LEN..BATCH_PREFIX_LEN + 4)?;
    let leader_epoch = i32::from_be_bytes(epoch.try_into().ok()?);
    let mut hasher = DefaultHasher::new();
    batch.hash(&mut hasher);
    let digest = hasher.finish();
    let stored = StoredBatch {
        base_offset,
        leader_epoch,
        digest,
    };
    Some((stored, behind))
}
