"""Kafka Connect in distributed mode against a node: a file goes in, the same file comes out."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # noqa: E402
from suite import LOG_LINES_KEPT, Suite, check_equal, eventually, fresh  # noqa: E402

START_SECONDS = 90
SUITE = Suite(__doc__)
SUITE.parser.add_argument("--lib", required=True, help="folder with the jars of Kafka Connect")


class Worker:
    """A worker process; its three topics are compacted and belong to it alone."""

    def __init__(self, exactly_once=False):
        self.name = fresh("connect")
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-connect-")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log_path = self.path("log")
        self.process = None
        settings = {
            "bootstrap.servers": SUITE.bootstrap,
            "group.id": self.name,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.flush.interval.ms": 500,
            "listeners": f"http://127.0.0.1:{self.port}",
            "exactly.once.source.support": "enabled" if exactly_once else "disabled",
            "plugin.discovery": "only_scan",
            # A killed worker's place is free soon.
            "scheduled.rebalance.max.delay.ms": 1000,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500,
            "consumer.session.timeout.ms": 6000,
        }
        for kind in ("offset", "config", "status"):
            settings[f"{kind}.storage.topic"] = f"{self.name}-{kind}s"
            settings[f"{kind}.storage.replication.factor"] = 1
        with open(self.path("worker.properties"), "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self):
        command = [
            "java", "-Xmx384m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", os.path.join(SUITE.args.lib, "*"),
            "org.apache.kafka.connect.cli.ConnectDistributed", self.path("worker.properties"),
        ]  # fmt: skip
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: self.ask("GET", "/connectors") is not None, self.tail, seconds=START_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def end(self):
        if self.process:
            self.kill()
        SUITE.log.lines.extend(self.tail().splitlines())
        self.folder.cleanup()

    def tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-LOG_LINES_KEPT:])

    def ask(self, method, path, body=None):
        """The answer, or None while the worker does not serve."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=body and json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except (urllib.error.URLError, OSError):
            return None

    def connector(self, name, kind, **settings):
        config = {"connector.class": f"org.apache.kafka.connect.file.FileStream{kind}Connector", "tasks.max": "1"}
        config.update(settings)
        eventually(lambda: self.ask("PUT", f"/connectors/{name}/config", config), self.tail, seconds=60)

    def append(self, name, lines):
        with open(self.path(name), "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def lines(self, name):
        if not os.path.exists(self.path(name)):
            return []
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().splitlines()


def file_to_file(worker, interrupt, at_least_once=False):
    """`interrupt(part)` is called behind each part; the file that comes out has all lines in order."""
    topic, expected = fresh("lines"), []
    try:
        worker.start()
        worker.append("in", [])
        # Sinks of one name would be one group, and wait for each other's sessions to end.
        worker.connector(f"{worker.name}-source", "Source", file=worker.path("in"), topic=topic)
        worker.connector(f"{worker.name}-sink", "Sink", file=worker.path("out"), topics=topic)
        for part in range(3):
            made = [f"part {part}, line {number}" for number in range(200)]
            worker.append("in", made)
            expected += made

            def all_there():
                out = worker.lines("out")
                # A file sink that was killed writes again what it had not committed.
                return sorted(set(out)) == sorted(expected) if at_least_once else out == expected

            what = lambda: f"{len(worker.lines('out'))} of {len(expected)} lines: {worker.tail()}"  # noqa: E731
            eventually(all_there, what, seconds=75)
            interrupt(part)
        for kind in ("offset", "config", "status"):
            check_equal(policy(f"{worker.name}-{kind}s"), "compact", f"cleanup.policy of the {kind} topic")
    finally:
        worker.end()


def policy(topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": SUITE.bootstrap})
    return admin.describe_configs([resource])[resource].result(30)["cleanup.policy"].value


@SUITE.case
def file_goes_in_and_comes_out():
    file_to_file(Worker(), lambda part: None)


@SUITE.case
def worker_that_is_killed_goes_on_where_it_was():
    worker = Worker(exactly_once=True)

    def restart(part):
        if part == 0:
            worker.kill()
            worker.start()

    file_to_file(worker, restart, at_least_once=True)


@SUITE.case
def worker_goes_on_when_the_node_is_killed():
    file_to_file(Worker(), lambda part: part == 0 and SUITE.control.kill(), at_least_once=True)


if __name__ == "__main__":
    SUITE.arguments()
    SUITE.run("Kafka Connect 4.3.1")
