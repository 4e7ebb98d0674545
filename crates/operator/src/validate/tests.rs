use super::*;
use crate::api::{KafkaCluster, KafkaTopic, KeeperEnsemble};

fn cluster(spec: &str) -> KafkaCluster {
    KafkaCluster::new(
        "shop",
        serde_saphyr::from_str(spec).expect("the spec is right"),
    )
}

fn found(spec: &str) -> Findings {
    kafka_cluster(&cluster(spec), &Existing::default())
}

/// Each error's and each warning's line.
fn lines(findings: &Findings) -> String {
    let errors = findings
        .errors
        .iter()
        .map(|finding| format!("error: {finding}\n"));
    let warnings = findings
        .warnings
        .iter()
        .map(|finding| format!("warning: {finding}\n"));
    errors.chain(warnings).collect()
}

#[test]
fn nothing_is_to_be_said_of_what_is_right() {
    for spec in [
        "{}",
        "replicas: 1",
        "{ replicas: 5, controllers: { mode: separate } }",
        "listeners: [{ name: a, port: 9092 }, { name: b, port: 9094, type: nodePort, nodePort: { first: 31000 } }]",
        "listeners: [{ name: a, port: 9092, type: loadBalancer, loadBalancer: { address: 192.0.2.7 } }]",
        "pools: [{ name: big, firstId: 100, replicas: 3, config: { num.io.threads: '4' } }]",
    ] {
        assert_eq!(lines(&found(spec)), "", "{spec}");
    }
}

#[test]
fn what_does_not_fit_together_is_told_with_what_to_change() {
    let specs = [
        "pools: [{ name: a, firstId: 100, replicas: 5 }, { name: b, firstId: 104, replicas: 1 }]",
        "{ controllers: { mode: separate }, pools: [{ name: a, firstId: 1001, replicas: 1 }] }",
        "listeners: [{ name: a, port: 9092, type: nodePort, nodePort: { first: 31000, bootstrap: 31001 } }]",
        "listeners: [{ name: a, port: 9092, type: nodePort, nodePort: { first: 32767 } }]",
        "listeners: [{ name: a, port: 9092, advertisedHost: 12.345.67.8, advertisedPort: 9000 }]",
        "listeners: [{ name: a, port: 9092, advertisedHost: kafka.example.org }]",
        "listeners: [{ name: a, port: 9092, type: loadBalancer, loadBalancer: { address: 192.0.2.7 } }, \
                     { name: b, port: 9094, type: loadBalancer, loadBalancer: { address: 192.0.2.7, port: 9094 } }]",
        "listeners: [{ name: a, port: 9092, type: loadBalancer, loadBalancer: { port: 65534 } }]",
        "listeners: [{ name: a, port: 9092, type: ingress, ingress: { host: 'b{id}.x.org', bootstrapHost: b1.x.org } }]",
        "config: { min.insync.replicas: '3' }",
        "config: { min.insync.replicas: '4' }",
        "{ replicas: 1, config: { default.replication.factor: '3' } }",
        "config: { log.retention.hour: '3' }",
        "config: { num.partitions: many, num.io.threads: '0' }",
        "config: { authorizer.class.name: kafka.security.authorizer.AclAuthorizer }",
        "pools: [{ name: big, firstId: 100, replicas: 3, config: { num.io.threads: '0' } }]",
        "replicas: 2",
        "pod: { env: [{ name: POD_NAME, value: x }, { name: KAFKA_CFG_NUM_PARTITIONS, value: '3' }] }",
        "storage: { size: ten }",
    ];
    let text: String = specs
        .iter()
        .map(|spec| format!("{spec}\n{}\n", lines(&found(spec))))
        .collect();
    insta::assert_snapshot!(text);
}

#[test]
fn volumes_do_not_shrink() {
    let existing = Existing {
        volumes: [("broker".to_owned(), Quantity("20Gi".to_owned()))].into(),
    };
    let found = |size: &str| {
        let cluster = cluster(&format!("storage: {{ size: {size} }}"));
        kafka_cluster(&cluster, &existing).errors
    };
    assert_eq!(found("20Gi"), []);
    assert_eq!(found("21Gi"), []);
    let errors = found("20000Mi");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].message.starts_with("volumes cannot shrink"),
        "{errors:?}"
    );
}

#[test]
fn names_fit_into_those_that_are_made_of_them() {
    let spec = "{ listeners: [{ name: outside-the-datacen, port: 9094, type: nodePort }], \
                 pools: [{ name: abcdefghijklmnop, firstId: 100, replicas: 1 }] }";
    let mut cluster = cluster(spec);
    cluster.metadata.name = Some("a".repeat(40));
    let errors = kafka_cluster(&cluster, &Existing::default()).errors;
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["spec.listeners[0].name", "spec.pools[0].name"]);
}

#[test]
fn ensembles_are_read_as_their_servers_would() {
    let found = |spec: &str| {
        let spec = serde_saphyr::from_str(spec).expect("the spec is right");
        lines(&keeper_ensemble(
            &KeeperEnsemble::new("zk", spec),
            &Existing::default(),
        ))
    };
    assert_eq!(found("{}"), "");
    insta::assert_snapshot!(
        found("config: { tickTime: '0', syncLimt: '5' }") + &found("replicas: 1")
    );
}

#[test]
fn topics_are_checked_beside_their_cluster() {
    let found = |spec: &str| {
        let spec = serde_saphyr::from_str(spec).expect("the spec is right");
        lines(&kafka_topic(
            &KafkaTopic::new("orders", spec),
            Some(&cluster("{}")),
        ))
    };
    assert_eq!(
        found("{ cluster: shop, config: { retention.ms: '1000' } }"),
        ""
    );
    let text = [
        "{ cluster: shop, replicas: 4 }",
        "{ cluster: shop, config: { retention.hours: '1' } }",
        "{ cluster: shop, config: { retention.ms: soon } }",
        "{ cluster: shop, config: { min.insync.replicas: '3' } }",
        "{ cluster: shop, replicas: 1, config: { min.insync.replicas: '2' } }",
    ]
    .map(found)
    .concat();
    insta::assert_snapshot!(text);
}
