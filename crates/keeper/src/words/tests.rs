//! Texts compared with those of ZooKeeper 3.9.4, which were captured on an ensemble without clients.

use std::collections::BTreeMap;

use ottla_config::{FourLetterWords, KeeperConfig, KeeperServer};
use ottla_runtime::Runtime;
use ottla_znode::WatchSummary;

use super::*;
use crate::clients::figures::FiguresRead;
use crate::monitor::connections::ConnectionInfo;
use crate::monitor::reading::{Facts, Leading};
use crate::monitor::sessions::Sessions;
use crate::monitor::{Meters, Reading, SizesRead, SummaryRead};

/// The fields of `mntr` on a leader of ZooKeeper 3.9.4, without those of each learner.
const MNTR_LEADER: &str = include_str!("fields/mntr.leader");

fn server(change: impl FnOnce(&mut KeeperConfig)) -> Arc<Server> {
    let mut config = KeeperConfig {
        four_letter_words: FourLetterWords::All,
        ..KeeperConfig::default()
    };
    change(&mut config);
    Arc::new(Server::new(&Runtime::real(), Arc::new(config), 1, None))
}

fn facts(state: ServerState) -> Facts {
    let leading = Leading {
        uptime_ms: 48_330,
        learners: 2,
        synced_followers: 2,
        ..Leading::default()
    };
    Facts {
        state,
        latency: SummaryRead::default(),
        received: 3,
        sent: 2,
        connections: 1,
        outstanding: 0,
        last_zxid: 0x1_0000_0000,
        znodes: 5,
        ephemerals: 0,
        watches: 0,
        data_bytes: 190,
        sessions: 0,
        response_sizes: SizesRead::default(),
        plaintext_remote: 0,
        plaintext_local: 0,
        auth_failed: 0,
        handshakes: 0,
        drop_probability: 0.0,
        files_open: Some(93),
        files_max: Some(20_000),
        uptime_ms: 48_898,
        voters: (state != ServerState::Standalone).then_some(3),
        leading: (state == ServerState::Leader).then_some(leading),
    }
}

#[test]
fn the_figures_of_srvr_and_stat_are_those_of_zookeeper() {
    let leader = "Latency min/avg/max: 0/0.0/0\nReceived: 3\nSent: 2\nConnections: 1\nOutstanding: 0\n\
                  Zxid: 0x100000000\nMode: leader\nNode count: 5\n\
                  Proposal sizes last/min/max: -1/-1/-1\n";
    assert_eq!(server::figures(&facts(ServerState::Leader)), leader);
    let follower = "Latency min/avg/max: 0/0.0/0\nReceived: 3\nSent: 2\nConnections: 1\n\
                    Outstanding: 0\nZxid: 0x100000000\nMode: follower\nNode count: 5\n";
    assert_eq!(server::figures(&facts(ServerState::Follower)), follower);
}

fn names(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect()
}

fn monitor(state: ServerState) -> String {
    server::monitor(&Reading::of(&facts(state), &Meters::default()))
}

/// The fields that are not in ours: figures of each namespace.
fn is_left_out(name: &str) -> bool {
    name.ends_with("_per_namespace")
}

#[test]
fn mntr_has_zookeepers_fields_in_its_order() {
    let text = monitor(ServerState::Leader);
    let ours: Vec<_> = names(&text)
        .into_iter()
        .filter(|name| *name != "zk_followers")
        .collect();
    let wanted: Vec<_> = MNTR_LEADER
        .lines()
        .filter(|name| !is_left_out(name))
        .collect();
    assert_eq!(ours, wanted);
    for line in text.lines().skip(3) {
        let (name, value) = line.split_once('\t').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{name} is {value}");
    }
}

#[test]
fn what_only_a_leader_knows_is_told_by_the_leader_alone() {
    let of_leader = "zk_min_proposal_size zk_max_proposal_size zk_followers zk_synced_followers \
                     zk_synced_non_voting_followers zk_synced_observers zk_last_proposal_size \
                     zk_pending_syncs zk_leader_uptime zk_learners";
    let (leader, follower) = (monitor(ServerState::Leader), monitor(ServerState::Follower));
    let mut missing = names(&leader);
    missing.retain(|name| !names(&follower).contains(name));
    assert_eq!(missing, of_leader.split_whitespace().collect::<Vec<_>>());
    assert!(leader.contains("\nzk_followers\t2\n") && leader.contains("\nzk_quorum_size\t3\n"));
    assert!(leader.contains("\nzk_peer_state\tleading - broadcast\n"));
    let alone = monitor(ServerState::Standalone);
    let mut missing = names(&follower);
    missing.retain(|name| !names(&alone).contains(name));
    assert_eq!(missing, ["zk_peer_state", "zk_quorum_size"]);
}

#[test]
fn the_version_begins_as_zookeepers() {
    let text = monitor(ServerState::Standalone);
    let line = text.lines().next().unwrap();
    let version = line.strip_prefix("zk_version\t3.9.4-ottla-").unwrap();
    let (ours, date) = version.split_once(", built on ").unwrap();
    assert_eq!(ours, env!("CARGO_PKG_VERSION"));
    assert!(date.ends_with(" UTC"), "{date}");
}

fn connection(session: i64) -> ConnectionInfo {
    ConnectionInfo {
        peer: "127.0.0.1:58100".parse().unwrap(),
        secure: false,
        interest_ops: u8::from(session != 0),
        outstanding: 2,
        figures: FiguresRead {
            established_ms: 1_795_212_000_000,
            received: 7,
            sent: 5,
            last_op: "GETD",
            last_cxid: 31,
            last_zxid: 0x1_0000_0005,
            last_response_ms: 1_795_212_001_234,
            last_latency_ms: 1,
            min_latency_ms: 0,
            avg_latency_ms: 2,
            max_latency_ms: 9,
        },
        session,
        timeout_ms: 10_000,
        expires_ms: 0,
    }
}

#[test]
fn a_connection_is_told_in_short_and_in_full() {
    let without = " /127.0.0.1:58100[0](queued=2,recved=7,sent=5)";
    assert_eq!(connections::line(&connection(0), false), without);
    let brief = " /127.0.0.1:58100[1](queued=2,recved=7,sent=5)";
    assert_eq!(connections::line(&connection(0xabc), true), brief);
    let full = " /127.0.0.1:58100[1](queued=2,recved=7,sent=5,sid=0xabc,lop=GETD,\
                est=1795212000000,to=10000,lcxid=0x1f,lzxid=0x100000005,lresp=1795212001234,llat=1,\
                minlat=0,avglat=2,maxlat=9)";
    assert_eq!(connections::line(&connection(0xabc), false), full);
    let mut reset = connection(0xabc);
    reset.figures.last_cxid = -1;
    reset.figures.last_zxid = -1;
    let line = connections::line(&reset, false);
    assert!(
        line.contains(",to=10000,lzxid=0xffffffffffffffff,"),
        "{line}"
    );
}

#[test]
fn sessions_are_dumped_as_the_leader_and_as_others_know_them() {
    let none = Sessions::Tracked(BTreeMap::new());
    assert_eq!(sessions::of_sessions(&none), "Session Sets (0)/(0):\n");
    let end_ms = 1_795_212_416_000;
    let some = Sessions::Tracked(BTreeMap::from([(end_ms, vec![0x1a, 0x1b])]));
    let wanted =
        "Session Sets (1)/(2):\n2 expire at Fri Nov 20 22:06:56 UTC 2026:\n\t0x1a\n\t0x1b\n";
    assert_eq!(sessions::of_sessions(&some), wanted);
    let known = Sessions::Known(vec![(0x1a, 10_000)]);
    assert_eq!(
        sessions::of_sessions(&known),
        "Global Sessions(1):\n0x1a\t10000ms\n"
    );
}

#[test]
fn watches_are_summed_up_as_by_zookeeper() {
    let none = WatchSummary::default();
    let wanted = "0 connections watching 0 paths\nTotal watches:0\n";
    assert_eq!(watches::summary(none), wanted);
}

#[test]
fn every_word_is_known_by_its_bytes_and_nothing_else_is() {
    assert_eq!(Word::ALL.len(), 18);
    for word in Word::ALL {
        let bytes: [u8; 4] = word.name().as_bytes().try_into().unwrap();
        assert_eq!(Word::of(bytes), Some(*word));
        // It would be the length of a frame that is longer than any.
        assert!(i32::from_be_bytes(bytes) > 0x6000_0000);
    }
    for other in [*b"lcou", *b"RUOK", [0, 0, 0, 44], [0xff, 0xf4, 0xff, 0xfd]] {
        assert_eq!(Word::of(other), None);
    }
}

#[tokio::test]
async fn a_server_without_a_leader_says_so() {
    let server = server(|_| ());
    assert_eq!(server::isro(&server), "null");
    for word in Word::ALL {
        let told = text(&server, *word);
        match word {
            Word::Ruok | Word::Isro | Word::Gtmk | Word::Stmk => {}
            Word::Envi => assert!(
                told.starts_with("Environment:\nzookeeper.version=3.9.4-"),
                "{told}"
            ),
            Word::Hash => assert_eq!(told, NOT_SERVING),
            word => assert_eq!(told, format!("{NOT_SERVING}\n"), "{word:?}"),
        }
    }
    server.set_has_leader(true);
    assert_eq!(server::isro(&server), "rw");
    assert!(text(&server, Word::Srvr).contains("\nMode: standalone\n"));
}

#[tokio::test]
async fn conf_has_the_lines_of_a_server_alone_and_of_a_member() {
    let alone = server(|_| ());
    let wanted = "clientPort secureClientPort dataDir dataDirSize dataLogDir dataLogSize tickTime \
                  maxClientCnxns minSessionTimeout maxSessionTimeout clientPortListenBacklog serverId";
    let text = server::conf(&alone);
    let keys: Vec<_> = text
        .lines()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    assert_eq!(keys, wanted.split_whitespace().collect::<Vec<_>>());
    let member = server(|config| {
        let line = |id| KeeperServer::parse(id, &format!("127.0.0.1:2350{id}:2360{id}")).unwrap();
        config.servers = vec![line(1), line(2), line(3)];
    });
    let end = "initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=23601\nquorumPort=23501\n\
               peerType=0\nmembership: \nserver.1=127.0.0.1:23501:23601:participant\n\
               server.2=127.0.0.1:23502:23602:participant\nserver.3=127.0.0.1:23503:23603:participant\n\
               version=0";
    let text = server::conf(&member);
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn figures_begin_anew_when_they_are_reset_but_for_those_that_zookeeper_keeps() {
    let server = server(|_| ());
    server.set_has_leader(true);
    server.meters.received.add(5);
    server.meters.reads.add(7_000);
    server.meters.auth_failed.add(1);
    assert!(
        text(&server, Word::Srvr).contains("Latency min/avg/max: 7/7.0/7\nReceived: 5\nSent: 1\n")
    );
    assert_eq!(text(&server, Word::Srst), "Server stats reset.\n");
    assert!(
        text(&server, Word::Srvr).contains("Latency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\n")
    );
    let told = text(&server, Word::Mntr);
    assert!(told.contains("zk_cnt_readlatency\t0\n") && told.contains("zk_auth_failed_count\t1\n"));
}

/// The names of `mntr`'s fields without their prefix, for AdminServer's tests.
pub(crate) fn names_of_mntr(server: &Server) -> Vec<String> {
    let text = server::mntr(server);
    let names = names(&text).into_iter();
    names
        .map(|name| name.trim_start_matches("zk_").to_owned())
        .collect()
}
