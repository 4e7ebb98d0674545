"""kcat, the librdkafka command line, against a node.

kcat cannot create topics with several partitions; confluent-kafka does that for it. It ends by
itself when its only broker goes away, so no group of its lives through a restart here.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from suite import LOG_LINES_KEPT, Suite, check, check_equal, eventually, fresh  # noqa: E402

COMMAND_SECONDS_MAX = 60
SUITE = Suite(__doc__)


def kcat(*arguments, stdin=b"", fails=False):
    """Runs kcat to its end and returns its output."""
    command = ["kcat", "-b", SUITE.bootstrap, *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False
    )
    log = done.stderr.decode(errors="replace")
    for line in log.splitlines()[-LOG_LINES_KEPT:]:
        SUITE.log.lines.append(f"kcat: {line}")
    check((done.returncode != 0) == fails, f"{command} exits with {done.returncode}: {log[-2000:]}")
    return done.stdout.decode() if not fails else log


def topic(name, partitions=1):
    """kcat creates topics by producing: a first record makes the topic appear."""
    name = fresh(name)
    kcat("-P", "-t", name, "-p", "0", stdin=b"first\n")
    eventually(lambda: name in metadata(), f"topic {name} appears")
    return name


def metadata(*arguments):
    found = json.loads(kcat("-L", "-J", *arguments))
    return {t["topic"]: t for t in found["topics"]}


def produce(name, lines, *arguments):
    kcat("-P", "-t", name, *arguments, stdin="".join(f"{line}\n" for line in lines).encode())


def consume(name, start=1, *arguments):
    """Everything from offset `start` of partition 0 (the topic's first record is at 0)."""
    out = kcat("-C", "-t", name, "-p", "0", "-o", str(start), "-e", "-q", "-J", *arguments)
    return [json.loads(line) for line in out.splitlines()]


def payloads(records):
    return [record["payload"] for record in records]


class GroupMember:
    """A `kcat -G` process with what it says on both of its outputs."""

    def __init__(self, group, name, *more):
        self.assigned, self.assigned_events, self.values = set(), 0, []
        options = [
            "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=10000",
            "-X", "heartbeat.interval.ms=500", *more,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            ["kcat", "-b", SUITE.bootstrap, *options, "-u", "-f", "%s\\n", "-G", group, name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.threads = [
            threading.Thread(target=self._records, daemon=True),
            threading.Thread(target=self._events, daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def _records(self):
        for line in self.process.stdout:
            self.values.append(line.rstrip("\n"))

    def _events(self):
        for line in self.process.stderr:
            SUITE.log.lines.append(f"kcat {self.process.pid}: {line.rstrip()}")
            partitions = {int(p) for p in re.findall(r"\[(\d+)\]", line)}
            event = re.search(r"rebalanced.*?(incremental )?(assign|revo)", line)
            if event and event.group(2) == "assign":
                self.assigned_events += 1
                self.assigned = self.assigned | partitions if event.group(1) else partitions
            elif event:
                self.assigned = self.assigned - partitions

    def stop(self, how=signal.SIGTERM):
        """Stops it; SIGTERM makes it commit what it printed and leave the group."""
        self.process.send_signal(how)
        self.process.wait(30)
        for thread in self.threads:
            thread.join(10)


def settled(members, partitions, each):
    def shared():
        for member in members:
            check(member.process.poll() is None, "a member of the group ended by itself")
        owned = sorted(p for member in members for p in member.assigned)
        sizes = [len(member.assigned) for member in members]
        return owned == list(range(partitions)) and sizes == [each] * len(members)

    eventually(shared, lambda: f"partitions settle: {[m.assigned for m in members]}")


def read_all(members, expected):
    def missing():
        return set(expected) - {value for member in members for value in member.values}

    eventually(lambda: not missing(), lambda: f"missing: {sorted(missing())[:5]}")


def wide_topic(name, partitions):
    """A topic with several partitions: kcat has no way to ask, so Python's client is asked."""
    name = fresh(name)
    script = (
        "import sys; from confluent_kafka.admin import AdminClient, NewTopic\n"
        "admin = AdminClient({'bootstrap.servers': sys.argv[1]})\n"
        "admin.create_topics([NewTopic(sys.argv[2], int(sys.argv[3]), 1)])[sys.argv[2]].result(30)\n"
    )
    command = [sys.executable, "-c", script, SUITE.bootstrap, name, str(partitions)]
    subprocess.run(command, check=True, timeout=COMMAND_SECONDS_MAX)
    eventually(
        lambda: len(metadata().get(name, {"partitions": []})["partitions"]) == partitions,
        f"topic {name} has {partitions} partitions",
    )
    return name


def spread(name, partitions, start, count):
    values = [f"value-{n}" for n in range(start, start + count)]
    for partition in range(partitions):
        produce(name, values[partition::partitions], "-p", str(partition))
    return values


@SUITE.case
def metadata_names_broker_and_topic():
    name = topic("metadata")
    found = json.loads(kcat("-L", "-J"))
    check_equal(len(found["brokers"]), 1, "brokers")
    check_equal(found["brokers"][0]["name"], SUITE.bootstrap, "advertised address")
    check_equal(len(metadata()[name]["partitions"]), 1, "partitions")
    check(name in kcat("-L", "-t", name), "the topic in the list for people")


for codec in ("none", "gzip", "snappy", "lz4", "zstd"):

    def produce_consume(codec=codec):
        name = topic(f"compression-{codec}")
        lines = [f"value {n} with words that compress well, words that compress" for n in range(500)]
        produce(name, lines, "-z", codec, "-X", "linger.ms=20")
        read = consume(name)
        check_equal(payloads(read), lines, "values")
        check_equal([r["offset"] for r in read], list(range(1, 501)), "offsets")

    SUITE.case(produce_consume, f"produce_consume_{codec}")


@SUITE.case
def keys_are_kept():
    name = topic("keys")
    produce(name, ["k1|v1", "k2|v2", "|empty key", "no key"], "-K", "|")
    read = consume(name)
    check_equal([(r["key"], r["payload"]) for r in read][:2], [("k1", "v1"), ("k2", "v2")], "keys")
    check_equal(payloads(read), ["v1", "v2", "empty key", "no key"], "values")


@SUITE.case
def headers_keep_order_and_duplicates():
    name = topic("headers")
    produce(name, ["v"], "-H", "a=1", "-H", "b=2", "-H", "a=3", "-H", "empty=", "-H", "null")
    expected = ["a", "1", "b", "2", "a", "3", "empty", "", "null", None]
    check_equal(consume(name)[0]["headers"], expected, "headers")


@SUITE.case
def tombstones_are_kept():
    name = topic("tombstones")
    produce(name, ["gone|", "kept|v"], "-K", "|", "-Z")
    read = consume(name)
    check_equal([(r["key"], r["payload"]) for r in read], [("gone", None), ("kept", "v")], "values")


@SUITE.case
def timestamps_are_searched():
    name = topic("timestamps")
    before = int(time.time() * 1000)
    produce(name, ["a", "b"])
    after = int(time.time() * 1000)
    read = consume(name)
    check_equal({r["tstype"] for r in read}, {"create"}, "timestamp type")
    check(all(before <= r["ts"] <= after for r in read), f"timestamps {read}")
    time.sleep(0.05)
    produce(name, ["later"])
    check(re.search(r"offset 3\b", kcat("-Q", "-t", f"{name}:0:{after + 1}")), "offset by time")
    check(re.search(r"offset 0\b", kcat("-Q", "-t", f"{name}:0:-2")), "the earliest offset")
    check(re.search(r"offset 4\b", kcat("-Q", "-t", f"{name}:0:-1")), "the end offset")
    check_equal(payloads(consume(name, f"s@{after + 1}")), ["later"], "values from a time on")


@SUITE.case
def reading_starts_at_any_offset():
    name = topic("offsets")
    produce(name, [str(n) for n in range(1, 101)])
    check_equal(payloads(consume(name, 90)), [str(n) for n in range(90, 101)], "from 90")
    check_equal(payloads(consume(name, -5)), [str(n) for n in range(96, 101)], "the last five")
    check_equal(payloads(consume(name, 10, "-c", "3")), ["10", "11", "12"], "three from 10")
    check_equal(len(consume(name, "beginning")), 101, "from the beginning")


@SUITE.case
def record_of_one_megabyte():
    name = topic("large")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "value")
        value = os.urandom(500_000).hex()
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
        for codec in ("none", "lz4"):
            kcat("-P", "-t", name, "-z", codec, "-X", "message.max.bytes=2000000", path)
    check(payloads(consume(name)) == [value, value], "the large values differ")


@SUITE.case
def record_beyond_the_limit_is_refused():
    name = topic("too-large")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "value")
        with open(path, "w", encoding="ascii") as file:
            file.write(os.urandom(1_000_000).hex())
        log = kcat("-P", "-t", name, "-X", "message.max.bytes=4000000", path, fails=True)
    check("too large" in log.lower(), f"no word of the size: {log[-500:]}")
    check_equal(len(consume(name, 0)), 1, "records, of which none is the large one")


@SUITE.case
def idempotent_producer_keeps_order():
    name = topic("idempotent")
    lines = [str(n) for n in range(5000)]
    produce(name, lines, "-X", "enable.idempotence=true", "-X", "batch.num.messages=100")
    check_equal(payloads(consume(name)), lines, "values")


for acks in ("0", "1", "all"):

    def acks_case(acks=acks):
        name = topic(f"acks-{acks}")
        produce(name, ["a", "b"], "-X", f"acks={acks}")
        eventually(lambda: payloads(consume(name)) == ["a", "b"], "both values are read")

    SUITE.case(acks_case, f"acks_{acks}")


@SUITE.case
def unknown_topic_to_consume_is_an_error():
    log = kcat(
        "-C", "-t", fresh("nowhere"), "-p", "0", "-e", "-X", "allow.auto.create.topics=false",
        fails=True,
    )  # fmt: skip
    check("unknown" in log.lower(), f"no word of the unknown topic: {log[-500:]}")


@SUITE.case
def group_of_three_rebalances():
    name, group = wide_topic("group", 6), fresh("group")
    members = [GroupMember(group, name) for _ in range(3)]
    settled(members, 6, each=2)
    expected = spread(name, 6, 0, 300)
    read_all(members, expected)
    leaver = members.pop()
    leaver.stop()
    settled(members, 6, each=3)
    expected += spread(name, 6, 300, 300)
    read_all(members + [leaver], expected)
    members.append(GroupMember(group, name))
    settled(members, 6, each=2)
    expected += spread(name, 6, 600, 300)
    read_all(members + [leaver], expected)
    for member in members:
        member.stop()


@SUITE.case
def member_that_dies_is_replaced():
    name, group = wide_topic("dies", 4), fresh("dies")
    members = [GroupMember(group, name, "-X", "session.timeout.ms=6000") for _ in range(2)]
    settled(members, 4, each=2)
    members.pop().stop(signal.SIGKILL)
    settled(members, 4, each=4)
    read_all(members, spread(name, 4, 0, 40))
    members[0].stop()


def read_some(name, group, partitions, start, count):
    expected = spread(name, partitions, start, count)
    member = GroupMember(group, name)
    read_all([member], expected)
    member.stop()
    check_equal(sorted(member.values), sorted(expected), "what the group read")


@SUITE.case
def group_resumes_from_committed_offsets():
    name, group = wide_topic("resume", 2), fresh("resume")
    read_some(name, group, 2, 0, 100)
    read_some(name, group, 2, 100, 50)


@SUITE.case
def cooperative_sticky_group():
    name, group = wide_topic("cooperative", 4), fresh("cooperative")
    strategy = ("-X", "partition.assignment.strategy=cooperative-sticky")
    first = GroupMember(group, name, *strategy)
    settled([first], 4, each=4)
    second = GroupMember(group, name, *strategy)
    settled([first, second], 4, each=2)
    read_all([first, second], spread(name, 4, 0, 100))
    second.stop()
    settled([first], 4, each=4)
    first.stop()


@SUITE.case
def static_member_returns_to_its_partitions():
    name, group = wide_topic("static", 4), fresh("static")
    stays = GroupMember(group, name, "-X", "group.instance.id=stays")
    leaves = GroupMember(group, name, "-X", "group.instance.id=returns")
    settled([stays, leaves], 4, each=2)
    owned, events = set(leaves.assigned), stays.assigned_events
    leaves.stop()
    back = GroupMember(group, name, "-X", "group.instance.id=returns")
    settled([stays, back], 4, each=2)
    check_equal(back.assigned, owned, "partitions of the member that came back")
    check_equal(stays.assigned_events, events, "rebalances that the other member saw")
    back.stop()
    stays.stop()


@SUITE.case
def group_resumes_after_node_restart():
    name, group = wide_topic("restart", 2), fresh("restart")
    read_some(name, group, 2, 0, 100)
    SUITE.control.restart()
    read_some(name, group, 2, 100, 50)
    check_equal(len(consume(name, 0)), 75, "records of partition 0 after the restart")


@SUITE.case
def acknowledged_records_survive_kill():
    name = topic("kill")
    lines = [str(n) for n in range(1000)]
    produce(name, lines, "-X", "acks=all")
    SUITE.control.kill()
    check_equal(payloads(consume(name)), lines, "values after the kill")


def main():
    SUITE.arguments()
    about = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"Version (\S+)", about).group(1)
    library = re.search(r"librdkafka (\S+)", about).group(1)
    SUITE.run(f"kcat {version} (librdkafka {library})")


if __name__ == "__main__":
    main()
