"""Apache Kafka 3.9 in ZooKeeper mode on the keeper: three brokers under a chroot, which go on producing and consuming
while servers of the ensemble are lost."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "keeper"))

from confluent_kafka import Consumer, KafkaException, Producer  # noqa: E402
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType  # noqa: E402
from kazoo.client import KazooClient  # noqa: E402
from kazoo.exceptions import NoNodeError  # noqa: E402
from keeper_suite import KeeperSuite  # noqa: E402
from suite import LOG_LINES_KEPT, check, check_equal, eventually, fresh  # noqa: E402

BROKERS = 3
START_SECONDS = 120
MOVE_SECONDS = 90
SUITE = KeeperSuite(__doc__)
SUITE.parser.add_argument("--lib", required=True, help="folder with the jars of Kafka 3.9")
SUITE.case_seconds_max = 300


class Broker:
    def __init__(self, number, folder, connect):
        self.number = number
        self.log_path = os.path.join(folder, f"broker-{number}.log")
        self.process = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = {
            "broker.id": number,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": os.path.join(folder, f"data-{number}"),
            "zookeeper.connect": connect,
            "zookeeper.session.timeout.ms": 10_000,
            "zookeeper.connection.timeout.ms": 60_000,
            "auto.create.topics.enable": "false",
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "offsets.topic.replication.factor": 3,
            "offsets.topic.num.partitions": 3,
            "group.initial.rebalance.delay.ms": 0,
            "controlled.shutdown.enable": "true",
            # Small heaps.
            "num.network.threads": 2,
            "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 8_000_000,
        }
        self.config = os.path.join(folder, f"broker-{number}.properties")
        with open(self.config, "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())

    def start(self):
        command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.sasl.client=false",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", os.path.join(SUITE.args.lib, "*"),
            "kafka.Kafka", self.config,
        ]  # fmt: skip
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def lives(self):
        return self.process is not None and self.process.poll() is None

    def tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            lines = log.readlines()
        return "".join([line for line in lines if " INFO " not in line][-LOG_LINES_KEPT:])


class Kafka:
    """Three brokers, started by the first case that needs them, and what their znodes say."""

    def __init__(self):
        self.brokers = []
        self.folder = None
        self.zookeeper = None
        self.admin_client = None

    def needed(self):
        if not self.brokers:
            self.folder = tempfile.TemporaryDirectory(prefix="ottla-kafka-")
            self.chroot = f"/{fresh('kafka')}/cluster"
            connect = SUITE.connect + self.chroot
            self.brokers = [Broker(number, self.folder.name, connect) for number in range(1, BROKERS + 1)]
            for broker in self.brokers:
                broker.start()
            self.zookeeper = KazooClient(SUITE.connect)
            self.zookeeper.start(timeout=30)
        eventually(lambda: len(self.registered()) == BROKERS, self.why_not, seconds=START_SECONDS)
        return self

    def why_not(self):
        tails = "\n".join(f"broker {broker.number}: {broker.tail()}" for broker in self.brokers)
        return f"registered are {self.registered()}\n{tails}"

    def registered(self):
        return self.names("/brokers/ids")

    def names(self, path):
        at = self.chroot + path
        return sorted(self.zookeeper.get_children(at)) if self.zookeeper.retry(self.zookeeper.exists, at) else []

    def controller(self):
        """The number of the broker that controls the others, if one does: none may at any moment."""
        try:
            data, _ = self.zookeeper.retry(self.zookeeper.get, f"{self.chroot}/controller")
        except NoNodeError:
            return None
        return json.loads(data)["brokerid"]

    def controller_epoch(self):
        return int(self.zookeeper.retry(self.zookeeper.get, f"{self.chroot}/controller_epoch")[0])

    def bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    def admin(self):
        # One for all cases: a client that is forgotten takes its answers with it.
        if not self.admin_client:
            self.admin_client = AdminClient({"bootstrap.servers": self.bootstrap(), "log_level": 0})
        return self.admin_client

    def topic(self, name, partitions=6):
        topic = fresh(name)
        self.create(NewTopic(topic, partitions, BROKERS))
        return topic

    def create(self, topic):
        self.admin().create_topics([topic])[topic.topic].result(60)

    def all_live(self):
        dead = [broker.number for broker in self.brokers if not broker.lives()]
        check(not dead, f"brokers {dead} have ended:\n{self.why_not()}")

    def in_sync(self, topic):
        """The least number of replicas in sync of the topic's partitions."""
        partitions = self.admin().list_topics(topic, timeout=20).topics[topic].partitions.values()
        return min((len(partition.isrs) for partition in partitions), default=0)

    def end(self):
        for broker in self.brokers:
            if broker.lives():
                broker.kill()
        if self.zookeeper:
            self.zookeeper.stop()
        if self.folder:
            self.folder.cleanup()


KAFKA = Kafka()


class Flow:
    """Produces and consumes all the time; what was acknowledged must come out, once a value was acknowledged."""

    def __init__(self, topic):
        self.topic = topic
        self.acknowledged, self.consumed, self.failed = set(), [], []
        self.error = None
        self.stopping = threading.Event()
        self.producer = Producer(
            {
                "bootstrap.servers": KAFKA.bootstrap(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": 120_000,
                "log_level": 0,
            }
        )
        self.consumer = Consumer(
            {
                "bootstrap.servers": KAFKA.bootstrap(),
                "group.id": fresh("flow"),
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        self.consumer.subscribe([topic])
        self.threads = [threading.Thread(target=self._guarded, args=(body,), daemon=True) for body in (self._produce, self._consume)]
        for thread in self.threads:
            thread.start()

    def _guarded(self, body):
        try:
            body()
        except BaseException as error:  # Told by `wait_for_more`.
            self.error = error

    def _produce(self):
        number = 0
        while not self.stopping.is_set():
            value = str(number)
            self.producer.produce(self.topic, value.encode(), on_delivery=self._delivered)
            self.producer.poll(0)
            number += 1
            time.sleep(0.002)
        self.producer.flush(120)

    def _delivered(self, error, message):
        if error is None:
            self.acknowledged.add(int(message.value()))
        else:
            self.failed.append(str(error))

    def _consume(self):
        while not (self.stopping.is_set() and self._all_read()):
            message = self.consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                if message.error().fatal():
                    raise KafkaException(message.error())
                continue
            self.consumed.append(int(message.value()))

    def _all_read(self):
        return self.threads[0].ident and not self.threads[0].is_alive() and self.acknowledged <= set(self.consumed)

    def wait_for_more(self, count=300):
        acknowledged, consumed = len(self.acknowledged), len(self.consumed)
        eventually(
            lambda: (
                self.error or len(self.acknowledged) >= acknowledged + count and len(self.consumed) >= consumed + count
            ),
            lambda: f"{count} more records: {len(self.acknowledged)} acknowledged, {len(self.consumed)} consumed",
            seconds=MOVE_SECONDS,
        )
        if self.error:
            raise self.error

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(150)
        lost = sorted(self.acknowledged - set(self.consumed))
        self.consumer.close()
        check(not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged records are lost: {lost[:10]}")
        if self.error:
            raise self.error
        check(not self.failed, f"records that were refused: {self.failed[:5]}")
        check(len(self.consumed) == len(set(self.consumed)), "no record came twice")
        print(f"    {len(self.acknowledged)} records acknowledged and consumed")


@SUITE.case
def three_brokers_form_a_cluster_under_a_chroot():
    kafka = KAFKA.needed()
    check_equal(kafka.registered(), ["1", "2", "3"], "registered brokers")
    eventually(lambda: kafka.controller() in (1, 2, 3), lambda: f"a controller, not {kafka.controller()}")
    for path in ("/cluster/id", "/brokers/topics", "/config/topics", "/isr_change_notification", "/admin"):
        check(kafka.zookeeper.exists(kafka.chroot + path), f"there is {path}")
    owner = kafka.zookeeper.get(f"{kafka.chroot}/brokers/ids/1")[1].ephemeralOwner
    check(owner != 0, "a broker's znode is ephemeral")
    eventually(lambda: len(kafka.admin().list_topics(timeout=20).brokers) == BROKERS, "clients see three brokers")


@SUITE.case
def topics_are_made_changed_and_deleted():
    kafka = KAFKA.needed()
    topic = fresh("topic")
    kafka.create(NewTopic(topic, 4, BROKERS, config={"retention.ms": "12345678"}))
    eventually(lambda: kafka.names(f"/brokers/topics/{topic}/partitions") == ["0", "1", "2", "3"], "four partitions")
    eventually(lambda: kafka.in_sync(topic) == BROKERS, "all replicas are in sync", seconds=60)
    check(b"12345678" in kafka.zookeeper.get(f"{kafka.chroot}/config/topics/{topic}")[0], "the topic's config")
    resource = ConfigResource(ResourceType.TOPIC, topic)
    config = kafka.admin().describe_configs([resource])[resource].result(30)
    check_equal(config["retention.ms"].value, "12345678", "retention.ms")
    kafka.admin().create_partitions([NewPartitions(topic, 6)])[topic].result(60)
    eventually(lambda: len(kafka.names(f"/brokers/topics/{topic}/partitions")) == 6, "six partitions")
    kafka.admin().delete_topics([topic])[topic].result(60)
    eventually(lambda: topic not in kafka.names("/brokers/topics"), "the topic is gone", seconds=60)


@SUITE.case
def records_flow_while_each_follower_of_the_ensemble_is_lost():
    SUITE.needs_servers(3)
    kafka = KAFKA.needed()
    flow = Flow(kafka.topic("follower"))
    flow.wait_for_more()
    before = {number: kafka.zookeeper.exists(f"{kafka.chroot}/brokers/ids/{number}").czxid for number in kafka.registered()}
    leader = SUITE.leader()
    for place in [place for place in range(len(SUITE.addresses)) if place != leader]:
        with SUITE.servers_down(place):
            flow.wait_for_more()
            kafka.topic("made-meanwhile", partitions=3)
            flow.wait_for_more()
        kafka.all_live()
    flow.wait_for_more()
    flow.stop()
    after = {number: kafka.zookeeper.exists(f"{kafka.chroot}/brokers/ids/{number}").czxid for number in kafka.registered()}
    check_equal(after, before, "the brokers' znodes: no session was lost")


@SUITE.case
def records_flow_while_the_leader_of_the_ensemble_is_lost():
    SUITE.needs_servers(3)
    kafka = KAFKA.needed()
    flow = Flow(kafka.topic("leader"))
    flow.wait_for_more()
    for _ in range(2):
        leader = SUITE.leader()
        with SUITE.servers_down(leader):
            eventually(SUITE.leaders, "another server leads")
            flow.wait_for_more()
            kafka.topic("made-meanwhile", partitions=3)
            flow.wait_for_more()
        kafka.all_live()
    flow.wait_for_more()
    flow.stop()
    check_equal(kafka.registered(), ["1", "2", "3"], "registered brokers")


@SUITE.case
def another_broker_controls_when_the_controller_is_lost():
    kafka = KAFKA.needed()
    flow = Flow(kafka.topic("controller"))
    flow.wait_for_more()
    controller, epoch = kafka.controller(), kafka.controller_epoch()
    lost = kafka.brokers[controller - 1]
    lost.kill()
    eventually(lambda: kafka.controller() not in (None, controller), "another controller", seconds=60)
    check(kafka.controller_epoch() > epoch, "the controller's epoch has grown")
    eventually(lambda: str(controller) not in kafka.registered(), "the lost broker's znode is gone", seconds=60)
    flow.wait_for_more()
    lost.start()
    eventually(lambda: len(kafka.registered()) == BROKERS, kafka.why_not, seconds=START_SECONDS)
    eventually(lambda: kafka.in_sync(flow.topic) == BROKERS, "all replicas are in sync again", seconds=90)
    flow.wait_for_more()
    flow.stop()


@SUITE.case
def brokers_go_on_when_the_whole_ensemble_was_away():
    SUITE.needs_control()
    kafka = KAFKA.needed()
    flow = Flow(kafka.topic("away"))
    flow.wait_for_more()
    with SUITE.servers_down(*range(len(SUITE.addresses))):
        # Partitions have their leaders without the ensemble, too.
        flow.wait_for_more(100)
    eventually(lambda: len(kafka.registered()) == BROKERS, kafka.why_not, seconds=START_SECONDS)
    eventually(lambda: kafka.controller() in (1, 2, 3), "a controller", seconds=60)
    kafka.all_live()
    kafka.topic("made-afterwards", partitions=3)
    flow.wait_for_more()
    flow.stop()


if __name__ == "__main__":
    SUITE.arguments()
    SUITE.run("Kafka 3.9.1 in ZooKeeper mode", at_end=KAFKA.end)
