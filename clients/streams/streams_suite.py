"""Kafka Streams against a node: words are counted exactly once, whoever is killed meanwhile."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from suite import LOG_LINES_KEPT, Suite, check, check_equal, eventually, fresh  # noqa: E402

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
PARTITIONS = 3
SUITE = Suite(__doc__)
SUITE.parser.add_argument("--class-path", required=True, help="with the word count and kafka-streams")


class Application:
    """The word count as a process that can be killed and started again on the same state."""

    def __init__(self, name):
        self.arguments = [name, f"{name}-in", f"{name}-out"]
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-streams-")
        self.log_path = os.path.join(self.folder.name, "log")
        self.process = None
        admin = AdminClient({"bootstrap.servers": SUITE.bootstrap})
        topics = [NewTopic(topic, PARTITIONS, 1) for topic in self.arguments[1:]]
        for future in admin.create_topics(topics).values():
            future.result(30)

    def start(self):
        command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", SUITE.args.class_path, "ottla.streams.WordCount",
            SUITE.bootstrap, *self.arguments, os.path.join(self.folder.name, "state"),
        ]  # fmt: skip
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            SUITE.log.lines.extend(log.read().splitlines()[-LOG_LINES_KEPT:])
        self.folder.cleanup()

    def produce(self, lines):
        producer = Producer({"bootstrap.servers": SUITE.bootstrap, "enable.idempotence": True})
        refused = []
        for number, line in enumerate(lines):
            producer.produce(
                self.arguments[1], line, partition=number % PARTITIONS,
                on_delivery=lambda error, _: error and refused.append(error),
            )  # fmt: skip
            producer.poll(0)
        check_equal(producer.flush(60), 0, "lines that were not acknowledged")
        check_equal(refused, [], "refused lines")

    def committed(self):
        """All committed updates, in the order of each word."""
        consumer = Consumer(
            {
                "bootstrap.servers": SUITE.bootstrap, "group.id": "unused", "isolation.level": "read_committed",
                "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest",
            }
        )  # fmt: skip
        consumer.assign([TopicPartition(self.arguments[2], p, 0) for p in range(PARTITIONS)])
        updates, ended = [], set()
        deadline = time.monotonic() + 60
        while len(ended) < PARTITIONS:
            check(time.monotonic() < deadline, "the counts are read within 60 s")
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
            else:
                updates.append((message.key().decode(), int(message.value())))
        consumer.close()
        return updates


def lines(count, seed):
    """Random lines, the same for each seed, and how often each word is in them."""
    source = random.Random(seed)
    made = [" ".join(source.choices(WORDS, k=5)) for _ in range(count)]
    return made, Counter(word for line in made for word in line.split())


def check_counts(application, expected):
    last = {}

    def complete():
        last.clear()
        last.update(application.committed())
        return last == dict(expected)

    # A JVM starts, takes partitions over and waits for its predecessor's transaction to end.
    eventually(complete, lambda: f"counts are {last}, expected {dict(expected)}", seconds=75)
    # Each count is seen once and in order: nothing is counted twice or lost on the way.
    updates = application.committed()
    for word in expected:
        counts = [count for counted, count in updates if counted == word]
        check_equal(counts, sorted(set(counts)), f"counts of {word} only grow")


def counted(interrupt):
    application = Application(fresh("words"))
    total = Counter()
    try:
        application.start()
        for part in range(3):
            made, expected = lines(400, part)
            application.produce(made)
            total += expected
            eventually(lambda: application.committed(), f"some counts of part {part}")
            interrupt(application, part)
        check_counts(application, total)
    finally:
        application.end()


@SUITE.case
def words_are_counted():
    counted(lambda application, part: None)


@SUITE.case
def words_are_counted_once_when_the_application_is_killed():
    def kill(application, part):
        if part < 2:
            application.kill()
            application.start()

    counted(kill)


@SUITE.case
def words_are_counted_once_when_the_node_is_killed():
    def kill(application, part):
        if part < 2:
            SUITE.control.kill()

    counted(kill)


if __name__ == "__main__":
    SUITE.arguments()
    SUITE.run("Kafka Streams 4.3.1")
