//! ZooKeeper's other properties: declared so that they can be named, and refused where ignoring them
//! would change what the keeper does.

use std::sync::LazyLock;

use crate::property::{
    Area, Bounds, Change, Effect,
    Effect::{NoEffect, Refused},
    Property, Unit, ValueType,
};

/// Properties that share what setting them does.
struct Group {
    effect: Effect,
    /// Name, and ZooKeeper's default: a refused property may state it.
    members: &'static [(&'static str, &'static str)],
}

/// All of them, as properties.
pub(crate) static OTHERS: LazyLock<Vec<Property>> = LazyLock::new(|| {
    let members = GROUPS.iter().flat_map(|group| {
        group.members.iter().map(|&(name, default)| Property {
            name,
            value_type: ValueType::String,
            default: Some(default),
            bounds: Bounds::Any,
            unit: Unit::None,
            change: Change::Restart,
            area: Area::Other,
            effect: group.effect,
            doc: "ZooKeeper's own.",
            fallbacks: &[],
        })
    });
    members.collect()
});

/// Families of properties that are known by their beginning only.
static FAMILIES: &[(&str, Effect)] = &[
    (
        "group.",
        Refused("there are no groups of servers: each has one vote, and a majority counts"),
    ),
    (
        "weight.",
        Refused("servers have no weights: each has one vote, and a majority counts"),
    ),
    (
        "kerberos.",
        Refused("there is no Kerberos; users are known by DIGEST-MD5 or by a certificate"),
    ),
    (
        "metricsProvider.ssl.",
        Refused("metrics are not served with TLS"),
    ),
    (
        "metricsProvider.",
        NoEffect("the keeper's metrics have no such option"),
    ),
    ("pathStats.", NoEffect("there are no statistics by path")),
    ("testingonly.", Refused("it is for ZooKeeper's own tests")),
];

/// What setting a property of a known family does.
pub(crate) fn family(name: &str) -> Option<Effect> {
    FAMILIES
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .filter(|(prefix, _)| {
            // Kafka has names that begin with `group.`; ZooKeeper's are numbers.
            let rest = name.strip_prefix(prefix).unwrap_or_default();
            let is_number = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
            is_number || !matches!(*prefix, "group." | "weight.")
        })
        .map(|&(_, effect)| effect)
}

/// The families, by prefix.
pub(crate) fn families() -> impl Iterator<Item = (&'static str, Effect)> {
    FAMILIES.iter().copied()
}

#[rustfmt::skip]
static GROUPS: &[Group] = &[
    Group { effect: NoEffect("the log has files of its own"), members: &[
        ("preAllocSize", "65536"),
        ("commitLogCount", "500"),
        ("flushDelay", "0"),
        ("maxWriteQueuePollTime", "0"),
        ("maxBatchSize", "1000"),
        ("snapshotSizeFactor", "0.33"),
        ("snapshot.compression.method", ""),
        ("snapshot.trust.empty", "false"),
        ("serializeLastProcessedZxid.enabled", "true"),
        ("digest.enabled", "true"),
        ("forceSnapshotSync", "false"),
        ("closeSessionTxn.enabled", "true"),
        ("jute.maxbuffer.extrasize", "1048575"),
    ] },
    Group { effect: NoEffect("servers follow and elect each other by Raft"), members: &[
        ("electionAlg", "3"),
        ("cnxTimeout", "5000"),
        ("quorumCnxnTimeoutMs", "-1"),
        ("electionPortBindRetry", "3"),
        ("fastleader.minNotificationInterval", "200"),
        ("fastleader.maxNotificationInterval", "60000"),
        ("leader.maxTimeToWaitForEpoch", "-1"),
        ("leader.maxConcurrentSnapSyncs", "10"),
        ("leader.maxConcurrentDiffSyncs", "100"),
        ("leader.ackLoggingFrequency", "1000"),
        ("leader.closeSocketAsync", "false"),
        ("leader.nodelay", "true"),
        ("leaderConnectDelayDuringRetryMs", "100"),
        ("learner.closeSocketAsync", "false"),
        ("learner.asyncSending", "false"),
        ("follower.nodelay", "true"),
        ("follower.skipLearnerRequestToNextProcessor", "false"),
        ("forward_learner_requests_to_commit_processor_disabled", "false"),
        ("observer.reconnectDelayMs", "0"),
        ("observer.election.DelayMs", "200"),
        ("observerMasterPort", "0"),
        ("observerMaster.sizeLimit", "33554432"),
        ("syncEnabled", "true"),
        ("quorum.cnxn.threads.size", "20"),
        ("multiAddress.enabled", "false"),
        ("multiAddress.reachabilityCheckEnabled", "true"),
        ("multiAddress.reachabilityCheckTimeoutMs", "1000"),
        ("enableEagerACLCheck", "false"),
    ] },
    Group { effect: NoEffect("every session is known to all servers"), members: &[
        ("localSessionsEnabled", "false"),
        ("localSessionsUpgradingEnabled", "false"),
        ("connection_throttle_local_session_weight", "1"),
    ] },
    Group { effect: NoEffect("the keeper has other threads, buffers and caches"), members: &[
        ("serverCnxnFactory", ""),
        ("nio.numSelectorThreads", ""),
        ("nio.numWorkerThreads", ""),
        ("nio.directBufferBytes", ""),
        ("nio.sessionlessCnxnTimeout", "10000"),
        ("nio.shutdownTimeout", "5000"),
        ("netty.advancedFlowControl.enabled", "false"),
        ("netty.server.outstandingHandshake.limit", "-1"),
        ("netty.server.earlyDropSecureConnectionHandshakes", "false"),
        ("commitProcessor.numWorkerThreads", ""),
        ("commitProcessor.maxReadBatchSize", "-1"),
        ("commitProcessor.maxCommitBatchSize", "1"),
        ("commitProcessor.shutdownTimeout", "5000"),
        ("request_throttler.shutdownTimeout", "10000"),
        ("maxResponseCacheSize", "400"),
        ("maxGetChildrenResponseCacheSize", "400"),
        ("watchManagerName", ""),
        ("watcherCleanThreadsNum", "2"),
        ("watcherCleanThreshold", "1000"),
        ("watcherCleanIntervalInSeconds", "600"),
        ("maxInProcessingDeadWatchers", "-1"),
        ("bitHashCacheSize", "10"),
        ("intBufferStartingSizeBytes", "1024"),
        ("messageTracker.BufferSize", "10"),
        ("messageTracker.Enabled", "false"),
        ("clientPortListenBacklog", "-1"),
    ] },
    Group { effect: NoEffect("connections are always kept alive"), members: &[
        ("tcpKeepAlive", "false"),
        ("clientTcpKeepAlive", "false"),
    ] },
    Group { effect: NoEffect("keys and certificates are always read again when they change"), members: &[
        ("client.certReload", "false"),
        ("sslQuorumReloadCertFiles", "false"),
    ] },
    Group { effect: NoEffect("TLS is rustls with aws-lc-rs"), members: &[
        ("ssl.sslProvider", "JDK"),
        ("fips-mode", "true"),
        ("ssl.allowReverseDnsLookup", "false"),
        ("ssl.quorum.allowReverseDnsLookup", "true"),
    ] },
    Group { effect: NoEffect("it is a client's"), members: &[
        ("client.secure", "false"),
        ("clientCnxnSocket", ""),
        ("disableAutoWatchReset", "false"),
        ("request.timeout", "0"),
        ("sasl.client", "true"),
        ("sasl.client.username", "zookeeper"),
        ("sasl.client.canonicalize.hostname", "true"),
        ("sasl.clientconfig", "Client"),
        ("server.principal", ""),
        ("server.realm", ""),
    ] },
    Group { effect: NoEffect("there is no JVM"), members: &[
        ("jvm.pause.monitor", "false"),
        ("jvm.pause.info-threshold.ms", "1000"),
        ("jvm.pause.warn-threshold.ms", "10000"),
        ("jvm.pause.sleep.time.ms", "500"),
        ("jmx.log4j.disable", "false"),
        ("jmx.log4j.mbean", ""),
    ] },
    Group { effect: NoEffect("AdminServer is the node's own HTTP server"), members: &[
        ("admin.idleTimeout", "30000"),
        ("admin.httpVersion", "11"),
        ("IPAuthenticationProvider.usexforwardedfor", "false"),
    ] },
    Group { effect: NoEffect("ZooKeeper 3.9 does not read it either; see enforce.auth.enabled"), members: &[
        ("requireClientAuthScheme", ""),
        ("jaasLoginRenew", ""),
    ] },
    Group { effect: Refused("Java plugins cannot be loaded"), members: &[
        ("audit.impl.class", ""),
        ("ssl.context.supplier.class", ""),
        ("ssl.quorum.context.supplier.class", ""),
        ("ssl.authProvider", "x509"),
    ] },
    Group { effect: Refused("certificates are not looked up in lists of revoked ones"), members: &[
        ("ssl.crl", "false"),
        ("ssl.ocsp", "false"),
        ("ssl.quorum.crl", "false"),
        ("ssl.quorum.ocsp", "false"),
    ] },
    Group { effect: Refused("a port is either plaintext or TLS"), members: &[
        ("client.portUnification", "false"),
        ("portUnification", "false"),
        ("admin.portUnification", "false"),
    ] },
    Group { effect: Refused("AdminServer is not served with TLS"), members: &[
        ("admin.forceHttps", "false"),
        ("admin.needClientAuth", "false"),
    ] },
    Group { effect: Refused("servers know each other by certificates: sslQuorum"), members: &[
        ("quorum.auth.enableSasl", "false"),
        ("quorum.auth.learnerRequireSasl", "false"),
        ("quorum.auth.serverRequireSasl", "false"),
    ] },
    Group { effect: NoEffect("servers know each other by certificates: sslQuorum"), members: &[
        ("quorum.auth.learner.saslLoginContext", "QuorumLearner"),
        ("quorum.auth.server.saslLoginContext", "QuorumServer"),
        ("quorum.auth.kerberos.servicePrincipal", "zkquorum/localhost"),
    ] },
    Group { effect: Refused("there is no Kerberos; users are known by DIGEST-MD5 or by a certificate"), members: &[
        ("security.auth_to_local", ""),
        ("requireKerberosConfig", "false"),
        ("kinit", ""),
    ] },
    Group { effect: Refused("it is for ZooKeeper's own tests"), members: &[
        ("test.allowDiscontinuousProposals", "false"),
    ] },
    Group { effect: Refused("an oracle has no place in Raft"), members: &[
        ("oraclePath", ""),
    ] },
    Group { effect: Refused("znodes of ZooKeeper 3.5.3 are not understood"), members: &[
        ("emulate353TTLNodes", "false"),
    ] },
    Group { effect: Refused("a server without data always joins as one that knows nothing"), members: &[
        ("db.autocreate", "true"),
    ] },
];
