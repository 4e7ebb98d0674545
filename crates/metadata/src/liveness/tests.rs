use super::*;
use crate::fixture::{fence, image_with_brokers};

fn ids(list: &[(BrokerId, i64)]) -> Vec<i32> {
    list.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn a_broker_is_silent_once_its_session_is_over() {
    let mut liveness = Liveness::new(100);
    liveness.touch(BrokerId(1), 5, 10, 0);
    liveness.touch(BrokerId(2), 6, 10, 50);
    assert_eq!(liveness.next_deadline_ms(), Some(100));
    assert!(liveness.stale(99).is_empty());
    assert_eq!(liveness.stale(100), [(BrokerId(1), 5)]);
    liveness.touch(BrokerId(1), 5, 10, 100);
    assert!(liveness.stale(149).is_empty());
    assert_eq!(ids(&liveness.stale(150)), [2]);
    assert_eq!(ids(&liveness.stale(1_000)), [1, 2]);
}

#[test]
fn an_older_registration_does_not_keep_a_session_alive() {
    let mut liveness = Liveness::new(100);
    liveness.touch(BrokerId(1), 5, 10, 0);
    liveness.touch(BrokerId(1), 4, 10, 90);
    assert_eq!(liveness.stale(100), [(BrokerId(1), 5)]);
    liveness.touch(BrokerId(1), 6, 0, 90);
    assert!(liveness.stale(100).is_empty());
}

#[test]
fn two_refused_connections_apart_end_a_session_and_a_word_between_them_does_not() {
    let mut liveness = Liveness::new(9_000);
    liveness.touch(BrokerId(1), 5, 10, 0);
    assert!(!liveness.refused(BrokerId(1), 10));
    assert!(!liveness.refused(BrokerId(1), 109));
    liveness.touch(BrokerId(1), 5, 10, 109);
    assert!(!liveness.refused(BrokerId(1), 310));
    assert!(liveness.stale(300).is_empty());
    assert!(liveness.refused(BrokerId(1), 410));
    assert_eq!(liveness.stale(410), [(BrokerId(1), 5)]);
    assert!(liveness.next_deadline_ms().unwrap() <= 410);
    assert!(!liveness.refused(BrokerId(7), 410));
}

#[test]
fn a_new_decider_gives_each_live_broker_a_whole_session() {
    let mut image = image_with_brokers(&[0, 1, 2]);
    fence(&mut image, 1);
    let mut liveness = Liveness::new(100);
    liveness.touch(BrokerId(0), 1, 10, 0);
    liveness.touch(BrokerId(9), 1, 10, 0);
    liveness.reset(1_000, &image);
    assert!(liveness.stale(1_099).is_empty());
    assert_eq!(ids(&liveness.stale(1_100)), [0, 2]);
    fence(&mut image, 0);
    liveness.follow(&image, 1_100);
    assert_eq!(ids(&liveness.stale(1_100)), [2]);
}

#[test]
fn the_active_offset_is_the_lowest_that_active_brokers_have_reported() {
    let mut image = image_with_brokers(&[0, 1]);
    let epoch = |image: &Image, id| image.broker(BrokerId(id)).unwrap().epoch;
    let mut liveness = Liveness::new(100);
    liveness.reset(0, &image);
    assert_eq!(liveness.active_offset(&image), -1);
    liveness.touch(BrokerId(0), epoch(&image, 0), 7, 0);
    liveness.touch(BrokerId(1), epoch(&image, 1), 9, 0);
    assert_eq!(liveness.active_offset(&image), 7);
    fence(&mut image, 0);
    assert_eq!(liveness.active_offset(&image), 9);
    fence(&mut image, 1);
    assert_eq!(liveness.active_offset(&image), Offset::MAX);
}
