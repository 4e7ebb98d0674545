//! Which partition of an internal topic a coordinator's key belongs to.

use crate::PartitionIndex;

/// The partition of `__consumer_offsets` that holds a group, or of `__transaction_state` that holds
/// a transactional id, as Kafka computes it: Java's `String.hashCode`, its absolute value (0 for
/// the one number that has none), modulo the number of partitions. Existing logs and all clients
/// rely on exactly this.
///
/// Returns 0 when `partition_count` is not positive.
#[must_use]
pub fn coordinator_partition(key: &str, partition_count: i32) -> PartitionIndex {
    if partition_count <= 0 {
        return 0;
    }
    let hash = key.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0) % partition_count
}

#[cfg(test)]
mod tests {
    use super::coordinator_partition;

    #[test]
    fn keys_are_placed_where_java_places_them() {
        // "a".hashCode() is 97; that of "polygenelubricants" is Integer.MIN_VALUE, whose absolute
        // value is no int.
        assert_eq!(coordinator_partition("", 50), 0);
        assert_eq!(coordinator_partition("a", 50), 97 % 50);
        assert_eq!(coordinator_partition("ab", 1_000_000), 97 * 31 + 98);
        assert_eq!(coordinator_partition("polygenelubricants", 50), 0);
        assert_eq!(coordinator_partition("a", 0), 0);
    }
}
