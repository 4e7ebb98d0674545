use std::time::Duration;

use super::facts::{
    Answer, BrokerAddress, Dial, Door, Facts, Failure, Fenced, Identity, Quorum, RoundTrip, Topic,
    Voter,
};
use super::judge::judge;
use super::knock::{Speaks, understand};
use super::report::{Check, Report, Status};
use crate::output::{OutputFormat, render};
use crate::{Error, Exit};

fn brokers(list: &[(i32, &str, u16)]) -> Vec<BrokerAddress> {
    let broker = |(id, host, port): &(i32, &str, u16)| BrokerAddress {
        id: *id,
        host: (*host).to_owned(),
        port: *port,
    };
    list.iter().map(broker).collect()
}

fn answer(list: &[(i32, &str, u16)], identity: Identity) -> Answer {
    Answer {
        cluster_id: Some("cluster-a".to_owned()),
        controller: Some(1),
        brokers: brokers(list),
        identity,
        latency: Duration::from_micros(400),
        apis: 70,
        metadata_version: Some(33),
    }
}

fn door(host: &str, port: u16, ip: &str, outcome: Result<Answer, Failure>) -> Door {
    let ip = ip.parse().unwrap();
    Door {
        host: host.to_owned(),
        port,
        resolved: Ok(vec![ip]),
        dials: vec![Dial { ip, outcome }],
    }
}

fn unresolved(host: &str, port: u16) -> Door {
    Door {
        host: host.to_owned(),
        port,
        resolved: Err("Name or service not known".to_owned()),
        dials: Vec::new(),
    }
}

/// A cluster whose bootstrap is `at`, and whose advertised addresses were found as `doors`.
fn cluster(at: (&str, u16, &str), list: &[(i32, &str, u16)], doors: Vec<Door>) -> Facts {
    let said = answer(list, Identity::NotAsked);
    Facts {
        bootstrap: vec![door(at.0, at.1, at.2, Ok(said))],
        brokers: brokers(list).into_iter().zip(doors).collect(),
        topics: Some(Ok(Vec::new())),
        ..Facts::default()
    }
}

const OUTSIDE: (&str, u16, &str) = ("kafka.example.com", 9092, "203.0.113.7");

/// Three brokers behind one load balancer, all well.
fn healthy() -> Facts {
    let list = [
        (1, "kafka.example.com", 9092),
        (2, "kafka.example.com", 9093),
        (3, "kafka.example.com", 9094),
    ];
    let doors = list.map(|(_, host, port)| {
        door(
            host,
            port,
            "203.0.113.7",
            Ok(answer(&list, Identity::Confirmed)),
        )
    });
    cluster(OUTSIDE, &list, doors.to_vec())
}

/// One broker that advertises `host:port` and was found so.
fn one(at: (&str, u16, &str), found: Door) -> Facts {
    let list = [(1, found.host.clone(), found.port)];
    let list = list
        .each_ref()
        .map(|(id, host, port)| (*id, host.as_str(), *port));
    cluster(at, &list, vec![found.clone()])
}

fn unwell(facts: &Facts) -> Vec<Check> {
    let checks = judge(facts).into_iter();
    checks.filter(|check| check.status != Status::Ok).collect()
}

/// The only check that is not well.
fn only(facts: &Facts) -> Check {
    let mut checks = unwell(facts);
    assert_eq!(checks.len(), 1, "{checks:#?}");
    checks.remove(0)
}

#[test]
fn a_healthy_cluster_has_neither_problems_nor_warnings() {
    let facts = healthy();
    assert_eq!(unwell(&facts), []);
    let report = Report::new("kafka.example.com:9092", judge(&facts));
    report.verdict(true).unwrap();
    let text = render(&report, OutputFormat::Table).unwrap();
    assert!(text.contains("broker 2 itself answers there"), "{text}");
    assert!(
        text.contains("whoever answers names all of 3 brokers"),
        "{text}"
    );
    assert!(text.ends_with("\nall is well\n"), "{text}");
}

#[test]
fn what_speaks_another_protocol_is_named() {
    let cases = [
        (Failure::Speaks(Speaks::Tls), "security.protocol=SSL"),
        (Failure::Speaks(Speaks::Http), "metrics"),
        (Failure::Speaks(Speaks::ZooKeeper), "2181"),
        (Failure::Refused, "nothing listens"),
        (Failure::TimedOut, "firewalls"),
        (Failure::Reset, "load balancer"),
        (Failure::Unroutable, "network"),
        (Failure::Credentials, "SASL"),
        (Failure::NotKafka("x".to_owned()), "another program"),
    ];
    for (failure, expected) in cases {
        let facts = Facts {
            bootstrap: vec![door("kafka", 9092, "203.0.113.7", Err(failure.clone()))],
            ..Facts::default()
        };
        let check = only(&facts);
        let (means, remedy) = (check.means.unwrap(), check.remedy.unwrap());
        let text = format!("{means} {remedy}");
        assert!(text.contains(expected), "{failure:?}: {text}");
        assert_eq!(check.status, Status::Problem);
    }
    assert_eq!(understand(&[0x15, 3, 3, 0]), Some(Speaks::Tls));
    assert_eq!(understand(b"HTTP"), Some(Speaks::Http));
    assert_eq!(understand(b"imok"), Some(Speaks::ZooKeeper));
    assert_eq!(understand(&[0, 0, 0, 12]), None);
}

#[test]
fn a_cluster_that_nobody_reaches_is_told_from_one_with_problems() {
    let facts = Facts {
        bootstrap: vec![unresolved("kafka", 9092)],
        ..Facts::default()
    };
    let report = Report::new("kafka:9092", judge(&facts));
    let exit = |error: Error| error.exit();
    assert_eq!(
        exit(report.verdict(facts.is_reached()).unwrap_err()),
        Exit::Unreachable
    );
    assert_eq!(exit(report.verdict(true).unwrap_err()), Exit::Unwell);
}

#[test]
fn a_port_forward_is_recognized_with_what_to_change() {
    let at = ("localhost", 19092, "127.0.0.1");
    let facts = one(at, unresolved("kafka-0.kafka.svc.cluster.local", 9092));
    let checks = unwell(&facts);
    let names: Vec<_> = checks.iter().map(|check| check.check).collect();
    assert_eq!(names, ["port-forward", "advertised"]);
    let forward = &checks[0];
    assert_eq!(forward.status, Status::Problem);
    assert_eq!(
        forward.found,
        "you connected through localhost:19092, but the cluster advertises broker 1 at \
         kafka-0.kafka.svc.cluster.local:9092"
    );
    let remedy = forward.remedy.as_deref().unwrap();
    assert!(
        remedy.contains("advertised.listeners=…,LOCAL://localhost:19092"),
        "{remedy}"
    );
    assert!(
        checks[1].found.contains("only inside Kubernetes"),
        "{}",
        checks[1].found
    );
    assert!(
        checks[1]
            .remedy
            .as_deref()
            .unwrap()
            .contains("advertised.listeners of broker 1")
    );
}

#[test]
fn a_tunnel_whose_other_end_is_reachable_too_is_a_warning() {
    let at = ("localhost", 19092, "127.0.0.1");
    let said = answer(&[(1, "10.0.0.1", 9092)], Identity::Confirmed);
    let facts = one(at, door("10.0.0.1", 9092, "10.0.0.1", Ok(said)));
    assert_eq!(
        (only(&facts).check, only(&facts).status),
        ("port-forward", Status::Warning)
    );
}

#[test]
fn an_address_that_means_the_clients_own_machine_is_a_problem_even_if_somebody_answers() {
    for (host, ip) in [
        ("localhost", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
    ] {
        let said = answer(&[(1, host, 9092)], Identity::Confirmed);
        let check = only(&one(OUTSIDE, door(host, 9092, ip, Ok(said))));
        assert_eq!(
            (check.check, check.status),
            ("advertised", Status::Problem),
            "{host}"
        );
    }
    // From the same machine it is right.
    let said = answer(&[(1, "localhost", 9092)], Identity::Confirmed);
    let at = ("127.0.0.1", 9092, "127.0.0.1");
    assert_eq!(
        unwell(&one(at, door("localhost", 9092, "127.0.0.1", Ok(said)))),
        []
    );
}

#[test]
fn somebody_else_at_an_advertised_address_is_found_out() {
    let list = [(1, "kafka.example.com", 9092)];
    let other = Identity::Other("expected 2, but received 1".to_owned());
    let found = door(
        "kafka.example.com",
        9092,
        "203.0.113.7",
        Ok(answer(&list, other)),
    );
    let check = only(&one(OUTSIDE, found));
    assert!(
        check.found.contains("another broker answers there"),
        "{}",
        check.found
    );

    let mut said = answer(&list, Identity::Confirmed);
    said.cluster_id = Some("cluster-b".to_owned());
    let check = only(&one(
        OUTSIDE,
        door("kafka.example.com", 9092, "203.0.113.7", Ok(said)),
    ));
    assert!(
        check
            .found
            .contains("another cluster answers there: cluster-b"),
        "{}",
        check.found
    );
}

#[test]
fn two_brokers_at_one_address_are_a_problem() {
    let list = [
        (1, "kafka.example.com", 9092),
        (2, "KAFKA.example.com", 9092),
    ];
    let doors = list.map(|(_, host, port)| {
        door(
            host,
            port,
            "203.0.113.7",
            Ok(answer(&list, Identity::Unknown("x".to_owned()))),
        )
    });
    let check = only(&cluster(OUTSIDE, &list, doors.to_vec()));
    assert_eq!(check.subject, "brokers 1 and 2");
    assert_eq!(check.status, Status::Problem);
}

#[test]
fn a_name_of_which_one_address_is_dead_is_a_warning() {
    let mut facts = healthy();
    let dead = "203.0.113.8".parse().unwrap();
    let first = &mut facts.bootstrap[0];
    first.resolved.as_mut().unwrap().push(dead);
    first.dials.push(Dial {
        ip: dead,
        outcome: Err(Failure::TimedOut),
    });
    let check = only(&facts);
    assert_eq!((check.check, check.status), ("bootstrap", Status::Warning));
    assert!(check.found.contains("203.0.113.8"), "{}", check.found);
}

#[test]
fn a_broker_that_does_not_know_all_others_is_a_warning() {
    let mut facts = healthy();
    facts.brokers[2].1.dials[0]
        .outcome
        .as_mut()
        .unwrap()
        .brokers
        .pop();
    let check = only(&facts);
    assert_eq!((check.check, check.status), ("discovery", Status::Warning));
    assert_eq!(check.found, "it does not know of broker 3");
}

#[test]
fn different_clusters_and_no_controller_are_problems() {
    let mut facts = healthy();
    let mut second = facts.bootstrap[0].clone();
    second.dials[0].outcome.as_mut().unwrap().cluster_id = Some("cluster-b".to_owned());
    facts.bootstrap.push(second);
    facts.bootstrap[0].dials[0]
        .outcome
        .as_mut()
        .unwrap()
        .controller = None;
    let names: Vec<_> = unwell(&facts).iter().map(|c| (c.check, c.status)).collect();
    let expected = [
        ("cluster-id", Status::Problem),
        ("controller", Status::Problem),
    ];
    assert_eq!(names, expected);
}

#[test]
fn partitions_are_judged_by_what_clients_can_still_do() {
    let mut facts = healthy();
    facts.topics = Some(Ok(vec![
        Topic {
            name: "orders".to_owned(),
            partitions: 9,
            leaderless: vec![0],
            under_replicated: (0..7).collect(),
            under_min_isr: vec![1, 2],
            replication_factor: 3,
            ..Topic::default()
        },
        Topic {
            name: "__consumer_offsets".to_owned(),
            partitions: 50,
            replication_factor: 1,
            ..Topic::default()
        },
    ]));
    let checks = unwell(&facts);
    let found: Vec<_> = checks
        .iter()
        .map(|c| (c.check, c.status, c.found.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "leaderless",
                Status::Problem,
                "1 partition without a leader: orders-0"
            ),
            (
                "under-min-isr",
                Status::Problem,
                "2 partitions with fewer replicas in sync than min.insync.replicas: orders-1, \
                 orders-2"
            ),
            (
                "under-replicated",
                Status::Warning,
                "7 partitions with a replica that is not in sync: orders-0, orders-1, orders-2, \
                 orders-3, orders-4 and 2 more"
            ),
            (
                "internal-topics",
                Status::Warning,
                "50 partitions, replication factor 1"
            ),
        ]
    );
}

#[test]
fn a_clock_is_wrong_only_beyond_what_the_request_itself_took() {
    let mut facts = healthy();
    let mut skewed = |skew_ms, write| {
        let trip = RoundTrip {
            partition: 0,
            offset: 7,
            write,
            read: Duration::from_millis(1),
            skew_ms: Some(skew_ms),
        };
        facts.round_trip = Some(("t".to_owned(), Ok(trip)));
        unwell(&facts).len()
    };
    assert_eq!(skewed(900, Duration::from_millis(2)), 0);
    assert_eq!(skewed(-1500, Duration::from_millis(2)), 1);
    assert_eq!(skewed(1500, Duration::from_secs(2)), 0);
    facts.round_trip = Some(("t".to_owned(), Err("refused".to_owned())));
    assert_eq!(only(&facts).status, Status::Problem);
}

fn quorum(leader: Option<i32>, lags: &[Option<i64>]) -> Quorum {
    let voter = |(id, lag_ms): (i32, &Option<i64>)| Voter {
        id,
        lag_ms: *lag_ms,
    };
    Quorum {
        leader,
        voters: (1..).zip(lags).map(voter).collect(),
    }
}

#[test]
fn a_quorum_is_judged_by_how_many_voters_follow() {
    let mut facts = healthy();
    let mut judged = |quorum: Quorum| {
        facts.quorum = Some(Ok(quorum));
        let mut checks = judge(&facts).into_iter();
        let check = checks.find(|check| check.check == "quorum").unwrap();
        (check.status, check.found, check.means.unwrap_or_default())
    };
    let (status, found, _) = judged(quorum(Some(1), &[Some(0), Some(400), Some(9_000)]));
    assert_eq!(
        (status, found.as_str()),
        (Status::Ok, "node 1 leads 3 voters")
    );
    let (status, found, means) = judged(quorum(Some(1), &[Some(0), Some(400), Some(11_000)]));
    assert_eq!(status, Status::Warning);
    assert_eq!(found, "node 1 leads 3 voters; 3 does not follow");
    assert_eq!(means, "if one more fails, nothing can be changed any more");
    let five = [Some(0), Some(0), Some(0), Some(0), None];
    let (status, _, means) = judged(quorum(Some(1), &five));
    assert_eq!(status, Status::Warning);
    assert_eq!(means, "if 2 more fail, nothing can be changed any more");
    let (status, ..) = judged(quorum(Some(1), &[Some(0), None, Some(11_000)]));
    assert_eq!(status, Status::Problem);
    let (status, ..) = judged(quorum(None, &[Some(0); 3]));
    assert_eq!(status, Status::Problem);
    let (status, ..) = judged(quorum(Some(1), &[Some(0)]));
    assert_eq!(status, Status::Warning, "one voter for three brokers");
    facts.quorum = Some(Err("no answer".to_owned()));
    assert_eq!(only(&facts).status, Status::Problem);
}

#[test]
fn a_fenced_broker_is_named_with_what_to_do() {
    let mut facts = healthy();
    facts.fenced = vec![Fenced {
        id: 4,
        address: "b4:9092".to_owned(),
    }];
    let check = only(&facts);
    assert_eq!((check.check, check.status), ("fenced", Status::Warning));
    assert!(
        check
            .remedy
            .unwrap()
            .contains("ottla broker decommission 4")
    );
}

#[test]
fn topics_without_any_margin_are_named() {
    let mut facts = healthy();
    let topic = |name: &str, replication_factor, min_isr| Topic {
        name: name.to_owned(),
        replication_factor,
        min_isr,
        ..Topic::default()
    };
    facts.topics = Some(Ok(vec![
        topic("tight", 3, Some(3)),
        topic("well", 3, Some(2)),
        topic("single", 1, Some(1)),
        topic("unknown", 3, None),
    ]));
    let check = only(&facts);
    assert_eq!((check.check, check.status), ("min-isr", Status::Warning));
    assert!(check.found.ends_with(": tight"), "{}", check.found);
}
