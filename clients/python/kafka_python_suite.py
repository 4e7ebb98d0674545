"""The pure Python client, kafka-python, against a node."""

import time

import kafka
from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    TopicPartition,
)
from kafka import errors
from kafka.admin import ConfigResource
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor

import cases
from suite import Suite, check, eventually

POLL_MS = 100
# When the time of a poll ends between JoinGroup and SyncGroup, this client sometimes never sends
# the latter, whichever broker it talks to; a long poll makes that rare.
MEMBER_POLL_MS = 2000
COMMIT_SECONDS_MAX = 20
STRATEGIES = {
    "range": RangePartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}

# kafka-python names an exception for each error code.
NAMES = {
    errors.MessageSizeTooLargeError: "MESSAGE_TOO_LARGE",
    errors.TopicAlreadyExistsError: "TOPIC_ALREADY_EXISTS",
    errors.UnknownTopicOrPartitionError: "UNKNOWN_TOPIC_OR_PARTITION",
    errors.InvalidTopicError: "INVALID_TOPIC_EXCEPTION",
    errors.InvalidPartitionsError: "INVALID_PARTITIONS",
    errors.InvalidConfigurationError: "INVALID_CONFIG",
}


def to_record(record):
    return cases.Record(
        record.value,
        key=record.key,
        headers=tuple(record.headers),
        timestamp_ms=record.timestamp,
        partition=record.partition,
        offset=record.offset,
        timestamp_type=record.timestamp_type,
    )


class Listener(ConsumerRebalanceListener):
    def __init__(self, member):
        self.member = member

    def on_partitions_assigned(self, assigned):
        self.member.on_assigned({p.partition for p in assigned}, whole=not self.member.cooperative)

    def on_partitions_revoked(self, revoked):
        # A listener runs on the client's IO thread, where committing would block for ever;
        # what was read and not committed is read again by the next owner.
        self.member.on_revoked({p.partition for p in revoked})


class Member(cases.Member):
    def __init__(self, client, group, topic, strategy, instance):
        super().__init__()
        self.client, self.group, self.topic = client, group, topic
        self.strategy, self.instance = STRATEGIES[strategy], instance
        self.cooperative = strategy == "cooperative-sticky"

    def _open(self):
        self.consumer = KafkaConsumer(
            bootstrap_servers=self.client.bootstrap,
            group_id=self.group,
            group_instance_id=self.instance,
            partition_assignment_strategy=[self.strategy],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=10000,
            heartbeat_interval_ms=500,
        )
        # Known partitions spare the member a second join right after the first.
        self.consumer.partitions_for_topic(self.topic)
        self.consumer.subscribe([self.topic], listener=Listener(self))

    def _poll(self):
        batches = self.consumer.poll(timeout_ms=MEMBER_POLL_MS)
        return [to_record(record) for batch in batches.values() for record in batch]

    def _commit(self):
        deadline = time.monotonic() + COMMIT_SECONDS_MAX
        while True:
            try:
                return self.consumer.commit()
            except errors.RebalanceInProgressError:
                # Polling takes the member through the rebalance; then it can commit.
                if time.monotonic() > deadline:
                    raise
                self.records.extend(self._poll())

    def _close(self):
        self.consumer.close(autocommit=False)


class Client:
    # This client refuses to send either.
    null_headers = False
    records_without_key_and_value = False

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.reconnect()

    def reconnect(self):
        # The first request of this admin client after its connection broke fails.
        self.admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def produce(self, topic, records, compression="none", idempotent=True, acks="all", size_max=None):
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            compression_type=None if compression == "none" else compression,
            enable_idempotence=idempotent,
            acks=acks,
            linger_ms=5,
            max_request_size=size_max or 1_048_576,
        )
        try:
            sent = [
                producer.send(
                    topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
                for record in records
            ]
            producer.flush(timeout=60)
            placed = [future.get(60) for future in sent]
        finally:
            producer.close(timeout=5)
        return [r._replace(partition=m.partition, offset=m.offset) for r, m in zip(records, placed)]

    def reader(self):
        return KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    def consume(self, topic, count, partition=0, start=0, seconds=30):
        consumer, at = self.reader(), TopicPartition(topic, partition)
        consumer.assign([at])
        consumer.seek(at, start)
        records, deadline = [], time.monotonic() + seconds
        while len(records) < count and time.monotonic() < deadline:
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                records.extend(to_record(record) for record in batch)
        consumer.close()
        check(len(records) >= count, f"{len(records)} of {count} records within {seconds} s")
        return records[:count]

    def bounds(self, topic, partition):
        consumer, at = self.reader(), TopicPartition(topic, partition)
        first, end = consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at]
        consumer.close()
        return first, end

    def offset_for_time(self, topic, partition, timestamp_ms):
        consumer, at = self.reader(), TopicPartition(topic, partition)
        found = consumer.offsets_for_times({at: timestamp_ms})[at]
        consumer.close()
        return found.offset if found and found.offset >= 0 else None

    def member(self, group, topic, strategy, instance=None):
        return Member(self, group, topic, strategy, instance)

    def create_topic(self, topic, partitions, config):
        self.admin.create_topics(
            {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": config}}
        )
        self.admin.wait_for_topics([topic])

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def list_topics(self):
        return set(self.admin.list_topics())

    def describe_topic(self, topic):
        found = self.admin.describe_topics([topic])[0]
        return {p["partition_index"]: p["replica_nodes"] for p in found["partitions"]}

    def create_partitions(self, topic, total):
        self.admin.create_partitions({topic: total})

    def describe_configs(self, kind, name):
        found = self.admin.describe_configs([ConfigResource(kind, name)], config_filter="all")
        return {key: entry["value"] for key, entry in found[kind][name].items()}

    def describe_cluster(self):
        found = self.admin.describe_cluster()
        return {"id": found["cluster_id"], "nodes": [b["broker_id"] for b in found["brokers"]]}

    def list_groups(self):
        return {group["group_id"] for group in self.admin.list_groups()}

    def describe_group(self, group):
        found = self.admin.describe_groups([group])[group]
        return found["group_state"], len(found["members"])

    def error_name(self, exception):
        return NAMES.get(type(exception), type(exception).__name__)


def main():
    suite = Suite(__doc__)
    suite.arguments()
    cases.add_all(suite, Client(suite.bootstrap))
    suite.run(f"kafka-python {kafka.__version__}")


if __name__ == "__main__":
    main()
