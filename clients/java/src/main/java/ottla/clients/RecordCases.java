package ottla.clients;

import static ottla.clients.Node.bytes;
import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

/** What happens to records between a producer and a consumer. */
final class RecordCases {
    private static final int MESSAGE_MAX_BYTES = 1_048_588;
    /** What a batch of one record needs beyond the value. */
    private static final int BATCH_OVERHEAD_BYTES = 100;

    private final Node node;

    RecordCases(Node node) {
        this.node = node;
    }

    void addTo(Suite suite) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            suite.add("produce_consume_" + codec, () -> produceConsume(codec));
        }
        suite.add("keys_choose_the_partition", this::keysChooseThePartition);
        suite.add("headers_keep_order_and_duplicates", this::headersKeepOrderAndDuplicates);
        suite.add("timestamps_are_kept_and_searched", this::timestampsAreKeptAndSearched);
        suite.add("log_append_time_replaces_the_clients", this::logAppendTimeReplacesTheClients);
        suite.add("null_and_empty_are_told_apart", this::nullAndEmptyAreToldApart);
        suite.add("record_of_one_megabyte", this::recordOfOneMegabyte);
        suite.add("record_beyond_the_limit_is_refused", this::recordBeyondTheLimitIsRefused);
        suite.add("idempotent_producer_keeps_order", this::idempotentProducerKeepsOrder);
        for (String acks : List.of("0", "1", "all")) {
            suite.add("acks_" + acks, () -> acks(acks));
        }
        suite.add("reading_starts_at_any_offset", this::readingStartsAtAnyOffset);
        suite.add("producing_creates_an_unknown_topic", this::producingCreatesAnUnknownTopic);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, String key, String value) {
        return new ProducerRecord<>(topic, partition, bytes(key), bytes(value));
    }

    static List<ProducerRecord<byte[], byte[]>> numbered(String topic, int partition, int start, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = start; n < start + count; n++) {
            records.add(record(topic, partition, "key-" + n, "value-" + n + " some words that compress well"));
        }
        return records;
    }

    private void produceConsume(String codec) throws Exception {
        String topic = node.topic("codec-" + codec, 1, Map.of());
        var sent = numbered(topic, 0, 0, 500);
        List<RecordMetadata> placed = node.produce(sent, Map.of("compression.type", codec));
        List<Long> offsets = LongStream.range(0, 500).boxed().toList();
        checkEqual(placed.stream().map(RecordMetadata::offset).toList(), offsets, "offsets acknowledged");
        var read = node.consume(topic, 0, 0, 500);
        checkEqual(Node.contents(read), Node.sentContents(sent), "records");
        checkEqual(read.stream().map(ConsumerRecord::offset).toList(), offsets, "offsets read");
    }

    private void keysChooseThePartition() throws Exception {
        String topic = node.topic("keys", 3, Map.of());
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (int n = 0; n < 200; n++) {
            sent.add(new ProducerRecord<>(topic, bytes("key-" + n % 20), bytes("value-" + n)));
        }
        var placed = node.produce(sent, Map.of());
        Map<String, Integer> partitionOfKey = new HashMap<>();
        Map<Integer, Integer> counts = new HashMap<>();
        for (int n = 0; n < 200; n++) {
            int partition = placed.get(n).partition();
            Integer before = partitionOfKey.put("key-" + n % 20, partition);
            check(before == null || before == partition, "key-" + n % 20 + " is in two partitions");
            counts.merge(partition, 1, Integer::sum);
        }
        checkEqual(new TreeSet<>(counts.keySet()), new TreeSet<>(Set.of(0, 1, 2)), "partitions used");
        for (int partition = 0; partition < 3; partition++) {
            node.consume(topic, partition, 0, counts.get(partition));
        }
    }

    private void headersKeepOrderAndDuplicates() throws Exception {
        String topic = node.topic("headers", 1, Map.of());
        var record = record(topic, 0, null, "v");
        record.headers().add("a", bytes("1")).add("b", bytes("2")).add("a", bytes("3"));
        record.headers().add("empty", new byte[0]).add("null", null).add("ü", new byte[] {0, -1});
        node.produce(List.of(record, record(topic, 0, null, "w")), Map.of());
        var read = node.consume(topic, 0, 0, 2);
        List<String> found = new ArrayList<>();
        for (Header header : read.get(0).headers()) {
            found.add(header.key() + "=" + Arrays.toString(header.value()));
        }
        checkEqual(found, List.of("a=[49]", "b=[50]", "a=[51]", "empty=[]", "null=null", "ü=[0, -1]"), "headers");
        checkEqual(read.get(1).headers().toArray().length, 0, "headers of a record without any");
    }

    private void timestampsAreKeptAndSearched() throws Exception {
        // These times are long past: without this, retention takes the records away.
        String topic = node.topic("timestamps", 1, Map.of("retention.ms", "-1"));
        long first = 1_600_000_000_000L;
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (int n = 0; n < 50; n++) {
            sent.add(new ProducerRecord<>(topic, 0, first + n * 1000L, null, bytes("v" + n)));
        }
        node.produce(sent, Map.of());
        var read = node.consume(topic, 0, 0, 50);
        for (int n = 0; n < 50; n++) {
            checkEqual(read.get(n).timestamp(), first + n * 1000L, "timestamp of record " + n);
            checkEqual(read.get(n).timestampType(), TimestampType.CREATE_TIME, "timestamp type");
        }
        TopicPartition at = new TopicPartition(topic, 0);
        try (var consumer = node.consumer(Map.of())) {
            OffsetAndTimestamp exact = consumer.offsetsForTimes(Map.of(at, first + 20_000)).get(at);
            checkEqual(exact.offset(), 20L, "offset of an exact time");
            checkEqual(exact.timestamp(), first + 20_000, "timestamp found");
            checkEqual(consumer.offsetsForTimes(Map.of(at, first + 20_001)).get(at).offset(), 21L, "between");
            checkEqual(consumer.offsetsForTimes(Map.of(at, first + 60_000)).get(at), null, "later than all");
        }
    }

    private void logAppendTimeReplacesTheClients() throws Exception {
        String topic = node.topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis() - 1000;
        node.produce(List.of(new ProducerRecord<>(topic, 0, 1_600_000_000_000L, null, bytes("v"))), Map.of());
        var read = node.consume(topic, 0, 0, 1).get(0);
        checkEqual(read.timestampType(), TimestampType.LOG_APPEND_TIME, "timestamp type");
        check(read.timestamp() >= before, "not the broker's time: " + read.timestamp());
    }

    private void nullAndEmptyAreToldApart() throws Exception {
        String topic = node.topic("tombstones", 1, Map.of());
        var sent = List.of(
                record(topic, 0, "gone", null), record(topic, 0, "empty", ""), record(topic, 0, null, "v"),
                record(topic, 0, "", "v"), record(topic, 0, null, null));
        node.produce(sent, Map.of());
        checkEqual(Node.contents(node.consume(topic, 0, 0, 5)), Node.sentContents(sent), "nulls and empties");
    }

    private void recordOfOneMegabyte() throws Exception {
        String topic = node.topic("large", 1, Map.of());
        byte[] million = randomBytes(1_000_000);
        byte[] largest = randomBytes(MESSAGE_MAX_BYTES - BATCH_OVERHEAD_BYTES);
        Map<String, Object> options = new HashMap<>(Map.of("max.request.size", 4_000_000));
        node.produce(List.of(new ProducerRecord<>(topic, 0, null, million)), options);
        node.produce(List.of(new ProducerRecord<>(topic, 0, null, largest)), options);
        options.put("compression.type", "zstd");
        node.produce(List.of(new ProducerRecord<>(topic, 0, null, million)), options);
        var read = node.consume(topic, 0, 0, 3);
        check(Arrays.equals(read.get(0).value(), million), "the million bytes differ");
        check(Arrays.equals(read.get(1).value(), largest), "the largest value differs");
        check(Arrays.equals(read.get(2).value(), million), "the compressed million differs");
    }

    private static byte[] randomBytes(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private void recordBeyondTheLimitIsRefused() throws Exception {
        String topic = node.topic("too-large", 1, Map.of());
        var large = new ProducerRecord<byte[], byte[]>(topic, 0, null, randomBytes(2_000_000));
        try {
            node.produce(List.of(large), Map.of("max.request.size", 4_000_000));
        } catch (RecordTooLargeException expected) {
            node.produce(numbered(topic, 0, 0, 1), Map.of());
            checkEqual(node.consume(topic, 0, 0, 1).get(0).offset(), 0L, "offset of the next record");
            return;
        }
        throw new AssertionError("2 MB were accepted where 1 MiB is the limit");
    }

    private void idempotentProducerKeepsOrder() throws Exception {
        String topic = node.topic("idempotent", 2, Map.of());
        var sent = new ArrayList<>(numbered(topic, 0, 0, 2000));
        sent.addAll(numbered(topic, 1, 2000, 2000));
        node.produce(sent, Map.of("enable.idempotence", true, "batch.size", 2000));
        for (int partition = 0; partition < 2; partition++) {
            var expected = Node.sentContents(sent.subList(partition * 2000, partition * 2000 + 2000));
            checkEqual(Node.contents(node.consume(topic, partition, 0, 2000)), expected, "records");
            TopicPartition at = new TopicPartition(topic, partition);
            try (var consumer = node.consumer(Map.of())) {
                checkEqual(consumer.endOffsets(List.of(at)).get(at), 2000L, "end offset");
            }
        }
    }

    private void acks(String acks) throws Exception {
        String topic = node.topic("acks-" + acks, 1, Map.of());
        node.produce(numbered(topic, 0, 0, 20), Map.of("acks", acks, "enable.idempotence", false));
        node.consume(topic, 0, 0, 20);
    }

    private void readingStartsAtAnyOffset() throws Exception {
        String topic = node.topic("offsets", 1, Map.of());
        node.produce(numbered(topic, 0, 0, 100), Map.of());
        checkEqual(node.consume(topic, 0, 60, 40).get(0).offset(), 60L, "first offset");
        // Beyond the end the client is told OFFSET_OUT_OF_RANGE and starts over at the earliest.
        checkEqual(node.consume(topic, 0, 5000, 100).get(0).offset(), 0L, "first offset after a reset");
        TopicPartition at = new TopicPartition(topic, 0);
        try (var consumer = node.consumer(Map.of())) {
            checkEqual(consumer.beginningOffsets(List.of(at)).get(at), 0L, "first offset");
            checkEqual(consumer.endOffsets(List.of(at)).get(at), 100L, "end offset");
        }
    }

    private void producingCreatesAnUnknownTopic() throws Exception {
        String topic = Suite.fresh("created-by-producing");
        node.produce(List.of(record(topic, 0, null, "v")), Map.of());
        checkEqual(Node.text(node.consume(topic, 0, 0, 1).get(0).value()), "v", "value");
    }
}
