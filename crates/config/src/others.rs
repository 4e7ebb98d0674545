//! Kafka's other properties: declared so that they can be named, described, and refused where
//! ignoring them would change what the node does.

use std::sync::LazyLock;

use crate::broker::BROKER_PROPERTIES;
use crate::property::ValueType::{Boolean, Class, Double, Int, List, Long, Password, Short};
use crate::property::{
    Area, Bounds, Change, Effect,
    Effect::{NoEffect, Refused},
    Property, Unit, ValueType,
};

/// Properties that share what they are about and what setting them does.
struct Group {
    area: Area,
    effect: Effect,
    doc: &'static str,
    /// Name, type and Kafka's default.
    members: &'static [(&'static str, ValueType, Option<&'static str>)],
}

/// Every property of a node: the honoured ones first, then the others.
pub(crate) static NODE_PROPERTIES: LazyLock<Vec<Property>> = LazyLock::new(|| {
    let others = GROUPS.iter().flat_map(|group| {
        group
            .members
            .iter()
            .map(|&(name, value_type, default)| Property {
                name,
                value_type,
                default,
                bounds: Bounds::Any,
                unit: Unit::None,
                change: if DYNAMIC.contains(&name) {
                    Change::Live
                } else {
                    Change::Restart
                },
                area: group.area,
                effect: group.effect,
                doc: group.doc,
                fallbacks: &[],
            })
    });
    BROKER_PROPERTIES.iter().copied().chain(others).collect()
});

/// Those of the groups below that Kafka lets change while a broker runs. They change nothing here;
/// whoever sets them is told so, but is not kept from it.
#[rustfmt::skip]
static DYNAMIC: &[&str] = &[
    "errors.deadletterqueue.topic.name.prefix",
    "follower.fetch.last.tiered.offset.enable",
    "group.consumer.assignor.offload.enable",
    "group.coordinator.cached.buffer.max.bytes",
    "group.share.assignment.interval.ms",
    "group.share.assignor.offload.enable",
    "group.streams.assignment.interval.ms",
    "group.streams.assignor.offload.enable",
    "log.local.retention.bytes",
    "log.local.retention.ms",
    "log.remote.copy.lag.bytes",
    "log.remote.copy.lag.ms",
    "metric.reporters",
    "remote.fetch.max.wait.ms",
    "remote.list.offsets.request.timeout.ms",
    "remote.log.index.file.cache.total.size.bytes",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.copy.max.bytes.per.second",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.fetch.max.bytes.per.second",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "share.coordinator.cached.buffer.max.bytes",
];

/// Families of properties that are known by their prefix only.
static FAMILIES: &[(&str, Effect)] = &[
    ("zookeeper.", NoEffect("metadata never needs ZooKeeper")),
    ("confluent.", NoEffect("it is Confluent's own")),
    (
        "rsm.config.",
        NoEffect("tiered storage is not supported yet"),
    ),
    (
        "rlmm.config.",
        NoEffect("tiered storage is not supported yet"),
    ),
    (
        "listener.name.",
        Refused("listeners have no properties of their own yet"),
    ),
];

/// The declaration of a property.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    NODE_PROPERTIES
        .iter()
        .find(|property| property.name == name)
}

/// What setting a property of a known family does.
pub(crate) fn family(name: &str) -> Option<Effect> {
    FAMILIES
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .map(|&(_, effect)| effect)
}

/// The families, by prefix.
pub(crate) fn families() -> impl Iterator<Item = (&'static str, Effect)> {
    FAMILIES.iter().copied()
}

#[rustfmt::skip]
static GROUPS: &[Group] = &[
    Group { area: Area::Other, effect: Refused("Java plugins cannot be loaded"), doc: "A plugin of the JVM.", members: &[
        ("alter.config.policy.class.name", Class, None),
        ("client.quota.callback.class", Class, None),
        ("create.topic.policy.class.name", Class, None),
        ("group.share.dlq.manager.class.name", ValueType::String, Some("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager")),
        ("group.share.persister.class.name", ValueType::String, Some("org.apache.kafka.server.share.persister.DefaultStatePersister")),
    ] },
    Group { area: Area::Other, effect: Refused("access control is not supported yet, and starting without it would let everyone in"), doc: "Access control.", members: &[
        ("authorizer.class.name", ValueType::String, Some("")),
        ("principal.builder.class", Class, Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder")),
    ] },
    Group { area: Area::Other, effect: Refused("it is not built yet"), doc: "Not built yet.", members: &[
        ("config.providers", List, Some("")),
        ("cordoned.log.dirs", List, Some("")),
        ("errors.deadletterqueue.auto.create.topics.enable", Boolean, Some("false")),
        ("transaction.two.phase.commit.enable", Boolean, Some("false")),
        ("unstable.api.versions.enable", Boolean, Some("false")),
        ("unstable.feature.versions.enable", Boolean, Some("false")),
    ] },
    Group { area: Area::Tier, effect: Refused("tiered storage is not supported yet"), doc: "Turns tiered storage on.", members: &[
        ("remote.log.storage.system.enable", Boolean, Some("false")),
    ] },
    Group { area: Area::Tier, effect: NoEffect("tiered storage is not supported yet"), doc: "Tiered storage.", members: &[
        ("log.local.retention.bytes", Long, Some("-2")),
        ("log.local.retention.ms", Long, Some("-2")),
        ("log.remote.copy.lag.bytes", Long, Some("-1")),
        ("log.remote.copy.lag.ms", Long, Some("0")),
        ("remote.fetch.max.wait.ms", Int, Some("500")),
        ("remote.list.offsets.request.timeout.ms", Long, Some("30000")),
        ("remote.log.index.file.cache.total.size.bytes", Long, Some("1073741824")),
        ("remote.log.index.file.cache.ttl.ms", Long, Some("900000")),
        ("remote.log.manager.copier.thread.pool.size", Int, Some("10")),
        ("remote.log.manager.copy.max.bytes.per.second", Long, Some("9223372036854775807")),
        ("remote.log.manager.copy.quota.window.num", Int, Some("11")),
        ("remote.log.manager.copy.quota.window.size.seconds", Int, Some("1")),
        ("remote.log.manager.expiration.thread.pool.size", Int, Some("10")),
        ("remote.log.manager.fetch.max.bytes.per.second", Long, Some("9223372036854775807")),
        ("remote.log.manager.fetch.quota.window.num", Int, Some("11")),
        ("remote.log.manager.fetch.quota.window.size.seconds", Int, Some("1")),
        ("remote.log.manager.follower.thread.pool.size", Int, Some("2")),
        ("remote.log.manager.task.interval.ms", Long, Some("30000")),
        ("remote.log.manager.task.retry.backoff.max.ms", Long, Some("30000")),
        ("remote.log.manager.task.retry.backoff.ms", Long, Some("500")),
        ("remote.log.manager.task.retry.jitter", Double, Some("0.2")),
        ("remote.log.manager.thread.pool.size", Int, Some("2")),
        ("remote.log.metadata.consume.wait.ms", Long, Some("120000")),
        ("remote.log.metadata.custom.metadata.max.bytes", Int, Some("128")),
        ("remote.log.metadata.initialization.retry.interval.ms", Long, Some("100")),
        ("remote.log.metadata.initialization.retry.max.timeout.ms", Long, Some("120000")),
        ("remote.log.metadata.manager.class.name", ValueType::String, Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager")),
        ("remote.log.metadata.manager.class.path", ValueType::String, None),
        ("remote.log.metadata.manager.impl.prefix", ValueType::String, Some("rlmm.config.")),
        ("remote.log.metadata.manager.listener.name", ValueType::String, None),
        ("remote.log.metadata.topic.min.isr", Short, Some("2")),
        ("remote.log.metadata.topic.num.partitions", Int, Some("50")),
        ("remote.log.metadata.topic.replication.factor", Short, Some("3")),
        ("remote.log.metadata.topic.retention.ms", Long, Some("-1")),
        ("remote.log.reader.max.pending.tasks", Int, Some("100")),
        ("remote.log.reader.threads", Int, Some("10")),
        ("remote.log.storage.manager.class.name", ValueType::String, None),
        ("remote.log.storage.manager.class.path", ValueType::String, None),
        ("remote.log.storage.manager.impl.prefix", ValueType::String, Some("rsm.config.")),
    ] },
    Group { area: Area::Other, effect: NoEffect("TLS, SASL and access control are not supported yet, and a listener that asks for them is refused"), doc: "TLS, SASL, access control.", members: &[
        ("allow.everyone.if.no.acl.found", Boolean, Some("false")),
        ("connection.failed.authentication.delay.ms", Int, Some("100")),
        ("connections.max.reauth.ms", Long, Some("0")),
        ("delegation.token.expiry.check.interval.ms", Long, Some("3600000")),
        ("delegation.token.expiry.time.ms", Long, Some("86400000")),
        ("delegation.token.max.lifetime.ms", Long, Some("604800000")),
        ("delegation.token.secret.key", Password, None),
        ("early.start.listeners", List, None),
        ("sasl.client.callback.handler.class", Class, None),
        ("sasl.enabled.mechanisms", List, Some("GSSAPI")),
        ("sasl.jaas.config", Password, None),
        ("sasl.kerberos.kinit.cmd", ValueType::String, Some("/usr/bin/kinit")),
        ("sasl.kerberos.min.time.before.relogin", Long, Some("60000")),
        ("sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT")),
        ("sasl.kerberos.service.name", ValueType::String, None),
        ("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05")),
        ("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8")),
        ("sasl.login.callback.handler.class", Class, None),
        ("sasl.login.class", Class, None),
        ("sasl.login.connect.timeout.ms", Int, None),
        ("sasl.login.read.timeout.ms", Int, None),
        ("sasl.login.refresh.buffer.seconds", Short, Some("300")),
        ("sasl.login.refresh.min.period.seconds", Short, Some("60")),
        ("sasl.login.refresh.window.factor", Double, Some("0.8")),
        ("sasl.login.refresh.window.jitter", Double, Some("0.05")),
        ("sasl.login.retry.backoff.max.ms", Long, Some("10000")),
        ("sasl.login.retry.backoff.ms", Long, Some("100")),
        ("sasl.mechanism.controller.protocol", ValueType::String, Some("GSSAPI")),
        ("sasl.mechanism.inter.broker.protocol", ValueType::String, Some("GSSAPI")),
        ("sasl.oauthbearer.allow.unverified.audience", Boolean, Some("false")),
        ("sasl.oauthbearer.allow.unverified.issuer", Boolean, Some("false")),
        ("sasl.oauthbearer.assertion.algorithm", ValueType::String, Some("RS256")),
        ("sasl.oauthbearer.assertion.claim.aud", ValueType::String, None),
        ("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300")),
        ("sasl.oauthbearer.assertion.claim.iss", ValueType::String, None),
        ("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false")),
        ("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60")),
        ("sasl.oauthbearer.assertion.claim.sub", ValueType::String, None),
        ("sasl.oauthbearer.assertion.file", ValueType::String, None),
        ("sasl.oauthbearer.assertion.private.key.file", ValueType::String, None),
        ("sasl.oauthbearer.assertion.private.key.passphrase", Password, None),
        ("sasl.oauthbearer.assertion.template.file", ValueType::String, None),
        ("sasl.oauthbearer.client.credentials.client.id", ValueType::String, None),
        ("sasl.oauthbearer.client.credentials.client.secret", Password, None),
        ("sasl.oauthbearer.clock.skew.seconds", Int, Some("30")),
        ("sasl.oauthbearer.expected.audience", List, Some("")),
        ("sasl.oauthbearer.expected.issuer", ValueType::String, None),
        ("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000")),
        ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000")),
        ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100")),
        ("sasl.oauthbearer.jwks.endpoint.url", ValueType::String, None),
        ("sasl.oauthbearer.jwt.retriever.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")),
        ("sasl.oauthbearer.jwt.validator.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")),
        ("sasl.oauthbearer.scope", ValueType::String, None),
        ("sasl.oauthbearer.scope.claim.name", ValueType::String, Some("scope")),
        ("sasl.oauthbearer.sub.claim.name", ValueType::String, Some("sub")),
        ("sasl.oauthbearer.token.endpoint.url", ValueType::String, None),
        ("sasl.server.callback.handler.class", Class, None),
        ("sasl.server.max.receive.size", Int, Some("524288")),
        ("security.providers", ValueType::String, None),
        ("ssl.allow.dn.changes", Boolean, Some("false")),
        ("ssl.allow.san.changes", Boolean, Some("false")),
        ("ssl.cipher.suites", List, Some("")),
        ("ssl.client.auth", ValueType::String, Some("none")),
        ("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3")),
        ("ssl.endpoint.identification.algorithm", ValueType::String, Some("https")),
        ("ssl.engine.factory.class", Class, None),
        ("ssl.key.password", Password, None),
        ("ssl.keymanager.algorithm", ValueType::String, Some("SunX509")),
        ("ssl.keystore.certificate.chain", Password, None),
        ("ssl.keystore.key", Password, None),
        ("ssl.keystore.location", ValueType::String, None),
        ("ssl.keystore.password", Password, None),
        ("ssl.keystore.type", ValueType::String, Some("JKS")),
        ("ssl.principal.mapping.rules", ValueType::String, Some("DEFAULT")),
        ("ssl.protocol", ValueType::String, Some("TLSv1.3")),
        ("ssl.provider", ValueType::String, None),
        ("ssl.secure.random.implementation", ValueType::String, None),
        ("ssl.trustmanager.algorithm", ValueType::String, Some("PKIX")),
        ("ssl.truststore.certificates", Password, None),
        ("ssl.truststore.location", ValueType::String, None),
        ("ssl.truststore.password", Password, None),
        ("ssl.truststore.type", ValueType::String, Some("JKS")),
        ("super.users", ValueType::String, None),
    ] },
    Group { area: Area::Other, effect: NoEffect("the metadata quorum sees to it by itself"), doc: "The metadata quorum.", members: &[
        ("controller.performance.always.log.threshold.ms", Long, Some("2000")),
        ("controller.performance.sample.period.ms", Long, Some("60000")),
        ("controller.quorum.append.linger.ms", Int, Some("25")),
        ("controller.quorum.election.backoff.max.ms", Int, Some("1000")),
        ("controller.quorum.fetch.max.bytes", Int, Some("1048576")),
        ("controller.quorum.fetch.snapshot.max.bytes", Int, Some("1048576")),
        ("controller.socket.timeout.ms", Int, Some("30000")),
        ("metadata.log.max.snapshot.interval.ms", Long, Some("3600000")),
        ("metadata.log.segment.bytes", Int, Some("1073741824")),
        ("metadata.log.segment.ms", Long, Some("604800000")),
        ("metadata.max.idle.interval.ms", Int, Some("500")),
        ("metadata.max.retention.bytes", Long, Some("104857600")),
        ("metadata.max.retention.ms", Long, Some("604800000")),
        ("server.max.startup.time.ms", Long, Some("9223372036854775807")),
    ] },
    Group { area: Area::Other, effect: NoEffect("a node has one data directory: nothing moves between directories"), doc: "Quotas of moves between directories.", members: &[
        ("alter.log.dirs.replication.quota.window.num", Int, Some("11")),
        ("alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1")),
        ("replica.alter.log.dirs.io.max.bytes.per.second", Long, Some("9223372036854775807")),
    ] },
    Group { area: Area::Replication, effect: NoEffect("replication has no use for it"), doc: "Replication.", members: &[
        ("follower.fetch.last.tiered.offset.enable", Boolean, Some("false")),
        ("log.dir.failure.timeout.ms", Long, Some("30000")),
        ("num.replica.alter.log.dirs.threads", Int, None),
        ("replica.high.watermark.checkpoint.interval.ms", Long, Some("5000")),
        ("replica.socket.receive.buffer.bytes", Int, Some("65536")),
        ("socket.connection.setup.timeout.max.ms", Long, Some("30000")),
        ("socket.connection.setup.timeout.ms", Long, Some("10000")),
        ("unclean.leader.election.interval.ms", Long, Some("300000")),
    ] },
    Group { area: Area::Resources, effect: NoEffect("waiting requests need no purging"), doc: "Purgatories of the JVM.", members: &[
        ("delete.records.purgatory.purge.interval.requests", Int, Some("1")),
        ("fetch.purgatory.purge.interval.requests", Int, Some("1000")),
        ("producer.purgatory.purge.interval.requests", Int, Some("1000")),
        ("share.fetch.purgatory.purge.interval.requests", Int, Some("1000")),
    ] },
    Group { area: Area::Log, effect: NoEffect("the log needs no such tuning"), doc: "Tuning of the log.", members: &[
        ("group.coordinator.append.linger.ms", Int, Some("-1")),
        ("group.coordinator.background.threads", Int, Some("2")),
        ("group.coordinator.cached.buffer.max.bytes", Int, Some("1048588")),
        ("group.coordinator.threads", Int, Some("4")),
        ("log.initial.task.delay.ms", Long, Some("30000")),
        ("offsets.load.buffer.size", Int, Some("5242880")),
        ("offsets.topic.compression.codec", Int, Some("0")),
    ] },
    Group { area: Area::Groups, effect: NoEffect("targets are computed, and regular expressions resolved, where the group is, at once and whenever topics change"), doc: "How consumer groups follow the metadata.", members: &[
        ("group.consumer.assignor.offload.enable", Boolean, Some("true")),
        ("group.consumer.regex.refresh.interval.ms", Int, Some("600000")),
    ] },
    Group { area: Area::Groups, effect: NoEffect("share groups and streams groups are not supported yet"), doc: "Share groups and streams groups.", members: &[
        ("errors.deadletterqueue.topic.name.prefix", ValueType::String, Some("dlq.")),
        ("group.coordinator.rebalance.protocols", List, Some("classic,consumer,streams")),
        ("group.share.assignment.interval.ms", Int, Some("1000")),
        ("group.share.assignor.offload.enable", Boolean, Some("true")),
        ("group.share.assignors", List, Some("simple")),
        ("group.share.delivery.count.limit", Int, Some("5")),
        ("group.share.heartbeat.interval.ms", Int, Some("5000")),
        ("group.share.initialize.retry.interval.ms", Int, Some("30000")),
        ("group.share.max.assignment.interval.ms", Int, Some("15000")),
        ("group.share.max.delivery.count.limit", Int, Some("10")),
        ("group.share.max.heartbeat.interval.ms", Int, Some("15000")),
        ("group.share.max.partition.max.record.locks", Int, Some("4000")),
        ("group.share.max.record.lock.duration.ms", Int, Some("60000")),
        ("group.share.max.session.timeout.ms", Int, Some("60000")),
        ("group.share.max.share.sessions", Int, Some("2000")),
        ("group.share.max.size", Int, Some("200")),
        ("group.share.min.assignment.interval.ms", Int, Some("0")),
        ("group.share.min.delivery.count.limit", Int, Some("2")),
        ("group.share.min.heartbeat.interval.ms", Int, Some("5000")),
        ("group.share.min.partition.max.record.locks", Int, Some("100")),
        ("group.share.min.record.lock.duration.ms", Int, Some("15000")),
        ("group.share.min.session.timeout.ms", Int, Some("45000")),
        ("group.share.partition.max.record.locks", Int, Some("2000")),
        ("group.share.record.lock.duration.ms", Int, Some("30000")),
        ("group.share.session.timeout.ms", Int, Some("45000")),
        ("group.streams.acceptable.recovery.lag", Long, Some("10000")),
        ("group.streams.assignment.interval.ms", Int, Some("1000")),
        ("group.streams.assignor.offload.enable", Boolean, Some("true")),
        ("group.streams.assignors", List, Some("sticky")),
        ("group.streams.heartbeat.interval.ms", Int, Some("5000")),
        ("group.streams.initial.rebalance.delay.ms", Int, Some("3000")),
        ("group.streams.max.assignment.interval.ms", Int, Some("15000")),
        ("group.streams.max.heartbeat.interval.ms", Int, Some("15000")),
        ("group.streams.max.session.timeout.ms", Int, Some("60000")),
        ("group.streams.max.size", Int, Some("2147483647")),
        ("group.streams.max.standby.replicas", Int, Some("2")),
        ("group.streams.max.warmup.replicas", Int, Some("20")),
        ("group.streams.min.assignment.interval.ms", Int, Some("0")),
        ("group.streams.min.heartbeat.interval.ms", Int, Some("5000")),
        ("group.streams.min.session.timeout.ms", Int, Some("45000")),
        ("group.streams.min.task.offset.interval.ms", Int, Some("15000")),
        ("group.streams.num.standby.replicas", Int, Some("0")),
        ("group.streams.num.warmup.replicas", Int, Some("2")),
        ("group.streams.rack.aware.assignment.tags", List, Some("")),
        ("group.streams.session.timeout.ms", Int, Some("45000")),
        ("group.streams.task.offset.interval.ms", Int, Some("60000")),
        ("group.streams.topology.description.plugin.class", Class, None),
        ("share.coordinator.append.linger.ms", Int, Some("-1")),
        ("share.coordinator.cached.buffer.max.bytes", Int, Some("1048588")),
        ("share.coordinator.cold.partition.snapshot.interval.ms", Int, Some("300000")),
        ("share.coordinator.load.buffer.size", Int, Some("5242880")),
        ("share.coordinator.snapshot.update.records.per.snapshot", Int, Some("500")),
        ("share.coordinator.state.topic.compression.codec", Int, Some("0")),
        ("share.coordinator.state.topic.min.isr", Short, Some("2")),
        ("share.coordinator.state.topic.num.partitions", Int, Some("50")),
        ("share.coordinator.state.topic.prune.interval.ms", Int, Some("300000")),
        ("share.coordinator.state.topic.replication.factor", Short, Some("3")),
        ("share.coordinator.state.topic.segment.bytes", Int, Some("104857600")),
        ("share.coordinator.threads", Int, Some("1")),
        ("share.coordinator.write.timeout.ms", Int, Some("5000")),
    ] },
    Group { area: Area::Other, effect: NoEffect("metrics are served at /metrics of ottla.http.listener"), doc: "Metrics.", members: &[
        ("auto.include.jmx.reporter", Boolean, Some("true")),
        ("kafka.metrics.polling.interval.secs", Int, Some("10")),
        ("kafka.metrics.reporters", List, Some("")),
        ("metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter")),
        ("metrics.num.samples", Int, Some("2")),
        ("metrics.recording.level", ValueType::String, Some("INFO")),
        ("metrics.sample.window.ms", Long, Some("30000")),
    ] },
    Group { area: Area::Other, effect: NoEffect("newer versions of Kafka do not have it either"), doc: "Gone from Kafka.", members: &[
        ("broker.id.generation.enable", Boolean, None),
        ("control.plane.listener.name", ValueType::String, None),
        ("inter.broker.protocol.version", ValueType::String, None),
        ("log.message.downconversion.enable", Boolean, None),
        ("log.message.format.version", ValueType::String, None),
        ("offsets.commit.required.acks", Short, None),
        ("password.encoder.secret", Password, None),
        ("reserved.broker.max.id", Int, None),
    ] },
    Group { area: Area::Other, effect: Refused("newer versions of Kafka do not have it; use listeners and advertised.listeners"), doc: "Gone from Kafka.", members: &[
        ("advertised.host.name", ValueType::String, None),
        ("advertised.port", Int, None),
        ("host.name", ValueType::String, None),
        ("port", Int, None),
    ] },
    Group { area: Area::Other, effect: Refused("newer versions of Kafka do not have it; use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"), doc: "Gone from Kafka.", members: &[
        ("log.message.timestamp.difference.max.ms", Long, None),
    ] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_that_kafka_lets_change_is_declared_here() {
        let members = || GROUPS.iter().flat_map(|group| group.members);
        for name in DYNAMIC {
            assert!(members().any(|(member, ..)| member == name), "{name}");
        }
    }
}
