package ottla.clients;

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** One consumer of a group in its own thread. */
final class Member implements ConsumerRebalanceListener {
    final ConcurrentLinkedQueue<String> values = new ConcurrentLinkedQueue<>();
    final AtomicInteger rebalances = new AtomicInteger();
    final AtomicInteger partitionsTaken = new AtomicInteger();
    private final Set<Integer> assigned = new ConcurrentSkipListSet<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread;
    private volatile boolean stopping;
    private volatile Exception error;

    Member(Node node, String group, String topic, Map<String, Object> options) {
        Map<String, Object> config = new HashMap<>(Map.of("group.id", group));
        if (!"consumer".equals(options.get("group.protocol"))) {
            // In the new protocol the node decides on these.
            config.putAll(Map.of("session.timeout.ms", 10_000, "heartbeat.interval.ms", 500));
        }
        config.putAll(options);
        consumer = node.consumer(config);
        consumer.subscribe(Set.of(topic), this);
        thread = new Thread(this::loop, "member of " + group);
        thread.setDaemon(true);
        thread.start();
    }

    private void loop() {
        try (consumer) {
            while (!stopping) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(Node.text(record.value())));
            }
            consumer.commitSync();
        } catch (Exception failure) {
            error = failure;
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        rebalances.incrementAndGet();
        partitions.forEach(partition -> assigned.add(partition.partition()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        consumer.commitSync();
        partitionsTaken.addAndGet(partitions.size());
        partitions.forEach(partition -> assigned.remove(partition.partition()));
    }

    Set<Integer> assigned() {
        return new TreeSet<>(assigned);
    }

    /** Fails when the member's thread has failed. */
    void checkAlive() {
        if (error != null) {
            throw new AssertionError("a member of the group failed", error);
        }
    }

    /** Commits what was read, closes the consumer and waits for the end. */
    void stop() throws InterruptedException {
        stopping = true;
        thread.join(45_000);
        checkAlive();
        Suite.check(!thread.isAlive(), "the member did not stop within 45 s");
    }
}
