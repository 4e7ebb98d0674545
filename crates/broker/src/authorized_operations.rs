//! What a client may do, as the bit fields of several responses tell it (KIP-430): everything that
//! Kafka knows for the resource, as long as nobody's rights are limited here.

/// A bit field with the bits of these operations (`AclOperation`'s numbers) set.
const fn bits(operations: &[u32]) -> i32 {
    let (mut field, mut at) = (0, 0);
    while at < operations.len() {
        field |= 1 << operations[at];
        at += 1;
    }
    field
}

const READ: u32 = 3;
const WRITE: u32 = 4;
const CREATE: u32 = 5;
const DELETE: u32 = 6;
const ALTER: u32 = 7;
const DESCRIBE: u32 = 8;
const CLUSTER_ACTION: u32 = 9;
const DESCRIBE_CONFIGS: u32 = 10;
const ALTER_CONFIGS: u32 = 11;
const IDEMPOTENT_WRITE: u32 = 12;

/// What can be done to a topic.
pub(crate) const TOPIC: i32 = bits(&[
    READ,
    WRITE,
    CREATE,
    DELETE,
    ALTER,
    DESCRIBE,
    DESCRIBE_CONFIGS,
    ALTER_CONFIGS,
]);
/// What can be done to a group.
pub(crate) const GROUP: i32 = bits(&[READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]);
/// What can be done to the cluster.
pub(crate) const CLUSTER: i32 = bits(&[
    CREATE,
    ALTER,
    DESCRIBE,
    CLUSTER_ACTION,
    DESCRIBE_CONFIGS,
    ALTER_CONFIGS,
    IDEMPOTENT_WRITE,
]);
/// What stands there when the client did not ask.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// The field, if the client asked for it.
pub(crate) fn if_asked(asked: bool, field: i32) -> i32 {
    if asked { field } else { NOT_ASKED }
}
