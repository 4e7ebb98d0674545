"""Transactions under kills, judged in the manner of Jepsen's Kafka workload.

Workers on two client libraries run transactions: some sends of unique values, and some records moved from
one topic to another together with their offsets. Workers and the node are killed meanwhile. In the end the
workers' journals are compared with what the topics hold.
"""

import collections
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from suite import Suite, check, check_equal, eventually, fresh  # noqa: E402

PARTITIONS = 3
IN_RECORDS = 400
SUITE = Suite(__doc__)
SUITE.parser.add_argument("--class-path", required=True, help="with the Java worker")
SUITE.parser.add_argument("--seconds", type=int, default=45, help="how long the workers run")
SUITE.parser.add_argument("--seed", type=int, default=0, help="of what the workers choose; 0 draws one")

Transaction = collections.namedtuple("Transaction", "sends acked outcome")


class Worker:
    """A client process that is started again after each end, under the same name."""

    def __init__(self, world, library, index):
        self.world, self.library, self.index = world, library, index
        self.name = f"{world.prefix}-{library}-{index}"
        self.incarnation, self.process = 0, None

    def start(self):
        self.incarnation += 1
        world = self.world
        arguments = [
            SUITE.bootstrap, self.name, self.incarnation, self.index, world.seed, self.journal(self.incarnation),
            world.topic, world.source, world.out, world.group, PARTITIONS,
        ]  # fmt: skip
        program = [sys.executable, os.path.join(HERE, "worker.py")]
        if self.library == "java":
            program = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                       "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                       "-cp", SUITE.args.class_path, "ottla.clients.TransactionWorker"]  # fmt: skip
        with open(self.world.path(f"{self.name}.log"), "ab") as log:
            self.process = subprocess.Popen(
                program + [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def keep_running(self):
        if self.process.poll() is not None:
            self.start()

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def journal(self, incarnation):
        return self.world.path(f"{self.name}.{incarnation}.journal")

    def transactions(self):
        """Every transaction of every incarnation, with the last thing that is known of it."""
        for incarnation in range(1, self.incarnation + 1):
            found = {}
            if not os.path.exists(self.journal(incarnation)):
                continue
            with open(self.journal(incarnation), encoding="utf-8") as journal:
                lines = journal.read().split("\n")
            # A line without its end was being written when the worker was killed.
            for line in lines[:-1]:
                _, word, number, *rest = line.split(" ")
                if word == "begin":
                    found[number] = Transaction([], {}, ["open"])
                elif word == "send":
                    found[number].sends.append((rest[0], int(rest[1]), rest[2]))
                elif word == "acked":
                    found[number].acked[rest[0], int(rest[1]), rest[2]] = int(rest[3])
                elif word != "error":
                    found[number].outcome[0] = word
            yield from ((f"{self.name}/{incarnation}/{number}", each) for number, each in found.items())


class Reader(threading.Thread):
    """Reads committed records all the time, as a consumer that never goes away."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.seen, self.error = world, [], None
        self.stopping = threading.Event()

    def run(self):
        try:
            consumer = self.world.consumer("read_committed", self.world.topic)
            while not self.stopping.is_set():
                message = consumer.poll(0.2)
                if message is not None and not message.error():
                    self.seen.append((message.partition(), message.offset(), message.value().decode()))
            consumer.close()
        except Exception as error:  # Told by the case.
            self.error = error


class World:
    def __init__(self, seed):
        self.seed, self.prefix = seed, fresh("check")
        self.topic, self.source, self.out = (f"{self.prefix}-{name}" for name in ("topic", "in", "out"))
        self.group = f"{self.prefix}-group"
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-checker-")
        self.workers = [Worker(self, "librdkafka" if index % 2 == 0 else "java", index) for index in range(4)]
        admin = AdminClient({"bootstrap.servers": SUITE.bootstrap})
        topics = [NewTopic(self.topic, PARTITIONS, 1)]
        topics += [NewTopic(topic, len(self.workers), 1) for topic in (self.source, self.out)]
        for future in admin.create_topics(topics).values():
            future.result(30)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def fill_source(self):
        producer = Producer({"bootstrap.servers": SUITE.bootstrap, "enable.idempotence": True})
        for worker in self.workers:
            for number in range(IN_RECORDS):
                producer.produce(self.source, f"moved/{worker.index}/{number}", partition=worker.index)
                producer.poll(0)
        check_equal(producer.flush(60), 0, "records that were not acknowledged")

    def consumer(self, isolation, topic):
        consumer = Consumer(
            {
                "bootstrap.servers": SUITE.bootstrap, "group.id": "unused", "enable.auto.commit": False,
                "isolation.level": isolation, "auto.offset.reset": "earliest", "enable.partition.eof": True,
            }
        )  # fmt: skip
        count = PARTITIONS if topic == self.topic else len(self.workers)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(count)])
        return consumer

    def read(self, isolation, topic):
        """Everything up to the end: (partition, offset, value) in the order of each partition."""
        consumer = self.consumer(isolation, topic)
        wanted = len(consumer.assignment()) or (PARTITIONS if topic == self.topic else len(self.workers))
        records, ended, deadline = [], set(), time.monotonic() + 60
        while len(ended) < wanted:
            check(time.monotonic() < deadline, f"the end of {topic} is not reached within 60 s")
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
            else:
                records.append((message.partition(), message.offset(), message.value().decode()))
        consumer.close()
        return records

    def settle(self):
        """Ends what the last workers left open: a new producer of their names aborts it."""
        for worker in self.workers:
            producer = Producer({"bootstrap.servers": SUITE.bootstrap, "transactional.id": worker.name})
            producer.init_transactions(60)

        def nothing_open():
            return all(
                self.bounds("read_committed", topic) == self.bounds("read_uncommitted", topic)
                for topic in (self.topic, self.out)
            )

        eventually(nothing_open, "no transaction is open any more", seconds=60)

    def bounds(self, isolation, topic):
        consumer = self.consumer(isolation, topic)
        count = PARTITIONS if topic == self.topic else len(self.workers)
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), 20)[1] for p in range(count)]
        consumer.close()
        return ends


def judge(world, reader):
    """All findings, as text; an empty list is a good run."""
    findings = []
    committed = world.read("read_committed", world.topic) , world.read("read_committed", world.out)
    everything = world.read("read_uncommitted", world.topic), world.read("read_uncommitted", world.out)
    visible = {}
    for topic, records in zip((world.topic, world.out), committed):
        for partition, offset, value in records:
            if (topic, partition, value) in visible:
                findings.append(f"duplicate: {value} is committed twice in {topic}-{partition}")
            visible[topic, partition, value] = offset
    stored = {(topic, p, o): v for topic, records in zip((world.topic, world.out), everything) for p, o, v in records}
    counts = collections.Counter()
    for worker in world.workers:
        last = {}
        for name, transaction in worker.transactions():
            outcome = transaction.outcome[0]
            counts[worker.library, outcome] += 1
            # A moved record is sent again by another transaction when this one was aborted.
            own = [send for send in transaction.sends if send[0] == world.topic]
            there = [send for send in own if send in visible]
            if outcome == "committed" and len(there) < len(own):
                findings.append(f"lost write: {name} was committed, of {own} only {there} can be read")
            if outcome in ("aborted", "abort") and there:
                findings.append(f"aborted read: {name} was aborted, {there} can be read")
            if outcome not in ("committed", "aborted") and there and len(there) < len(own):
                findings.append(f"torn transaction: of {name} ({outcome}) {own} only {there} can be read")
            if outcome == "open" and there:
                findings.append(f"nobody committed {name}, and {there} can be read")
            for send, offset in transaction.acked.items():
                if stored.get((send[0], send[1], offset)) != send[2]:
                    held = stored.get((send[0], send[1], offset))
                    findings.append(f"inconsistent offset: {send} was acknowledged at {offset}, where {held} is")
            for topic, partition, value in there:
                if visible[topic, partition, value] < last.get(partition, -1):
                    findings.append(f"sends out of order: {value} is before an earlier one of its producer")
                last[partition] = max(last.get(partition, -1), visible[topic, partition, value])
    findings += judge_moves(world, visible)
    findings += judge_reader(reader, committed[0])
    return findings, counts


def judge_moves(world, visible):
    """Each record that was moved is there once, in order and without a hole, as far as the offset says."""
    findings = []
    at = [TopicPartition(world.source, worker.index) for worker in world.workers]
    consumer = Consumer({"bootstrap.servers": SUITE.bootstrap, "group.id": world.group})
    offsets = {each.partition: max(each.offset, 0) for each in consumer.committed(at, timeout=30)}
    consumer.close()
    for worker in world.workers:
        moved = sorted(
            (offset, value) for (topic, partition, value), offset in visible.items()
            if topic == world.out and partition == worker.index
        )  # fmt: skip
        expected = [f"moved/{worker.index}/{number}" for number in range(offsets[worker.index])]
        if [value for _, value in moved] != expected:
            findings.append(
                f"moves of {worker.name}: {len(moved)} records for a committed offset of {offsets[worker.index]}"
            )
    return findings


def judge_reader(reader, committed):
    """Who reads on saw exactly the committed records of each partition, in order, up to where it came."""
    findings = []
    for partition in range(PARTITIONS):
        seen = [(offset, value) for p, offset, value in reader.seen if p == partition]
        there = [(offset, value) for p, offset, value in committed if p == partition]
        if seen != there[: len(seen)]:
            wrong = next((pair for pair in zip(seen, there) if pair[0] != pair[1]), (seen[-1:], "the end"))
            findings.append(f"reader of partition {partition}: it saw {wrong[0]} where {wrong[1]} is")
    return findings


def run(kill_nodes):
    seed = SUITE.args.seed or random.SystemRandom().randrange(1, 1 << 31)
    source = random.Random(seed)
    world = World(seed)
    reader = Reader(world)
    try:
        world.fill_source()
        reader.start()
        for worker in world.workers:
            worker.start()
        end = time.monotonic() + SUITE.args.seconds
        kills = 0
        while time.monotonic() < end:
            time.sleep(source.uniform(1.5, 3.5))
            kills += 1
            if kill_nodes and kills % 4 == 0:
                SUITE.control.kill()
            else:
                source.choice(world.workers).kill()
            for worker in world.workers:
                worker.keep_running()
        for worker in world.workers:
            worker.kill()
        world.settle()
        reader.stopping.set()
        reader.join(30)
        check(reader.error is None, f"the reader failed: {reader.error}")
        findings, counts = judge(world, reader)
        print(f"    seed {seed}: {kills} kills, {dict(sorted((f'{a} {b}', n) for (a, b), n in counts.items()))}")
        print(f"    {len(reader.seen)} records read as they came")
        for library in ("librdkafka", "java"):
            check(counts[library, "committed"] > 10, f"{library} committed hardly anything: {counts}")
        check_equal(findings, [], f"findings with seed {seed}")
    finally:
        for worker in world.workers:
            if worker.process:
                worker.kill()
        reader.stopping.set()
        world.folder.cleanup()


@SUITE.case
def transactions_hold_when_clients_are_killed():
    run(kill_nodes=False)


@SUITE.case
def transactions_hold_when_clients_and_the_node_are_killed():
    run(kill_nodes=True)


if __name__ == "__main__":
    SUITE.arguments()
    SUITE.run("librdkafka and kafka-clients")
