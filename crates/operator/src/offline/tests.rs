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
