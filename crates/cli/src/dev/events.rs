//! What has happened between two looks at the cluster, in few lines.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;

/// So many of a kind are named one by one; of more only their number is told.
const NAMED: usize = 3;

/// The news of `after`, the most important first.
pub(super) fn events(before: &View, after: &View) -> Vec<String> {
    let mut news = Vec::new();
    fences(before, after, &mut news);
    controller(before, after, &mut news);
    topics(before, after, &mut news);
    leaders(before, after, &mut news);
    replicas(before, after, &mut news);
    news
}

fn fences(before: &View, after: &View, news: &mut Vec<String>) {
    for (id, fenced) in &after.fenced {
        if *fenced && before.fenced.get(id) == Some(&false) {
            news.push(format!(
                "node {id} is fenced: it leads nothing until it is back"
            ));
        }
    }
}

fn controller(before: &View, after: &View, news: &mut Vec<String>) {
    match (before.controller, after.controller) {
        (was, is) if was == is => {}
        (None, Some(is)) => news.push(format!("controller is node {is}")),
        (Some(was), Some(is)) => {
            news.push(format!("controller is now node {is}, it was node {was}"));
        }
        (_, None) => news.push(
            "no controller leads: nothing can be changed until most nodes run again".to_owned(),
        ),
    }
}

fn topics(before: &View, after: &View, news: &mut Vec<String>) {
    let counts = |view: &View| {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for ((topic, _), partition) in &view.partitions {
            let (partitions, replicas) = counts.entry(topic.clone()).or_default();
            *partitions += 1;
            *replicas = partition.replicas.len().max(*replicas);
        }
        counts
    };
    let (was, is) = (counts(before), counts(after));
    let made: Vec<String> = is
        .iter()
        .filter(|(topic, _)| !was.contains_key(*topic))
        .map(|(topic, (partitions, replicas))| {
            let partitions = number(*partitions, "partition");
            format!("topic {topic} is there: {partitions}, {replicas} replicas each")
        })
        .collect();
    told(made, |count| format!("{count} topics are there"), news);
    let gone: Vec<String> = was
        .keys()
        .filter(|topic| !is.contains_key(*topic))
        .map(|topic| format!("topic {topic} is gone"))
        .collect();
    told(gone, |count| format!("{count} topics are gone"), news);
}

fn leaders(before: &View, after: &View, news: &mut Vec<String>) {
    let (mut changed, mut lost) = (Vec::new(), Vec::new());
    // Who led before and who leads now, and of how many partitions.
    let mut ways: BTreeMap<(Option<i32>, i32), usize> = BTreeMap::new();
    for (name, partition) in &after.partitions {
        let Some(was) = before.partitions.get(name).map(|p| p.leader) else {
            continue;
        };
        let (topic, index) = name;
        match partition.leader {
            is if is == was => {}
            None => lost.push(format!("{topic}-{index} has no leader")),
            Some(is) => {
                *ways.entry((was, is)).or_default() += 1;
                changed.push(format!("{topic}-{index}: leader {}", way(was, is)));
            }
        }
    }
    let in_short = |count| {
        let ways: Vec<String> = ways
            .iter()
            .map(|((was, is), count)| format!("{} ({count})", way(*was, *is)))
            .collect();
        format!("{count} partitions got new leaders: {}", ways.join(", "))
    };
    told(changed, in_short, news);
    told(
        lost,
        |count| format!("{count} partitions have no leader"),
        news,
    );
}

/// `2 → 3`.
fn way(was: Option<i32>, is: i32) -> String {
    match was {
        Some(was) => format!("{was} → {is}"),
        None => format!("none → {is}"),
    }
}

/// Whether all replicas are in sync, or no more; how many are not is in the table.
fn replicas(before: &View, after: &View, news: &mut Vec<String>) {
    match (before.under_replicated(), after.under_replicated()) {
        (0, 0) => {}
        (0, count) => {
            let missed: BTreeSet<i32> = after
                .partitions
                .values()
                .flat_map(|p| p.replicas.iter().filter(|id| !p.isr.contains(id)))
                .copied()
                .collect();
            let missed: Vec<String> = missed.iter().map(|id| format!("node {id}")).collect();
            news.push(format!(
                "{} without all replicas: {} not in sync",
                number(count, "partition"),
                missed.join(", ")
            ));
        }
        (_, 0) => news.push("all replicas are in sync again".to_owned()),
        _ => {}
    }
}

/// Each by itself if they are few.
fn told(each: Vec<String>, in_short: impl Fn(usize) -> String, news: &mut Vec<String>) {
    if each.len() <= NAMED {
        news.extend(each);
    } else {
        news.push(in_short(each.len()));
    }
}

/// `1 node`, `3 nodes`.
pub(super) fn number(count: usize, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::PartitionInfo;

    /// Three nodes, node 1 the controller, and partitions of topic `foo` with these leaders.
    fn view(leaders: &[Option<i32>]) -> View {
        let mut view = View {
            cluster_id: "id".to_owned(),
            fenced: [(1, false), (2, false), (3, false)].into(),
            controller: Some(1),
            ..View::default()
        };
        for (index, leader) in (0..).zip(leaders) {
            let partition = PartitionInfo {
                index,
                leader: *leader,
                replicas: vec![1, 2, 3],
                isr: vec![1, 2, 3],
                ..PartitionInfo::default()
            };
            view.partitions.insert(("foo".to_owned(), index), partition);
        }
        view
    }

    #[test]
    fn nothing_new_is_no_news() {
        let same = view(&[Some(1), None]);
        assert!(events(&same, &same).is_empty());
        assert!(events(&View::default(), &View::default()).is_empty());
    }

    #[test]
    fn a_lost_node_is_told_from_its_fence_to_its_replicas() {
        let before = view(&[Some(2), Some(1)]);
        let mut after = view(&[Some(3), Some(1)]);
        after.fenced.insert(2, true);
        after.controller = Some(3);
        for partition in after.partitions.values_mut() {
            partition.isr = vec![1, 3];
        }
        let expected = [
            "node 2 is fenced: it leads nothing until it is back",
            "controller is now node 3, it was node 1",
            "foo-0: leader 2 → 3",
            "2 partitions without all replicas: node 2 not in sync",
        ];
        assert_eq!(events(&before, &after), expected);
        assert_eq!(
            events(&after, &before).last().unwrap(),
            "all replicas are in sync again"
        );
    }

    #[test]
    fn many_new_leaders_are_one_line() {
        let before = view(&[Some(2), Some(2), Some(2), Some(2), None, Some(1)]);
        let after = view(&[Some(3), Some(3), Some(1), Some(3), Some(1), Some(1)]);
        let expected = "5 partitions got new leaders: none → 1 (1), 2 → 1 (1), 2 → 3 (3)";
        assert_eq!(events(&before, &after), [expected]);
        let nobody = view(&[None; 6]);
        assert_eq!(events(&before, &nobody), ["5 partitions have no leader"]);
        let one = view(&[None, Some(2), Some(2), Some(2), None, Some(1)]);
        assert_eq!(events(&before, &one), ["foo-0 has no leader"]);
    }

    #[test]
    fn topics_come_and_go_and_their_leaders_are_no_change() {
        let (none, some) = (view(&[]), view(&[Some(1), Some(2)]));
        assert_eq!(
            events(&none, &some),
            ["topic foo is there: 2 partitions, 3 replicas each"]
        );
        assert_eq!(events(&some, &none), ["topic foo is gone"]);
    }

    #[test]
    fn a_quorum_without_a_leader_is_told() {
        let before = view(&[]);
        let mut after = view(&[]);
        after.controller = None;
        assert!(events(&before, &after)[0].starts_with("no controller leads"));
        assert_eq!(events(&after, &before), ["controller is node 1"]);
    }
}
