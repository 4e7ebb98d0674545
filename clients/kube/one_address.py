"""A client that knows one address finds all brokers, and works with each of them (librdkafka)."""

import argparse
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS_MAX = 30
PARTITIONS = 6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True, help="the one address")
    parser.add_argument("--expect", required=True, help="HOST:PORT,… of all brokers")
    arguments = parser.parse_args()
    common = {"bootstrap.servers": arguments.bootstrap}
    admin = AdminClient(common)
    brokers = admin.list_topics(timeout=SECONDS_MAX).brokers.values()
    told = {f"{broker.host}:{broker.port}" for broker in brokers}
    assert told == set(arguments.expect.split(",")), told

    topic = f"one-address-{uuid.uuid4().hex[:8]}"
    made = admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])
    made[topic].result(timeout=SECONDS_MAX)
    # Leaders are spread, so that every broker has to be reached for its own partitions.
    leaders = set()
    deadline = time.monotonic() + SECONDS_MAX
    while len(leaders) < len(told) and time.monotonic() < deadline:
        partitions = admin.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions
        leaders = {p.leader for p in partitions.values() if p.leader >= 0}
    assert len(leaders) == len(told), f"only {leaders} lead"

    failures = []
    producer = Producer({**common, "acks": "all"})
    for partition in range(PARTITIONS):
        producer.produce(
            topic,
            value=f"record {partition}",
            partition=partition,
            on_delivery=lambda error, _: error and failures.append(error),
        )
    assert producer.flush(SECONDS_MAX) == 0 and not failures, failures

    consumer = Consumer({**common, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    seen = set()
    deadline = time.monotonic() + SECONDS_MAX
    while len(seen) < PARTITIONS and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            seen.add(message.value().decode())
    consumer.close()
    assert seen == {f"record {p}" for p in range(PARTITIONS)}, seen
    print(f"confluent-kafka: {arguments.bootstrap} alone leads to {sorted(told)}")


if __name__ == "__main__":
    main()
