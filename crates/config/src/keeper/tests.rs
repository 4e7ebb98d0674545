#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use ottla_model::{ClientAuth, DigestAlgorithm, StoreFormat, TlsVersion};
use proptest::prelude::*;

use super::*;
use crate::error::ConfigErrors;
use crate::node::{Loaded, NodeConfig, Roles};
use crate::others as kafka;
use crate::property::{Bounds, Effect, ValueType};
use crate::sources::Sources;

fn from_file(text: &str) -> Sources {
    Sources {
        keeper_file: Some(("zoo.cfg".to_owned(), text.to_owned())),
        ..Sources::default()
    }
}

fn from_env(hostname: &str, variables: &[(&str, &str)]) -> Sources {
    let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    Sources {
        env: variables.iter().map(pair).collect(),
        hostname: hostname.to_owned(),
        ..Sources::default()
    }
}

fn from_flags(flags: &[(&str, &str)]) -> Sources {
    let pair = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    Sources {
        flags: flags.iter().map(pair).collect(),
        hostname: "zk-2".to_owned(),
        ..Sources::default()
    }
}

fn loaded(sources: Sources) -> (KeeperConfig, Vec<String>) {
    let Loaded { config, notices } = NodeConfig::load(sources).unwrap();
    let notices = notices.iter().map(ToString::to_string).collect();
    (config.keeper.unwrap(), notices)
}

fn keeper(sources: Sources) -> KeeperConfig {
    loaded(sources).0
}

fn errors(sources: Sources) -> Vec<String> {
    match NodeConfig::load(sources) {
        Ok(loaded) => panic!("loaded: {:?}", loaded.notices),
        Err(ConfigErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn error(sources: Sources) -> String {
    let errors = errors(sources);
    let [error] = errors.as_slice() else {
        panic!("{errors:#?}")
    };
    error.clone()
}

fn hosts(config: &KeeperConfig) -> Vec<String> {
    let line = |server: &KeeperServer| format!("{}={server}", server.id);
    config.servers.iter().map(line).collect()
}

#[test]
fn without_a_word_a_node_has_a_keeper_for_this_machine_only() {
    let Loaded { config, notices } = NodeConfig::load(Sources::default()).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let keeper = config.keeper.unwrap();
    assert_eq!(keeper, KeeperConfig::default());
    let listener = keeper.client_listener.clone().unwrap();
    assert_eq!((listener.host.as_str(), listener.port), ("127.0.0.1", 2181));
    assert_eq!(keeper.secure_client_listener, None);
    assert_eq!(keeper.storage.data_dir, "./ottla-data/keeper");
    assert_eq!(keeper.storage.data_log_dir, "./ottla-data/keeper");
    assert!(keeper.is_standalone());
    assert_eq!(keeper.my_id(None).unwrap(), 0);
    assert_eq!(
        (keeper.session_timeout_ms_min, keeper.session_timeout_ms_max),
        (4_000, 40_000)
    );
    assert_eq!(keeper.limits.jute_max_buffer_bytes, 1_048_575);
    assert_eq!(keeper.limits.connections_per_ip_max, Some(60));
    assert_eq!(keeper.limits.connections_max, None);
    assert_eq!(keeper.limits.connection_throttle, None);
    assert_eq!(keeper.limits.request_throttle.requests_max, None);
    assert_eq!(keeper.storage.snap_size_limit_bytes, Some(4 << 30));
    assert_eq!(keeper.storage.purge_interval_ms, None);
    assert_eq!(keeper.containers.never_used_ms_max, None);
    assert!(keeper.storage.force_sync && keeper.leader_serves);
    assert!(keeper.auth.digest_enabled && !keeper.auth.sasl_enabled);
    assert!(keeper.four_letter_words.allows("ruok"));
    assert!(!keeper.four_letter_words.allows("wchp"));
}

/// The `zoo.cfg` of ZooKeeper's getting-started page, with an ensemble.
#[test]
fn a_zoo_cfg_alone_makes_a_keeper_and_nothing_else() {
    let text = "# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\n\
                syncLimit=5\ndataDir=/var/lib/zookeeper\nclientPort=2182\n\
                autopurge.purgeInterval=12\nmaxClientCnxns=0\n\
                server.1=zoo1:2888:3888\nserver.2=zoo2:2888:3888;2181\n\
                server.3=[::1]:2888:3888:observer;[::]:2181\nserver.10=zoo4:2888:3888\n";
    let Loaded { config, notices } = NodeConfig::load(from_file(text)).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let alone = Roles {
        broker: false,
        controller: false,
        keeper: true,
    };
    assert_eq!(config.roles, alone);
    assert!(config.listeners.is_empty());
    let keeper = config.keeper.unwrap();
    assert!(!keeper.is_standalone());
    assert_eq!(
        hosts(&keeper),
        [
            "1=zoo1:2888:3888:participant",
            "2=zoo2:2888:3888:participant;0.0.0.0:2181",
            "3=[::1]:2888:3888:observer;[::]:2181",
            "10=zoo4:2888:3888:participant",
        ]
    );
    let listener = keeper.client_listener.clone().unwrap();
    assert_eq!((listener.host.as_str(), listener.port), ("", 2182));
    assert_eq!(keeper.storage.data_dir, "/var/lib/zookeeper");
    assert_eq!(keeper.storage.purge_interval_ms, Some(12 * 3_600_000));
    assert_eq!(keeper.limits.connections_per_ip_max, None);
    let server = keeper.server(3).unwrap();
    assert_eq!(server.peer_type, KeeperPeerType::Observer);
    assert_eq!(server.addresses[0].host, "::1");
}

#[test]
fn with_another_file_the_roles_are_as_that_one_says() {
    let mut sources = from_file("clientPort=2182\n");
    sources.file = Some(("server.properties".into(), "num.partitions=2\n".into()));
    let config = NodeConfig::load(sources.clone()).unwrap().config;
    assert!(config.roles.broker && config.roles.keeper);
    sources
        .flags
        .push(("process.roles".into(), "broker,controller".into()));
    let Loaded { config, notices } = NodeConfig::load(sources).unwrap();
    assert_eq!(config.keeper, None);
    let text = notices[0].to_string();
    assert!(text.contains("clientPort has no effect"), "{text}");
}

#[test]
fn zookeepers_names_stand_beside_kafkas_in_every_source() {
    let mut sources = from_flags(&[("clientPort", "2183"), ("num.partitions", "7")]);
    sources.file = Some((
        "server.properties".into(),
        "tickTime=1000\nzookeeper.snapCount=500\nzookeeper.connect=a:2181\n".into(),
    ));
    sources
        .env
        .insert("OTTLA_MAXCLIENTCNXNS".into(), "9".into());
    sources
        .env
        .insert("OTTLA_AUTOPURGE_PURGEINTERVAL".into(), "2".into());
    let config = NodeConfig::load(sources).unwrap().config;
    assert_eq!(config.broker.num_partitions, 7);
    let keeper = config.keeper.unwrap();
    assert_eq!(keeper.client_listener.unwrap().port, 2183);
    assert_eq!(keeper.tick_time_ms, 1_000);
    assert_eq!(keeper.storage.snap_count, 500);
    assert_eq!(keeper.limits.connections_per_ip_max, Some(9));
    assert_eq!(keeper.storage.purge_interval_ms, Some(7_200_000));
}

#[test]
fn a_stronger_source_wins_and_doubles_are_named() {
    let mut sources = from_file("tickTime=1000\nsnapCount=10\nsnapCount=20\n");
    let (config, notices) = loaded(sources.clone());
    assert_eq!(
        (config.tick_time_ms, config.storage.snap_count),
        (1_000, 20)
    );
    assert_eq!(
        notices,
        ["snapCount is in zoo.cfg more than once; line 3 counts."]
    );
    sources.env.insert("ZK_TICK_TIME".into(), "3000".into());
    assert_eq!(keeper(sources.clone()).tick_time_ms, 3_000);
    sources.env.insert("ZOO_TICK_TIME".into(), "4000".into());
    let (config, notices) = loaded(sources.clone());
    assert_eq!(config.tick_time_ms, 4_000);
    assert!(notices.iter().any(|notice| notice
        == "ZOO_TICK_TIME and ZK_TICK_TIME both set tickTime; ZOO_TICK_TIME counts."));
    sources.env.insert("OTTLA_TICKTIME".into(), "5000".into());
    assert_eq!(keeper(sources.clone()).tick_time_ms, 5_000);
    sources.flags.push(("tickTime".into(), "6000".into()));
    assert_eq!(keeper(sources).tick_time_ms, 6_000);
}

/// Each property of the manual works under the name of its system property, too.
#[test]
fn a_system_property_and_its_name_in_the_file_are_one() {
    for property in PROPERTIES.iter() {
        let prefixed = format!("zookeeper.{}", property.name);
        assert_eq!(canonical(&prefixed).as_deref(), Some(property.name));
        assert_eq!(canonical(property.name).as_deref(), Some(property.name));
    }
    let throttled = keeper(from_flags(&[
        ("requestThrottleLimit", "5"),
        ("zookeeper.connection_throttle_tokens", "6"),
        ("connectionFreezeTime", "7"),
    ]));
    assert_eq!(throttled.limits.request_throttle.requests_max, Some(5));
    let bucket = throttled.limits.connection_throttle.unwrap();
    assert_eq!((bucket.tokens, bucket.freeze_time_ms), (6, Some(7)));
    assert_eq!(canonical("zookeeper.connect"), None);
    assert_eq!(canonical("group.initial.rebalance.delay.ms"), None);
    assert_eq!(canonical("server.x"), None);
}

/// A name that Kafka has, too, is Kafka's everywhere but in a `zoo.cfg`.
#[test]
fn few_names_are_both_kafkas_and_zookeepers() {
    let names = PROPERTIES.iter().map(|property| property.name);
    let both: Vec<&str> = names.filter(|name| kafka::find(name).is_some()).collect();
    assert_eq!(both, ["ssl.protocol"]);
}

/// What the manual of ZooKeeper 3.9.5 and its sources name, without what is in `VARIABLES` of images.
#[test]
fn every_property_of_zookeeper_is_known() {
    let names = "clientPort secureClientPort observerMasterPort dataDir tickTime dataLogDir \
        globalOutstandingLimit preAllocSize snapCount commitLogCount snapSizeLimitInKb \
        txnLogSizeLimitInKb maxCnxns maxClientCnxns clientPortAddress minSessionTimeout \
        maxSessionTimeout fsync.warningthresholdms maxResponseCacheSize \
        maxGetChildrenResponseCacheSize autopurge.snapRetainCount autopurge.purgeInterval \
        syncEnabled extendedTypesEnabled emulate353TTLNodes watchManagerName \
        watcherCleanThreadsNum watcherCleanThreshold watcherCleanIntervalInSeconds \
        maxInProcessingDeadWatchers bitHashCacheSize fastleader.minNotificationInterval \
        fastleader.maxNotificationInterval connectionMaxTokens connectionTokenFillTime \
        connectionTokenFillCount connectionFreezeTime connectionDropIncrease \
        connectionDropDecrease connectionDecreaseRatio \
        zookeeper.connection_throttle_weight_enabled \
        zookeeper.connection_throttle_global_session_weight \
        zookeeper.connection_throttle_local_session_weight \
        zookeeper.connection_throttle_renew_session_weight clientPortListenBacklog \
        serverCnxnFactory flushDelay maxWriteQueuePollTime maxBatchSize enforceQuota \
        requestThrottleLimit requestThrottleStallTime requestThrottleDropStale \
        requestStaleLatencyCheck requestStaleConnectionCheck \
        zookeeper.request_throttler.shutdownTimeout advancedFlowControlEnabled \
        enableEagerACLCheck maxConcurrentSnapSyncs maxConcurrentDiffSyncs digest.enabled \
        snapshot.compression.method snapshot.trust.empty audit.enable audit.impl.class \
        largeRequestMaxBytes largeRequestThreshold outstandingHandshake.limit \
        netty.server.earlyDropSecureConnectionHandshakes throttledOpWaitTime \
        learner.closeSocketAsync leader.closeSocketAsync learner.asyncSending \
        forward_learner_requests_to_commit_processor_disabled \
        serializeLastProcessedZxid.enabled electionAlg maxTimeToWaitForEpoch initLimit \
        connectToLearnerMasterLimit leaderServes server.1 syncLimit group.1 weight.1 cnxTimeout \
        quorumCnxnTimeoutMs standaloneEnabled reconfigEnabled 4lw.commands.whitelist \
        tcpKeepAlive clientTcpKeepAlive electionPortBindRetry observer.reconnectDelayMs \
        observer.election.DelayMs localSessionsEnabled localSessionsUpgradingEnabled \
        DigestAuthenticationProvider.enabled DigestAuthenticationProvider.superDigest \
        DigestAuthenticationProvider.digestAlg IPAuthenticationProvider.usexforwardedfor \
        X509AuthenticationProvider.superUser zookeeper.superUser zookeeper.superUser.1 \
        ssl.authProvider zookeeper.ensembleAuthName sessionRequireClientSASLAuth \
        enforce.auth.enabled enforce.auth.schemes sslQuorum ssl.keyStore.location \
        ssl.keyStore.password ssl.keyStore.passwordPath ssl.keyStore.type \
        ssl.trustStore.location ssl.trustStore.password ssl.trustStore.passwordPath \
        ssl.trustStore.type ssl.protocol ssl.enabledProtocols ssl.ciphersuites \
        ssl.context.supplier.class ssl.hostnameVerification ssl.clientHostnameVerification \
        ssl.allowReverseDnsLookup ssl.crl ssl.ocsp ssl.clientAuth \
        ssl.handshakeDetectionTimeoutMillis ssl.quorum.keyStore.location \
        ssl.quorum.keyStore.password ssl.quorum.keyStore.passwordPath ssl.quorum.keyStore.type \
        ssl.quorum.trustStore.location ssl.quorum.trustStore.password \
        ssl.quorum.trustStore.passwordPath ssl.quorum.trustStore.type ssl.quorum.protocol \
        ssl.quorum.enabledProtocols ssl.quorum.ciphersuites ssl.quorum.context.supplier.class \
        ssl.quorum.hostnameVerification ssl.quorum.clientHostnameVerification \
        ssl.quorum.allowReverseDnsLookup ssl.quorum.crl ssl.quorum.ocsp ssl.quorum.clientAuth \
        ssl.quorum.handshakeDetectionTimeoutMillis ssl.sslProvider sslQuorumReloadCertFiles \
        client.certReload client.portUnification authProvider.1 authProvider.sasl \
        kerberos.removeHostFromPrincipal kerberos.removeRealmFromPrincipal \
        kerberos.canonicalizeHostNames multiAddress.enabled \
        multiAddress.reachabilityCheckTimeoutMs multiAddress.reachabilityCheckEnabled fips-mode \
        readonlymode.enabled zookeeper.follower.skipLearnerRequestToNextProcessor forceSync \
        jute.maxbuffer jute.maxbuffer.extrasize zookeeper.jute.maxbuffer.extrasize skipACL \
        quorumListenOnAllIPs zookeeper.datadir.autocreate zookeeper.db.autocreate \
        zookeeper.nio.numSelectorThreads zookeeper.nio.numWorkerThreads \
        zookeeper.commitProcessor.numWorkerThreads zookeeper.commitProcessor.maxReadBatchSize \
        zookeeper.commitProcessor.maxCommitBatchSize znode.container.checkIntervalMs \
        znode.container.maxPerMinute znode.container.maxNeverUsedIntervalMs \
        zookeeper.messageTracker.BufferSize zookeeper.messageTracker.Enabled \
        admin.rateLimiterIntervalInMS admin.snapshot.enabled admin.restore.enabled \
        admin.needClientAuth admin.forceHttps admin.portUnification admin.enableServer \
        admin.serverAddress admin.serverPort admin.idleTimeout admin.commandURL \
        metricsProvider.className metricsProvider.httpHost metricsProvider.httpPort \
        metricsProvider.exportJvmInfo metricsProvider.numWorkerThreads \
        metricsProvider.maxQueueSize metricsProvider.workerShutdownTimeoutMs peerType \
        dynamicConfigFile portUnification oraclePath quorum.auth.enableSasl \
        quorum.auth.learnerRequireSasl quorum.auth.serverRequireSasl \
        quorum.auth.learner.saslLoginContext quorum.auth.server.saslLoginContext \
        quorum.auth.kerberos.servicePrincipal quorum.cnxn.threads.size jvm.pause.monitor \
        jvm.pause.sleep.time.ms jvm.pause.warn-threshold.ms jvm.pause.info-threshold.ms \
        zookeeper.allowSaslFailedClients zookeeper.letAnySaslUserDoX \
        zookeeper.SASLAuthenticationProvider.superPassword zookeeper.sasl.serverconfig \
        zookeeper.closeSessionTxn.enabled zookeeper.snapshotSizeFactor \
        zookeeper.admin.httpVersion zookeeper.observerMaster.sizeLimit \
        zookeeper.observer.syncEnabled zookeeper.pathStats.enabled \
        zookeeper.leader.ackLoggingFrequency zookeeper.leaderConnectDelayDuringRetryMs \
        zookeeper.forceSnapshotSync zookeeper.intBufferStartingSizeBytes \
        zookeeper.nio.directBufferBytes zookeeper.nio.sessionlessCnxnTimeout \
        zookeeper.nio.shutdownTimeout zookeeper.commitProcessor.shutdownTimeout \
        zookeeper.requireKerberosConfig zookeeper.security.auth_to_local zookeeper.kinit \
        zookeeper.test.allowDiscontinuousProposals zookeeper.testingonly.initialZxid \
        zookeeper.throttled_op_wait_time zookeeper.clientCnxnSocket zookeeper.client.secure \
        leader.nodelay follower.nodelay java.security.auth.login.config";
    for name in names.split_whitespace() {
        assert!(canonical(name).is_some(), "{name}");
    }
}

#[test]
fn what_would_change_behaviour_is_refused_by_name() {
    for (key, value) in [
        ("group.1", "1:2"),
        ("weight.1", "2"),
        ("quorum.auth.enableSasl", "true"),
        ("kerberos.removeHostFromPrincipal", "true"),
        ("ssl.crl", "true"),
        ("client.portUnification", "true"),
        ("emulate353TTLNodes", "true"),
        ("oraclePath", "/o"),
        ("authProvider.1", "com.example.Mine"),
        ("ssl.authProvider", "mine"),
        ("zookeeper.db.autocreate", "false"),
    ] {
        let error = error(from_file(&format!("{key}={value}\n")));
        let name = key.trim_start_matches("zookeeper.");
        let start = format!("{name} = {value} (from zoo.cfg, line 1) is not supported: ");
        assert!(error.starts_with(&start), "{error}");
    }
    // Stating the default is no wish for anything.
    let (_, notices) = loaded(from_file("ssl.crl=false\nquorum.auth.enableSasl=false\n"));
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn what_has_no_effect_or_is_unknown_is_named_once() {
    let (_, notices) = loaded(from_file(
        "preAllocSize=1\nsyncLimt=5\nmetricsProvider.exportJvmInfo=true\n",
    ));
    assert_eq!(
        notices,
        [
            "metricsProvider.exportJvmInfo (from zoo.cfg, line 3) has no effect: the keeper's \
             metrics have no such option.",
            "preAllocSize (from zoo.cfg, line 1) has no effect: the log has files of its own.",
            "syncLimt (from zoo.cfg, line 2) is not a known property of ZooKeeper and has no \
             effect. Did you mean syncLimit?",
        ]
    );
    let sources = from_flags(&[("clientPrt", "1")]);
    let notices = NodeConfig::load(sources).unwrap().notices;
    assert!(notices[0].message.ends_with("Did you mean clientPort?"));
}

#[test]
fn every_property_refuses_what_is_out_of_its_bounds_by_name() {
    let mut tried = 0;
    for property in PROPERTIES.iter() {
        if matches!(property.effect, Effect::Refused(_)) {
            continue;
        }
        let mut texts = match property.bounds {
            Bounds::AtLeast(min) => vec![(min - 1).to_string()],
            Bounds::Between(min, max) => vec![(min - 1).to_string(), (max + 1).to_string()],
            Bounds::OneOf(_) => vec!["zebra".to_owned()],
            Bounds::NonEmpty => vec![String::new()],
            _ => Vec::new(),
        };
        let typed = [ValueType::Boolean, ValueType::Int, ValueType::Long];
        if typed.contains(&property.value_type) {
            texts.push("zebra".to_owned());
        }
        for text in texts {
            let name = property.name;
            let errors = errors(from_file(&format!("{name}={text}\n")));
            let start = format!("{name} = {text} (from zoo.cfg, line 1): ");
            assert!(errors.iter().any(|e| e.starts_with(&start)), "{errors:?}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// The mistake of a document: the sync limit comes from the key of the tick.
#[test]
fn a_limit_that_makes_more_than_an_hour_is_warned_of() {
    let (config, notices) = loaded(from_env(
        "zk-0",
        &[("ZK_TICK_TIME", "2000"), ("ZK_SYNC_LIMIT", "2000")],
    ));
    assert_eq!(config.sync_limit_ticks, 2_000);
    let warned = "syncLimit = 2000 ticks of tickTime = 2000 ms are 4000 s";
    assert!(notices[0].starts_with(warned), "{notices:?}");
}

#[test]
fn the_variables_of_the_documents_make_an_ensemble() {
    let mut sources = from_env(
        "zk-1",
        &[
            ("ZK_REPLICAS", "3"),
            ("ZK_HEAP_SIZE", "1G"),
            ("ZK_TICK_TIME", "2000"),
            ("ZK_INIT_LIMIT", "10"),
            ("ZK_SYNC_LIMIT", "5"),
            ("ZK_MAX_CLIENT_CNXNS", "60"),
            ("ZK_SNAP_RETAIN_COUNT", "3"),
            ("ZK_PURGE_INTERVAL", "0"),
            ("ZK_CLIENT_PORT", "2181"),
            ("ZK_SERVER_PORT", "2888"),
            ("ZK_ELECTION_PORT", "3888"),
            ("ZK_SVC_SERVICE_HOST", "10.0.0.1"),
            ("ZK_SVC_PORT", "tcp://10.0.0.1:2181"),
            ("ZK_SVC_PORT_2181_TCP_PORT", "2181"),
        ],
    );
    sources.domain = Some("zk-svc.brand.svc.cluster.local".to_owned());
    let (config, notices) = loaded(sources.clone());
    assert_eq!(
        hosts(&config),
        [
            "1=zk-0.zk-svc.brand.svc.cluster.local:2888:3888:participant",
            "2=zk-1.zk-svc.brand.svc.cluster.local:2888:3888:participant",
            "3=zk-2.zk-svc.brand.svc.cluster.local:2888:3888:participant",
        ]
    );
    assert_eq!(config.my_id(None).unwrap(), 2);
    assert_eq!(
        notices,
        ["ZK_HEAP_SIZE in the environment has no effect: there is no JVM."]
    );

    sources.domain = None;
    let (config, notices) = loaded(sources.clone());
    assert_eq!(config.servers[2].addresses[0].host, "zk-2");
    assert!(
        notices
            .iter()
            .any(|n| n.starts_with("The domain of zk-1 is not known"))
    );

    sources.hostname = "zookeeper".to_owned();
    assert_eq!(
        error(sources.clone()),
        "Failed to extract ordinal from hostname zookeeper"
    );
    sources.hostname = "zk-3.zk-svc".to_owned();
    assert!(error(sources).contains("zk-3.zk-svc is none of zk-0.zk-svc to zk-2.zk-svc"));
}

#[test]
fn the_variables_of_dockers_image_are_its_zoo_cfg() {
    let config = keeper(from_env(
        "b3f1",
        &[
            ("ZOO_MY_ID", "2"),
            (
                "ZOO_SERVERS",
                "server.1=zoo1:2888:3888;2181 server.2=0.0.0.0:2888:3888;2181 \
                 server.3=zoo3:2888:3888;2181",
            ),
            ("ZOO_STANDALONE_ENABLED", "false"),
            ("ZOO_ADMINSERVER_ENABLED", "false"),
            ("ZOO_AUTOPURGE_PURGEINTERVAL", "1"),
            ("ZOO_AUTOPURGE_SNAPRETAINCOUNT", "5"),
            ("ZOO_4LW_COMMANDS_WHITELIST", "srvr, mntr"),
            ("ZOO_DATA_DIR", "/data"),
            ("ZOO_DATA_LOG_DIR", "/datalog"),
            (
                "ZOO_CFG_EXTRA",
                "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider metricsProvider.httpPort=7070",
            ),
            (
                "JVMFLAGS",
                "-Xmx1g -Dzookeeper.skipACL=yes -Djute.maxbuffer=4194304",
            ),
        ],
    ));
    assert_eq!(config.my_id(Some("2\n")).unwrap(), 2);
    assert_eq!(config.servers.len(), 3);
    assert_eq!(config.servers[0].client.as_ref().unwrap().port, 2181);
    assert!(!config.standalone_enabled && !config.admin.enabled);
    assert_eq!(config.storage.purge_interval_ms, Some(3_600_000));
    assert_eq!(config.storage.snap_retain_count, 5);
    let words = ["srvr", "mntr"].map(str::to_owned).to_vec();
    assert_eq!(config.four_letter_words, FourLetterWords::Only(words));
    assert_eq!(config.storage.data_dir, "/data");
    assert_eq!(config.storage.data_log_dir, "/datalog");
    assert_eq!(config.metrics_listener.unwrap().port, 7070);
    assert!(config.auth.skip_acl);
    assert_eq!(config.limits.jute_max_buffer_bytes, 4 << 20);
}

#[test]
fn the_variables_of_bitnamis_image_are_its_zoo_cfg() {
    let (config, notices) = loaded(from_env(
        "b3f1",
        &[
            ("ZOO_SERVER_ID", "7"),
            (
                "ZOO_SERVERS",
                "a:2888:3888::7,b:2888:3888:observer::8 c:2888:3888::9;d:2888:3888::10",
            ),
            ("ZOO_PORT_NUMBER", "2182"),
            ("ZOO_ENABLE_AUTH", "yes"),
            ("ZOO_SERVER_USERS", "bob,eve"),
            ("ZOO_SERVER_PASSWORDS", "one;two"),
            ("ZOO_TLS_CLIENT_ENABLE", "true"),
            ("ZOO_TLS_CLIENT_KEYSTORE_FILE", "/k.p12"),
            ("ZOO_TLS_CLIENT_KEYSTORE_PASSWORD", "sesame"),
            ("ZOO_TLS_CLIENT_TRUSTSTORE_FILE", "/t.pem"),
            ("ZOO_CFG_tickTime", "1500"),
            ("ALLOW_ANONYMOUS_LOGIN", "yes"),
            ("ZOO_FIPS_MODE", "no"),
            ("ZOO_SOMETHING", "else"),
        ],
    ));
    assert_eq!(config.my_id(None).unwrap(), 7);
    let ids: Vec<i64> = config.servers.iter().map(|server| server.id).collect();
    assert_eq!(ids, [7, 8, 9, 10]);
    assert_eq!(config.servers[1].peer_type, KeeperPeerType::Observer);
    assert_eq!(config.client_listener, None);
    assert_eq!(config.secure_client_listener.unwrap().port, 3181);
    assert_eq!(config.tick_time_ms, 1_500);
    assert_eq!(config.auth.enforced_schemes, ["sasl"]);
    assert!(config.auth.sasl_enabled);
    let users: Vec<(&str, &str)> = config
        .auth
        .sasl_users
        .iter()
        .map(|(user, password)| (user.as_str(), password.expose()))
        .collect();
    assert_eq!(users, [("bob", "one"), ("eve", "two")]);
    let key_store = config.client_tls.unwrap().key_store.unwrap();
    assert_eq!(key_store.format, StoreFormat::Pkcs12);
    assert!(
        notices
            .iter()
            .any(|n| n.starts_with("ZOO_SOMETHING in the environment is not known"))
    );
    assert!(
        notices
            .iter()
            .any(|n| n.starts_with("ALLOW_ANONYMOUS_LOGIN"))
    );

    let refused = from_env("h", &[("ZOO_ENABLE_QUORUM_AUTH", "yes")]);
    assert!(error(refused).contains("ZOO_ENABLE_QUORUM_AUTH = yes"));
    let uneven = from_env("h", &[("ZOO_SERVER_USERS", "a b")]);
    assert!(error(uneven).contains("2 users and 0 passwords"));
}

#[test]
fn the_number_of_a_server_comes_from_one_source_or_from_several_that_agree() {
    let ensemble = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    let load = |hostname: &str, more: &str| {
        let mut sources = from_file(&format!("{ensemble}dataDir=/d\n{more}"));
        sources.hostname = hostname.to_owned();
        keeper(sources)
    };
    assert_eq!(load("x", "myid=2\n").my_id(None).unwrap(), 2);
    assert_eq!(load("x", "").my_id(Some(" 3 \nmore\n")).unwrap(), 3);
    assert_eq!(load("x", "myid=3\n").my_id(Some("3")).unwrap(), 3);
    // The ordinal is a guess that counts last, unless it was asked for.
    assert_eq!(load("zk-1", "").my_id(None).unwrap(), 2);
    assert_eq!(load("zk-1", "").my_id(Some("3")).unwrap(), 3);
    assert!(load("zk-7", "").my_id(None).is_err());
    let asked = load("zk-1", "ottla.keeper.myid.ordinal.offset=2\n");
    assert_eq!(asked.my_id(None).unwrap(), 3);
    let conflict = asked.my_id(Some("1")).unwrap_err().to_string();
    assert!(
        conflict.starts_with("/d/myid says 1, the hostname says 3: "),
        "{conflict}"
    );
    let conflict = load("x", "myid=2\n")
        .my_id(Some("1"))
        .unwrap_err()
        .to_string();
    assert!(
        conflict.starts_with("myid says 2, /d/myid says 1: "),
        "{conflict}"
    );
    let missing = load("x", "").my_id(None).unwrap_err().to_string();
    assert!(missing.contains("/d/myid"), "{missing}");
    let large = keeper(from_file("dataDir=/d\n")).my_id(Some("255"));
    let large = large.unwrap_err().to_string();
    assert!(
        large.starts_with("/d/myid = 255: ") && large.contains("from 0 to 254"),
        "{large}"
    );
    for text in ["", "one", "-1", "1 2", "99999999999999999999"] {
        assert!(load("x", "").my_id(Some(text)).is_err(), "{text}");
    }
    let mut sources = from_file("ottla.keeper.myid.ordinal.offset=1\n");
    sources.hostname = "zookeeper".to_owned();
    assert_eq!(
        error(sources),
        "Failed to extract ordinal from hostname zookeeper"
    );
}

#[test]
fn servers_that_cannot_be_an_ensemble_are_refused() {
    for (lines, why) in [
        ("server.1=a\n", "does not have the form"),
        ("server.1=a:1\n", "does not have the form"),
        ("server.1=a:1:1\n", "must differ"),
        ("server.1=a:1:2:voter\n", "neither participant nor observer"),
        ("server.1=a:1:2:participant:x\n", "does not have the form"),
        ("server.1=a:1:2;x\n", "no port"),
        ("server.1=a:1:2;b:x\n", "no port"),
        ("server.1=a:1:2;1;2\n", "no port"),
        ("server.1=a:+1:2\n", "no port"),
        ("server.1=:1:2\n", "a host and two ports"),
        ("server.1=[::1:1:2\n", "bracket"),
        ("server.x=a:1:2\n", "no number"),
        ("server.-1=a:1:2\n", "no number"),
        (
            "server.1=a:1:2|b:1:2:observer|c:1:2:participant\n",
            "all be",
        ),
        ("server.1=a:1:2\nserver.2=a:1:3\n", "same address"),
        ("server.1=a:1:2:observer\n", "participants to follow"),
        (
            "server.1=a:1:2\nserver.2=b:1:2:observer\n",
            "standaloneEnabled=false",
        ),
        ("standaloneEnabled=false\n", "needs a participant"),
        ("dynamicConfigFile=/d\nserver.1=a:1:2\n", "in that file"),
        ("server.1=a:1:2\nserver.255=b:1:2\n", "from 0 to 254"),
        ("server.1=a:1:2\nserver.70000=b:1:2\n", "from 0 to 254"),
        ("ottla.keeper.replicas=3\nserver.1=a:1:2\n", "not counted"),
    ] {
        let errors = errors(from_file(lines));
        assert!(
            errors.iter().any(|e| e.contains(why)),
            "{lines}: {errors:?}"
        );
    }
    let (config, _) = loaded(from_file("server.1=a:1:2|[::1]:3:4;5\n"));
    assert_eq!(hosts(&config), ["1=a:1:2|[::1]:3:4:participant;0.0.0.0:5"]);
    assert!(config.is_standalone());
    assert_eq!(config.my_id(None).unwrap(), 1);
    let one = "standaloneEnabled=false\nserver.4=a:1:2\n";
    assert!(!keeper(from_file(one)).is_standalone());
    let (_, notices) = loaded(from_file("server.1=a:1:2\nserver.2=b:1:2\n"));
    assert!(notices[0].contains("three survive one"));
}

#[test]
fn servers_can_stand_in_a_file_of_their_own() {
    let mut config = keeper(from_file(
        "dynamicConfigFile=/c/zoo.cfg.dynamic.10000000a\n",
    ));
    let path = config.dynamic_config_file.clone().unwrap();
    let text = "server.2=b:1:2\nserver.1=a:1:2:participant;2181\nserver.3=c:1:2\n";
    config.read_dynamic_config(&path, text).unwrap();
    assert_eq!(config.dynamic_config_version, 0x1_0000_000a);
    assert_eq!(config.servers.len(), 3);
    assert_eq!(
        config_text(&config.servers, config.dynamic_config_version),
        "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:participant\n\
         server.3=c:1:2:participant\nversion=10000000a"
    );
    config.read_dynamic_config("zoo.cfg.dynamic", text).unwrap();
    assert_eq!(config.dynamic_config_version, 0);
    for bad in ["version=1\n", "clientPort=1\n", "server.1=a\n"] {
        let refused = config.read_dynamic_config("d", bad).unwrap_err();
        assert!(refused.to_string().starts_with("d, line 1: "), "{refused}");
    }
}

#[test]
fn times_and_ports_that_contradict_each_other_are_refused() {
    for (lines, why) in [
        ("clientPortAddress=::1\n", "clientPort is not set"),
        (
            "secureClientPortAddress=::1\n",
            "secureClientPort is not set",
        ),
        (
            "clientPort=5\nsecureClientPort=5\nssl.keyStore.location=a.pem\nssl.clientAuth=none\n",
            "must differ",
        ),
        (
            "minSessionTimeout=9\nmaxSessionTimeout=8\n",
            "longer than the longest",
        ),
        ("minSessionTimeout=60000\n", "longer than the longest"),
        ("admin.commandURL=commands\n", "begins with /"),
        ("metricsProvider.className=a.B\n", "Java plugins"),
        ("peerType=voter\n", "neither participant nor observer"),
        ("secureClientPort=3181\n", "ssl.keyStore.location"),
        ("sslQuorum=true\n", "ssl.quorum.keyStore.location"),
        (
            "secureClientPort=3181\nssl.keyStore.location=a.pem\n",
            "ssl.trustStore.location",
        ),
        (
            "sslQuorum=true\nssl.quorum.keyStore.location=a.pem\nssl.quorum.clientAuth=none\n",
            "ssl.quorum.trustStore.location",
        ),
        (
            "secureClientPort=3181\nssl.keyStore.location=a.key\n",
            "does not tell its format",
        ),
    ] {
        let error = error(from_file(lines));
        assert!(error.contains(why), "{lines}: {error}");
    }
}

#[test]
fn tls_is_as_zookeepers_properties_say() {
    let text = "secureClientPort=3181\nssl.keyStore.location=/k.pem\n\
                ssl.trustStore.location=/t.x\nssl.trustStore.type=PKCS12\n\
                ssl.trustStore.passwordPath=/p\nssl.clientAuth=want\n\
                ssl.enabledProtocols=TLSv1.3\nssl.ciphersuites=TLS_AES_128_GCM_SHA256\n\
                sslQuorum=true\nssl.quorum.keyStore.location=/q.p12\n\
                ssl.quorum.keyStore.password=a b\nssl.quorum.trustStore.location=/r.PEM\n\
                ssl.quorum.hostnameVerification=false\n";
    let config = keeper(from_file(text));
    assert_eq!(config.client_listener, None);
    let client = config.client_tls.unwrap();
    let trust_store = client.trust_store.unwrap();
    assert_eq!(trust_store.format, StoreFormat::Pkcs12);
    assert_eq!(trust_store.password_path.unwrap().to_str(), Some("/p"));
    assert_eq!(client.client_auth, ClientAuth::Want);
    assert_eq!(client.versions, [TlsVersion::V1_3]);
    assert_eq!(client.cipher_suites, ["TLS_AES_128_GCM_SHA256"]);
    assert!(client.hostname_verification);
    let quorum = config.quorum_tls.unwrap();
    assert_eq!(quorum.versions, [TlsVersion::V1_2, TlsVersion::V1_3]);
    assert_eq!(quorum.trust_store.unwrap().format, StoreFormat::Pem);
    let password = quorum.key_store.unwrap().password.unwrap();
    assert_eq!(password.expose(), "a b");
    assert!(!quorum.hostname_verification && !quorum.client_hostname_verification);

    let older = "secureClientPort=1\nssl.keyStore.location=/k.pem\nssl.clientAuth=none\n\
                 ssl.protocol=TLSv1.2\n";
    let older = keeper(from_file(older)).client_tls.unwrap();
    assert_eq!(older.versions, [TlsVersion::V1_2]);
}

#[test]
fn secrets_are_never_printed() {
    let text = "ssl.keyStore.password=sesame\nDigestAuthenticationProvider.superDigest=sesame\n\
                SASLAuthenticationProvider.superPassword=sesame\nsecureClientPort=1\n\
                ssl.keyStore.location=a.pem\nssl.clientAuth=none\n";
    let config = keeper(from_file(text));
    assert_eq!(
        config.auth.super_digest.as_ref().unwrap().expose(),
        "sesame"
    );
    assert!(!format!("{config:?}").contains("sesame"));
}

#[test]
fn who_is_let_in_is_as_zookeepers_properties_say() {
    let text = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n\
                superUser=bob\nzookeeper.superUser.1=eve\nsessionRequireClientSASLAuth=true\n\
                enforce.auth.enabled=true\nenforce.auth.schemes=sasl,x509\n\
                DigestAuthenticationProvider.digestAlg=SHA-256\n\
                java.security.auth.login.config=/jaas.conf\nensembleAuthName=a,b\n\
                X509AuthenticationProvider.superUser=CN=zk\\,O=Acme\n";
    let auth = keeper(from_file(text)).auth;
    assert!(auth.sasl_enabled);
    assert_eq!(auth.sasl_super_users, ["bob", "eve"]);
    assert_eq!(auth.enforced_schemes, ["sasl", "x509"]);
    assert_eq!(auth.digest_algorithm, DigestAlgorithm::Sha256);
    assert_eq!(auth.jaas_file.as_deref(), Some("/jaas.conf"));
    assert_eq!(auth.jaas_section, "Server");
    assert_eq!(auth.ensemble_names, ["a", "b"]);
    assert_eq!(auth.x509_super_user.as_deref(), Some("CN=zk,O=Acme"));
}

#[test]
fn templates_fill_in_what_a_statefulset_shares() {
    let mut sources = from_flags(&[("dataDir", "/data/{hostname}"), ("myid", "$(ID)")]);
    sources.env.insert("ID".into(), "5".into());
    let config = keeper(sources);
    assert_eq!(config.storage.data_dir, "/data/zk-2");
    assert_eq!(config.my_id(None).unwrap(), 5);
    let missing = error(from_flags(&[("dataDir", "/$(NOWHERE)")]));
    assert!(missing.contains("NOWHERE"), "{missing}");
}

/// What a real ZooKeeper 3.9.4 and a 3.8.0 answered on idle servers.
#[test]
fn conf_is_told_as_zookeeper_tells_it() {
    let text = "dataDir=/var/lib/zookeeper\nmaxClientCnxns=0\ntickTime=2000\ninitLimit=10\n\
                syncLimit=5\nserver.1=127.0.0.1:23501:23601\nserver.2=127.0.0.1:23502:23602\n\
                server.3=127.0.0.1:23503:23603\n";
    let config = keeper(from_file(text));
    let mut facts = ConfFacts {
        my_id: 2,
        client_port: Some(23192),
        secure_client_port: None,
        data_dir_bytes: 618,
        data_log_bytes: 618,
        ensemble: Some((&config.servers, 0x1_0000_0000)),
    };
    let common = "clientPort=23192\nsecureClientPort=-1\ndataDir=/var/lib/zookeeper\n\
                  dataDirSize=618\ndataLogDir=/var/lib/zookeeper\ndataLogSize=618\n\
                  tickTime=2000\nmaxClientCnxns=0\nminSessionTimeout=4000\n\
                  maxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=2\n";
    let ensemble = "initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=23602\n\
                    quorumPort=23502\npeerType=0\nmembership: \n\
                    server.1=127.0.0.1:23501:23601:participant\n\
                    server.2=127.0.0.1:23502:23602:participant\n\
                    server.3=127.0.0.1:23503:23603:participant\nversion=100000000";
    assert_eq!(config.conf(&facts), format!("{common}{ensemble}"));
    facts.ensemble = None;
    assert_eq!(config.conf(&facts), common);
}

/// A value for each kind of property that is neither out of bounds nor the default, where there is
/// one.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("true".to_owned()),
        Just("yes".to_owned()),
        Just("a:1:2".to_owned()),
        (-5_i64..5000).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[ -~]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_settings_end_in_a_configuration_or_errors(
        set in prop::collection::vec((any::<prop::sample::Index>(), texts()), 0..12),
        hostname in "[a-c.-]{0,4}(-[0-9]{1,11})?",
    ) {
        let flags = set.iter().map(|(which, text)| {
            let property = &PROPERTIES[which.index(PROPERTIES.len())];
            (property.name.to_owned(), text.clone())
        });
        let sources = Sources { flags: flags.collect(), hostname, ..Sources::default() };
        if let Ok(loaded) = NodeConfig::load(sources)
            && let Some(keeper) = loaded.config.keeper
        {
            prop_assert!(keeper.tick_time_ms > 0);
            prop_assert!(keeper.session_timeout_ms_min <= keeper.session_timeout_ms_max);
            prop_assert!(keeper.storage.snap_retain_count >= 3);
            let _ = keeper.my_id(Some("1"));
        }
    }

    #[test]
    fn any_server_line_ends_in_a_server_that_reads_the_same_or_an_error(
        text in "[a-c:\\[\\]|;0-9 ]{0,30}",
    ) {
        if let Ok(server) = KeeperServer::parse(1, &text) {
            let written = server.to_string();
            prop_assert_eq!(KeeperServer::parse(1, &written).unwrap(), server, "{}", written);
        }
    }

    #[test]
    fn any_file_ends_in_a_configuration_or_errors(text in "[a-z.=#:\\\\\n0-9]{0,80}") {
        let _ = KeeperConfig::parse_zoo_cfg("zoo.cfg", &text);
    }

    #[test]
    fn any_environment_ends_in_a_configuration_or_errors(
        set in prop::collection::btree_map("(ZK|ZOO|ZOO_CFG)_[A-C_]{1,5}|ZOO_SERVERS|ZOO_CFG_EXTRA|JVMFLAGS", texts(), 0..5),
    ) {
        let env: BTreeMap<String, String> = set;
        let _ = NodeConfig::load(Sources { env, ..Sources::default() });
    }
}
