//! `.snapshot` files: the producers as of an offset, which is the file's name.
//!
//! ```text
//!  0 version i16 (1)
//!  2 crc     u32   CRC-32C of everything behind it
//!  6 entries i32
//! 10 entry (46 bytes): producer id i64 | epoch i16 | last sequence i32 | last offset i64
//!                      | offset delta i32 | timestamp i64 | coordinator epoch i32
//!                      | start of the open transaction i64, or -1
//! ```
//!
//! That is Kafka's format, in which each producer has one entry with its last batch. Here each batch
//! that is remembered has one, the last one last: Kafka reads that as the last one alone, and here a
//! producer that sends again what it sent before a restart is still understood.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};
use ottla_model::{NO_SEQUENCE, ProducerId};

use crate::producer_state::{ProducerEntry, ProducerState, RememberedBatch};

const VERSION: i16 = 1;
const ENTRIES_AT: usize = 6;
const HEAD_LEN: usize = 10;
const ENTRY_LEN: usize = 46;

pub(crate) fn encode(state: &ProducerState) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_LEN + state.iter().len() * ENTRY_LEN);
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i32(0);
    let mut count = 0i32;
    for (id, entry) in state.iter() {
        let last = entry.batches.len().saturating_sub(1);
        for nth in 0..=last {
            let batch = entry.batches.get(nth);
            let timestamp = match batch {
                Some(batch) if nth < last => batch.timestamp,
                _ => entry.last_timestamp,
            };
            out.put_i64(id);
            out.put_i16(entry.epoch);
            out.put_i32(batch.map_or(NO_SEQUENCE, |b| b.last_sequence));
            out.put_i64(batch.map_or(-1, |b| b.last_offset));
            out.put_i32(batch.map_or(0, |b| b.offset_delta));
            out.put_i64(timestamp);
            out.put_i32(entry.coordinator_epoch);
            out.put_i64(entry.transaction_start.unwrap_or(-1));
            count = count.saturating_add(1);
        }
    }
    out[ENTRIES_AT..HEAD_LEN].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c(&out[ENTRIES_AT..]);
    out[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<ProducerState, String> {
    if bytes.len() < HEAD_LEN {
        return Err(format!("{} bytes are too few", bytes.len()));
    }
    let (mut head, mut rest) = bytes.split_at(HEAD_LEN);
    let version = head.get_i16();
    if version != VERSION {
        return Err(format!("version {version} is not 1"));
    }
    let (stored, count) = (head.get_u32(), head.get_i32());
    let computed = crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if stored != computed {
        return Err(format!(
            "stored crc {stored:#010x}, computed {computed:#010x}"
        ));
    }
    let expected = usize::try_from(count)
        .ok()
        .and_then(|n| n.checked_mul(ENTRY_LEN));
    if expected != Some(rest.len()) {
        return Err(format!("{count} entries do not fit {} bytes", rest.len()));
    }
    let mut entries: BTreeMap<ProducerId, ProducerEntry> = BTreeMap::new();
    while rest.has_remaining() {
        let id = rest.get_i64();
        let epoch = rest.get_i16();
        let last = RememberedBatch {
            last_sequence: rest.get_i32(),
            last_offset: rest.get_i64(),
            offset_delta: rest.get_i32(),
            timestamp: rest.get_i64(),
        };
        let coordinator_epoch = rest.get_i32();
        let transaction_start = rest.get_i64();
        if last.last_sequence < NO_SEQUENCE {
            return Err(format!("producer {id} has sequence {}", last.last_sequence));
        }
        if last.offset_delta < 0 || i64::from(last.offset_delta) > last.last_offset.max(0) {
            return Err(format!(
                "producer {id} has offset delta {}",
                last.offset_delta
            ));
        }
        let entry = entries.entry(id).or_default();
        if entry.epoch != epoch {
            *entry = ProducerEntry::default();
        }
        entry.epoch = epoch;
        entry.coordinator_epoch = coordinator_epoch;
        entry.last_timestamp = last.timestamp;
        entry.transaction_start = (transaction_start >= 0).then_some(transaction_start);
        if last.last_offset >= 0 && last.last_sequence != NO_SEQUENCE {
            entry.remember(last);
        }
    }
    let mut state = ProducerState::default();
    for (id, entry) in entries {
        state.insert(id, entry);
    }
    Ok(state)
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_record::BatchHeader;
    use proptest::prelude::*;

    fn state(producers: &[(i64, i32)]) -> ProducerState {
        let mut state = ProducerState::default();
        let mut offset = 0;
        for &(producer_id, records) in producers {
            let plain = BatchHeader {
                base_offset: offset,
                last_offset_delta: records - 1,
                max_timestamp: 5,
                producer_id,
                producer_epoch: 2,
                base_sequence: 0,
                record_count: records,
                ..BatchHeader::default()
            };
            // Every third one is transactional.
            let attributes = plain.attributes.with_transactional(producer_id % 3 == 0);
            state.replay(
                &BatchHeader {
                    attributes,
                    ..plain
                },
                None,
                i64::MAX,
            );
            offset += i64::from(records);
        }
        state
    }

    #[test]
    fn the_layout_is_kafkas() {
        let bytes = encode(&state(&[(4000, 3)]));
        assert_eq!(bytes.len(), HEAD_LEN + ENTRY_LEN);
        assert_eq!(bytes[..2], [0, 1]);
        assert_eq!(bytes[6..10], [0, 0, 0, 1]);
        assert_eq!(bytes[10..18], 4000i64.to_be_bytes());
        assert_eq!(bytes[18..20], [0, 2]);
        assert_eq!(bytes[20..24], 2i32.to_be_bytes(), "last sequence");
        assert_eq!(bytes[24..32], 2i64.to_be_bytes(), "last offset");
        assert_eq!(bytes[48..56], (-1i64).to_be_bytes()[..8], "no transaction");
    }

    #[test]
    fn all_batches_that_are_remembered_are_read_again_and_the_last_one_comes_last() {
        let mut state = ProducerState::default();
        for n in 0..7 {
            let batch = BatchHeader {
                base_offset: i64::from(n) * 10,
                last_offset_delta: 1,
                max_timestamp: 100 + i64::from(n),
                producer_id: 9,
                base_sequence: n * 2,
                record_count: 2,
                producer_epoch: 0,
                ..BatchHeader::default()
            };
            state.replay(&batch, None, i64::MAX);
        }
        let bytes = encode(&state);
        assert_eq!(bytes.len(), HEAD_LEN + 5 * ENTRY_LEN);
        let last = HEAD_LEN + 4 * ENTRY_LEN;
        assert_eq!(bytes[last + 10..last + 14], 13i32.to_be_bytes());
        let read = decode(&bytes).unwrap();
        let batches = |state: &ProducerState| state.iter().next().unwrap().1.batches.clone();
        assert_eq!(batches(&read), batches(&state));
        assert_eq!(read.iter().next().unwrap().1.in_a_row, 10);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            producers in proptest::collection::vec((0..100i64, 1..9i32), 0..20),
        ) {
            let mut unique = producers;
            unique.sort_unstable();
            unique.dedup_by_key(|p| p.0);
            let state = state(&unique);
            prop_assert_eq!(decode(&encode(&state)), Ok(state));
        }

        #[test]
        fn any_flipped_bit_is_found(at in 0..(HEAD_LEN + 2 * ENTRY_LEN), bit in 0..8u8) {
            let mut bytes = encode(&state(&[(1, 1), (2, 2)]));
            bytes[at] ^= 1u8 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&bytes));
        }

        #[test]
        fn random_entries_with_a_right_crc_never_panic(
            body in proptest::collection::vec(any::<u8>(), ENTRY_LEN * 2),
        ) {
            let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
            bytes.extend(body);
            let crc = crc32c(&bytes[ENTRIES_AT..]).to_be_bytes();
            bytes[2..6].copy_from_slice(&crc);
            if let Ok(state) = decode(&bytes) {
                for (_, entry) in state.iter() {
                    for batch in &entry.batches {
                        prop_assert!(batch.first_sequence() >= -1);
                        prop_assert!(batch.first_offset() >= 0);
                    }
                }
            }
        }
    }
}
