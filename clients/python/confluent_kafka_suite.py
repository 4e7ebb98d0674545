"""librdkafka through confluent-kafka, against a node."""

import logging
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import cases
from suite import Suite, check, eventually

POLL_SECONDS = 0.1
LOG = logging.getLogger("librdkafka")

# librdkafka's names for the errors whose Kafka name differs.
NAMES = {
    "MSG_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
    "UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION",
    "TOPIC_EXCEPTION": "INVALID_TOPIC_EXCEPTION",
}


def to_record(message):
    kind, timestamp_ms = message.timestamp()
    return cases.Record(
        message.value(),
        key=message.key(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=timestamp_ms,
        partition=message.partition(),
        offset=message.offset(),
        timestamp_type=kind - 1,  # librdkafka: 1 is CreateTime, 2 LogAppendTime
    )


class Member(cases.Member):
    def __init__(self, client, group, topic, strategy, instance):
        super().__init__()
        self.topic = topic
        self.cooperative = strategy == "cooperative-sticky"
        self.config = client.config(
            {
                "group.id": group,
                "partition.assignment.strategy": strategy,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 10000,
                "heartbeat.interval.ms": 500,
            }
        )
        if instance:
            self.config["group.instance.id"] = instance

    def _open(self):
        self.consumer = Consumer(self.config, logger=LOG)
        self.consumer.subscribe([self.topic], on_assign=self._assign, on_revoke=self._revoke)

    def _assign(self, consumer, partitions):
        self.on_assigned({p.partition for p in partitions}, whole=not self.cooperative)

    def _revoke(self, consumer, partitions):
        self._commit()
        self.on_revoked({p.partition for p in partitions})

    def _poll(self):
        message = self.consumer.poll(POLL_SECONDS)
        if message is None:
            return []
        if message.error():
            if message.error().retriable():
                return []
            raise KafkaException(message.error())
        return [to_record(message)]

    def _commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def _close(self):
        self.consumer.close()


class Client:
    null_headers = True
    records_without_key_and_value = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient(self.config({}), logger=LOG)

    def reconnect(self):
        """librdkafka gets over a restart by itself, and has to."""

    def config(self, more):
        return {"bootstrap.servers": self.bootstrap, **more}

    def produce(self, topic, records, compression="none", idempotent=True, acks="all", size_max=None):
        config = {
            "compression.type": compression,
            "enable.idempotence": idempotent,
            "acks": acks,
            "linger.ms": 5,
            "delivery.timeout.ms": 60000,
            "partitioner": "murmur2_random",
        }
        if size_max:
            config["message.max.bytes"] = size_max
        producer = Producer(self.config(config), logger=LOG)
        delivered = [None] * len(records)
        for index, record in enumerate(records):
            options = {"value": record.value, "key": record.key, "headers": list(record.headers)}
            if record.partition is not None:
                options["partition"] = record.partition
            if record.timestamp_ms is not None:
                options["timestamp"] = record.timestamp_ms

            def done(error, message, index=index):
                delivered[index] = error or message

            producer.produce(topic, on_delivery=done, **options)
            producer.poll(0)
        check(producer.flush(60) == 0, "records were not delivered within 60 s")
        for outcome in delivered:
            if isinstance(outcome, KafkaError):
                raise KafkaException(outcome)
        return [
            r._replace(partition=m.partition(), offset=m.offset())
            for r, m in zip(records, delivered)
        ]

    def reader(self):
        return Consumer(
            self.config(
                {
                    "group.id": "unused",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "check.crcs": True,
                }
            ),
            logger=LOG,
        )

    def consume(self, topic, count, partition=0, start=0, seconds=30):
        consumer = self.reader()
        consumer.assign([TopicPartition(topic, partition, start)])
        records, deadline = [], time.monotonic() + seconds
        while len(records) < count and time.monotonic() < deadline:
            message = consumer.poll(POLL_SECONDS)
            if message is not None and message.error() is None:
                records.append(to_record(message))
            elif message is not None and not message.error().retriable():
                raise KafkaException(message.error())
        consumer.close()
        check(len(records) == count, f"{len(records)} of {count} records within {seconds} s")
        return records

    def bounds(self, topic, partition):
        consumer = self.reader()
        bounds = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        consumer.close()
        return bounds

    def offset_for_time(self, topic, partition, timestamp_ms):
        consumer = self.reader()
        asked = [TopicPartition(topic, partition, timestamp_ms)]
        found = consumer.offsets_for_times(asked, timeout=20)[0]
        consumer.close()
        if found.error:
            raise KafkaException(found.error)
        return found.offset if found.offset >= 0 else None

    def member(self, group, topic, strategy, instance=None):
        return Member(self, group, topic, strategy, instance)

    def create_topic(self, topic, partitions, config):
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config)
        self.admin.create_topics([new])[topic].result(30)
        eventually(lambda: topic in self.list_topics(), f"topic {topic} is in the metadata")

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])[topic].result(30)

    def list_topics(self):
        return set(self.admin.list_topics(timeout=20).topics)

    def describe_topic(self, topic):
        found = self.admin.list_topics(topic, timeout=20).topics[topic]
        return {number: partition.replicas for number, partition in found.partitions.items()}

    def create_partitions(self, topic, total):
        self.admin.create_partitions([NewPartitions(topic, total)])[topic].result(30)

    def describe_configs(self, kind, name):
        resource = ConfigResource(kind, name)
        found = self.admin.describe_configs([resource])[resource].result(30)
        return {entry.name: entry.value for entry in found.values()}

    def describe_cluster(self):
        found = self.admin.describe_cluster(request_timeout=20).result(30)
        return {"id": found.cluster_id, "nodes": [node.id for node in found.nodes]}

    def list_groups(self):
        return {group.group_id for group in self.admin.list_consumer_groups().result(30).valid}

    def describe_group(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result(30)
        return found.state.name, len(found.members)

    def error_name(self, exception):
        name = exception.args[0].name()
        return NAMES.get(name, name)


def main():
    suite = Suite(__doc__)
    suite.arguments()
    cases.add_all(suite, Client(suite.bootstrap))
    suite.run(f"confluent-kafka {confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})")


if __name__ == "__main__":
    main()
