//! Random lives of a cluster: whatever happens in whatever order, some things hold.
//!
//! Beside the metadata runs a model of the data: how many records each replica has, and how many
//! are committed, by the rules of the brokers (the high watermark moves only with an ISR of at
//! least `min.insync.replicas`). A clean election must never choose a replica that lacks one.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, TopicName, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::Cluster;
use crate::*;

const TOPICS: [&str; 2] = ["a", "b"];
const PARTITIONS: i32 = 2;
const BROKERS: i32 = 5;
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

type Place = (&'static str, i32);

#[derive(Debug, Clone)]
enum Step {
    Register {
        id: i32,
        fenced: bool,
        loss: Loss,
    },
    Heartbeat {
        id: i32,
        want_fence: bool,
        want_shut_down: bool,
    },
    Fence(i32),
    Unregister(i32),
    /// The leader asks for an ISR of itself and those of these brokers that are in sync.
    Isr(Place, Vec<i32>),
    Elect(ElectionKind, Option<Place>),
    Balance,
    Reassign(Place, Option<Vec<i32>>),
    MinInsync(Option<&'static str>, u8),
    Unclean(Option<&'static str>, bool),
    Elr(bool),
    /// The leader appends a record, and these replicas fetch all that it has.
    Produce(Place, Vec<i32>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// The records that were written last.
    Tail,
    /// The volume.
    All,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 1..=BROKERS;
    let place = || (prop::sample::select(TOPICS.to_vec()), 0..PARTITIONS);
    let scope = || prop::option::of(prop::sample::select(TOPICS.to_vec()));
    let ids = || vec(id(), 0..4);
    let loss = prop_oneof![6 => Just(Loss::Nothing), 1 => Just(Loss::Tail), 1 => Just(Loss::All)];
    let kind = prop_oneof![Just(ElectionKind::Preferred), Just(ElectionKind::Unclean)];
    prop_oneof![
        4 => (id(), any::<bool>(), loss)
            .prop_map(|(id, fenced, loss)| Step::Register { id, fenced, loss }),
        6 => (id(), prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
            |(id, want_fence, want_shut_down)| Step::Heartbeat { id, want_fence, want_shut_down }
        ),
        3 => id().prop_map(Step::Fence),
        1 => id().prop_map(Step::Unregister),
        8 => (place(), ids()).prop_map(|(place, isr)| Step::Isr(place, isr)),
        1 => (kind, prop::option::of(place())).prop_map(|(kind, place)| Step::Elect(kind, place)),
        1 => Just(Step::Balance),
        2 => (place(), prop::option::weighted(0.8, vec(id(), 1..4)))
            .prop_map(|(place, target)| Step::Reassign(place, target)),
        1 => (scope(), 1..4u8).prop_map(|(scope, min)| Step::MinInsync(scope, min)),
        1 => (scope(), prop::bool::weighted(0.3)).prop_map(|(s, on)| Step::Unclean(s, on)),
        1 => prop::bool::weighted(0.7).prop_map(Step::Elr),
        8 => (place(), ids()).prop_map(|(place, ids)| Step::Produce(place, ids)),
    ]
}

/// The data of one partition.
#[derive(Debug, Clone, Default)]
struct Data {
    records: BTreeMap<BrokerId, u64>,
    committed: u64,
}

struct World {
    cluster: Cluster,
    data: BTreeMap<Place, Data>,
    leaders: BTreeMap<(Place, i32), BrokerId>,
    volumes: u8,
}

impl World {
    fn new() -> Self {
        let mut cluster = Cluster::with_brokers(&[1, 2, 3, 4, 5]);
        cluster.defaults.min_insync_replicas = 2;
        let new = |name: &&str| NewTopic {
            num_partitions: PARTITIONS,
            replication_factor: 3,
            ..NewTopic::with_defaults(*name)
        };
        cluster.create(&TOPICS.iter().map(new).collect::<Vec<_>>());
        let mut world = World {
            cluster,
            data: places().map(|place| (place, Data::default())).collect(),
            leaders: BTreeMap::new(),
            volumes: 100,
        };
        world.check_leaders();
        world
    }

    fn partition(&self, (topic, index): Place) -> PartitionImage {
        let partition = self.cluster.image.partition(topic, index);
        PartitionImage::clone(partition.unwrap())
    }

    fn config(&self, topic: &str, key: &str) -> Option<String> {
        let image = &self.cluster.image;
        let own = image.topic(topic).unwrap().configs.get(key);
        own.or_else(|| image.default_broker_configs()?.get(key))
            .cloned()
    }

    fn min_insync(&self, place: Place) -> usize {
        let configured = self.config(place.0, MIN_INSYNC_REPLICAS);
        let min = configured.map_or(2, |min| min.parse().unwrap());
        self.partition(place).replicas.len().min(min)
    }

    fn command(&mut self, step: &Step) -> Option<Command> {
        let broker_epoch = |id: i32| Some(self.cluster.image.broker(BrokerId(id))?.epoch);
        Some(match step {
            Step::Register { id, fenced, loss } => self.registration(*id, *fenced, *loss),
            Step::Heartbeat {
                id,
                want_fence,
                want_shut_down,
            } => Command::BrokerHeartbeat(BrokerHeartbeat {
                broker_id: BrokerId(*id),
                broker_epoch: broker_epoch(*id)?,
                metadata_offset: self.cluster.image.metadata_offset(),
                want_fence: *want_fence,
                want_shut_down: *want_shut_down,
            }),
            Step::Fence(id) => Command::FenceBroker(FenceBroker {
                broker_id: BrokerId(*id),
                broker_epoch: broker_epoch(*id)?,
            }),
            Step::Unregister(id) => Command::UnregisterBroker(BrokerId(*id)),
            Step::Isr(place, ids) => self.alter_partition(*place, ids)?,
            Step::Elect(kind, place) => Command::ElectLeaders(ElectLeaders {
                kind: *kind,
                partitions: place.map(|(topic, index)| vec![(topic.to_owned(), index)]),
            }),
            Step::Balance => Command::BalanceLeaders,
            Step::Reassign((topic, partition), target) => {
                Command::AlterPartitionReassignments(AlterPartitionReassignments {
                    allow_replication_factor_change: true,
                    partitions: vec![ReassignPartition {
                        topic: (*topic).to_owned(),
                        partition: *partition,
                        replicas: target
                            .as_ref()
                            .map(|t| t.iter().copied().map(BrokerId).collect()),
                    }],
                })
            }
            Step::MinInsync(scope, min) => set(*scope, MIN_INSYNC_REPLICAS, &min.to_string()),
            Step::Unclean(scope, on) => set(*scope, UNCLEAN, &on.to_string()),
            Step::Elr(on) => Command::UpdateFeatures(UpdateFeatures {
                updates: vec![FeatureUpdate {
                    feature: ELIGIBLE_LEADER_REPLICAS_VERSION.to_owned(),
                    level: i16::from(*on),
                    upgrade: if *on {
                        FeatureUpgrade::Upgrade
                    } else {
                        FeatureUpgrade::SafeDowngrade
                    },
                }],
                validate_only: false,
            }),
            Step::Produce(..) => return None,
        })
    }

    fn registration(&mut self, id: i32, fenced: bool, loss: Loss) -> Command {
        let known = self.cluster.image.broker(BrokerId(id));
        let volume = known.map(|broker| broker.directory_id);
        let Command::RegisterBroker(mut command) = self.cluster.registration(id, fenced) else {
            panic!("another command");
        };
        command.directory_id = volume.unwrap_or(command.directory_id);
        command.data_may_be_lost = loss == Loss::Tail;
        if loss == Loss::All && volume.is_some() {
            self.volumes += 1;
            command.directory_id = Uuid([self.volumes; 16]);
        }
        Command::RegisterBroker(command)
    }

    fn alter_partition(&self, place: Place, ids: &[i32]) -> Option<Command> {
        let partition = self.partition(place);
        let leader = partition.leader?;
        let image = &self.cluster.image;
        let ends = &self.data[&place].records;
        let end = |id: &BrokerId| ends.get(id).copied().unwrap_or(0);
        let in_sync = |id: &BrokerId| {
            partition.replicas.contains(id)
                && (partition.isr.contains(id) || end(id) >= end(&leader))
                && (image.is_active(*id) || partition.isr.contains(id))
        };
        let mut isr = vec![leader];
        for id in ids.iter().copied().map(BrokerId).filter(in_sync) {
            if !isr.contains(&id) {
                isr.push(id);
            }
        }
        let member = |broker_id: BrokerId| IsrMember {
            broker_id,
            broker_epoch: image.broker(broker_id).map_or(-1, |broker| broker.epoch),
        };
        Some(Command::AlterPartition(AlterPartition {
            broker_id: leader,
            broker_epoch: image.broker(leader)?.epoch,
            partitions: vec![AlterPartitionItem {
                topic_id: image.topic(place.0)?.id,
                partition: place.1,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                new_isr: isr.into_iter().map(member).collect(),
                recovering: false,
            }],
        }))
    }

    fn produce(&mut self, place: Place, ids: &[i32]) {
        let partition = self.partition(place);
        let Some(leader) = partition.leader else {
            return;
        };
        let data = self.data.get_mut(&place).unwrap();
        let end = data.records.get(&leader).copied().unwrap_or(0) + 1;
        data.records.insert(leader, end);
        for id in ids.iter().copied().map(BrokerId) {
            if partition.replicas.contains(&id) && self.cluster.image.broker(id).is_some() {
                data.records.insert(id, end);
            }
        }
    }

    /// Moves the high watermarks as far as the leaders may.
    fn commit(&mut self) {
        for place in places() {
            let partition = self.partition(place);
            let min = self.min_insync(place);
            let data = self.data.get_mut(&place).unwrap();
            if partition.leader.is_some() && partition.isr.len() >= min {
                let end = |id: &BrokerId| data.records.get(id).copied().unwrap_or(0);
                let all_have = partition.isr.iter().map(end).min().unwrap_or(0);
                data.committed = data.committed.max(all_have);
            }
        }
    }

    /// What a registration did to the broker's disk. Records that were only there are lost for
    /// good; nobody can be blamed for them.
    fn lose(&mut self, id: i32, loss: Loss) {
        let id = BrokerId(id);
        for place in places() {
            let partition = self.partition(place);
            let data = self.data.get_mut(&place).unwrap();
            let end = data.records.entry(id).or_default();
            match loss {
                Loss::Nothing => {}
                Loss::Tail => *end = end.saturating_sub(2),
                Loss::All => *end = 0,
            }
            let eligible = partition.isr.iter().chain(&partition.elr);
            let only = loss != Loss::Nothing && eligible.clone().all(|other| *other == id);
            if only {
                data.committed = data.committed.min(*end);
            }
        }
    }

    fn play(&mut self, step: &Step) {
        if let Step::Produce(place, ids) = step {
            self.produce(*place, ids);
            self.commit();
            return;
        }
        let Some(command) = self.command(step) else {
            return;
        };
        let bytes = command.encode().unwrap();
        assert_eq!(Command::decode(&bytes).unwrap(), command);
        let unclean_allowed: BTreeMap<_, _> = TOPICS
            .map(|topic| {
                (
                    topic,
                    self.config(topic, UNCLEAN).as_deref() == Some("true"),
                )
            })
            .into();
        let before = self.cluster.image.clone();
        let Ok((records, _)) = self.cluster.decide(&command) else {
            return;
        };
        for record in &records {
            let offset = self.cluster.image.metadata_offset() + 1;
            let read = Record::decode(record.encode().unwrap(), offset).unwrap();
            assert_eq!(&read, record);
            self.cluster.image.apply(&read, offset).unwrap();
        }
        if let Step::Register { id, loss, .. } = step {
            // A process that is refused has changed nothing that anybody serves.
            self.lose(*id, *loss);
        }
        for place in places() {
            let allowed = unclean_allowed[place.0]
                || self.config(place.0, UNCLEAN).as_deref() == Some("true")
                || matches!(step, Step::Elect(ElectionKind::Unclean, _));
            self.check_change(&before, place, step, allowed);
        }
        self.check_leaders();
        self.check_image(&before, &records);
        self.commit();
    }

    fn check_change(&mut self, before: &Image, place: Place, step: &Step, unclean_allowed: bool) {
        let old = before.partition(place.0, place.1).unwrap();
        let new = self.partition(place);
        let image = &self.cluster.image;
        let context = format!("{place:?} {step:?}\n{old:?}\n{new:?}");
        for list in [
            &new.isr,
            &new.elr,
            &new.adding_replicas,
            &new.removing_replicas,
        ] {
            let mut distinct = list.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), list.len(), "twice: {context}");
            let among = list.iter().all(|id| new.replicas.contains(id));
            assert!(among, "not among the replicas: {context}");
        }
        assert!(!new.isr.iter().any(|id| new.elr.contains(id)), "{context}");
        if let Some(leader) = new.leader {
            assert!(new.isr.contains(&leader), "leader not in sync: {context}");
            assert!(image.is_active(leader), "leader not active: {context}");
        } else {
            let eligible = if new.isr.is_empty() {
                &new.elr
            } else {
                &new.isr
            };
            let waits = eligible.iter().any(|id| image.is_active(*id));
            assert!(
                !waits,
                "an eligible replica is live and does not lead: {context}"
            );
        }
        if **old != new {
            assert!(new.partition_epoch > old.partition_epoch, "{context}");
            assert!(new.leader_epoch >= old.leader_epoch, "{context}");
        }
        if old.leader != new.leader {
            assert!(new.leader_epoch > old.leader_epoch, "{context}");
        }
        let had = |p: &PartitionImage| !p.isr.is_empty() || !p.elr.is_empty();
        let replaced = matches!(
            step,
            Step::Register {
                loss: Loss::All,
                ..
            }
        );
        assert!(
            !had(old) || had(&new) || replaced,
            "nobody is eligible: {context}"
        );
        // An election is unclean when the leader was neither in sync nor eligible.
        if let Some(leader) = new.leader.filter(|_| old.leader_epoch != new.leader_epoch) {
            let data = self.data.get_mut(&place).unwrap();
            let end = data.records.get(&leader).copied().unwrap_or(0);
            let was_eligible = old.isr.contains(&leader) || old.elr.contains(&leader);
            let joined = matches!(step, Step::Isr(..));
            if new.recovering && !was_eligible && !joined {
                assert!(unclean_allowed, "unclean election: {context}");
                data.committed = data.committed.min(end);
            }
            assert!(
                end >= data.committed,
                "committed records lost: {context} {data:?}"
            );
            for other in data.records.values_mut() {
                *other = (*other).min(end);
            }
        }
    }

    /// One leader in each epoch.
    fn check_leaders(&mut self) {
        for place in places() {
            let partition = self.partition(place);
            if let Some(leader) = partition.leader {
                let of_epoch = self.leaders.entry((place, partition.leader_epoch));
                assert_eq!(
                    *of_epoch.or_insert(leader),
                    leader,
                    "{place:?} {partition:?}"
                );
            }
        }
    }

    /// The image is the sum of its records, and its difference says what changed.
    fn check_image(&self, before: &Image, records: &[Record]) {
        let image = &self.cluster.image;
        let mut rebuilt = Image::empty();
        for (offset, record) in (0..).zip(image.to_records()) {
            let read = Record::decode(record.encode().unwrap(), offset).unwrap();
            rebuilt.apply(&read, offset).unwrap();
        }
        assert_eq!(&rebuilt.at_offset(image.metadata_offset()), image);
        let delta = image.diff(before);
        let said: Vec<_> = delta
            .changed
            .iter()
            .flat_map(|t| t.changed_partitions().map(|p| (t.new.name.to_string(), p)))
            .collect();
        for place in places() {
            let changed = image.partition(place.0, place.1) != before.partition(place.0, place.1);
            assert_eq!(said.contains(&(place.0.to_owned(), place.1)), changed);
        }
        let about_brokers = records.iter().any(|record| {
            matches!(
                record,
                Record::RegisterBroker(_) | Record::UnregisterBroker(_) | Record::BrokerChange(_)
            )
        });
        assert_eq!(delta.brokers_changed, about_brokers);
        assert_eq!(
            delta.features_changed,
            image.features() != before.features()
        );
    }
}

fn places() -> impl Iterator<Item = Place> {
    TOPICS
        .into_iter()
        .flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition)))
}

fn set(scope: Option<&str>, key: &str, value: &str) -> Command {
    let resource = scope.map_or(ConfigResource::DefaultBroker, |topic| {
        ConfigResource::Topic(TopicName::new(topic).unwrap())
    });
    let op = (key.to_owned(), ConfigOp::Set(value.to_owned()));
    let change = ConfigChange::Incremental(vec![op]);
    Command::AlterConfigs(AlterConfigs {
        resources: vec![AlterConfig { resource, change }],
        validate_only: false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_order_of_events_breaks_what_the_cluster_promises(steps in vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.play(step);
        }
    }
}
