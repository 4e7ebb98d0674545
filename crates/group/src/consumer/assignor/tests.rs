use ottla_model::Uuid;
use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> TopicId {
    Uuid([number; 16])
}

/// Members' subscriptions, and what they have had so far.
#[derive(Debug, Clone)]
struct Case {
    /// The number of partitions of topics 1, 2, ….
    partitions: Vec<i32>,
    subscriptions: BTreeMap<Arc<str>, BTreeSet<TopicId>>,
    before: BTreeMap<Arc<str>, Assignment>,
}

impl Case {
    fn run(&self, assignor: Assignor) -> BTreeMap<Arc<str>, Assignment> {
        let counts = (1..).zip(&self.partitions);
        let members = self.subscriptions.iter().map(|(id, topics)| {
            let member = MemberSpec {
                instance_id: None,
                topics: topics.clone(),
                target: self.before.get(id),
            };
            (id.clone(), member)
        });
        let spec = GroupSpec {
            members: members.collect(),
            partition_counts: counts.map(|(t, &n)| (topic(t), n)).collect(),
        };
        assignor.assign(&spec)
    }

    /// Every partition of every topic that is read by someone has one owner, who reads it.
    fn check(&self, assigned: &BTreeMap<Arc<str>, Assignment>) {
        assert!(assigned.keys().eq(self.subscriptions.keys()));
        let mut owners = BTreeMap::new();
        for (id, assignment) in assigned {
            for (topic, partitions) in assignment {
                assert!(
                    self.subscriptions[id].contains(topic),
                    "{id} does not read {topic}"
                );
                assert!(!partitions.is_empty());
                for partition in partitions {
                    let other = owners.insert((*topic, *partition), id);
                    assert_eq!(other, None, "{topic}-{partition} has two owners");
                }
            }
        }
        let read: BTreeSet<_> = self.subscriptions.values().flatten().copied().collect();
        let all = (1..).zip(&self.partitions).map(|(t, &n)| (topic(t), n));
        let all = all.filter(|(t, _)| read.contains(t));
        let all: BTreeSet<_> = all.flat_map(|(t, n)| (0..n).map(move |p| (t, p))).collect();
        assert!(owners.into_keys().eq(all));
    }
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

fn ids(members: usize) -> Vec<Arc<str>> {
    (0..members).map(|m| format!("m{m:02}").into()).collect()
}

fn kept(before: &BTreeMap<Arc<str>, Assignment>, after: &BTreeMap<Arc<str>, Assignment>) -> usize {
    let mut kept = 0;
    for (id, topics) in before {
        for (topic, partitions) in topics {
            let now = after.get(id).and_then(|a| a.get(topic));
            kept += now.map_or(0, |now| now.intersection(partitions).count());
        }
    }
    kept
}

prop_compose! {
    /// All members read the same topics.
    fn equal_cases()(
        partitions in prop::collection::vec(0..9i32, 1..5),
        members in 1..8usize,
    ) -> Case {
        let topics = (1..).zip(&partitions).map(|(t, _)| topic(t));
        let topics: BTreeSet<_> = topics.collect();
        let subscriptions = ids(members).into_iter().map(|id| (id, topics.clone()));
        Case { subscriptions: subscriptions.collect(), partitions, before: BTreeMap::new() }
    }
}

prop_compose! {
    fn mixed_cases()(
        partitions in prop::collection::vec(0..9i32, 1..5),
        wishes in prop::collection::vec(prop::collection::btree_set(0..5u8, 0..5), 1..8),
    ) -> Case {
        let count = u8::try_from(partitions.len()).unwrap();
        let subscriptions = ids(wishes.len()).into_iter().zip(wishes).map(|(id, wishes)| {
            let topics = wishes.into_iter().filter(|t| *t < count);
            (id, topics.map(|t| topic(t + 1)).collect())
        });
        Case { subscriptions: subscriptions.collect(), partitions, before: BTreeMap::new() }
    }
}

/// No member that could take a partition has two fewer than the one that has it.
fn is_balanced(case: &Case, assigned: &BTreeMap<Arc<str>, Assignment>) -> bool {
    assigned.values().all(|giver| {
        giver.keys().all(|topic| {
            let takers = assigned.iter();
            let mut takers = takers.filter(|(id, _)| case.subscriptions[*id].contains(topic));
            takers.all(|(_, taker)| size(giver) <= size(taker) + 1)
        })
    })
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_who_reads_it(
        case in mixed_cases(), other in mixed_cases(), assignor in 0..2usize,
    ) {
        let assignor = [Assignor::Uniform, Assignor::Range][assignor];
        let assigned = case.run(assignor);
        case.check(&assigned);
        // What others have had before must not matter for that, whatever it is.
        let case = Case { before: other.run(assignor), ..case };
        case.check(&case.run(assignor));
    }

    #[test]
    fn uniform_is_balanced_within_one(case in equal_cases(), mixed in mixed_cases()) {
        let assigned = case.run(Assignor::Uniform);
        case.check(&assigned);
        let sizes: Vec<_> = assigned.values().map(size).collect();
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        prop_assert!(is_balanced(&mixed, &mixed.run(Assignor::Uniform)));
    }

    #[test]
    fn uniform_moves_nothing_when_nothing_changes(case in equal_cases(), mixed in mixed_cases()) {
        for mut case in [case, mixed] {
            let first = case.run(Assignor::Uniform);
            case.before.clone_from(&first);
            prop_assert_eq!(case.run(Assignor::Uniform), first);
        }
    }

    #[test]
    fn uniform_moves_only_what_a_newcomer_gets(mut case in equal_cases()) {
        let before = case.run(Assignor::Uniform);
        let topics = case.subscriptions.values().next().unwrap().clone();
        case.subscriptions.insert("new".into(), topics);
        case.before.clone_from(&before);
        let after = case.run(Assignor::Uniform);
        case.check(&after);
        let total: usize = before.values().map(size).sum();
        prop_assert_eq!(kept(&before, &after), total - size(&after["new"]));
    }

    #[test]
    fn uniform_moves_only_what_a_leaver_had(mut case in equal_cases()) {
        prop_assume!(case.subscriptions.len() > 1);
        let before = case.run(Assignor::Uniform);
        let (gone, _) = case.subscriptions.pop_first().unwrap();
        case.before.clone_from(&before);
        let after = case.run(Assignor::Uniform);
        case.check(&after);
        let total: usize = before.values().map(size).sum();
        prop_assert_eq!(kept(&before, &after), total - size(&before[&gone]));
    }

    #[test]
    fn range_gives_unbroken_ranges_and_cuts_equal_topics_alike(
        members in 1..8usize, partitions in 1..20i32, topics in 1..4usize,
    ) {
        let numbers: BTreeSet<_> = (1..).take(topics).map(topic).collect();
        let subscriptions = ids(members).into_iter().map(|id| (id, numbers.clone())).collect();
        let case = Case { partitions: vec![partitions; topics], subscriptions, before: BTreeMap::new() };
        for assignment in case.run(Assignor::Range).values() {
            let mut cuts: Vec<_> = assignment.values().collect();
            cuts.dedup();
            prop_assert!(cuts.len() <= 1, "{cuts:?}");
            if let Some(partitions) = cuts.first() {
                let first = *partitions.first().unwrap();
                let whole = (first..).take(partitions.len()).collect::<BTreeSet<_>>();
                prop_assert_eq!(*partitions, &whole);
            }
        }
    }
}

#[test]
fn range_orders_static_members_by_their_names() {
    let member = |name: &str| MemberSpec {
        instance_id: Some(name.into()),
        topics: [topic(1)].into(),
        target: None,
    };
    let mut spec = GroupSpec::default();
    spec.partition_counts.insert(topic(1), 2);
    spec.members.insert("x".into(), member("b"));
    spec.members.insert("y".into(), member("a"));
    let assigned = Assignor::Range.assign(&spec);
    assert_eq!(assigned["y"][&topic(1)], [0].into());
    assert_eq!(assigned["x"][&topic(1)], [1].into());
}
