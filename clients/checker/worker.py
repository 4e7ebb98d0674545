"""One transactional client of the checker, on librdkafka. It is killed at any moment: everything that it
does goes to its journal first, and everything that it was told right after.

Arguments: BOOTSTRAP NAME INCARNATION PARTITION SEED JOURNAL TOPIC IN OUT GROUP PARTITIONS
"""

import random
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

ABORTED_IN_HUNDRED = 25


class Worker:
    def __init__(self, bootstrap, name, incarnation, partition, seed, journal, topic, source, out, group, partitions):
        self.name, self.incarnation, self.partition = name, incarnation, int(partition)
        self.random = random.Random(f"{seed}-{name}-{incarnation}")
        self.journal = open(journal, "a", encoding="utf-8", buffering=1)
        self.topic, self.source, self.out, self.partitions = topic, source, out, int(partitions)
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                "isolation.level": "read_committed", "auto.offset.reset": "earliest",
            }
        )  # fmt: skip
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap, "transactional.id": name, "transaction.timeout.ms": 10000,
                "linger.ms": 0, "message.timeout.ms": 9000, "retry.backoff.ms": 50,
            }
        )  # fmt: skip
        self.producer.init_transactions(40)
        # Only behind it are the offsets of this worker's last transaction decided.
        at = TopicPartition(source, self.partition)
        committed = self.consumer.committed([at], timeout=40)[0].offset
        self.position = max(committed, 0)
        self.consumer.assign([TopicPartition(source, self.partition, self.position)])

    def say(self, *words):
        now_us = time.time_ns() // 1000
        self.journal.write(" ".join(str(word) for word in (now_us, *words)) + "\n")

    def send(self, number, topic, partition, value):
        self.say("send", number, topic, partition, value)

        def delivered(error, message):
            if error is None:
                self.say("acked", number, topic, message.partition(), value, message.offset())

        self.producer.produce(topic, value, partition=partition, on_delivery=delivered)

    def transaction(self, number):
        self.say("begin", number)
        self.producer.begin_transaction()
        for index in range(self.random.randint(1, 4)):
            value = f"{self.name}/{self.incarnation}/{number}/{index}"
            self.send(number, self.topic, self.random.randrange(self.partitions), value)
        read = self.consumer.consume(self.random.randint(0, 3), timeout=0.05)
        for message in read:
            if message.error():
                raise KafkaException(message.error())
            self.send(number, self.out, self.partition, message.value().decode())
        if read:
            offsets = [TopicPartition(self.source, self.partition, read[-1].offset() + 1)]
            self.producer.send_offsets_to_transaction(offsets, self.consumer.consumer_group_metadata(), 20)
        if self.random.randrange(100) < ABORTED_IN_HUNDRED:
            self.abort(number)
            return
        self.say("commit", number)
        self.producer.commit_transaction(20)
        self.say("committed", number)
        if read:
            self.position = read[-1].offset() + 1

    def abort(self, number):
        self.say("abort", number)
        self.producer.abort_transaction(20)
        self.say("aborted", number)
        # What was read in it is read again.
        self.consumer.seek(TopicPartition(self.source, self.partition, self.position))

    def run(self):
        number = 0
        while True:
            number += 1
            try:
                self.transaction(number)
            except KafkaException as error:
                cause = error.args[0]
                self.say("error", number, str(cause).replace("\n", " "))
                if not cause.txn_requires_abort():
                    # Whoever takes this name over decides what becomes of the transaction.
                    sys.exit(3)
                self.abort(number)


if __name__ == "__main__":
    Worker(*sys.argv[1:]).run()
