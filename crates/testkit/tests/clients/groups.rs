//! Consumer groups share partitions and remember where they were.

use std::collections::BTreeSet;

use ottla_testkit::scenario::{Member, Record, Scenario};

use super::{eventually, numbered, start};

/// Waits until the members own all partitions, each of them exactly `each`.
fn settled(members: &[&Member], partitions: usize, each: usize) {
    eventually("the group's partitions settle", || {
        let mut owned: Vec<i32> = members.iter().flat_map(|m| m.assigned()).collect();
        owned.sort_unstable();
        owned.len() == partitions
            && owned.windows(2).all(|pair| pair[0] < pair[1])
            && members.iter().all(|member| member.assigned().len() == each)
    });
}

fn texts<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeSet<String> {
    records.into_iter().map(Record::text).collect()
}

fn read_all(members: &[&Member], expected: &BTreeSet<String>) {
    eventually("the group reads everything", || {
        let read: BTreeSet<String> = members.iter().flat_map(|m| texts(&m.records())).collect();
        read.is_superset(expected)
    });
}

/// Produces and reads it with one member, which must get exactly that.
fn read_some(clients: &Scenario, topic: &str, group: &str, start: usize, count: usize) {
    let sent = numbered(start, count, 2);
    clients.produce(topic, &sent, &[]).unwrap();
    let mut member = Member::join(clients, group, topic, &[]).unwrap();
    read_all(&[&member], &texts(&sent));
    member.stop().unwrap();
    assert_eq!(texts(&member.records()), texts(&sent));
    assert_eq!(member.records().len(), count, "records were read twice");
}

#[test]
fn a_group_of_three_rebalances_when_members_come_and_go() {
    let (_node, clients) = start();
    let topic = clients.create_topic("group", 6).unwrap();
    let group = format!("{topic}-group");
    let join = || Member::join(&clients, &group, &topic, &[]).unwrap();
    let (mut first, mut second, mut third) = (join(), join(), join());
    settled(&[&first, &second, &third], 6, 2);
    let mut sent = numbered(0, 300, 6);
    clients.produce(&topic, &sent, &[]).unwrap();
    read_all(&[&first, &second, &third], &texts(&sent));
    third.stop().unwrap();
    settled(&[&first, &second], 6, 3);
    let more = numbered(300, 300, 6);
    clients.produce(&topic, &more, &[]).unwrap();
    sent.extend(more);
    read_all(&[&first, &second, &third], &texts(&sent));
    let mut fourth = join();
    settled(&[&first, &second, &fourth], 6, 2);
    let more = numbered(600, 300, 6);
    clients.produce(&topic, &more, &[]).unwrap();
    sent.extend(more);
    read_all(&[&first, &second, &third, &fourth], &texts(&sent));
    for member in [&mut first, &mut second, &mut fourth] {
        member.stop().unwrap();
    }
}

#[test]
fn a_cooperative_group_shares_without_stopping() {
    let (_node, clients) = start();
    let topic = clients.create_topic("cooperative", 4).unwrap();
    let strategy = [("partition.assignment.strategy", "cooperative-sticky")];
    let join = || Member::join(&clients, &format!("{topic}-group"), &topic, &strategy).unwrap();
    let mut first = join();
    settled(&[&first], 4, 4);
    let mut second = join();
    settled(&[&first, &second], 4, 2);
    let sent = numbered(0, 200, 4);
    clients.produce(&topic, &sent, &[]).unwrap();
    read_all(&[&first, &second], &texts(&sent));
    second.stop().unwrap();
    settled(&[&first], 4, 4);
    first.stop().unwrap();
}

/// The new protocol (KIP-848): the node assigns.
#[test]
fn a_consumer_group_shares_and_takes_members_of_the_classic_protocol() {
    let (_node, clients) = start();
    let topic = clients.create_topic("consumer", 4).unwrap();
    let join = |properties: &[_]| {
        Member::join(&clients, &format!("{topic}-group"), &topic, properties).unwrap()
    };
    let mut old = join(&[("partition.assignment.strategy", "cooperative-sticky")]);
    settled(&[&old], 4, 4);
    let mut first = join(&[("group.protocol", "consumer")]);
    settled(&[&old, &first], 4, 2);
    let mut sent = numbered(0, 200, 4);
    clients.produce(&topic, &sent, &[]).unwrap();
    read_all(&[&old, &first], &texts(&sent));
    old.stop().unwrap();
    settled(&[&first], 4, 4);
    let mut second = join(&[("group.protocol", "consumer")]);
    settled(&[&first, &second], 4, 2);
    let more = numbered(200, 200, 4);
    clients.produce(&topic, &more, &[]).unwrap();
    sent.extend(more);
    read_all(&[&old, &first, &second], &texts(&sent));
    first.stop().unwrap();
    settled(&[&second], 4, 4);
    second.stop().unwrap();
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let (_node, clients) = start();
    let topic = clients.create_topic("static", 4).unwrap();
    let group = format!("{topic}-group");
    let join = |id| Member::join(&clients, &group, &topic, &[("group.instance.id", id)]).unwrap();
    let (mut stays, mut leaves) = (join("stays"), join("returns"));
    settled(&[&stays, &leaves], 4, 2);
    let owned = leaves.assigned();
    leaves.stop().unwrap();
    drop(leaves);
    let mut back = join("returns");
    settled(&[&stays, &back], 4, 2);
    assert_eq!(back.assigned(), owned);
    back.stop().unwrap();
    stays.stop().unwrap();
}

#[test]
fn a_group_goes_on_from_its_committed_offsets_after_a_restart() {
    let (mut node, clients) = start();
    let topic = clients.create_topic("resume", 2).unwrap();
    let group = format!("{topic}-group");
    read_some(&clients, &topic, &group, 0, 100);
    read_some(&clients, &topic, &group, 100, 50);
    node.restart().unwrap();
    read_some(&clients, &topic, &group, 150, 50);
}

#[test]
fn committed_offsets_survive_a_kill() {
    let (mut node, clients) = start();
    let topic = clients.create_topic("committed", 2).unwrap();
    let group = format!("{topic}-group");
    read_some(&clients, &topic, &group, 0, 100);
    node.kill_and_start().unwrap();
    read_some(&clients, &topic, &group, 100, 50);
}
