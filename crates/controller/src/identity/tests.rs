use std::path::PathBuf;

use ottla_runtime::disk::{OpenMode, SimDisk};

use super::*;
use crate::fixture::{log_dir, runtime};

fn open(disk: &SimDisk, options: &IdentityOptions) -> Result<Volume, Error> {
    Volume::open(&runtime(disk.clone()), &log_dir(), options)
}

/// A volume that belongs to a cluster.
fn establish(disk: &SimDisk, options: &IdentityOptions) -> Result<Identity, Error> {
    let mut volume = open(disk, options)?;
    let known = volume.cluster_id.clone().or(options.cluster_id.clone());
    let cluster_id = known.unwrap_or(ClusterId("made up".into()));
    volume.adopt(&runtime(disk.clone()), &log_dir(), &cluster_id)
}

fn wanted(node_id: i32, cluster_id: &str) -> IdentityOptions {
    IdentityOptions {
        node_id: Some(BrokerId(node_id)),
        cluster_id: Some(ClusterId(cluster_id.into())),
    }
}

fn write(disk: &SimDisk, text: &str) -> PathBuf {
    let path = log_dir().join(META_PROPERTIES);
    let disk: &dyn ottla_runtime::Disk = disk;
    disk.create_dir_all(&log_dir()).unwrap();
    disk.open(&path, OpenMode::Create).unwrap();
    disk.write_atomically(&path, text.as_bytes()).unwrap();
    path
}

#[tokio::test]
async fn a_new_volume_gets_an_identity_that_survives_a_crash() {
    let disk = SimDisk::new(1);
    let first = open(&disk, &IdentityOptions::default()).unwrap();
    assert_eq!((first.node_id, &first.cluster_id), (DEFAULT_NODE_ID, &None));
    assert!(!first.directory_id.is_zero());
    disk.crash();
    // Others may have been told the directory's id already.
    let second = open(&disk, &IdentityOptions::default()).unwrap();
    assert_eq!(second, first);
    let identity = establish(&disk, &IdentityOptions::default()).unwrap();
    disk.crash();
    let third = open(&disk, &IdentityOptions::default()).unwrap();
    assert_eq!(third.cluster_id, Some(identity.cluster_id));
    assert_eq!(third.directory_id, first.directory_id);
}

#[tokio::test]
async fn a_volume_never_changes_its_cluster() {
    let disk = SimDisk::new(1);
    establish(&disk, &wanted(7, "mine")).unwrap();
    let mut volume = open(&disk, &IdentityOptions::default()).unwrap();
    let other = ClusterId("other".into());
    let adopted = volume.adopt(&runtime(disk.clone()), &log_dir(), &other);
    let message = adopted.unwrap_err().to_string();
    assert!(
        message.contains("cluster.id mine") && message.contains("cluster.id other"),
        "{message}"
    );
    let volume = open(&disk, &IdentityOptions::default()).unwrap();
    assert_eq!(volume.cluster_id, Some(ClusterId("mine".into())));
}

#[tokio::test]
async fn what_is_configured_is_taken_and_then_must_stay() {
    let disk = SimDisk::new(1);
    let identity = establish(&disk, &wanted(7, "mine")).unwrap();
    assert_eq!(
        (identity.node_id.0, identity.cluster_id.0.as_str()),
        (7, "mine")
    );
    assert_eq!(
        establish(&disk, &IdentityOptions::default()).unwrap(),
        identity
    );
    assert_eq!(establish(&disk, &wanted(7, "mine")).unwrap(), identity);
    let message = establish(&disk, &wanted(8, "mine"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("node.id 7") && message.contains("says 8"),
        "{message}"
    );
    let message = establish(&disk, &wanted(7, "other"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("cluster.id mine") && message.contains("says other"),
        "{message}"
    );
    assert!(message.contains("/data/meta.properties"), "{message}");
}

#[tokio::test]
async fn a_file_that_kafka_has_written_is_understood() {
    let disk = SimDisk::new(1);
    write(
        &disk,
        "#\n#Fri May 01 10:00:00 UTC 2026\nnode.id=3\nversion=1\n\
         directory.id=4L6g3nShT-eMCtK--X86sw\ncluster.id=Mk3OEYBSRjK5wJpnB4ynZA\n",
    );
    let identity = establish(&disk, &IdentityOptions::default()).unwrap();
    assert_eq!(identity.node_id, BrokerId(3));
    assert_eq!(identity.cluster_id.0, "Mk3OEYBSRjK5wJpnB4ynZA");
    assert_eq!(identity.directory_id.to_string(), "4L6g3nShT-eMCtK--X86sw");
}

#[tokio::test]
async fn a_damaged_file_is_never_replaced() {
    let good = "version=1\nnode.id=3\ncluster.id=a\ndirectory.id=4L6g3nShT-eMCtK--X86sw\n";
    for (from, to) in [
        ("version=1", "version=2"),
        ("version=1\n", ""),
        ("node.id=3", "node.id=x"),
        ("node.id=3", "node.id=-1"),
        ("cluster.id=a", "cluster.id="),
        ("directory.id=4L", "directory.id=!L"),
        ("cluster.id=a", "cluster.id"),
    ] {
        let disk = SimDisk::new(1);
        let path = write(&disk, &good.replace(from, to));
        let error = open(&disk, &IdentityOptions::default()).unwrap_err();
        assert!(
            matches!(error, Error::MetaProperties { .. }),
            "{to}: {error}"
        );
        let disk: &dyn ottla_runtime::Disk = &disk;
        assert_eq!(disk.read(&path).unwrap(), good.replace(from, to).as_bytes());
    }
}
