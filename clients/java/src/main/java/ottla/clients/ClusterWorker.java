package ottla.clients;

import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The clients of a cluster under faults that have no transactions, on Kafka's own library: an idempotent producer, a
 * reader that chooses its partitions, and a member of a group. Each writes a journal into the folder. The line
 * {@code quiet} on the standard input ends the producer, and {@code quiet} is the answer once all is acknowledged;
 * the end of the input ends the others.
 *
 * <p>Arguments: BOOTSTRAP NAME SEED FOLDER TOPIC PARTITIONS GROUP PROTOCOL PAUSE_MS.
 */
public final class ClusterWorker {
    private static final int COMMIT_EVERY = 50;
    private static final Duration POLL = Duration.ofMillis(100);

    private final String bootstrap;
    private final String name;
    private final Random random;
    private final String folder;
    private final String topic;
    private final int partitions;
    private final String group;
    private final String protocol;
    private final int pauseMs;
    private volatile boolean quiet;
    private volatile boolean ended;

    private ClusterWorker(String[] arguments) {
        bootstrap = arguments[0];
        name = arguments[1];
        random = new Random((arguments[2] + name).hashCode());
        folder = arguments[3];
        topic = arguments[4];
        partitions = Integer.parseInt(arguments[5]);
        group = arguments[6];
        protocol = arguments[7];
        pauseMs = Integer.parseInt(arguments[8]);
    }

    public static void main(String[] arguments) throws Exception {
        ClusterWorker worker = new ClusterWorker(arguments);
        Thread producer = started("producer", worker::produce);
        Thread reader = started("reader", worker::read);
        Thread member = started("member", worker::belong);
        int read;
        do {
            read = System.in.read();
        } while (read >= 0 && read != '\n');
        worker.quiet = true;
        producer.join();
        System.out.println("quiet");
        while (read >= 0) {
            read = System.in.read();
        }
        worker.ended = true;
        reader.join();
        member.join();
    }

    private interface Body {
        void run() throws Exception;
    }

    private static Thread started(String role, Body body) {
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (Exception error) {
                error.printStackTrace();
                Runtime.getRuntime().halt(5);
            }
        }, role);
        thread.start();
        return thread;
    }

    private Journal journal(String role) throws IOException {
        return new Journal(folder + "/" + name + "-" + role + ".journal");
    }

    private void produce() throws Exception {
        Journal journal = journal("producer");
        Map<String, Object> config = Map.of(
                "bootstrap.servers", bootstrap, "enable.idempotence", true, "acks", "all", "linger.ms", 5,
                "delivery.timeout.ms", 120_000, "request.timeout.ms", 5_000, "max.block.ms", 120_000,
                "retry.backoff.ms", 50, "reconnect.backoff.max.ms", 500, "metadata.max.age.ms", 3_000);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; !quiet; number++) {
                int partition = random.nextInt(partitions);
                String value = name + "/" + number;
                journal.say("send", 0, topic, partition, value);
                producer.send(new ProducerRecord<>(topic, partition, null, value), (placed, error) -> {
                    if (error == null) {
                        journal.say("acked", 0, topic, partition, value, placed.offset());
                    } else {
                        journal.say("refused", 0, topic, partition, value, oneLine(error));
                    }
                });
                Thread.sleep(pauseMs);
            }
            producer.flush();
        }
    }

    private Map<String, Object> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap, "enable.auto.commit", false, "auto.offset.reset", "earliest",
                "request.timeout.ms", 8_000, "default.api.timeout.ms", 8_000, "reconnect.backoff.max.ms", 500,
                "retry.backoff.ms", 50, "metadata.max.age.ms", 3_000));
        config.putAll(more);
        return config;
    }

    private void read() throws Exception {
        Journal journal = journal("reader");
        try (var consumer = new KafkaConsumer<>(consumer(Map.of()), new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> all =
                    IntStream.range(0, partitions).mapToObj(each -> new TopicPartition(topic, each)).toList();
            consumer.assign(all);
            for (TopicPartition each : all) {
                consumer.seek(each, 0);
                journal.say("position", topic, each.partition(), 0);
            }
            while (!ended) {
                try {
                    consumer.poll(POLL).forEach(record -> note(journal, record));
                } catch (KafkaException error) {
                    journal.say("error", 0, oneLine(error));
                }
            }
        }
    }

    private void belong() throws Exception {
        Journal journal = journal("member");
        Map<String, Object> more = new HashMap<>(Map.of("group.id", group, "group.protocol", protocol));
        if (protocol.equals("classic")) {
            more.put("session.timeout.ms", 6_000);
            more.put("heartbeat.interval.ms", 500);
        }
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                revoked.forEach(each -> journal.say("revoked", topic, each.partition()));
                // Should it come back, it begins where others have committed.
                next.keySet().removeAll(revoked);
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                assigned.forEach(each -> journal.say("position", topic, each.partition(), -1));
            }
        };
        try (var consumer = new KafkaConsumer<>(consumer(more), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic), listener);
            int uncommitted = 0;
            while (!ended) {
                try {
                    var records = consumer.poll(POLL);
                    for (ConsumerRecord<String, String> record : records) {
                        note(journal, record);
                        TopicPartition at = new TopicPartition(topic, record.partition());
                        next.put(at, new OffsetAndMetadata(record.offset() + 1));
                    }
                    uncommitted += records.count();
                    if (!next.isEmpty() && (uncommitted >= COMMIT_EVERY || records.isEmpty())) {
                        next.forEach((at, to) -> journal.say("commit-offset", topic, at.partition(), to.offset()));
                        Map<TopicPartition, OffsetAndMetadata> sent = Map.copyOf(next);
                        next.clear();
                        uncommitted = 0;
                        consumer.commitSync(sent);
                        sent.forEach((at, to) -> journal.say("offset-committed", topic, at.partition(), to.offset()));
                    }
                } catch (KafkaException error) {
                    journal.say("error", 0, oneLine(error));
                }
            }
        }
    }

    private static void note(Journal journal, ConsumerRecord<String, String> record) {
        journal.say("read", record.topic(), record.partition(), record.offset(), record.value());
    }

    private static String oneLine(Exception error) {
        return String.valueOf(error).replace('\n', ' ');
    }
}
