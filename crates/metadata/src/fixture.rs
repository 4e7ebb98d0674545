//! What the tests of this crate share: a cluster, rules for configuration, counted randomness.

use ottla_model::{BrokerId, ClusterId, ErrorCode, Offset, Uuid};

use crate::*;

/// Allows everything but a value `bad`, does not know the key `unknown`, and has a list `list`.
pub(crate) struct TestRules;

impl ConfigRules for TestRules {
    fn check(&self, _: &Image, _: &ConfigResource, overrides: &Overrides) -> Result<(), Refusal> {
        match overrides
            .iter()
            .find(|(key, value)| *key == "unknown" || *value == "bad")
        {
            Some((key, value)) => Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("{key}={value} is not allowed"),
            )),
            None => Ok(()),
        }
    }

    fn list_default(&self, _: &ConfigResource, key: &str) -> Option<&'static str> {
        (key == "list").then_some("a,b")
    }
}

/// A cluster of one, with decisions and their application in one step.
pub(crate) struct Cluster {
    pub(crate) image: Image,
    pub(crate) defaults: Defaults,
    pub(crate) active_offset: Offset,
    drawn: u128,
}

impl Cluster {
    /// A cluster that is what the image says.
    pub(crate) fn of(image: Image) -> Self {
        Cluster {
            image,
            defaults: Defaults::default(),
            active_offset: Offset::MAX,
            drawn: 0,
        }
    }

    /// The cluster `test` with these live brokers.
    pub(crate) fn with_brokers(ids: &[i32]) -> Self {
        let mut cluster = Cluster::of(Image::empty());
        cluster
            .run(&Command::NameCluster(ClusterId("test".into())))
            .unwrap();
        for &id in ids {
            cluster.register(id, false);
        }
        cluster
    }

    pub(crate) fn register(&mut self, id: i32, fenced: bool) -> i64 {
        let command = self.registration(id, fenced);
        match self.run(&command) {
            Ok(Reply::RegisterBroker(registered)) => registered.broker_epoch,
            other => panic!("{other:?}"),
        }
    }

    /// A registration of a process that is new, on the volume of the broker's earlier ones.
    pub(crate) fn registration(&mut self, id: i32, fenced: bool) -> Command {
        Command::RegisterBroker(RegisterBroker {
            broker_id: BrokerId(id),
            cluster_id: ClusterId("test".into()),
            incarnation_id: self.uuid(),
            directory_id: Uuid([id.to_le_bytes()[0]; 16]),
            rack: Some(format!("zone-{id}")),
            endpoints: vec![Endpoint {
                listener: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092 + u16::try_from(id).unwrap(),
                security_protocol: 0,
            }],
            features: supported_features(),
            fenced,
            data_may_be_lost: false,
        })
    }

    /// A broker's registration.
    pub(crate) fn epoch(&self, id: i32) -> i64 {
        self.image.broker(BrokerId(id)).unwrap().epoch
    }

    pub(crate) fn fence(&mut self, id: i32) {
        let command = FenceBroker {
            broker_id: BrokerId(id),
            broker_epoch: self.epoch(id),
        };
        self.run(&Command::FenceBroker(command)).unwrap();
    }

    fn uuid(&mut self) -> Uuid {
        self.drawn += 1;
        Uuid(self.drawn.to_be_bytes())
    }

    pub(crate) fn decide(&mut self, command: &Command) -> Result<(Vec<Record>, Reply), Refusal> {
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            drawn.to_le_bytes()
        };
        let mut context = Context {
            random: &mut random,
            rules: &TestRules,
            defaults: self.defaults,
            active_offset: self.active_offset,
        };
        decide(&self.image, command, &mut context)
    }

    /// Decides and applies.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let (records, reply) = self.decide(command)?;
        for record in &records {
            let offset = self.image.metadata_offset() + 1;
            self.image.apply(record, offset).unwrap();
        }
        Ok(reply)
    }

    pub(crate) fn create(&mut self, topics: &[NewTopic]) -> Vec<CreateTopicResult> {
        let command = CreateTopics {
            topics: topics.to_vec(),
            ..CreateTopics::default()
        };
        match self.run(&Command::CreateTopics(command)).unwrap() {
            Reply::CreateTopics(results) => results,
            other => panic!("{other:?}"),
        }
    }
}

/// An image of these live brokers.
pub(crate) fn image_with_brokers(ids: &[i32]) -> Image {
    Cluster::with_brokers(ids).image
}

/// Fences a broker.
pub(crate) fn fence(image: &mut Image, id: i32) {
    let mut cluster = Cluster::of(image.clone());
    cluster.fence(id);
    *image = cluster.image;
}

/// A topic with so many partitions, one replica each.
pub(crate) fn topic(name: &str, num_partitions: i32) -> NewTopic {
    NewTopic {
        num_partitions,
        ..NewTopic::with_defaults(name)
    }
}
