//! What operations are put together from: few of everything, so that they meet each other, and some
//! things that are wrong in every way that ZooKeeper tells apart.

use ottla_jute::{Acl, Id, perms};

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Paths that are there from the start, or mean something.
pub(super) const SPECIAL: [&str; 10] = [
    "/",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/x",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/ä",
    "/a/日本",
];

/// Paths that are none.
pub(super) const BAD: [&str; 19] = [
    "",
    "a",
    "a/b",
    "//",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/./a",
    "/a/.",
    "/a/..",
    "/a/../b",
    "/a/./b",
    "/a\0b",
    "/\u{1}",
    "/a\u{7f}",
    "/\u{85}",
    "/\u{f8ff}",
    "/\u{fff8}",
];

/// Digests of `bob:secret` and `eve:pw`.
pub(super) const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";
pub(super) const EVE: &str = "eve:tPVS62yQF/M0lNvU6mzotOuRJxo=";

/// What shows an identity, and what does not.
pub(super) const AUTHS: [(&str, &str); 10] = [
    ("digest", "bob:secret"),
    ("digest", "bob:secret"),
    ("digest", "eve:pw"),
    ("digest", "eve:wrong"),
    ("digest", "super:admin"),
    ("digest", "without a colon"),
    ("digest", "two:colons:here"),
    ("ip", ""),
    ("world", "anyone"),
    ("nonsense", "x"),
];

/// ACLs that are taken, mostly.
pub(super) fn acls() -> Vec<Vec<Acl>> {
    let digest = |perms: i32, id: &str| Acl::new(perms, Id::new("digest", id));
    let ip = |id: &str| Acl::new(perms::ALL, Id::new("ip", id));
    vec![
        vec![Acl::creator()],
        vec![Acl::readable()],
        vec![digest(perms::ALL, BOB)],
        vec![digest(perms::ALL, EVE), Acl::readable()],
        vec![
            digest(perms::READ | perms::ADMIN, BOB),
            digest(perms::ALL, EVE),
        ],
        vec![Acl::readable(), Acl::creator()],
        vec![ip("127.0.0.1")],
        vec![ip("127.0.0.0/8")],
        vec![ip("10.1.2.3"), Acl::readable()],
        vec![Acl::open(), Acl::open()],
        vec![Acl::new(perms::READ | perms::CREATE, Id::anyone())],
        vec![Acl::new(perms::ALL & !perms::ADMIN, Id::anyone())],
        vec![Acl::new(perms::ALL & !perms::READ, Id::anyone())],
        vec![Acl::new(perms::ALL & !perms::DELETE, Id::anyone())],
        vec![Acl::new(0, Id::anyone())],
        vec![Acl::new(64, Id::anyone())],
        vec![Acl::new(-1, Id::anyone())],
    ]
}

/// ACLs that are refused.
pub(super) fn bad_acls() -> Vec<Vec<Acl>> {
    let of = |scheme: &str, id: &str| vec![Acl::new(perms::ALL, Id::new(scheme, id))];
    vec![
        Vec::new(),
        of("nonsense", "x"),
        of("world", "someone"),
        of("digest", "without a colon"),
        of("digest", "a:b:c"),
        of("ip", "not an address"),
        of("ip", "10.0.0.0/33"),
        of("ip", "300.0.0.1"),
        of("", ""),
        vec![Acl::open(), Acl::new(perms::READ, Id::new("nonsense", "x"))],
    ]
}

/// What a quota says. (What cannot be read as one ends a real ZooKeeper's process.)
pub(super) const LIMITS: [&str; 10] = [
    "count=3,bytes=-1",
    "count=-1,bytes=30",
    "count=2,bytes=20",
    "count=-1,bytes=-1",
    "count=3,bytes=-1;byteHardLimit=-1;countHardLimit=2",
    "count=-1,bytes=-1;byteHardLimit=25;countHardLimit=-1",
    "count=5,bytes=50;byteHardLimit=60;countHardLimit=6",
    "count=-1,bytes=-1,byteHardLimit=25,countHardLimit=3",
    "countHardLimit=2",
    "byteHardLimit=10,bytes=5",
];

/// What counts of a quota say at first.
pub(super) const STATS: [&str; 2] = ["count=0,bytes=0", "count=1,bytes=7"];

/// Bodies that no operation has, or some other one.
pub(super) const BODIES: [&[u8]; 9] = [
    &[],
    &[0],
    &[0, 0, 0],
    // A path that is null.
    &[0xff, 0xff, 0xff, 0xff],
    // The length of a path that does not follow.
    &[0, 0, 0, 9],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    // The path /a and nothing else.
    &[0, 0, 0, 2, b'/', b'a'],
    // The path /a, and a vector or buffer without end.
    &[0, 0, 0, 2, b'/', b'a', 0x7f, 0xff, 0xff, 0xff],
];

/// Operations that clients do not ask for, and some that there are not.
pub(super) const STRANGE_OPERATIONS: [i32; 8] = [0, 10, 23, 99, 108, 1000, -3, i32::MIN];
