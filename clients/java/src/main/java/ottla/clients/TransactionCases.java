package ottla.clients;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Transactions: what is committed is read once, what is aborted never, and zombies are fenced. */
final class TransactionCases {
    private static final Map<String, Object> COMMITTED = Map.of("isolation.level", "read_committed");

    private final Suite suite;
    private final Node node;

    TransactionCases(Suite suite, Node node) {
        this.suite = suite;
        this.node = node;
    }

    void add() {
        suite.add("committed_is_read_and_aborted_is_not", this::committedIsReadAndAbortedIsNot);
        suite.add("transaction_spans_partitions_and_topics", this::transactionSpansPartitionsAndTopics);
        suite.add("open_transaction_holds_back_committed_readers", this::openTransactionHoldsBackCommittedReaders);
        suite.add("offsets_and_records_are_one_transaction", this::offsetsAndRecordsAreOneTransaction);
        suite.add("second_producer_fences_the_first", this::secondProducerFencesTheFirst);
        suite.add("transaction_that_takes_too_long_is_aborted", this::transactionThatTakesTooLongIsAborted);
        suite.add("many_transactions_of_one_producer", this::manyTransactionsOfOneProducer);
        suite.add("transactions_are_listed_described_and_fenced", this::transactionsAreListedDescribedAndFenced);
        suite.add("hanging_transaction_is_aborted_by_hand", this::hangingTransactionIsAbortedByHand);
        suite.add("open_transaction_goes_on_after_a_restart", () -> goesOnAfter("restart"));
        suite.add("open_transaction_goes_on_after_a_kill", () -> goesOnAfter("kill"));
        suite.add("committed_transactions_survive_kill", this::committedTransactionsSurviveKill);
    }

    private KafkaProducer<byte[], byte[]> producer(String transactionalId, Map<String, Object> options) {
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", node.bootstrap, "transactional.id", transactionalId, "linger.ms", 1,
                "max.block.ms", 45_000, "delivery.timeout.ms", 45_000, "request.timeout.ms", 15_000));
        config.putAll(options);
        KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return producer;
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, int partition, String... values) {
        for (String value : values) {
            producer.send(RecordCases.record(topic, partition, null, value));
        }
    }

    private static void transaction(
            KafkaProducer<byte[], byte[]> producer, boolean commit, String topic, int partition, String... values) {
        producer.beginTransaction();
        send(producer, topic, partition, values);
        producer.flush();
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    /** The values of a partition up to its end, as a reader of this isolation level sees it. */
    private List<String> values(String topic, int partition, Map<String, Object> isolation) {
        List<String> values = new ArrayList<>();
        TopicPartition at = new TopicPartition(topic, partition);
        try (KafkaConsumer<byte[], byte[]> consumer = node.consumer(isolation)) {
            consumer.assign(List.of(at));
            consumer.seekToBeginning(List.of(at));
            long end = consumer.endOffsets(List.of(at)).get(at);
            long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (consumer.position(at) < end) {
                check(System.nanoTime() < deadline, "the end " + end + " is not reached within 30 s");
                consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(Node.text(record.value())));
            }
        }
        return values;
    }

    /** A commit is answered before its markers are in every partition: readers see it soon. */
    private void checkCommitted(String topic, int partition, List<String> expected) throws InterruptedException {
        List<List<String>> last = new ArrayList<>(List.of(List.of()));
        eventually(() -> {
            last.set(0, values(topic, partition, COMMITTED));
            return last.get(0).equals(expected);
        }, () -> "committed values of partition " + partition + ": expected " + expected + ", got " + last.get(0));
    }

    private void committedIsReadAndAbortedIsNot() throws Exception {
        String topic = node.topic("txn", 1, Map.of());
        try (var producer = producer(Suite.fresh("txn"), Map.of())) {
            transaction(producer, true, topic, 0, "a", "b");
            transaction(producer, false, topic, 0, "no", "never");
            transaction(producer, true, topic, 0, "c");
        }
        checkCommitted(topic, 0, List.of("a", "b", "c"));
        checkEqual(values(topic, 0, Map.of()), List.of("a", "b", "no", "never", "c"), "all values");
        // Three markers have offsets of their own.
        eventuallyEndsAt(topic, 8);
    }

    private void eventuallyEndsAt(String topic, long offset) throws InterruptedException {
        eventually(() -> {
            try {
                return end(topic, IsolationLevel.READ_COMMITTED) == offset;
            } catch (Exception error) {
                throw new AssertionError(error);
            }
        }, () -> "committed readers come to offset " + offset);
    }

    private long end(String topic, IsolationLevel isolation) throws Exception {
        TopicPartition at = new TopicPartition(topic, 0);
        var offsets = node.admin.listOffsets(Map.of(at, OffsetSpec.latest()), new ListOffsetsOptions(isolation));
        return Node.result(offsets.partitionResult(at)).offset();
    }

    private void transactionSpansPartitionsAndTopics() throws Exception {
        String one = node.topic("span-one", 3, Map.of());
        String two = node.topic("span-two", 2, Map.of());
        try (var producer = producer(Suite.fresh("span"), Map.of())) {
            for (boolean commit : List.of(true, false)) {
                producer.beginTransaction();
                String value = commit ? "yes" : "no";
                IntStream.range(0, 3).forEach(partition -> send(producer, one, partition, value));
                IntStream.range(0, 2).forEach(partition -> send(producer, two, partition, value));
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        for (int partition = 0; partition < 3; partition++) {
            checkCommitted(one, partition, List.of("yes"));
        }
        checkCommitted(two, 1, List.of("yes"));
    }

    private void openTransactionHoldsBackCommittedReaders() throws Exception {
        String topic = node.topic("held", 1, Map.of());
        try (var open = producer(Suite.fresh("open"), Map.of());
                var other = producer(Suite.fresh("other"), Map.of())) {
            transaction(other, true, topic, 0, "before");
            open.beginTransaction();
            send(open, topic, 0, "open");
            open.flush();
            transaction(other, true, topic, 0, "behind");
            checkCommitted(topic, 0, List.of("before"));
            checkEqual(values(topic, 0, Map.of()), List.of("before", "open", "behind"), "all values");
            check(end(topic, IsolationLevel.READ_COMMITTED) < end(topic, IsolationLevel.READ_UNCOMMITTED),
                    "the last stable offset is before the end");
            open.commitTransaction();
            checkCommitted(topic, 0, List.of("before", "open", "behind"));
        }
    }

    private void offsetsAndRecordsAreOneTransaction() throws Exception {
        String in = node.topic("in", 1, Map.of());
        String out = node.topic("out", 1, Map.of());
        String group = Suite.fresh("transform");
        node.produce(RecordCases.numbered(in, 0, 0, 30), Map.of());
        Map<String, Object> options = new HashMap<>(COMMITTED);
        options.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "max.poll.records", 10));
        int read = 0;
        boolean commit = false;
        // Every second transaction is aborted, and what it had read is read again.
        try (var producer = producer(Suite.fresh("transform"), Map.of())) {
            while (read < 30) {
                try (KafkaConsumer<byte[], byte[]> consumer = node.consumer(options)) {
                    consumer.subscribe(Set.of(in));
                    List<ConsumerRecord<byte[], byte[]>> records = some(consumer);
                    producer.beginTransaction();
                    for (ConsumerRecord<byte[], byte[]> record : records) {
                        producer.send(new ProducerRecord<>(out, 0, record.key(), record.value()));
                    }
                    TopicPartition at = new TopicPartition(in, 0);
                    long next = records.get(records.size() - 1).offset() + 1;
                    ConsumerGroupMetadata metadata = consumer.groupMetadata();
                    producer.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(next)), metadata);
                    if (commit) {
                        producer.commitTransaction();
                        read += records.size();
                    } else {
                        producer.abortTransaction();
                    }
                    commit = !commit;
                }
            }
        }
        List<String> expected = IntStream.range(0, 30).mapToObj(n -> "value-" + n + " some words that compress well").toList();
        checkCommitted(out, 0, expected);
        var committed = Node.result(node.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        checkEqual(committed.get(new TopicPartition(in, 0)).offset(), 30L, "committed offset");
    }

    private static List<ConsumerRecord<byte[], byte[]>> some(KafkaConsumer<byte[], byte[]> consumer) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (records.isEmpty()) {
            check(System.nanoTime() < deadline, "no record within 30 s");
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        return records;
    }

    private void secondProducerFencesTheFirst() throws Exception {
        String topic = node.topic("fenced", 1, Map.of());
        String id = Suite.fresh("fenced");
        try (var zombie = producer(id, Map.of())) {
            zombie.beginTransaction();
            send(zombie, topic, 0, "zombie");
            zombie.flush();
            try (var heir = producer(id, Map.of())) {
                transaction(heir, true, topic, 0, "heir");
            }
            try {
                send(zombie, topic, 0, "undead");
                zombie.commitTransaction();
                throw new AssertionError("a fenced producer committed");
            } catch (ProducerFencedException | InvalidProducerEpochException expected) {
                // One or the other, as the request that hears of it first says.
            } catch (KafkaException wrapped) {
                Throwable cause = wrapped.getCause();
                check(cause instanceof ProducerFencedException || cause instanceof InvalidProducerEpochException,
                        "fenced with " + wrapped);
            }
        }
        checkCommitted(topic, 0, List.of("heir"));
    }

    private void transactionThatTakesTooLongIsAborted() throws Exception {
        String topic = node.topic("late", 1, Map.of());
        try (var producer = producer(Suite.fresh("late"), Map.of("transaction.timeout.ms", 1_000))) {
            producer.beginTransaction();
            send(producer, topic, 0, "late");
            producer.flush();
            eventuallyEndsAt(topic, 2);
            try {
                producer.commitTransaction();
                throw new AssertionError("a transaction was committed after it was aborted");
            } catch (KafkaException expected) {
                // The kind depends on the version of transactions.
            }
        }
        checkCommitted(topic, 0, List.of());
    }

    private void manyTransactionsOfOneProducer() throws Exception {
        String topic = node.topic("many", 2, Map.of());
        List<String> expected = new ArrayList<>();
        try (var producer = producer(Suite.fresh("many"), Map.of())) {
            for (int n = 0; n < 150; n++) {
                boolean commit = n % 3 != 1;
                transaction(producer, commit, topic, n % 2, "v" + n);
                if (commit && n % 2 == 0) {
                    expected.add("v" + n);
                }
            }
        }
        checkCommitted(topic, 0, expected);
    }

    private void transactionsAreListedDescribedAndFenced() throws Exception {
        String topic = node.topic("listed", 1, Map.of());
        String id = Suite.fresh("listed");
        try (var producer = producer(id, Map.of())) {
            producer.beginTransaction();
            send(producer, topic, 0, "x");
            producer.flush();
            List<TransactionListing> listed = Node.result(node.admin.listTransactions().all()).stream()
                    .filter(listing -> listing.transactionalId().equals(id)).toList();
            checkEqual(listed.size(), 1, "listed transactions of this id");
            checkEqual(listed.get(0).state(), TransactionState.ONGOING, "listed state");
            TransactionDescription described =
                    Node.result(node.admin.describeTransactions(List.of(id)).all()).get(id);
            checkEqual(described.state(), TransactionState.ONGOING, "described state");
            checkEqual(described.topicPartitions(), Set.of(new TopicPartition(topic, 0)), "partitions");
            checkEqual(described.producerId(), listed.get(0).producerId(), "producer id");
            Node.result(node.admin.fenceProducers(List.of(id)).all());
            try {
                producer.commitTransaction();
                throw new AssertionError("a fenced producer committed");
            } catch (KafkaException expected) {
                // Fenced by hand.
            }
        }
        checkCommitted(topic, 0, List.of());
    }

    private void hangingTransactionIsAbortedByHand() throws Exception {
        String topic = node.topic("hanging", 1, Map.of());
        TopicPartition at = new TopicPartition(topic, 0);
        try (var producer = producer(Suite.fresh("hanging"), Map.of())) {
            producer.beginTransaction();
            send(producer, topic, 0, "x");
            producer.flush();
            ProducerState state = Node.result(node.admin.describeProducers(List.of(at)).partitionResult(at))
                    .activeProducers().get(0);
            check(state.currentTransactionStartOffset().isPresent(), "the open transaction is shown: " + state);
            AbortTransactionSpec abort = new AbortTransactionSpec(
                    at, state.producerId(), (short) state.producerEpoch(), Math.max(0, state.coordinatorEpoch().orElse(0)));
            Node.result(node.admin.abortTransaction(abort).all());
            eventuallyEndsAt(topic, 2);
        }
    }

    private void goesOnAfter(String word) throws Exception {
        String topic = node.topic("through", 1, Map.of());
        try (var producer = producer(Suite.fresh("through"), Map.of())) {
            transaction(producer, true, topic, 0, "first");
            producer.beginTransaction();
            send(producer, topic, 0, "before");
            producer.flush();
            suite.askForNode(word);
            checkCommitted(topic, 0, List.of("first"));
            send(producer, topic, 0, "after");
            producer.commitTransaction();
        }
        checkCommitted(topic, 0, List.of("first", "before", "after"));
    }

    private void committedTransactionsSurviveKill() throws Exception {
        String topic = node.topic("survive", 1, Map.of());
        String id = Suite.fresh("survive");
        List<String> expected = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
            try (var producer = producer(id, Map.of())) {
                transaction(producer, true, topic, 0, "yes-" + round);
                transaction(producer, false, topic, 0, "no-" + round);
                expected.add("yes-" + round);
                producer.beginTransaction();
                send(producer, topic, 0, "open-" + round);
                producer.flush();
                suite.askForNode("kill");
            }
        }
        // The last one is aborted by whoever takes the id over.
        producer(id, Map.of()).close();
        checkCommitted(topic, 0, expected);
        check(values(topic, 0, Map.of()).containsAll(List.of("no-2", "open-2")), "aborted records stay in the log");
    }
}
