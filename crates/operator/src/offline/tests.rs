use super::*;

fn settings() -> Settings {
    Settings {
        image: "ottla:1".to_owned(),
        image_pull_policy: None,
        cluster_domain: "cluster.local".to_owned(),
    }
}

fn render_yaml(text: &str) -> Result<Rendered, Error> {
    render(text, &settings(), "kafka", Format::Yaml)
}

const CLUSTER: &str = "
apiVersion: ottla.dev/v1alpha1
kind: KafkaCluster
metadata: { name: shop }
";

#[test]
fn a_file_of_several_resources_becomes_manifests_and_comments() {
    let file = format!(
        "{CLUSTER}spec: {{ replicas: 1, listeners: [{{ name: a, port: 9092, type: nodePort }}] }}
---
{CLUSTER}spec: {{ replicas: 1 }}
---
apiVersion: ottla.dev/v1alpha1
kind: KafkaTopic
metadata: {{ name: orders }}
spec: {{ cluster: shop }}
"
    );
    let rendered = render_yaml(&file).expect("it is right");
    assert!(
        rendered
            .text
            .contains("#   waits for pod shop-broker-0 to get a node\n")
    );
    assert!(
        rendered
            .text
            .contains("#   process.roles=broker,controller\n")
    );
    assert!(rendered.text.contains("namespace: kafka\n"));
    assert!(rendered.text.contains("  shop-broker-0.properties: |\n"));
    assert_eq!(
        rendered.warnings,
        ["KafkaTopic orders becomes a topic, and no manifest"]
    );
    let json = render(&file, &settings(), "kafka", Format::Json).expect("it is right");
    let list: Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(list["kind"], "List");
}

#[test]
fn what_cannot_be_rendered_is_named() {
    let said = |text: &str| render_yaml(text).expect_err("it is wrong").to_string();
    let texts = [
        "",
        "a: [",
        "kind: Pod",
        &format!("{CLUSTER}spec: {{ replica: 3 }}"),
        &format!("{CLUSTER}spec: {{ config: {{ num.partitions: '0' }} }}"),
        "{ apiVersion: ottla.dev/v1alpha1, kind: KafkaCluster, metadata: {}, spec: {} }",
    ];
    let all: String = texts
        .iter()
        .map(|text| format!("{}\n", said(text)))
        .collect();
    insta::assert_snapshot!(all);
}

/// The rules of a definition with their messages, at any depth.
fn rules(schema: &Value, found: &mut Vec<(String, String)>) {
    match schema {
        Value::Object(fields) => {
            let own = schema["x-kubernetes-validations"].as_array();
            for rule in own.into_iter().flatten() {
                let text = |field: &str| rule[field].as_str().unwrap_or_default().to_owned();
                found.push((text("rule"), text("message")));
            }
            fields.values().for_each(|field| rules(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| rules(item, found)),
        _ => {}
    }
}

#[test]
fn what_the_api_server_refuses_by_a_rule_is_refused_with_the_same_words() {
    let long = "a".repeat(41);
    let documents = [
        json!({ "kind": "KafkaCluster", "metadata": { "name": long }, "spec": {
            "version": "-1", "image": "x",
            "controllers": { "replicas": 2, "storage": { "size": "1Gi" } },
            "storage": { "size": "many" }, "rebalance": { "throttle": "500" },
            "config": { "node.id": "1" },
            "listeners": [
                { "name": "a", "port": 9090, "nodePort": {}, "loadBalancer": {} },
                { "name": "b", "port": 9090, "type": "ingress" },
                { "name": "nodes", "port": 9092, "type": "tlsRoute" },
                { "name": "c", "port": 9093, "type": "ingress",
                    "ingress": { "host": "x", "bootstrapHost": "y" } },
            ],
            "pools": [
                { "name": "broker", "firstId": 1, "replicas": 1 },
                { "name": "x", "firstId": 1, "replicas": 1 },
            ],
        }}),
        json!({ "kind": "KeeperEnsemble", "metadata": { "name": long }, "spec": {
            "replicas": 2, "version": "-1", "image": "x", "storage": { "size": "0" },
            "config": { "server.1": "x" },
        }}),
    ];
    for mut document in documents {
        document["apiVersion"] = json!("ottla.dev/v1alpha1");
        let refused = render_yaml(&document.to_string()).expect_err("it is wrong");
        let Error::Invalid { kind, findings, .. } = refused else {
            panic!("{refused}");
        };
        let definition = definitions()
            .into_iter()
            .find(|definition| definition.spec.names.kind == kind);
        let mut known = Vec::new();
        rules(&json!(definition), &mut known);
        // Those about a change need what was before.
        known.retain(|(rule, _)| !rule.contains("oldSelf"));
        let said: Vec<&str> = findings.iter().map(|found| &*found.message).collect();
        for (rule, message) in &known {
            assert!(said.contains(&&**message), "nobody broke {rule}");
        }
        for message in &said {
            let is_known = known.iter().any(|(_, known)| known == message);
            assert!(is_known, "{message}");
        }
    }
}

#[test]
fn what_lies_beyond_the_bounds_of_a_definition_is_refused() {
    let labels: Value = (0..201).map(|at| (format!("k{at}"), json!("v"))).collect();
    let document = json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaCluster", "metadata": { "name": "shop" },
        "spec": {
            "replicas": 0, "version": "", "config": labels,
            "rolling": { "minReadySeconds": 3601 },
            "listeners": [{ "name": "Outside", "port": 80 }, { "name": "Outside", "port": 9092 }],
            "pools": [{ "name": "a-name-of-many-letters", "firstId": 100, "replicas": 1 }],
        },
    });
    let refused = render_yaml(&document.to_string()).expect_err("it is wrong");
    insta::assert_snapshot!(refused, @r#"
    KafkaCluster shop cannot be carried out:
      spec.config: it has 201 properties: 200 at most
      spec.listeners: "Outside" is there twice
      spec.listeners[0].name: Outside does not match ^[a-z]([-a-z0-9]*[a-z0-9])?$
      spec.listeners[0].port: 80 is too little: 1024 at least
      spec.listeners[1].name: Outside does not match ^[a-z]([-a-z0-9]*[a-z0-9])?$
      spec.pools[0].name: it has 22 characters: 20 at most
      spec.replicas: 0 is too little: 1 at least
      spec.rolling.minReadySeconds: 3601 is too much: 3600 at most
      spec.version: it has 0 characters: 1 at least
    "#);
    let nowhere = format!("{CLUSTER}spec: {{ listeners: [] }}");
    let refused = render_yaml(&nowhere).expect_err("it is wrong").to_string();
    let words = "spec.listeners: it has 0 entries: 1 at least";
    assert!(refused.contains(words), "{refused}");
}
