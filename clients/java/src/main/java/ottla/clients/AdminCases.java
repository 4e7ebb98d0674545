package ottla.clients;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics and the cluster through the admin client. */
final class AdminCases {
    private final Node node;

    AdminCases(Node node) {
        this.node = node;
    }

    void addTo(Suite suite) {
        suite.add("topics_are_created_listed_described_deleted", this::topicsLiveAndDie);
        suite.add("topics_are_deleted_by_id", this::topicsAreDeletedById);
        suite.add("validating_creates_nothing", this::validatingCreatesNothing);
        suite.add("replicas_are_assigned_by_hand", this::replicasAreAssignedByHand);
        suite.add("wrong_topics_are_refused", this::wrongTopicsAreRefused);
        suite.add("partitions_are_added", this::partitionsAreAdded);
        suite.add("configs_are_described", this::configsAreDescribed);
        suite.add("offsets_are_listed", this::offsetsAreListed);
        suite.add("cluster_is_described", this::clusterIsDescribed);
    }

    private static void refused(Class<? extends Exception> expected, Suite.Case action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            checkEqual(error.getClass(), expected, "the error (" + error.getMessage() + ")");
            return;
        }
        throw new AssertionError("accepted, but " + expected.getSimpleName() + " was expected");
    }

    private boolean listed(String topic) {
        try {
            return Node.result(node.admin.listTopics().names()).contains(topic);
        } catch (Exception error) {
            throw new AssertionError("topics cannot be listed", error);
        }
    }

    private TopicDescription described(String topic) throws Exception {
        return Node.result(node.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    private void topicsLiveAndDie() throws Exception {
        String topic = node.topic("admin", 3, Map.of("retention.ms", "3600000"));
        eventually(() -> listed(topic), () -> "the topic is listed");
        TopicDescription description = described(topic);
        checkEqual(description.partitions().size(), 3, "partitions");
        check(!description.topicId().equals(Uuid.ZERO_UUID), "the topic has no id");
        refused(TopicExistsException.class, () -> node.create(topic, 1, Map.of()));
        Node.result(node.admin.deleteTopics(List.of(topic)).all());
        eventually(() -> !listed(topic), () -> "the topic is gone");
        refused(UnknownTopicOrPartitionException.class, () -> Node.result(node.admin.deleteTopics(List.of(topic)).all()));
        node.create(topic, 1, Map.of());
        check(!described(topic).topicId().equals(description.topicId()), "the new topic has the old one's id");
    }

    private void topicsAreDeletedById() throws Exception {
        String topic = node.topic("by-id", 1, Map.of());
        Uuid id = described(topic).topicId();
        Node.result(node.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        eventually(() -> !listed(topic), () -> "the topic is gone");
    }

    private void validatingCreatesNothing() throws Exception {
        String topic = Suite.fresh("validated");
        var options = new CreateTopicsOptions().validateOnly(true);
        Node.result(node.admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)), options).all());
        check(!listed(topic), "validating created the topic");
    }

    private void replicasAreAssignedByHand() throws Exception {
        int broker = Node.result(node.admin.describeCluster().nodes()).iterator().next().id();
        String topic = Suite.fresh("by-hand");
        var assignments = Map.of(0, List.of(broker), 1, List.of(broker));
        Node.result(node.admin.createTopics(List.of(new NewTopic(topic, assignments))).all());
        eventually(() -> node.partitionCount(topic) == 2, () -> "two partitions");
        checkEqual(described(topic).partitions().get(1).replicas().get(0).id(), broker, "replica");
    }

    private void wrongTopicsAreRefused() throws Exception {
        refused(InvalidTopicException.class, () -> node.create("no spaces", 1, Map.of()));
        refused(InvalidPartitionsException.class, () -> node.create(Suite.fresh("none"), 0, Map.of()));
        refused(InvalidConfigurationException.class,
                () -> node.create(Suite.fresh("bad"), 1, Map.of("retention.ms", "soon")));
        refused(InvalidConfigurationException.class,
                () -> node.create(Suite.fresh("bad"), 1, Map.of("no.such.config", "1")));
        refused(InvalidReplicationFactorException.class, () -> Node.result(
                node.admin.createTopics(List.of(new NewTopic(Suite.fresh("many"), 1, (short) 3))).all()));
    }

    private void partitionsAreAdded() throws Exception {
        String topic = node.topic("grows", 1, Map.of());
        node.produce(RecordCases.numbered(topic, 0, 0, 5), Map.of());
        Node.result(node.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        eventually(() -> node.partitionCount(topic) == 4, () -> "four partitions");
        refused(InvalidPartitionsException.class,
                () -> Node.result(node.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all()));
        node.produce(RecordCases.numbered(topic, 3, 0, 5), Map.of());
        node.consume(topic, 0, 0, 5);
        node.consume(topic, 3, 0, 5);
    }

    private Config config(ConfigResource.Type type, String name) throws Exception {
        ConfigResource resource = new ConfigResource(type, name);
        return Node.result(node.admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private void configsAreDescribed() throws Exception {
        String topic = node.topic("configs", 1, Map.of("retention.ms", "7200000", "cleanup.policy", "compact"));
        Config found = config(ConfigResource.Type.TOPIC, topic);
        checkEqual(found.get("retention.ms").value(), "7200000", "retention.ms");
        checkEqual(found.get("retention.ms").source().name(), "DYNAMIC_TOPIC_CONFIG", "its source");
        checkEqual(found.get("cleanup.policy").value(), "compact", "cleanup.policy");
        checkEqual(found.get("max.message.bytes").value(), "1048588", "max.message.bytes");
        checkEqual(found.get("max.message.bytes").source().name(), "DEFAULT_CONFIG", "its source");
        int broker = Node.result(node.admin.describeCluster().nodes()).iterator().next().id();
        Config ofBroker = config(ConfigResource.Type.BROKER, String.valueOf(broker));
        check(ofBroker.get("listeners") != null, "the broker has no listeners");
        check(ofBroker.get("log.dirs") != null || ofBroker.get("log.dir") != null, "the broker has no log.dirs");
    }

    private void offsetsAreListed() throws Exception {
        String topic = node.topic("listed", 1, Map.of());
        node.produce(RecordCases.numbered(topic, 0, 0, 10), Map.of());
        TopicPartition at = new TopicPartition(topic, 0);
        checkEqual(offset(at, OffsetSpec.earliest()), 0L, "earliest");
        checkEqual(offset(at, OffsetSpec.latest()), 10L, "latest");
        long byMaxTimestamp = offset(at, OffsetSpec.maxTimestamp());
        check(byMaxTimestamp >= 0 && byMaxTimestamp < 10, "offset of the max timestamp: " + byMaxTimestamp);
        checkEqual(offset(at, OffsetSpec.forTimestamp(0)), 0L, "from the epoch on");
    }

    private long offset(TopicPartition at, OffsetSpec spec) throws Exception {
        return Node.result(node.admin.listOffsets(Map.of(at, spec)).all()).get(at).offset();
    }

    private void clusterIsDescribed() throws Exception {
        var cluster = node.admin.describeCluster();
        checkEqual(Node.result(cluster.nodes()).size(), 1, "nodes");
        check(!Node.result(cluster.clusterId()).isEmpty(), "the cluster has no id");
        check(Node.result(cluster.controller()) != null, "no controller is named");
    }
}
