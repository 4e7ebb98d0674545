//! A hash over the topics that a group reads (KIP-1101): when it differs, topics have come, gone or
//! changed, and the group needs a new assignment. It is stored with the group epoch, and computed
//! exactly as Kafka computes it, so that groups that move between the two do not rebalance for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::cluster::{Cluster, TopicInfo};

/// The version of what goes into the hash.
const MAGIC: u8 = 0;

/// The hash of those of the topics that exist; 0 when none does.
pub(super) fn of_topics(topics: &BTreeSet<Arc<str>>, cluster: &dyn Cluster) -> i64 {
    let mut bytes = Vec::new();
    for topic in topics.iter().filter_map(|name| cluster.topic(name)) {
        bytes.extend(of_topic(&topic, cluster).to_le_bytes());
    }
    if bytes.is_empty() {
        return 0;
    }
    XxHash3_64::oneshot(&bytes).cast_signed()
}

fn of_topic(topic: &TopicInfo, cluster: &dyn Cluster) -> u64 {
    let mut bytes = vec![MAGIC];
    // Both halves of the id as Java's longs, written with the lowest byte first.
    for half in topic.id.0.chunks(8) {
        bytes.extend(half.iter().rev());
    }
    put_text(&mut bytes, &topic.name);
    bytes.extend(topic.partitions.to_le_bytes());
    for partition in 0..topic.partitions {
        bytes.extend(partition.to_le_bytes());
        let mut racks = cluster.racks(topic.id, partition);
        racks.sort();
        for rack in racks {
            bytes.extend(utf16_len(&rack).to_le_bytes());
            put_text(&mut bytes, &rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

/// A text as its UTF-16 units and then their number.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.extend(utf16_len(text).to_le_bytes());
}

fn utf16_len(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}
