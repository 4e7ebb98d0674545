use crate::{ConfigErrors, NodeConfig, QuorumServer, Roles, Sources};

fn load(text: &str) -> Result<NodeConfig, ConfigErrors> {
    let sources = Sources {
        file: Some(("server.properties".to_owned(), text.to_owned())),
        hostname: "pod-1".to_owned(),
        ..Sources::default()
    };
    NodeConfig::load(sources).map(|loaded| loaded.config)
}

fn refused(text: &str, why: &str) {
    let errors = load(text).unwrap_err();
    assert!(errors.to_string().contains(why), "{text}: {errors}");
    assert_eq!(errors.0.len(), 1, "{text}: {errors}");
}

const LISTENERS: &str = "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                         controller.listener.names=CONTROLLER\n\
                         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n";

#[test]
fn a_node_without_a_word_about_a_quorum_is_a_cluster_of_its_own() {
    let config = load("").unwrap();
    assert!(!config.quorum.is_configured());
    assert!(config.controller_listeners.is_empty());
    let both = Roles {
        broker: true,
        controller: true,
        keeper: true,
    };
    assert_eq!(config.roles, both);
}

#[test]
fn voters_are_read_in_the_order_of_their_ids() {
    let text =
        format!("{LISTENERS}node.id=2\ncontroller.quorum.voters=3@c:9093,1@a:9093,2@[::1]:9093");
    let config = load(&text).unwrap();
    let ids: Vec<i32> = config.quorum.voters.iter().map(|v| v.id).collect();
    assert_eq!((ids, config.quorum.expect), (vec![1, 2, 3], 3));
    assert_eq!(config.quorum.voters[1].server.host, "::1");
    assert_eq!(config.quorum.places().len(), 3);
    assert!(config.quorum.is_named(3) && !config.quorum.is_named(4));
    assert_eq!(config.controller_listeners[0].port, 9093);
    assert_eq!(config.controller_listeners[0].advertised_host, "pod-1");
    assert_eq!(config.listeners.len(), 1);
}

#[test]
fn voters_that_cannot_be_understood_are_named() {
    for (voters, why) in [
        ("a:9093", "expected id@host:port"),
        ("x@a:9093", "the id is not a number"),
        ("-1@a:9093", "the id is not a number"),
        ("1@a", "expected host:port"),
        ("1@a:0", "a host and a port"),
        ("1@a:1,1@b:1", "two voters with the id 1"),
    ] {
        refused(
            &format!("{LISTENERS}node.id=1\ncontroller.quorum.voters={voters}"),
            why,
        );
    }
    refused(
        &format!("{LISTENERS}node.id=4\ncontroller.quorum.voters=1@a:9093,2@b:9093"),
        "not among the voters",
    );
    refused(
        "node.id=1\nprocess.roles=broker\ncontroller.quorum.voters=1@a:9093",
        "the node is among the voters, but no controller",
    );
}

#[test]
fn one_name_needs_a_number_unless_it_is_the_node_itself() {
    let alone = "controller.quorum.bootstrap.servers";
    refused(
        &format!("{LISTENERS}node.id=1\n{alone}=kafka-headless:9093"),
        "set ottla.quorum.bootstrap.expect",
    );
    let text = format!(
        "{LISTENERS}node.id=1\n{alone}=kafka-headless:9093\nottla.quorum.bootstrap.expect=3"
    );
    let config = load(&text).unwrap();
    assert_eq!(config.quorum.expect, 3);
    let place = QuorumServer {
        host: "kafka-headless".to_owned(),
        port: 9093,
    };
    assert_eq!(config.quorum.places(), [place]);
    for own in ["localhost:9093", "127.0.0.1:9093", "pod-1:9093"] {
        let config = load(&format!("{LISTENERS}node.id=1\n{alone}={own}")).unwrap();
        assert_eq!(config.quorum.expect, 1, "{own}");
    }
    // A broker founds nothing.
    load(&format!(
        "node.id=1\nprocess.roles=broker\n{alone}=kafka-headless:9093"
    ))
    .unwrap();
}

#[test]
fn roles_and_listeners_go_together() {
    refused("process.roles=broker", "has to find the controllers");
    refused(
        "process.roles=broker,controller\ncontroller.quorum.voters=1@a:9093",
        "none of them is the controller's",
    );
    refused(
        &format!("{LISTENERS}process.roles=broker\ncontroller.quorum.bootstrap.servers=a:1"),
        "process.roles does not have controller",
    );
    let map = "listener.security.protocol.map=C:PLAINTEXT\ncontroller.listener.names=C";
    let config = load(&format!(
        "{map}\nprocess.roles=controller\nlisteners=C://:1\nnode.id=1\n\
         controller.quorum.voters=1@pod-1:1"
    ))
    .unwrap();
    assert_eq!(
        (config.listeners.len(), config.controller_listeners.len()),
        (0, 1)
    );
    refused(
        "process.roles=controller\ncontroller.quorum.voters=1@a:9093",
        "process.roles does not have broker",
    );
}
