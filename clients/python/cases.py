"""The cases that every Python client runs, written against one small interface.

A client module gives an object with these members:

    produce(topic, records, **options) -> [Record]   with partition and offset; raises on refusal
        options: compression, idempotent, acks ("all", 1, 0), size_max
    consume(topic, count, partition=0, start=0) -> [Record]
    bounds(topic, partition) -> (first offset, end offset)
    offset_for_time(topic, partition, timestamp_ms) -> offset or None
    member(group, topic, strategy, instance=None) -> a Member of a consumer group
    create_topic(topic, partitions, config), delete_topic, list_topics, describe_topic,
    create_partitions, describe_configs, describe_cluster, list_groups, describe_group
    reconnect(): called when the node has been restarted
    null_headers, records_without_key_and_value: whether the client can send them
    error_name(exception) -> Kafka's name of the error, e.g. "TOPIC_ALREADY_EXISTS"
"""

import os
import threading
import time
from typing import NamedTuple, Optional

from suite import check, check_equal, eventually, fresh

CREATE_TIME = 0
LOG_APPEND_TIME = 1
MESSAGE_MAX_BYTES = 1_048_588
# What a batch of one record needs beyond the value: header, lengths, attributes.
BATCH_OVERHEAD_BYTES = 100


class Record(NamedTuple):
    value: Optional[bytes]
    key: Optional[bytes] = None
    headers: tuple = ()
    timestamp_ms: Optional[int] = None
    partition: int = 0
    offset: Optional[int] = None
    timestamp_type: int = CREATE_TIME

    def content(self):
        return (self.key, self.value, self.headers)


class Member:
    """One consumer of a group in its own thread. Clients implement the four `_` methods."""

    def __init__(self):
        self.records = []
        self.assigned = set()
        self.events = []
        self.error = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def _loop(self):
        try:
            self._open()
            while not self._stop.is_set():
                self.records.extend(self._poll())
            self._commit()
            self._close()
        except Exception as error:  # Reported by `check_alive`, on the case's own thread.
            self.error = error

    def on_assigned(self, partitions, whole):
        self.events.append(("assigned", frozenset(partitions)))
        self.assigned = set(partitions) if whole else self.assigned | set(partitions)

    def on_revoked(self, partitions):
        self.events.append(("revoked", frozenset(partitions)))
        self.assigned -= set(partitions)

    def check_alive(self):
        if self.error:
            raise self.error

    def stop(self):
        """Commits what was read, leaves the group and waits for the end."""
        self._stop.set()
        self._thread.join(45)
        self.check_alive()
        check(not self._thread.is_alive(), "the member did not stop within 45 s")


def numbered(count, start=0, partition=0, filler=b"some words that compress well " * 3):
    return [
        Record(b"value-%d " % n + filler, key=b"key-%d" % n, partition=partition)
        for n in range(start, start + count)
    ]


def contents(records):
    return [record.content() for record in records]


def add_all(suite, client):
    """Adds every shared case to the suite, in the order in which they run."""
    group_cases = GroupCases(suite, client)
    record_cases(suite, client)
    admin_cases(suite, client)
    for case in (
        group_cases.group_of_three_rebalances,
        group_cases.group_resumes_from_committed_offsets,
        group_cases.cooperative_sticky_keeps_partitions,
        group_cases.static_member_returns_to_its_partitions,
        group_cases.groups_are_listed_and_described,
        group_cases.group_resumes_after_node_restart,
        group_cases.acknowledged_records_and_offsets_survive_kill,
    ):
        suite.case(case)


def record_cases(suite, client):
    def topic(name, partitions=1, **config):
        name = fresh(name)
        client.create_topic(name, partitions, config)
        return name

    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):

        def produce_consume(compression=compression):
            name = topic(f"compression-{compression}")
            sent = numbered(500)
            acknowledged = client.produce(name, sent, compression=compression)
            check_equal([r.offset for r in acknowledged], list(range(500)), "offsets acknowledged")
            read = client.consume(name, 500)
            check_equal(contents(read), contents(sent), "records read")
            check_equal([r.offset for r in read], list(range(500)), "offsets read")

        suite.case(produce_consume, f"produce_consume_{compression}")

    @suite.case
    def keys_choose_the_partition():
        name = topic("keys", partitions=3)
        sent = [Record(b"v%d" % n, key=b"key-%d" % (n % 20), partition=None) for n in range(200)]
        placed = client.produce(name, sent)
        by_key = {}
        for record in placed:
            by_key.setdefault(record.key, set()).add(record.partition)
        check(all(len(p) == 1 for p in by_key.values()), f"a key in two partitions: {by_key}")
        check_equal({p for ps in by_key.values() for p in ps}, {0, 1, 2}, "partitions used")
        for partition in range(3):
            expected = [r for r in placed if r.partition == partition]
            read = client.consume(name, len(expected), partition=partition)
            check_equal(contents(read), contents(expected), f"records of partition {partition}")

    @suite.case
    def headers_keep_order_and_duplicates():
        name = topic("headers")
        headers = (("a", b"1"), ("b", b"2"), ("a", b"3"), ("empty", b""), ("\u00fc", b"\x00\xff"))
        if client.null_headers:
            headers += (("null", None),)
        client.produce(name, [Record(b"v", headers=headers), Record(b"w")])
        read = client.consume(name, 2)
        check_equal(read[0].headers, headers, "headers")
        check_equal(read[1].headers, (), "headers of a record without any")

    @suite.case
    def timestamps_are_kept_and_searched():
        # These times are long past: without this, retention takes the records away.
        name = topic("timestamps", **{"retention.ms": "-1"})
        times = [1_600_000_000_000 + n * 1000 for n in range(50)]
        client.produce(name, [Record(b"v", timestamp_ms=t) for t in times])
        read = client.consume(name, 50)
        check_equal([r.timestamp_ms for r in read], times, "timestamps")
        check_equal({r.timestamp_type for r in read}, {CREATE_TIME}, "timestamp type")
        check_equal(client.offset_for_time(name, 0, times[20]), 20, "offset of an exact time")
        check_equal(client.offset_for_time(name, 0, times[20] + 1), 21, "offset of a time between")
        check_equal(client.offset_for_time(name, 0, times[-1] + 1), None, "offset of a later time")

    @suite.case
    def log_append_time_replaces_the_clients():
        name = topic("append-time", **{"message.timestamp.type": "LogAppendTime"})
        before = int(time.time() * 1000) - 1000
        client.produce(name, [Record(b"v", timestamp_ms=1_600_000_000_000)] * 3)
        for record in client.consume(name, 3):
            check_equal(record.timestamp_type, LOG_APPEND_TIME, "timestamp type")
            check(record.timestamp_ms >= before, f"not the broker's time: {record.timestamp_ms}")

    @suite.case
    def null_and_empty_are_told_apart():
        name = topic("tombstones")
        sent = [
            Record(None, key=b"gone"),
            Record(b"", key=b"empty"),
            Record(b"v", key=None),
            Record(b"v", key=b""),
        ]
        if client.records_without_key_and_value:
            sent.append(Record(None, key=None))
        client.produce(name, sent)
        read = client.consume(name, len(sent))
        check_equal(contents(read), contents(sent), "nulls and empties")

    @suite.case
    def record_of_one_megabyte():
        name = topic("large")
        sizes = [1_000_000, MESSAGE_MAX_BYTES - BATCH_OVERHEAD_BYTES]
        sent = [Record(os.urandom(size), key=b"k") for size in sizes]
        for compression in ("none", "zstd"):
            client.produce(name, sent[:1], compression=compression, size_max=4_000_000)
        client.produce(name, sent[1:], size_max=4_000_000)
        read = client.consume(name, 3)
        check_equal([len(r.value) for r in read], [sizes[0]] + sizes, "sizes")
        check(read[0].value == sent[0].value == read[1].value, "the first value differs")
        check(read[2].value == sent[1].value, "the largest value differs")

    @suite.case
    def record_beyond_the_limit_is_refused():
        name = topic("too-large")
        client.produce(name, [Record(b"before")])
        try:
            client.produce(name, [Record(os.urandom(2_000_000))], size_max=4_000_000)
        except Exception as error:
            check_equal(client.error_name(error), "MESSAGE_TOO_LARGE", "the error")
        else:
            raise AssertionError("2 MB were accepted where 1 MiB is the limit")
        client.produce(name, [Record(b"after")])
        check_equal([r.value for r in client.consume(name, 2)], [b"before", b"after"], "values")

    @suite.case
    def topic_can_allow_larger_records():
        name = topic("larger", **{"max.message.bytes": "3000000"})
        value = os.urandom(2_000_000)
        client.produce(name, [Record(value)], size_max=4_000_000)
        check(client.consume(name, 1)[0].value == value, "the value differs")

    @suite.case
    def idempotent_producer_keeps_order():
        name = topic("idempotent", partitions=2)
        sent = [r for p in (0, 1) for r in numbered(2000, partition=p, filler=b"")]
        client.produce(name, sent, idempotent=True)
        for partition in (0, 1):
            read = client.consume(name, 2000, partition=partition)
            check_equal(
                [r.value for r in read],
                [r.value for r in sent if r.partition == partition],
                f"records of partition {partition}",
            )
            check_equal(client.bounds(name, partition), (0, 2000), "bounds")

    for acks in (0, 1):

        def acks_case(acks=acks):
            name = topic(f"acks-{acks}")
            client.produce(name, numbered(20), acks=acks, idempotent=False)
            check_equal(len(client.consume(name, 20)), 20, "records read")

        suite.case(acks_case, f"acks_{acks}")

    @suite.case
    def reading_starts_at_any_offset():
        name = topic("offsets")
        check_equal(client.bounds(name, 0), (0, 0), "bounds of an empty partition")
        client.produce(name, numbered(100))
        check_equal(client.bounds(name, 0), (0, 100), "bounds")
        read = client.consume(name, 40, start=60)
        check_equal([r.offset for r in read], list(range(60, 100)), "offsets from 60")
        # Beyond the end the client is told OFFSET_OUT_OF_RANGE and starts over at the earliest.
        read = client.consume(name, 100, start=5000)
        check_equal([r.offset for r in read], list(range(100)), "offsets after a reset")

    @suite.case
    def producing_creates_an_unknown_topic():
        name = fresh("created-by-producing")
        client.produce(name, [Record(b"v")])
        check_equal(client.consume(name, 1)[0].value, b"v", "value")


def admin_cases(suite, client):
    def refused(action, name):
        try:
            action()
        except Exception as error:
            check_equal(client.error_name(error), name, "the error")
        else:
            raise AssertionError(f"accepted, but {name} was expected")

    @suite.case
    def topics_are_created_listed_described_deleted():
        name = fresh("admin")
        client.create_topic(name, 3, {"retention.ms": "3600000"})
        eventually(lambda: name in client.list_topics(), "the topic is listed")
        description = client.describe_topic(name)
        check_equal(sorted(description), [0, 1, 2], "partitions")
        check(all(len(replicas) == 1 for replicas in description.values()), f"{description}")
        refused(lambda: client.create_topic(name, 1, {}), "TOPIC_ALREADY_EXISTS")
        client.delete_topic(name)
        eventually(lambda: name not in client.list_topics(), "the topic is gone")
        refused(lambda: client.delete_topic(name), "UNKNOWN_TOPIC_OR_PARTITION")
        # The name can be used again, and nothing of the old topic comes back.
        client.create_topic(name, 1, {})
        client.produce(name, [Record(b"new")])
        check_equal([r.offset for r in client.consume(name, 1)], [0], "first offset")

    @suite.case
    def wrong_topics_are_refused():
        refused(lambda: client.create_topic("no spaces", 1, {}), "INVALID_TOPIC_EXCEPTION")
        refused(lambda: client.create_topic(fresh("none"), 0, {}), "INVALID_PARTITIONS")
        bad = {"retention.ms": "soon"}
        refused(lambda: client.create_topic(fresh("bad"), 1, bad), "INVALID_CONFIG")

    @suite.case
    def partitions_are_added():
        name = fresh("grows")
        client.create_topic(name, 1, {})
        client.produce(name, [Record(b"old")])
        client.create_partitions(name, 4)
        eventually(lambda: sorted(client.describe_topic(name)) == [0, 1, 2, 3], "four partitions")
        refused(lambda: client.create_partitions(name, 2), "INVALID_PARTITIONS")
        client.produce(name, [Record(b"new", partition=3)])
        check_equal(client.consume(name, 1, partition=3)[0].value, b"new", "in the new one")
        check_equal(client.consume(name, 1)[0].value, b"old", "in the old one")

    @suite.case
    def topic_configs_are_described():
        name = fresh("configs")
        client.create_topic(name, 1, {"retention.ms": "7200000", "cleanup.policy": "compact"})
        configs = client.describe_configs("topic", name)
        expected = {
            "retention.ms": "7200000",
            "cleanup.policy": "compact",
            "max.message.bytes": str(MESSAGE_MAX_BYTES),
            "message.timestamp.type": "CreateTime",
        }
        check_equal({key: configs.get(key) for key in expected}, expected, "topic configs")

    @suite.case
    def broker_and_cluster_are_described():
        cluster = client.describe_cluster()
        check(cluster["id"], f"no cluster id: {cluster}")
        check_equal(len(cluster["nodes"]), 1, "nodes")
        configs = client.describe_configs("broker", str(cluster["nodes"][0]))
        check("log.dirs" in configs or "log.dir" in configs, f"no log.dirs in {sorted(configs)}")
        check("listeners" in configs, f"no listeners in {sorted(configs)}")


class GroupCases:
    def __init__(self, suite, client):
        self.suite = suite
        self.client = client

    def topic(self, name, partitions):
        name = fresh(name)
        self.client.create_topic(name, partitions, {})
        return name

    def settled(self, members, partitions, each=None):
        """Waits until the members own all partitions, every one of them exactly once."""

        def shared():
            for member in members:
                member.check_alive()
            owned = [p for member in members for p in member.assigned]
            sizes = [len(member.assigned) for member in members]
            return sorted(owned) == list(range(partitions)) and (
                each is None or sizes == [each] * len(members)
            )

        eventually(shared, lambda: f"partitions settle: {[m.assigned for m in members]}")

    def at_rest(self, members, seconds=3):
        """Waits until no member has seen a rebalance for some seconds: a client that learns of a
        topic's partitions late joins once more after all seems settled."""
        seen, since = None, time.monotonic()
        deadline = since + 45
        while time.monotonic() < since + seconds:
            events = [len(member.events) for member in members]
            if events != seen:
                seen, since = events, time.monotonic()
            check(time.monotonic() < deadline, "the group does not come to rest")
            time.sleep(0.1)

    def read_all(self, members, expected):
        """Waits until the members together have read exactly the expected values or more."""

        def seen():
            return {r.value for member in members for r in member.records}

        eventually(lambda: expected <= seen(), lambda: f"missing: {sorted(expected - seen())[:5]}")

    def produce(self, topic, partitions, start, count):
        records = [
            Record(b"value-%d" % n, partition=n % partitions) for n in range(start, start + count)
        ]
        self.client.produce(topic, records)
        return {record.value for record in records}

    def group_of_three_rebalances(self):
        topic, group = self.topic("group", 6), fresh("group")
        members = [self.client.member(group, topic, "range").start() for _ in range(3)]
        self.settled(members, 6, each=2)
        expected = self.produce(topic, 6, 0, 300)
        self.read_all(members, expected)
        leaver = members.pop()
        leaver.stop()
        self.settled(members, 6, each=3)
        expected |= self.produce(topic, 6, 300, 300)
        self.read_all(members + [leaver], expected)
        members.append(self.client.member(group, topic, "range").start())
        self.settled(members, 6, each=2)
        expected |= self.produce(topic, 6, 600, 300)
        self.read_all(members + [leaver], expected)
        for member in members:
            member.stop()

    def read_some(self, topic, group, partitions, start, count):
        """Produces, reads all of it with one member, and returns the values that it read."""
        expected = self.produce(topic, partitions, start, count)
        member = self.client.member(group, topic, "range").start()
        self.read_all([member], expected)
        member.stop()
        check_equal({r.value for r in member.records}, expected, "what the member read")
        check_equal(len(member.records), count, "number of records read")

    def group_resumes_from_committed_offsets(self):
        topic, group = self.topic("resume", 2), fresh("resume")
        self.read_some(topic, group, 2, 0, 100)
        self.read_some(topic, group, 2, 100, 50)

    def group_resumes_after_node_restart(self):
        topic, group = self.topic("restart", 2), fresh("restart")
        self.read_some(topic, group, 2, 0, 100)
        self.suite.control.restart()
        self.client.reconnect()
        self.read_some(topic, group, 2, 100, 50)
        check_equal(self.client.bounds(topic, 0), (0, 75), "bounds after the restart")

    def acknowledged_records_and_offsets_survive_kill(self):
        topic, group = self.topic("kill", 2), fresh("kill")
        self.read_some(topic, group, 2, 0, 100)
        expected = self.produce(topic, 2, 100, 100)
        self.suite.control.kill()
        self.client.reconnect()
        member = self.client.member(group, topic, "range").start()
        self.read_all([member], expected)
        member.stop()
        check_equal(len(member.records), 100, "number of records read after the kill")
        first = [r.value for p in (0, 1) for r in self.client.consume(topic, 50, partition=p)]
        check_equal(set(first), {b"value-%d" % n for n in range(100)}, "records before the kill")

    def cooperative_sticky_keeps_partitions(self):
        topic, group = self.topic("cooperative", 4), fresh("cooperative")
        first = self.client.member(group, topic, "cooperative-sticky").start()
        self.settled([first], 4, each=4)
        second = self.client.member(group, topic, "cooperative-sticky").start()
        self.settled([first, second], 4, each=2)
        revoked = [len(p) for kind, p in first.events if kind == "revoked" and p]
        check_equal(sum(revoked), 2, "partitions taken from the first member, and no more")
        expected = self.produce(topic, 4, 0, 200)
        self.read_all([first, second], expected)
        second.stop()
        self.settled([first], 4, each=4)
        first.stop()

    def static_member_returns_to_its_partitions(self):
        topic, group = self.topic("static", 4), fresh("static")
        stays = self.client.member(group, topic, "range", instance="stays").start()
        leaves = self.client.member(group, topic, "range", instance="returns").start()
        self.settled([stays, leaves], 4, each=2)
        self.at_rest([stays, leaves])
        owned, events = set(leaves.assigned), len(stays.events)
        # A static member does not say LeaveGroup: the other keeps what it has, undisturbed.
        leaves.stop()
        back = self.client.member(group, topic, "range", instance="returns").start()
        self.settled([stays, back], 4, each=2)
        check_equal(back.assigned, owned, "partitions of the member that came back")
        expected = self.produce(topic, 4, 0, 100)
        self.read_all([stays, back], expected)
        check_equal(len(stays.events), events, "rebalances that the other member saw")
        back.stop()
        stays.stop()

    def groups_are_listed_and_described(self):
        topic, group = self.topic("described", 2), fresh("described")
        members = [self.client.member(group, topic, "range").start() for _ in range(2)]
        self.settled(members, 2, each=1)
        check(group in self.client.list_groups(), "the group is not listed")
        state, count = self.client.describe_group(group)
        check_equal((state.lower(), count), ("stable", 2), "state and number of members")
        for member in members:
            member.stop()
        eventually(lambda: self.client.describe_group(group)[1] == 0, "the group is empty")
