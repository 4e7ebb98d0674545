package ottla.clients;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartitionInfo;

/**
 * A client that knows one address finds all brokers, and works with each of them:
 * {@code --bootstrap HOST:PORT --expect HOST:PORT,…}.
 */
public final class OneAddress {
    private static final int PARTITIONS = 6;
    private static final int SECONDS_MAX = 30;

    private OneAddress() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            flags.put(arguments[i], arguments[i + 1]);
        }
        Set<String> expected = new TreeSet<>(List.of(flags.get("--expect").split(",")));
        try (Node node = new Node(flags.get("--bootstrap"))) {
            Set<String> told = new TreeSet<>();
            Node.result(node.admin.describeCluster().nodes()).forEach(n -> told.add(n.host() + ":" + n.port()));
            checkEqual(told, expected, "brokers");
            String topic = node.topic("one-address", PARTITIONS, Map.of());
            checkEqual(leaders(node, topic).size(), expected.size(), "brokers that lead");
            List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
            for (int partition = 0; partition < PARTITIONS; partition++) {
                sent.add(RecordCases.record(topic, partition, "key", "record " + partition));
            }
            node.produce(sent, Map.of("acks", "all"));
            // A group's coordinator is a broker that has to be found, too.
            checkEqual(readByAGroup(node, topic), Set.of("record 0", "record 1", "record 2", "record 3", "record 4",
                    "record 5"), "records");
            System.out.printf(
                    "kafka-clients %s: %s alone leads to %s%n", Main.clientVersion(), node.bootstrap, told);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static Set<Integer> leaders(Node node, String topic) throws Exception {
        var description = Node.result(node.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        Set<Integer> leaders = new TreeSet<>();
        for (TopicPartitionInfo partition : description.partitions()) {
            check(partition.leader() != null, "partition " + partition.partition() + " has no leader");
            leaders.add(partition.leader().id());
        }
        return leaders;
    }

    private static Set<String> readByAGroup(Node node, String topic) {
        Set<String> read = new TreeSet<>();
        try (var consumer = node.consumer(Map.of("group.id", topic))) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + Duration.ofSeconds(SECONDS_MAX).toNanos();
            while (read.size() < PARTITIONS && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> read.add(Node.text(record.value())));
            }
            consumer.commitSync(Duration.ofSeconds(SECONDS_MAX));
        }
        return read;
    }
}
