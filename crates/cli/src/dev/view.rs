//! What the cluster says of itself, asked from any node that lives.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_client::{Client, ClientOptions};
use ottla_runtime::Runtime;

use super::plan::{HOST, Place};
use crate::cluster::{PartitionInfo, topic_info};

/// The longest wait for one node, with all that it is asked.
const NODE_LIMIT: Duration = Duration::from_millis(1200);
const CONNECT_LIMIT: Duration = Duration::from_millis(300);
const REQUEST_LIMIT: Duration = Duration::from_millis(800);
/// An election takes less; until then the last leader counts as leading.
const LEADERLESS_AFTER: u32 = 3;

/// What a node told of the whole cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) cluster_id: String,
    /// Every registered broker, and whether it is fenced.
    pub(super) fenced: BTreeMap<i32, bool>,
    /// Who leads the metadata quorum.
    pub(super) controller: Option<i32>,
    pub(super) partitions: BTreeMap<(String, i32), PartitionInfo>,
}

impl View {
    /// How many partitions a node leads.
    pub(super) fn leads(&self, id: i32) -> usize {
        self.count(|partition| partition.leader == Some(id))
    }

    /// How many replicas a node has.
    pub(super) fn replicas(&self, id: i32) -> usize {
        self.count(|partition| partition.replicas.contains(&id))
    }

    /// How many of these are not in sync.
    pub(super) fn behind(&self, id: i32) -> usize {
        let is_behind = |p: &PartitionInfo| p.replicas.contains(&id) && !p.isr.contains(&id);
        self.count(is_behind)
    }

    /// How many partitions miss a replica.
    pub(super) fn under_replicated(&self) -> usize {
        self.count(|partition| partition.isr.len() < partition.replicas.len())
    }

    fn count(&self, which: impl Fn(&PartitionInfo) -> bool) -> usize {
        self.partitions.values().filter(|p| which(p)).count()
    }
}

/// Asks one node after the other until one answers.
pub(super) struct Asker {
    runtime: Runtime,
    addresses: BTreeMap<i32, String>,
    /// Each knows one node only, so that an answer is known to be of that node.
    clients: BTreeMap<i32, Client>,
    /// Who answered last.
    last: Option<i32>,
    controller: Option<i32>,
    asked_in_vain: u32,
}

impl Asker {
    pub(super) fn new(runtime: &Runtime, places: &[Place]) -> Asker {
        Asker {
            runtime: runtime.clone(),
            addresses: places.iter().map(|p| (p.id, p.address())).collect(),
            clients: BTreeMap::new(),
            last: None,
            controller: None,
            asked_in_vain: 0,
        }
    }

    /// What the first of these nodes says that answers; who answered last is asked first.
    pub(super) async fn ask(&mut self, mut nodes: Vec<i32>) -> Option<View> {
        nodes.sort_by_key(|id| Some(*id) != self.last);
        self.clients.retain(|id, _| nodes.contains(id));
        for id in nodes {
            let clock = self.runtime.clock.clone();
            let answer = clock.timeout(NODE_LIMIT, self.ask_node(id)).await;
            if let Some(Ok(view)) = answer {
                self.last = Some(id);
                return Some(view);
            }
            self.clients.remove(&id);
        }
        None
    }

    /// Whether something listens where the node should.
    pub(super) async fn listens(&self, port: u16) -> bool {
        let network = self.runtime.network;
        network.connect(HOST, port, CONNECT_LIMIT).await.is_ok()
    }

    async fn ask_node(&mut self, id: i32) -> Result<View, ottla_client::Error> {
        let client = match self.clients.get(&id) {
            Some(client) => client.clone(),
            None => {
                let servers = self.addresses.get(&id).cloned().into_iter().collect();
                let options = ClientOptions {
                    client_id: "ottla-dev".to_owned(),
                    connect_timeout: CONNECT_LIMIT,
                    request_timeout: REQUEST_LIMIT,
                    deadline: Duration::ZERO,
                    ..ClientOptions::default()
                };
                let client = Client::connect(self.runtime.clone(), servers, options).await?;
                self.clients.insert(id, client.clone());
                client
            }
        };
        let described = client.describe_cluster().await?;
        let metadata = client.metadata(None).await?;
        let clock = &self.runtime.clock;
        let quorum = clock
            .timeout(REQUEST_LIMIT / 2, client.describe_quorum())
            .await;
        let leader = match quorum {
            Some(Ok(Some(quorum))) => Some(quorum.state.leader_id).filter(|id| *id >= 0),
            _ => None,
        };
        let topics = metadata.topics.into_iter().filter_map(topic_info);
        let partitions = topics.flat_map(|topic| {
            let name = topic.name;
            let named = move |p: PartitionInfo| ((name.clone(), p.index), p);
            topic.partitions.into_iter().map(named)
        });
        Ok(View {
            cluster_id: described.cluster_id.to_string(),
            fenced: described
                .brokers
                .iter()
                .map(|broker| (broker.broker_id, broker.is_fenced))
                .collect(),
            controller: self.leading(leader),
            partitions: partitions.collect(),
        })
    }

    /// Who counts as the leader of the quorum: a question into an election is not the news.
    fn leading(&mut self, told: Option<i32>) -> Option<i32> {
        self.asked_in_vain = match told {
            Some(_) => 0,
            None => self.asked_in_vain.saturating_add(1),
        };
        if told.is_some() || self.asked_in_vain >= LEADERLESS_AFTER {
            self.controller = told;
        }
        self.controller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_counted_by_what_it_leads_holds_and_lacks() {
        let mut view = View::default();
        for (index, leader, isr) in [
            (0, Some(1), vec![1, 2]),
            (1, Some(2), vec![2]),
            (2, None, vec![]),
        ] {
            let partition = PartitionInfo {
                index,
                leader,
                replicas: vec![1, 2],
                isr,
                ..PartitionInfo::default()
            };
            view.partitions.insert(("t".to_owned(), index), partition);
        }
        assert_eq!((view.leads(1), view.replicas(1), view.behind(1)), (1, 3, 2));
        assert_eq!((view.leads(2), view.replicas(2), view.behind(2)), (1, 3, 1));
        assert_eq!((view.leads(3), view.replicas(3), view.behind(3)), (0, 0, 0));
        assert_eq!(view.under_replicated(), 2);
    }

    #[tokio::test]
    async fn a_question_into_an_election_is_not_the_news() {
        let mut asker = Asker::new(&Runtime::real(), &[]);
        assert_eq!(asker.leading(Some(2)), Some(2));
        assert_eq!(asker.leading(None), Some(2));
        assert_eq!(asker.leading(Some(3)), Some(3));
        for expected in [Some(3), Some(3), None, None] {
            assert_eq!(asker.leading(None), expected);
        }
        assert_eq!(asker.leading(Some(1)), Some(1));
    }
}
