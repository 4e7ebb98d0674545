"""Produces until standard input ends, and then says in a line of JSON what became of it (librdkafka).

Nothing that was acknowledged may be missing, doubled or out of order, and no record may fail for
good: what a client tries again by itself is no error. A line of input is answered with what was
acknowledged until then, partition by partition.
"""

import argparse
import collections
import json
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS_MAX = 60
PARTITIONS = 6
PAUSE_SECONDS = 0.004
# With what it has by itself, librdkafka waits a minute for a broker that has fallen silent, and half
# a minute for a connection to its address.
IMPATIENT = {
    "socket.timeout.ms": 3000,
    "request.timeout.ms": 2500,
    "socket.connection.setup.timeout.ms": 1000,
    "reconnect.backoff.max.ms": 1000,
}


def read_all(common, topic, group):
    """Everything in the topic: the sequence numbers of each partition, as they lie there."""
    consumer = Consumer({**common, "group.id": group, "enable.auto.commit": False})
    ends = {}
    for partition in range(PARTITIONS):
        place = TopicPartition(topic, partition, 0)
        ends[partition] = consumer.get_watermark_offsets(place, timeout=SECONDS_MAX)[1]
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    found = collections.defaultdict(list)
    count = 0
    deadline = time.monotonic() + SECONDS_MAX
    while count < sum(ends.values()) and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error() is None:
                found[message.partition()].append(int(message.value()))
                count += 1
    consumer.close()
    assert count == sum(ends.values()), f"{count} records of {ends} could be read"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument(
        "--impatient", action="store_true", help="give a silent broker up after seconds"
    )
    arguments = parser.parse_args()
    common = {"bootstrap.servers": arguments.bootstrap}
    topic = arguments.topic
    admin = AdminClient(common)
    made = admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])
    made[topic].result(timeout=SECONDS_MAX)

    acknowledged = collections.defaultdict(set)
    failed = collections.Counter()
    gaps = {}
    slowest = {"seconds": 0.0}

    def delivered(error, message):
        now = time.monotonic()
        if error is not None:
            failed[error.name()] += 1
            return
        acknowledged[message.partition()].add(int(message.value()))
        for gap in (gaps["all"], gaps[message.partition()]):
            gap["longest"] = max(gap["longest"], now - gap["last"])
            gap["last"] = now
        slowest["seconds"] = max(slowest["seconds"], message.latency() or 0.0)

    patience = IMPATIENT if arguments.impatient else {}
    producer = Producer(
        {**common, **patience, "acks": "all", "enable.idempotence": True, "linger.ms": 2}
    )
    ended = threading.Event()

    def answer():
        for _ in sys.stdin:
            counts = [len(acknowledged[partition]) for partition in range(PARTITIONS)]
            print(json.dumps({"each": counts}), flush=True)
        ended.set()

    threading.Thread(target=answer, daemon=True).start()
    sent = 0

    def send():
        nonlocal sent
        partition = sent % PARTITIONS
        producer.produce(topic, value=str(sent), partition=partition, on_delivery=delivered)
        sent += 1

    def measure_anew():
        begin = time.monotonic()
        slowest["seconds"] = 0.0
        gaps.update({of: {"last": begin, "longest": 0.0} for of in ["all", *range(PARTITIONS)]})

    measure_anew()
    for _ in range(PARTITIONS):
        send()
    producer.flush(SECONDS_MAX)
    print("at work", flush=True)
    measure_anew()
    while not ended.is_set():
        try:
            send()
        except BufferError:
            # More waits than librdkafka keeps: it is not lost, only not yet taken.
            pass
        producer.poll(PAUSE_SECONDS)
    unsent = producer.flush(SECONDS_MAX)

    found = read_all(common, topic, f"{topic}-reader")
    missing = duplicates = out_of_order = 0
    for partition in range(PARTITIONS):
        values = found[partition]
        missing += len(acknowledged[partition] - set(values))
        duplicates += len(values) - len(set(values))
        out_of_order += sum(1 for one, next_ in zip(values, values[1:]) if next_ < one)
    print(
        json.dumps(
            {
                "acknowledged": sum(map(len, acknowledged.values())),
                "failed": sum(failed.values()) + unsent,
                "errors": dict(failed),
                "missing": missing,
                "duplicates": duplicates,
                "out_of_order": out_of_order,
                "longest_gap_ms": round(gaps["all"]["longest"] * 1000),
                "longest_gap_of_a_partition_ms": round(
                    max(gaps[partition]["longest"] for partition in range(PARTITIONS)) * 1000
                ),
                "slowest_ms": round(slowest["seconds"] * 1000),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
