//! The names of ZooKeeper's properties: in `zoo.cfg`, as system properties, and in the manual.
//!
//! Whatever `zoo.cfg` has that ZooKeeper does not know by itself becomes the system property
//! `zookeeper.NAME` (`QuorumPeerConfig.parseProperties`). So `snapCount` and `zookeeper.snapCount` are
//! one; some system properties, such as `jute.maxbuffer`, have no prefix. The manual calls some by
//! names that the program never reads, and they are understood, too.

use super::load::find;
use super::{KeeperServer, others};

/// Other names, and the one that counts.
const ALIASES: &[(&str, &str)] = &[
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    (
        "requestStaleConnectionCheck",
        "request_stale_connection_check",
    ),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    (
        "connectionDropIncrease",
        "connection_throttle_drop_increase",
    ),
    (
        "connectionDropDecrease",
        "connection_throttle_drop_decrease",
    ),
    (
        "connectionDecreaseRatio",
        "connection_throttle_decrease_ratio",
    ),
    (
        "advancedFlowControlEnabled",
        "netty.advancedFlowControl.enabled",
    ),
    (
        "outstandingHandshake.limit",
        "netty.server.outstandingHandshake.limit",
    ),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    ("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
    ("observer.syncEnabled", "syncEnabled"),
    ("enforce.auth.scheme", "enforce.auth.schemes"),
    ("snapsize", "snapSizeLimitInKb"),
];

/// The name that counts, of a property that the keeper knows.
pub(crate) fn canonical(key: &str) -> Option<String> {
    let name = counting(key);
    let is_known = find(name).is_some() || others::family(name).is_some() || is_numbered(name);
    is_known.then(|| name.to_owned())
}

/// The name that counts, of any key of a `zoo.cfg`.
pub(crate) fn counting(key: &str) -> &str {
    let bare = key.strip_prefix("zookeeper.").unwrap_or(key);
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == bare)
        .map_or(bare, |(_, name)| name)
}

/// Names of which there may be several.
fn is_numbered(name: &str) -> bool {
    matches!(KeeperServer::id_of_key(name), Some(Ok(_)))
        || name == "superUser"
        || ["superUser.", "authProvider."].iter().any(|prefix| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty())
        })
}

/// The property that a variable means whose name can have only capitals and underscores:
/// `SNAPCOUNT` is `snapCount`, `SERVER_1` is `server.1`.
pub(crate) fn of_variable(rest: &str) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace('_', ".");
    let wanted = plain(rest);
    let known = super::names().find(|name| plain(name) == wanted);
    let numbered =
        || Some(wanted.as_str()).filter(|name| name.starts_with("server.") && is_numbered(name));
    known.or_else(numbered).map(str::to_owned)
}
