//! Transaction logs and snapshots, made here by the description of their formats.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use ottla_jute::files::{
    CloseSessionTxn, Compression, CreateTxn, Decompressed, LogEntry, LogReader, SnapshotNode,
    SnapshotReader, Txn, TxnDigest, TxnHeader,
};
use ottla_jute::{Acl, Error, OpCode, Record, SetData, StatPersisted, Writer};

/// Adler-32 by its definition (RFC 1950).
fn adler(bytes: &[u8]) -> i64 {
    let (mut a, mut b) = (1_u64, 0_u64);
    for byte in bytes {
        a = (a + u64::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b * 65_536 + a) as i64
}

fn with(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut Writer::new(&mut out));
    out.to_vec()
}

fn header(zxid: i64, op: OpCode) -> TxnHeader {
    TxnHeader {
        session: 0x1000,
        cxid: 7,
        zxid,
        time_ms: 1_700_000_000_000,
        op: op.code(),
    }
}

fn log_header() -> Vec<u8> {
    let mut log = b"ZKLG".to_vec();
    log.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    log
}

fn append(log: &mut Vec<u8>, zxid: i64, op: OpCode, body: &[u8]) {
    let mut bytes = header(zxid, op).encode().to_vec();
    bytes.extend_from_slice(body);
    log.extend_from_slice(&with(|w| {
        w.long(adler(&bytes));
        w.buffer(&bytes);
        w.byte(b'B');
    }));
}

fn create_body(path: &str, cversion: Option<i32>) -> Vec<u8> {
    with(|w| {
        w.string(path);
        w.buffer(b"data");
        vec![Acl::open()].write(w);
        w.boolean(true);
        if let Some(cversion) = cversion {
            w.int(cversion);
        }
    })
}

fn created(path: &str, parent_cversion: i32) -> Txn {
    Txn::Create(CreateTxn {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: vec![Acl::open()],
        ephemeral: true,
        parent_cversion,
    })
}

fn read(log: &[u8]) -> Vec<Result<LogEntry, Error>> {
    LogReader::new(log).unwrap().collect()
}

fn txns(log: &[u8]) -> Vec<Txn> {
    read(log).into_iter().map(|e| e.unwrap().txn).collect()
}

#[test]
fn creates_of_3_3_and_of_now_with_and_without_a_digest() {
    let digest = TxnDigest {
        version: 2,
        tree_digest: -5,
    };
    let mut log = log_header();
    append(&mut log, 1, OpCode::Create, &create_body("/old", None));
    append(&mut log, 2, OpCode::Create2, &create_body("/new", Some(3)));
    let mut body = create_body("/digest", Some(4));
    body.extend_from_slice(&digest.encode());
    append(&mut log, 3, OpCode::Create, &body);
    log.extend_from_slice(&[0; 64]);
    let entries: Vec<_> = read(&log).into_iter().map(Result::unwrap).collect();
    let seen: Vec<_> = entries.iter().map(|e| (&e.txn, e.digest)).collect();
    assert_eq!(
        seen,
        [
            (&created("/old", -1), None),
            (&created("/new", 3), None),
            (&created("/digest", 4), Some(digest)),
        ]
    );
    assert_eq!(entries[2].header, header(3, OpCode::Create));
}

#[test]
fn sessions_close_with_a_list_without_one_and_with_a_digest_in_its_place() {
    let digest = TxnDigest {
        version: 2,
        tree_digest: 0x1_2345_6789,
    };
    let list = with(|w| vec!["/a".to_owned(), "/b".to_owned()].write(w));
    let both = [list.clone(), digest.encode().to_vec()].concat();
    let mut log = log_header();
    for body in [&list, &Vec::new(), &both, &digest.encode().to_vec()] {
        append(&mut log, 1, OpCode::CloseSession, body);
    }
    let paths = Some(vec!["/a".to_owned(), "/b".to_owned()]);
    let closed = |paths: &Option<Vec<String>>| {
        Txn::CloseSession(CloseSessionTxn {
            paths: paths.clone(),
        })
    };
    let entries: Vec<_> = read(&log).into_iter().map(Result::unwrap).collect();
    let seen: Vec<_> = entries.iter().map(|e| (e.txn.clone(), e.digest)).collect();
    assert_eq!(
        seen,
        [
            (closed(&paths), None),
            (closed(&None), None),
            (closed(&paths), Some(digest)),
            (closed(&None), Some(digest)),
        ]
    );
}

#[test]
fn every_other_kind_of_transaction() {
    let mut log = log_header();
    let acl = vec![Acl::readable()];
    append(&mut log, 1, OpCode::CreateSession, &30_000_i32.encode());
    let container = with(|w| {
        w.string("/c");
        w.int(-1);
        acl.write(w);
        w.int(9);
    });
    append(&mut log, 2, OpCode::CreateContainer, &container);
    let ttl = [container.clone(), 5000_i64.encode().to_vec()].concat();
    append(&mut log, 3, OpCode::CreateTtl, &ttl);
    append(&mut log, 4, OpCode::Delete, &"/c".to_owned().encode());
    let set = SetData {
        path: "/a".into(),
        data: None,
        version: 3,
    };
    append(&mut log, 5, OpCode::SetData, &set.encode());
    append(&mut log, 6, OpCode::Reconfig, &set.encode());
    append(&mut log, 7, OpCode::Error, &(-101_i32).encode());
    let multi = with(|w| {
        w.int(2);
        w.int(OpCode::Check.code());
        w.buffer(&with(|w| {
            w.string("/a");
            w.int(4);
        }));
        w.int(OpCode::SetData.code());
        w.buffer(&set.encode());
    });
    append(&mut log, 8, OpCode::Multi, &multi);
    let txns = txns(&log);
    assert_eq!(txns[0], Txn::CreateSession { timeout_ms: 30_000 });
    assert!(
        matches!(&txns[1], Txn::CreateContainer(c) if c.path == "/c" && c.parent_cversion == 9)
    );
    assert!(matches!(&txns[2], Txn::CreateTtl(c) if c.ttl_ms == 5000 && c.acl == acl));
    assert_eq!(txns[3], Txn::Delete { path: "/c".into() });
    assert_eq!(txns[4], Txn::SetData(set.clone()));
    assert_eq!(txns[5], Txn::SetData(set.clone()));
    assert_eq!(txns[6], Txn::Error { err: -101 });
    let Txn::Multi(parts) = &txns[7] else {
        panic!("{:?}", txns[7]);
    };
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1], Txn::SetData(set));
}

#[test]
fn a_log_ends_where_a_crash_cut_it_and_damage_is_an_error() {
    let mut log = log_header();
    append(&mut log, 1, OpCode::Create, &create_body("/a", Some(1)));
    let whole = log.len();
    append(&mut log, 2, OpCode::Create, &create_body("/b", Some(2)));
    for length in whole..log.len() {
        let mut reader = LogReader::new(&log[..length]).unwrap();
        let entries: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1, "cut at {length}");
        assert_eq!(reader.is_torn(), length > whole, "cut at {length}");
    }
    // The last byte before the mark of the second record.
    let at = log.len() - 2;
    log[at] ^= 1;
    let entries = read(&log);
    assert_eq!(entries.len(), 2);
    assert!(
        matches!(&entries[1], Err(Error::Checksum { at, .. }) if *at == whole as u64),
        "{:?}",
        entries[1]
    );
}

#[test]
fn files_of_another_kind_are_refused() {
    let no_magic = LogReader::new(&b"PK\x03\x04 and so on, long enough"[..]);
    assert!(matches!(no_magic.err(), Some(Error::NotThisFile { .. })));
    assert!(matches!(
        SnapshotReader::new(&log_header()[..]).err(),
        Some(Error::NotThisFile {
            what: "snapshot",
            ..
        })
    ));
    let mut other = log_header();
    other[7] = 3;
    assert!(matches!(
        LogReader::new(&other[..]).err(),
        Some(Error::FileVersion { version: 3, .. })
    ));
}

const SESSIONS: [(i64, i32); 2] = [(0x1000, 30_000), (-7, 4000)];

fn stat(czxid: i64) -> StatPersisted {
    StatPersisted {
        czxid,
        cversion: 2,
        ..StatPersisted::default()
    }
}

fn seal(bytes: &mut Vec<u8>) {
    let checksum = adler(bytes);
    bytes.extend_from_slice(&with(|w| {
        w.long(checksum);
        w.string("/");
    }));
}

/// A snapshot up to its first seal.
fn snapshot() -> Vec<u8> {
    let mut bytes = b"ZKSN".to_vec();
    bytes.extend_from_slice(&with(|w| {
        w.int(2);
        w.long(-1);
        w.int(SESSIONS.len() as i32);
        for (session, timeout_ms) in SESSIONS {
            w.long(session);
            w.int(timeout_ms);
        }
        w.int(1);
        w.long(5);
        vec![Acl::readable()].write(w);
        for (path, acl, czxid) in [("", -1, 0), ("/a", 5, 3), ("/a/b", 6, 4)] {
            w.string(path);
            w.buffer_or_null((czxid != 3).then_some(&b"x"[..]));
            w.long(acl);
            stat(czxid).write(w);
        }
        w.string("/");
    }));
    seal(&mut bytes);
    bytes
}

fn read_snapshot(compression: Compression, bytes: &[u8]) -> SnapshotReader<Decompressed<&[u8]>> {
    let mut reader = SnapshotReader::new(Decompressed::new(compression, bytes)).unwrap();
    let nodes: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    let node = |path: &str, data: Option<&'static [u8]>, acl, czxid| SnapshotNode {
        path: path.into(),
        data: data.map(Bytes::from_static),
        acl,
        stat: stat(czxid),
    };
    let expected = [
        node("/", Some(b"x"), -1, 0),
        node("/a", None, 5, 3),
        node("/a/b", Some(b"x"), 6, 4),
    ];
    assert_eq!(nodes, expected);
    assert_eq!(reader.sessions(), SESSIONS);
    assert_eq!(reader.acl(-1), Some(&[Acl::open()][..]));
    assert_eq!(reader.acl(5), Some(&[Acl::readable()][..]));
    assert_eq!(reader.acl(6), None);
    reader
}

#[test]
fn snapshots_with_every_kind_of_end() {
    let plain = snapshot();
    let reader = read_snapshot(Compression::None, &plain);
    assert_eq!((reader.digest(), reader.last_zxid()), (None, None));

    let mut with_zxid = plain.clone();
    with_zxid.extend_from_slice(&44_i64.encode());
    seal(&mut with_zxid);
    let reader = read_snapshot(Compression::None, &with_zxid);
    assert_eq!((reader.digest(), reader.last_zxid()), (None, Some(44)));

    let mut with_digest = plain.clone();
    with_digest.extend_from_slice(&with(|w| {
        w.long(43);
        w.int(2);
        w.long(-99);
    }));
    seal(&mut with_digest);
    let reader = read_snapshot(Compression::None, &with_digest);
    let digest = reader.digest().unwrap();
    assert_eq!((digest.zxid, digest.version, digest.digest), (43, 2, -99));
    assert_eq!(reader.last_zxid(), None);

    let mut with_both = with_digest;
    with_both.extend_from_slice(&44_i64.encode());
    seal(&mut with_both);
    let reader = read_snapshot(Compression::None, &with_both);
    assert_eq!(reader.digest().unwrap().digest, -99);
    assert_eq!(reader.last_zxid(), Some(44));

    let mut old_digest = plain;
    old_digest.extend_from_slice(&with(|w| {
        w.long(43);
        w.int(1);
        w.string("1f");
    }));
    seal(&mut old_digest);
    let reader = read_snapshot(Compression::None, &old_digest);
    assert_eq!(reader.digest().unwrap().digest, 0x1f);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn snappy(bytes: &[u8], block: usize) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for part in bytes.chunks(block) {
        let compressed = snap::raw::Encoder::new().compress_vec(part).unwrap();
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    out
}

#[test]
fn compressed_snapshots() {
    let plain = snapshot();
    read_snapshot(Compression::Gzip, &gzip(&plain));
    read_snapshot(Compression::Snappy, &snappy(&plain, 100));
    let cut = &snappy(&plain, 100)[..200];
    let cut = SnapshotReader::new(Decompressed::new(Compression::Snappy, cut));
    let error = cut.and_then(|reader| reader.collect::<Result<Vec<_>, _>>());
    assert!(
        matches!(&error, Err(Error::Source { reason, .. }) if reason.contains("ends inside a block")),
        "{error:?}"
    );
}

#[test]
fn a_damaged_or_shortened_snapshot_is_never_taken_for_a_whole_one() {
    let whole = snapshot();
    let is_whole = |bytes: &[u8]| {
        SnapshotReader::new(bytes).is_ok_and(|mut reader| reader.all(|node| node.is_ok()))
    };
    assert!(is_whole(&whole));
    for length in 0..whole.len() {
        assert!(!is_whole(&whole[..length]), "cut at {length}");
    }
    // The id of the header and the "/" of the seal mean nothing.
    for at in (0..whole.len() - 1).filter(|at| !(8..16).contains(at)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        let same_end = at >= whole.len() - 5;
        assert!(same_end || !is_whole(&damaged), "byte {at}");
    }
}
