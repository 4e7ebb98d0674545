//! Mistakes at the start are said in plain words, all at once, with exit status 1.

use std::net::TcpListener;
use std::path::Path;

use super::harness::{launch, log_of, node, place, run_to_end};
use ottla_testkit::Broker;

/// Runs a node that must not start; its output, without the path of the data.
fn refused(data: &Path, more: &[&str]) -> String {
    let mut arguments = place(data);
    for setting in more {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (status, output) = run_to_end(&arguments, &[]);
    assert_eq!(status, Some(1), "{output}");
    assert!(!output.contains("panicked"), "{output}");
    output
}

#[test]
fn a_second_process_on_the_same_data_is_refused_after_a_while() {
    let first = node(&[]);
    let output = refused(&first.data_dir(), &[]);
    assert!(output.contains("waiting for it"), "{output}");
    let last = output.lines().last().unwrap();
    assert!(last.contains("in use by another process"), "{output}");
    assert!(
        last.contains(&*first.data_dir().to_string_lossy()),
        "{output}"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_property() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = refused(&data, &[&format!("listeners=PLAINTEXT://{address}")]);
    let last = output.lines().last().unwrap();
    assert!(
        last.contains(&address.to_string()) && last.contains("listeners"),
        "{output}"
    );
    assert!(last.contains("another process listens there"), "{output}");
    let output = refused(&data, &[&format!("ottla.http.listener={address}")]);
    let last = output.lines().last().unwrap();
    assert!(last.contains(&address.to_string()), "{output}");
    assert!(last.contains("ottla.http.listener"), "{output}");
}

#[test]
fn all_mistakes_of_a_configuration_are_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = refused(
        &folder.path().join("data"),
        &[
            "num.partitions=none",
            "log.retention.ms=-7",
            "message.max.bytes=-1",
        ],
    );
    for property in ["num.partitions", "log.retention.ms", "message.max.bytes"] {
        assert!(
            output.contains(property),
            "{property} is not named:\n{output}"
        );
    }
}

#[test]
fn a_hostname_without_an_ordinal_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = refused(
        &folder.path().join("data"),
        &["ottla.node.id.ordinal.offset=100"],
    );
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hostname = hostname.trim();
    // A test machine may be called such a thing as vm-3.
    if hostname.rsplit('-').next().unwrap().parse::<u32>().is_err() {
        let wanted = format!("Failed to extract ordinal from hostname {hostname}");
        assert!(output.contains(&wanted), "{output}");
    }
}

#[test]
fn data_of_another_node_or_cluster_is_refused_with_both_ids() {
    let ids = [("node.id", "3"), ("cluster.id", "Mk3OEYBSRjK5wJpnB4ynZA")];
    let mut node = Broker::start(launch(&ids)).unwrap();
    node.stop().unwrap();
    let output = refused(&node.data_dir(), &["node.id=4"]);
    let last = output.lines().last().unwrap();
    assert!(
        last.contains("node.id") && last.contains('3') && last.contains('4'),
        "{output}"
    );
    let output = refused(&node.data_dir(), &["cluster.id=4L6g3nShT-eMCtK--X86sw"]);
    let last = output.lines().last().unwrap();
    assert!(last.contains("Mk3OEYBSRjK5wJpnB4ynZA"), "{output}");
    assert!(last.contains("4L6g3nShT-eMCtK--X86sw"), "{output}");
    // Nothing was harmed by the attempts.
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    assert!(
        log_of(&node).contains("the last stop was clean"),
        "{}",
        log_of(&node)
    );
}

#[test]
fn data_directories_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let output = refused(&file.join("data"), &[]);
    assert!(
        output
            .lines()
            .last()
            .unwrap()
            .contains(&*file.to_string_lossy()),
        "{output}"
    );
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("meta.properties"), "version=7\n").unwrap();
    let output = refused(&data, &[]);
    assert!(
        output.lines().last().unwrap().contains("meta.properties"),
        "{output}"
    );
}
