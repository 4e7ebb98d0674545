package ottla.clients;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The node under test, as a producer, a consumer and an admin client see it. */
final class Node implements AutoCloseable {
    private static final long DELIVERY_SECONDS = 60;
    private static final long READ_SECONDS = 30;

    final String bootstrap;
    final Admin admin;

    Node(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(5));
    }

    /** Creates a topic under a fresh name and waits until its partitions have leaders. */
    String topic(String name, int partitions, Map<String, String> config) throws Exception {
        String fresh = Suite.fresh(name);
        create(fresh, partitions, config);
        return fresh;
    }

    void create(String name, int partitions, Map<String, String> config) throws Exception {
        NewTopic topic = new NewTopic(name, partitions, (short) 1).configs(config);
        result(admin.createTopics(List.of(topic)).all());
        Suite.eventually(() -> partitionCount(name) == partitions, () -> "topic " + name + " is described");
    }

    /** How many partitions the topic has; 0 when it is not known. */
    int partitionCount(String name) {
        try {
            return result(admin.describeTopics(List.of(name)).allTopicNames()).get(name).partitions().size();
        } catch (Exception unknown) {
            return 0;
        }
    }

    /** The outcome of a future, with the cause instead of its wrapper. */
    static <T> T result(Future<T> future) throws Exception {
        try {
            return future.get(DELIVERY_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof Exception cause ? cause : error;
        }
    }

    /** Sends all records in order and waits for every acknowledgement. */
    List<RecordMetadata> produce(List<ProducerRecord<byte[], byte[]>> records, Map<String, Object> options)
            throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap, "linger.ms", 5, "delivery.timeout.ms", 60_000));
        config.putAll(options);
        List<RecordMetadata> placed = new ArrayList<>();
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> record : records) {
                sent.add(producer.send(record));
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) {
                placed.add(result(future));
            }
        }
        return placed;
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> options) {
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap, "enable.auto.commit", false, "auto.offset.reset", "earliest"));
        config.putAll(options);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Reads {@code count} records of one partition from an offset on. */
    List<ConsumerRecord<byte[], byte[]>> consume(String topic, int partition, long start, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (var consumer = consumer(Map.of())) {
            TopicPartition at = new TopicPartition(topic, partition);
            consumer.assign(List.of(at));
            consumer.seek(at, start);
            long deadline = System.nanoTime() + Duration.ofSeconds(READ_SECONDS).toNanos();
            while (records.size() < count && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
        }
        Suite.checkEqual(records.size(), count, "number of records read");
        return records;
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    /** Keys, values and headers in a form that can be compared. */
    static List<String> contents(Iterable<ConsumerRecord<byte[], byte[]>> records) {
        List<String> contents = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            contents.add(content(record.key(), record.value()));
        }
        return contents;
    }

    static List<String> sentContents(Iterable<ProducerRecord<byte[], byte[]>> records) {
        List<String> contents = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : records) {
            contents.add(content(record.key(), record.value()));
        }
        return contents;
    }

    private static String content(byte[] key, byte[] value) {
        return Arrays.toString(key) + "=" + Arrays.toString(value);
    }
}
