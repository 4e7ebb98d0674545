//! The data directory of a real ZooKeeper 3.9.4, in `tests/version-2`: its log has, behind most
//! transactions, ZooKeeper's own digest of the tree. It was recorded with random requests; the logs
//! were cut behind the last transaction and compressed.

use std::io::Read;

use flate2::read::GzDecoder;
use ottla_jute::files::{Decompressed, FileName, LogReader, SnapshotReader};

use super::*;
use crate::node::NodeId;
use crate::quota::Numbers;

/// What a server has given to three sessions.
const PASSWORDS: [(i64, &str); 3] = [
    (72_057_824_519_258_112, "8c670b84291088214a8340a11aab4668"),
    (72_057_824_519_258_113, "9f880584c95b67663fc6a7ccee335b35"),
    (72_057_824_519_258_114, "66251784e978c99760fd714a73991dce"),
];

fn open(name: &str) -> std::fs::File {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/version-2");
    std::fs::File::open(format!("{folder}/{name}")).expect("a recorded file")
}

fn names() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/version-2");
    let files = std::fs::read_dir(folder).expect("the recorded files");
    let name = |file: std::io::Result<std::fs::DirEntry>| {
        let name = file.expect("a file").file_name();
        name.into_string().expect("a name")
    };
    files.map(name).collect()
}

/// The whole log.
fn entries() -> Vec<LogEntry> {
    let mut entries = Vec::new();
    for name in names() {
        let Some(plain) = name.strip_suffix(".gz") else {
            continue;
        };
        assert!(matches!(FileName::parse(plain), Some(FileName::Log { .. })));
        let mut bytes = Vec::new();
        GzDecoder::new(open(&name))
            .read_to_end(&mut bytes)
            .expect("compressed");
        let reader = LogReader::new(&bytes[..]).expect("a log");
        entries.extend(reader.map(|entry| entry.expect("whole")));
    }
    entries.sort_by_key(|entry| entry.header.zxid);
    assert_eq!(entries.len(), 624);
    entries
}

/// The snapshots, the first of an empty server.
fn snapshots() -> Vec<(i64, Import)> {
    let mut imports = Vec::new();
    for name in names() {
        let Some(FileName::Snapshot { zxid, compression }) = FileName::parse(&name) else {
            continue;
        };
        let source = Decompressed::new(compression, open(&name));
        let mut reader = SnapshotReader::new(source).expect("a snapshot");
        let mut import = Import::new();
        for (id, timeout_ms) in reader.sessions() {
            import.session(*id, *timeout_ms);
        }
        while let Some(node) = reader.next() {
            let node = node.expect("whole");
            let acl = reader.acl(node.acl).map(<[Acl]>::to_vec);
            import.node(&node, acl.as_deref()).expect("a tree");
        }
        import.snapshot_zxid(zxid);
        imports.push((zxid, import));
    }
    imports.sort_by_key(|(zxid, _)| *zxid);
    assert_eq!(imports.len(), 7);
    imports
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}

/// `DigestCalculator`: the sum over all nodes that are not ZooKeeper's own.
fn zookeepers_digest(state: &State) -> i64 {
    let tree = &state.tree;
    let all = std::iter::once(NodeId::ROOT).chain(tree.below(NodeId::ROOT));
    let mut sum = 0;
    for id in all {
        let (node, path) = (tree.node(id), tree.path(id));
        if path.starts_with("/zookeeper/") {
            continue;
        }
        let path = if path == "/" { "" } else { &path };
        let mut bytes = path.as_bytes().to_vec();
        bytes.extend_from_slice(node.data().unwrap_or_default());
        let stat = node.persisted();
        for long in [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime] {
            bytes.extend_from_slice(&long.to_be_bytes());
        }
        for int in [stat.version, stat.cversion, stat.aversion] {
            bytes.extend_from_slice(&int.to_be_bytes());
        }
        bytes.extend_from_slice(&stat.ephemeral_owner.to_be_bytes());
        sum += i64::from(crc32(&bytes));
    }
    sum
}

#[test]
fn after_each_transaction_the_tree_is_zookeepers() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let (_, mut import) = snapshots().remove(0);
    let (mut equal, mut other) = (0, 0);
    for entry in entries() {
        import.replay(&entry);
        let Some(digest) = entry.digest else { continue };
        if zookeepers_digest(&import.state) == digest.tree_digest {
            equal += 1;
            continue;
        }
        // When the flags of a create mean another kind of node than its operation does, ZooKeeper
        // writes a digest of a node that it then does not create, and goes on from the right one.
        let odd = |txn: &Txn| matches!(txn, Txn::Create(_) | Txn::CreateContainer(_));
        let excused = match &entry.txn {
            Txn::Multi(txns) => txns.iter().any(odd),
            txn => odd(txn),
        };
        assert!(excused, "{entry:?}");
        other += 1;
    }
    assert!(equal > 200 && other < 20, "{equal} equal, {other} others");
    let state = import.finish();
    state.check().expect("whole");
    assert_eq!(state.last_zxid(), 624);
    assert!(state.session_count() >= 2 && state.node_count() > 40);
}

#[test]
fn what_is_written_has_zookeepers_digest() {
    for (_, import) in snapshots() {
        let state = import.finish();
        let bytes: Vec<u8> = state.view().zookeeper_snapshot().flatten().collect();
        let mut reader = SnapshotReader::new(&bytes[..]).expect("a snapshot");
        assert!(reader.by_ref().all(|node| node.is_ok()));
        let digest = reader.digest().expect("it has one");
        assert_eq!(digest.version, 2);
        assert_eq!(digest.digest, zookeepers_digest(&state));
        assert_eq!(reader.last_zxid(), Some(state.last_zxid()));
    }
}

#[test]
fn every_snapshot_leads_to_the_same_end() {
    let entries = entries();
    let mut ends = Vec::new();
    for (zxid, mut import) in snapshots() {
        for entry in entries.iter().filter(|entry| entry.header.zxid > zxid) {
            import.replay(entry);
        }
        let state = import.finish();
        state.check().expect("whole");
        ends.push(state.digest());
    }
    assert_eq!(ends.len(), 7);
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:x?}");
}

#[test]
fn transactions_that_a_snapshot_has_already_do_no_harm() {
    let entries = entries();
    let (_, mut last) = snapshots().pop().expect("snapshots");
    let (_, mut first) = snapshots().remove(0);
    let behind = |zxid: i64| entries.iter().filter(move |entry| entry.header.zxid > zxid);
    behind(0).for_each(|entry| first.replay(entry));
    // A snapshot is at most as old as its name, so that this is what happens to one that was
    // written while the server went on.
    behind(0x26d - 20).for_each(|entry| last.replay(entry));
    let (first, last) = (first.finish(), last.finish());
    let nodes = |state: &State| -> Vec<String> {
        let all = state.tree.below(NodeId::ROOT);
        all.map(|id| state.tree.path(id)).collect()
    };
    assert_eq!(
        nodes(&first)
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>(),
        nodes(&last).into_iter().collect()
    );
    last.check().expect("whole");
}

#[test]
fn clients_come_back_with_the_passwords_that_they_have() {
    for (session, expected) in PASSWORDS {
        let found = password(session);
        let text: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected);
    }
}

fn node(path: &str, owner: i64) -> SnapshotNode {
    SnapshotNode {
        path: path.into(),
        data: None,
        acl: -1,
        stat: ottla_jute::StatPersisted {
            ephemeral_owner: owner,
            ..ottla_jute::StatPersisted::default()
        },
    }
}

#[test]
fn what_has_no_owner_or_no_acl_is_not_left_open() {
    let mut import = Import::new();
    import.session(7, 1000);
    import
        .node(&node("/kept", 7), Some(&[Acl::open()]))
        .expect("valid");
    import.node(&node("/orphan", 8), None).expect("valid");
    import.node(&node("/locked", 0), None).expect("valid");
    let limits = "/zookeeper/quota/locked/zookeeper_limits";
    for path in ["/zookeeper/quota/locked", limits] {
        import.node(&node(path, 0), None).expect("valid");
    }
    let stats = "/zookeeper/quota/locked/zookeeper_stats";
    import.node(&node(stats, 0), None).expect("valid");
    for path in ["/none/child", "no-slash", "/a/", ""] {
        let refused = import.node(&node(path, 0), None);
        assert_eq!(refused.is_err(), !path.is_empty(), "{path:?}");
    }
    let state = import.finish();
    state.check().expect("whole");
    assert!(state.tree.find("/kept").is_some());
    assert!(state.tree.find("/orphan").is_none());
    let locked = state.tree.node(state.tree.find("/locked").expect("there"));
    let anyone = [ottla_jute::Id::anyone()];
    let rules = crate::rules::Rules::default();
    assert!(!crate::acl::allows(
        state.tree.acl(locked),
        31,
        &anyone,
        rules
    ));
    let stats = state.tree.node(state.tree.find(stats).expect("there"));
    assert_eq!(Numbers::parse(stats.data()), Some(Numbers::new(1, 0)));
}
