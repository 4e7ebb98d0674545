package ottla.clients;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * One transactional client of the checker, on Kafka's own library; the same as {@code checker/worker.py}.
 * Arguments: BOOTSTRAP NAME INCARNATION PARTITION SEED JOURNAL TOPIC IN OUT GROUP PARTITIONS.
 */
public final class TransactionWorker {
    private static final int ABORTED_IN_HUNDRED = 25;

    private final String name;
    private final String incarnation;
    private final int partition;
    private final int partitions;
    private final Random random;
    private final Journal journal;
    private final String topic;
    private final String out;
    private final TopicPartition source;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private long position;

    private TransactionWorker(String[] arguments) throws IOException {
        String bootstrap = arguments[0];
        name = arguments[1];
        incarnation = arguments[2];
        partition = Integer.parseInt(arguments[3]);
        random = new Random((arguments[4] + name + incarnation).hashCode());
        journal = new Journal(arguments[5]);
        topic = arguments[6];
        source = new TopicPartition(arguments[7], partition);
        out = arguments[8];
        partitions = Integer.parseInt(arguments[10]);
        consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "group.id", arguments[9], "enable.auto.commit", false,
                        "isolation.level", "read_committed", "auto.offset.reset", "earliest", "max.poll.records", 3),
                new StringDeserializer(), new StringDeserializer());
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrap, "transactional.id", name, "transaction.timeout.ms", 10_000,
                        "linger.ms", 0, "delivery.timeout.ms", 9_000, "request.timeout.ms", 4_000,
                        "max.block.ms", 40_000, "retry.backoff.ms", 50),
                new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        // Only behind it are the offsets of this worker's last transaction decided.
        OffsetAndMetadata committed = consumer.committed(Set.of(source), Duration.ofSeconds(40)).get(source);
        position = committed == null ? 0 : committed.offset();
        consumer.assign(List.of(source));
        consumer.seek(source, position);
    }

    public static void main(String[] arguments) throws IOException {
        TransactionWorker worker = new TransactionWorker(arguments);
        for (int number = 1;; number++) {
            worker.attempt(number);
        }
    }

    private void say(Object... words) {
        journal.say(words);
    }

    private void attempt(int number) {
        try {
            transaction(number);
        } catch (ProducerFencedException | InvalidProducerEpochException | OutOfOrderSequenceException
                | AuthorizationException | TimeoutException fatal) {
            give(number, fatal);
        } catch (KafkaException error) {
            say("error", number, String.valueOf(error).replace('\n', ' '));
            try {
                abort(number);
            } catch (KafkaException fatal) {
                give(number, fatal);
            }
        }
    }

    /** Whoever takes this name over decides what becomes of the transaction. */
    private void give(int number, Exception fatal) {
        say("error", number, String.valueOf(fatal).replace('\n', ' '));
        Runtime.getRuntime().halt(3);
    }

    private void transaction(int number) {
        say("begin", number);
        producer.beginTransaction();
        int sends = 1 + random.nextInt(4);
        for (int index = 0; index < sends; index++) {
            String value = name + "/" + incarnation + "/" + number + "/" + index;
            send(number, topic, random.nextInt(partitions), value);
        }
        List<ConsumerRecord<String, String>> read = new ArrayList<>();
        consumer.poll(Duration.ofMillis(50)).forEach(read::add);
        for (ConsumerRecord<String, String> record : read) {
            send(number, out, partition, record.value());
        }
        long next = read.isEmpty() ? position : read.get(read.size() - 1).offset() + 1;
        if (!read.isEmpty()) {
            producer.sendOffsetsToTransaction(Map.of(source, new OffsetAndMetadata(next)), consumer.groupMetadata());
        }
        if (random.nextInt(100) < ABORTED_IN_HUNDRED) {
            abort(number);
            return;
        }
        say("commit", number);
        producer.commitTransaction();
        say("committed", number);
        position = next;
    }

    private void send(int number, String to, int at, String value) {
        say("send", number, to, at, value);
        producer.send(new ProducerRecord<>(to, at, null, value), (placed, error) -> {
            if (error == null) {
                say("acked", number, to, placed.partition(), value, placed.offset());
            }
        });
    }

    private void abort(int number) {
        say("abort", number);
        producer.abortTransaction();
        say("aborted", number);
        // What was read in it is read again.
        consumer.seek(source, position);
    }
}
