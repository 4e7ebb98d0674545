//! Which partition of `__consumer_offsets` a group belongs to.

use ottla_model::PartitionIndex;

/// The partition of `__consumer_offsets` that holds a group, as Kafka computes it: Java's
/// `String.hashCode`, its absolute value (0 for the one number that has none), modulo the number
/// of partitions. Existing logs and all clients rely on exactly this.
///
/// Returns 0 when `partition_count` is not positive.
#[must_use]
pub fn partition_for(group_id: &str, partition_count: i32) -> PartitionIndex {
    if partition_count <= 0 {
        return 0;
    }
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0) % partition_count
}

#[cfg(test)]
mod tests {
    use super::partition_for;

    #[test]
    fn groups_are_placed_where_java_places_them() {
        // "a".hashCode() is 97; that of "polygenelubricants" is Integer.MIN_VALUE, whose absolute
        // value is no int.
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("a", 50), 97 % 50);
        assert_eq!(partition_for("ab", 1_000_000), 97 * 31 + 98);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("a", 0), 0);
    }
}
