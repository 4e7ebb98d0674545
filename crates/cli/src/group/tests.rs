use std::collections::BTreeMap;

use ottla_client::{CommittedOffset, GroupListing, GroupMember};

use super::target::{Known, Target};
use super::*;
use crate::output::render;

fn member(client: &str, topic: &str, partitions: &[i32]) -> GroupMember {
    GroupMember {
        member_id: format!("{client}-id"),
        instance_id: None,
        client_id: client.to_owned(),
        host: "/10.0.0.1".to_owned(),
        epoch: Some(7),
        topics: vec![topic.to_owned()],
        assignment: BTreeMap::from([(topic.to_owned(), partitions.to_vec())]),
        target: None,
    }
}

fn group() -> GroupDescription {
    GroupDescription {
        group_id: "g".to_owned(),
        group_type: "consumer".to_owned(),
        state: "Stable".to_owned(),
        protocol_type: "consumer".to_owned(),
        assignor: "uniform".to_owned(),
        coordinator: 1,
        epoch: Some(7),
        members: vec![member("a", "orders", &[0, 1])],
    }
}

fn committed(topic: &str, partition: i32, offset: i64) -> CommittedOffset {
    CommittedOffset {
        topic: topic.to_owned(),
        partition,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

#[test]
fn a_description_joins_offsets_ends_and_readers() {
    let ends = [
        (("orders".to_owned(), 0), 50),
        (("orders".to_owned(), 1), 9),
    ];
    let offsets = vec![committed("gone", 0, 3), committed("orders", 0, 42)];
    let described = describe::Description::new(group(), offsets, &ends.into());
    let view = describe::Descriptions {
        groups: vec![described],
    };
    let expected = "\
Name:          g
Type:          consumer
State:         Stable
Coordinator:   broker 1
Assignor:      uniform
Epoch:         7
Members:       1
Lag:           8, without 2 partitions that have no offset

TOPIC    PARTITION   COMMITTED   END   LAG   READ BY
gone     0           3           -     -     -
orders   0           42          50    8     a
orders   1           -           9     -     a

MEMBER   CLIENT   HOST       PARTITIONS   EPOCH
a-id     a        10.0.0.1   2            7
";
    assert_eq!(render(&view, OutputFormat::Table).unwrap(), expected);
    let json = render(&view, OutputFormat::Json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let group = &json["groups"][0];
    assert_eq!(group["lag"], 8);
    assert_eq!(group["members"][0]["assignment"]["orders"][1], 1);
    assert_eq!(group["offsets"][1]["committed_offset"], 42);
    assert_eq!(group["offsets"][1]["member_id"], "a-id");
    assert!(group["offsets"][0]["end_offset"].is_null());
}

#[test]
fn lists_show_members_where_they_are_known() {
    let listing = |id: &str, group_type: &str| GroupListing {
        group_id: id.to_owned(),
        group_type: group_type.to_owned(),
        state: "Stable".to_owned(),
        protocol_type: String::new(),
        coordinator: 1,
    };
    let known = BTreeMap::from([("g".to_owned(), group())]);
    let list = list::GroupList::new(
        vec![listing("g", "consumer"), listing("s", "share")],
        &known,
    );
    let expected = "\
NAME   TYPE       STATE    MEMBERS   PROTOCOL   COORDINATOR
g      consumer   Stable   1         -          1
s      share      Stable   -         -          1
";
    assert_eq!(render(&list, OutputFormat::Wide).unwrap(), expected);
}

#[test]
fn new_offsets_stay_within_the_log() {
    let known = Known {
        committed: Some(20),
        earliest: 10,
        latest: 30,
        at_time: None,
    };
    let place = ("t".to_owned(), 0);
    let choose = |target: Target| target.choose(&place, known);
    assert_eq!(choose(Target::Earliest), Some(10));
    assert_eq!(choose(Target::Latest), Some(30));
    assert_eq!(choose(Target::Current), Some(20));
    assert_eq!(choose(Target::Offset(5)), Some(10));
    assert_eq!(choose(Target::Offset(25)), Some(25));
    assert_eq!(choose(Target::ShiftBy(-15)), Some(10));
    assert_eq!(choose(Target::ShiftBy(i64::MAX)), Some(30));
    assert_eq!(choose(Target::Time(0)), Some(30));
    let each = BTreeMap::from([(place.clone(), 99)]);
    assert_eq!(choose(Target::Each(each)), Some(30));
    assert_eq!(choose(Target::Each(BTreeMap::new())), None);
    let never = Known {
        committed: None,
        ..known
    };
    assert_eq!(Target::ShiftBy(1).choose(&place, never), None);
    assert_eq!(Target::Current.choose(&place, never), None);
}

#[test]
fn offsets_are_read_from_our_json_and_from_kafkas_csv() {
    let expected = BTreeMap::from([(("a".to_owned(), 0), 5), (("a".to_owned(), 1), 6)]);
    let texts = [
        r#"{"group":"g","executed":false,"offsets":[
            {"topic":"a","partition":0,"before":1,"offset":5,"note":null},
            {"topic":"a","partition":1,"offset":6},
            {"topic":"a","partition":2,"offset":null}]}"#,
        r#"[{"topic":"a","partition":0,"offset":5},{"topic":"a","partition":1,"offset":6}]"#,
        "a,0,5\na,1,6\n",
        "# of all groups\n\"g\",\"a\",0,5\n\"g\",\"a\",1,6\n\"other\",\"a\",2,7\n",
    ];
    for text in texts {
        assert_eq!(offsets_file::parse(text, "g").unwrap(), expected, "{text}");
    }
    assert_eq!(offsets_file::parse("a,0,5\na,1", "g").unwrap_err().0, 2);
    assert_eq!(offsets_file::parse("a,0,x", "g").unwrap_err().0, 1);
    assert_eq!(
        offsets_file::parse("{\n\"offsets\": 3}", "g")
            .unwrap_err()
            .0,
        2
    );
}

#[test]
fn topics_are_named_with_or_without_partitions() {
    let parsed = |text: &str| topic_partitions(text).map(|t| (t.topic, t.partitions));
    assert_eq!(parsed("a"), Ok(("a".to_owned(), None)));
    assert_eq!(parsed("a:0,2"), Ok(("a".to_owned(), Some(vec![0, 2]))));
    for wrong in ["", ":1", "a:", "a:x", "a:-1"] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_reset_tells_what_moves_and_can_be_read_again() {
    let row = |partition, before, offset, note: Option<&str>| reset::Row {
        topic: "t".to_owned(),
        partition,
        before,
        offset,
        note: note.map(str::to_owned),
    };
    let resets = reset::Resets {
        group: "g".to_owned(),
        executed: false,
        offsets: vec![
            row(0, Some(9), Some(3), None),
            row(1, None, None, Some("nothing committed")),
        ],
    };
    let expected = "\
TOPIC   PARTITION   FROM   TO   MOVED   NOTE
t       0           9      3    -6
t       1           -      -    -       nothing committed
";
    assert_eq!(render(&resets, OutputFormat::Table).unwrap(), expected);
    let json = render(&resets, OutputFormat::Json).unwrap();
    let read = offsets_file::parse(&json, "g").unwrap();
    assert_eq!(read, BTreeMap::from([(("t".to_owned(), 0), 3)]));
}
