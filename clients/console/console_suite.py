"""Kafka's own command line tools against a node: console producer and consumer, and three more."""

import glob
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from confluent_kafka import Producer  # noqa: E402
from suite import NotRun, Suite, check, check_equal, eventually, fresh  # noqa: E402
from tools import Tools  # noqa: E402

SUITE = Suite(__doc__)
SUITE.parser.add_argument("--data-dir", help="the node's data, for the tool that reads files")


tool = Tools(SUITE).run


def produce(topic, lines, *arguments):
    stdin = "".join(f"{line}\n" for line in lines)
    tool("ConsoleProducer", "--topic", topic, *arguments, stdin=stdin)


def consume(topic, count, *arguments):
    out = tool(
        "consumer.ConsoleConsumer", "--topic", topic, "--max-messages", str(count),
        "--timeout-ms", "30000", *arguments,
    )  # fmt: skip
    return out.splitlines()


@SUITE.case
def hello_and_world_come_out_again():
    topic = fresh("hello")
    produce(topic, ["hello", "world"])
    check_equal(consume(topic, 2, "--from-beginning"), ["hello", "world"], "lines")


@SUITE.case
def old_broker_list_flag_is_answered_by_the_tool():
    """`--broker-list` is gone from Kafka 4's tools: the tool itself says so, to any broker."""
    topic = fresh("broker-list")
    out = tool(
        "ConsoleProducer", "--broker-list", SUITE.bootstrap, "--topic", topic,
        stdin="hello\n", bootstrap=False, fails=True,
    )  # fmt: skip
    check("broker-list is not a recognized option" in out, f"the tool's answer changed: {out[:300]}")


@SUITE.case
def keys_headers_and_timestamps_are_printed():
    topic = fresh("printed")
    properties = [
        "--reader-property", "parse.key=true", "--reader-property", "key.separator=|",
        "--reader-property", "parse.headers=true", "--reader-property", "headers.delimiter=#",
        "--reader-property", "null.marker=NULL",
    ]  # fmt: skip
    produce(topic, ["a:1,a:2#k1|v1", "b:3#k2|NULL"], *properties)
    read = consume(
        topic, 2, "--from-beginning",
        "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true",
        "--formatter-property", "print.timestamp=true", "--formatter-property", "print.offset=true",
    )  # fmt: skip
    stripped = [re.sub(r"CreateTime:\d{13}", "CreateTime:T", line) for line in read]
    expected = [
        "CreateTime:T\tOffset:0\ta:1,a:2\tk1\tv1",
        "CreateTime:T\tOffset:1\tb:3\tk2\tnull",
    ]
    check_equal(stripped, expected, "lines")


for codec in ("gzip", "snappy", "lz4", "zstd"):

    def compressed(codec=codec):
        topic = fresh(f"codec-{codec}")
        lines = [f"line {n} of words that compress" for n in range(200)]
        produce(topic, lines, "--compression-codec", codec)
        check_equal(consume(topic, 200, "--from-beginning"), lines, "lines")

    SUITE.case(compressed, f"produce_consume_{codec}")


@SUITE.case
def group_goes_on_where_it_stopped():
    topic, group = fresh("group"), fresh("group")
    produce(topic, ["1", "2", "3"])
    check_equal(consume(topic, 2, "--group", group, "--from-beginning"), ["1", "2"], "first two")
    check_equal(consume(topic, 1, "--group", group), ["3"], "what was left")


@SUITE.case
def topics_tool_creates_lists_describes_alters_deletes():
    topic = fresh("tool")
    tool("TopicCommand", "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=1000")
    check(topic in tool("TopicCommand", "--list").split(), "the topic is not listed")
    described = tool("TopicCommand", "--describe", "--topic", topic)
    check("PartitionCount: 2" in described, f"no partition count: {described}")
    check("retention.ms=1000" in described, f"no config: {described}")
    tool("TopicCommand", "--alter", "--topic", topic, "--partitions", "3")
    eventually(
        lambda: "PartitionCount: 3" in tool("TopicCommand", "--describe", "--topic", topic),
        "the third partition",
    )
    tool("TopicCommand", "--create", "--topic", topic, fails=True)
    tool("TopicCommand", "--delete", "--topic", topic)
    eventually(lambda: topic not in tool("TopicCommand", "--list").split(), "the topic is gone")


@SUITE.case
def offsets_tool_prints_ends():
    topic = fresh("ends")
    produce(topic, ["a", "b", "c"])
    check_equal(tool("GetOffsetShell", "--topic", topic).split(), [f"{topic}:0:3"], "end offset")
    earliest = tool("GetOffsetShell", "--topic", topic, "--time", "earliest").split()
    check_equal(earliest, [f"{topic}:0:0"], "earliest offset")


@SUITE.case
def groups_tool_shows_the_lag():
    topic, group = fresh("lag"), fresh("lag")
    produce(topic, ["1", "2", "3"])
    consume(topic, 1, "--group", group, "--from-beginning")
    check(group in tool("consumer.group.ConsumerGroupCommand", "--list").split(), "not listed")
    described = tool("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
    row = next((line.split() for line in described.splitlines() if topic in line), None)
    check(row is not None, f"no row of the topic: {described}")
    check_equal(row[2:6], ["0", "1", "3", "2"], "partition, current offset, end offset, lag")


@SUITE.case
def groups_tool_resets_and_deletes():
    topic, group = fresh("reset"), fresh("reset")
    produce(topic, ["1", "2", "3"])
    consume(topic, 3, "--group", group, "--from-beginning")
    command = "consumer.group.ConsumerGroupCommand"
    reset = ["--group", group, "--topic", topic, "--reset-offsets", "--to-earliest", "--execute"]
    eventually(lambda: topic in tool(command, *reset), "the offsets are reset")
    check_equal(consume(topic, 1, "--group", group), ["1"], "the first line again")
    check(group in tool("GroupsCommand", "--list"), "the groups' tool does not list it")
    tool(command, "--group", group, "--delete-offsets", "--topic", topic)
    tool(command, "--group", group, "--delete")
    check(group not in tool(command, "--list").split(), "a deleted group is listed")


@SUITE.case
def configs_tool_changes_topics_brokers_and_clients():
    topic, client = fresh("config"), fresh("client")
    tool("TopicCommand", "--create", "--topic", topic)
    command, of_topic = "kafka.admin.ConfigCommand", ["--entity-type", "topics", "--entity-name", topic]
    tool(command, *of_topic, "--alter", "--add-config", "retention.ms=12345,cleanup.policy=compact")
    described = tool(command, *of_topic, "--describe")
    check("retention.ms=12345" in described and "DYNAMIC_TOPIC_CONFIG" in described, f"described: {described}")
    tool(command, *of_topic, "--alter", "--delete-config", "retention.ms")
    check("retention.ms" not in tool(command, *of_topic, "--describe"), "a deleted setting is there")
    refused = tool(command, *of_topic, "--alter", "--add-config", "retention.ms=soon", fails=True)
    check("retention.ms" in refused, f"the refusal does not name the setting: {refused}")
    brokers = ["--entity-type", "brokers", "--entity-default"]
    tool(command, *brokers, "--alter", "--add-config", "log.retention.ms=999999")
    check("log.retention.ms=999999" in tool(command, *brokers, "--describe"), "the default of all brokers")
    tool(command, *brokers, "--alter", "--delete-config", "log.retention.ms")
    clients = ["--entity-type", "clients", "--entity-name", client]
    tool(command, *clients, "--alter", "--add-config", "producer_byte_rate=1024")
    check("producer_byte_rate=1024" in tool(command, *clients, "--describe"), "the quota of a client")
    tool(command, *clients, "--alter", "--delete-config", "producer_byte_rate")


@SUITE.case
def records_tool_deletes_up_to_an_offset():
    topic = fresh("delete")
    produce(topic, ["1", "2", "3"])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"partitions": [{"topic": topic, "partition": 0, "offset": 2}], "version": 1}, file)
        file.flush()
        check("low_watermark: 2" in tool("DeleteRecordsCommand", "--offset-json-file", file.name), "low watermark")
    earliest = tool("GetOffsetShell", "--topic", topic, "--time", "earliest").split()
    check_equal(earliest, [f"{topic}:0:2"], "earliest offset")


@SUITE.case
def log_dirs_tool_tells_sizes():
    topic = fresh("sizes")
    produce(topic, ["x" * 1000])
    out = tool("LogDirsCommand", "--describe", "--topic-list", topic)
    answer = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    partitions = [p for broker in answer["brokers"] for folder in broker["logDirs"] for p in folder["partitions"]]
    check_equal([p["partition"] for p in partitions], [f"{topic}-0"], "partitions")
    check(partitions[0]["size"] > 1000, f"size: {partitions[0]}")


@SUITE.case
def transactions_tool_lists_and_describes():
    topic, name = fresh("txn"), fresh("txn")
    open_transaction = begun(topic, name)
    check(name in tool("TransactionsCommand", "list"), "an open transaction is not listed")
    described = tool("TransactionsCommand", "describe", "--transactional-id", name)
    check("Ongoing" in described and f"{topic}-0" in described, f"described: {described}")
    producers = tool("TransactionsCommand", "describe-producers", "--topic", topic, "--partition", "0")
    row = producers.splitlines()[-1].split()
    check(row[-1].isdigit(), f"no start of the open transaction: {producers}")
    tool("TransactionsCommand", "find-hanging", "--broker-id", row_of_broker())
    tool("TransactionsCommand", "abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
    ended = tool("TransactionsCommand", "describe-producers", "--topic", topic, "--partition", "0")
    check_equal(ended.splitlines()[-1].split()[-1], "None", "start of the open transaction")
    del open_transaction


def begun(topic, name):
    producer = Producer({"bootstrap.servers": SUITE.bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "open")
    check_equal(producer.flush(30), 0, "records that were not acknowledged")
    return producer


def row_of_broker():
    out = tool("MetadataQuorumCommand", "describe", "--status")
    leader = re.search(r"LeaderId:\s+(\d+)", out)
    check(leader, f"no leader of the quorum: {out}")
    return leader.group(1)


@SUITE.case
def client_metrics_tool_subscribes():
    name = fresh("subscription")
    tool("ClientMetricsCommand", "--alter", "--name", name, "--metrics", "org.apache.kafka.producer.", "--interval", "5000")
    check(name in tool("ClientMetricsCommand", "--list"), "the subscription is not listed")
    check("interval.ms=5000" in tool("ClientMetricsCommand", "--describe", "--name", name), "interval")
    tool("ClientMetricsCommand", "--delete", "--name", name)
    check(name not in tool("ClientMetricsCommand", "--list"), "a deleted subscription is listed")


@SUITE.case
def versions_tool_reads_what_the_node_knows():
    out = tool("BrokerApiVersionsCommand")
    for api in ("Produce(0)", "EndTxn(26)", "ConsumerGroupHeartbeat(68)", "AlterClientQuotas(49)"):
        check(api in out and "UNSUPPORTED" not in out.split(api)[1].split(",")[0], f"{api}: {out[-800:]}")


@SUITE.case
def files_are_read_by_kafkas_own_tool():
    if not SUITE.args.data_dir:
        raise NotRun("needs --data-dir, the node's data")
    topic, group, name = fresh("dump"), fresh("dump"), fresh("dump")
    produce(topic, ["hello", "world"])
    consume(topic, 2, "--group", group, "--from-beginning")
    producer = begun(topic, name)
    producer.abort_transaction(30)
    dumped = dump(f"{topic}-0", ".log", "--print-data-log", "--deep-iteration")
    check("payload: hello" in dumped and "payload: open" in dumped, f"records: {dumped[-1500:]}")
    check("ABORT" in dumped, f"no marker: {dumped[-1500:]}")
    internal = {"__consumer_offsets": "--offsets-decoder", "__transaction_state": "--transaction-log-decoder"}
    for prefix, decoder in internal.items():
        found = "".join(
            dump(folder, ".log", decoder) for folder in os.listdir(SUITE.args.data_dir)
            if folder.startswith(prefix) and has_records(folder)
        )  # fmt: skip
        wanted = group if prefix == "__consumer_offsets" else name
        check(wanted in found, f"{wanted} is not in {prefix}: {found[-1500:]}")
    SUITE.control.restart()
    for kind in (".index", ".timeindex"):
        dump(f"{topic}-0", kind, "--index-sanity-check")


def has_records(folder):
    path = os.path.join(SUITE.args.data_dir, folder)
    return any(name.endswith(".log") and os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))


def dump(folder, kind, *arguments):
    path = os.path.join(SUITE.args.data_dir, folder)
    files = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(kind))
    check(files, f"no {kind} in {path}")
    out = tool("DumpLogSegments", "--files", ",".join(files), *arguments, bootstrap=False)
    check("corrupt" not in out.lower() and "mismatch" not in out.lower(), f"Kafka's tool complains: {out[-1500:]}")
    return out


@SUITE.case
def topics_tool_finds_partitions_at_the_minimum_of_replicas():
    topic = fresh("at-min")
    settings = ["--partitions", "2", "--config", "min.insync.replicas=1"]
    tool("TopicCommand", "--create", "--topic", topic, *settings)
    rows = tool("TopicCommand", "--describe", "--topic", topic, "--at-min-isr-partitions").splitlines()
    check_equal(sum(topic in row for row in rows), 2, f"partitions at the minimum in {rows}")
    under = tool("TopicCommand", "--describe", "--topic", topic, "--under-min-isr-partitions")
    check(topic not in under, f"a partition has fewer replicas than it needs: {under}")


@SUITE.case
def offsets_tool_finds_timestamps():
    topic = fresh("times")
    produce(topic, ["a", "b"])
    first = tool("GetOffsetShell", "--topic", topic, "--time", "1000").split()
    check_equal(first, [f"{topic}:0:0"], "first since 1970")
    newest = tool("GetOffsetShell", "--topic", topic, "--time", "max-timestamp").split()
    check(newest in ([f"{topic}:0:0"], [f"{topic}:0:1"]), f"the newest record: {newest}")


def dumped(pattern, *arguments):
    """What DumpLogSegments prints about the files of the node that match the pattern."""
    if not SUITE.args.data_dir:
        raise NotRun("needs --data-dir, the folder with the node's logs")
    files = sorted(glob.glob(os.path.join(SUITE.args.data_dir, "**", pattern), recursive=True))
    check(files, f"no file {pattern} in {SUITE.args.data_dir}")
    return tool("DumpLogSegments", "--files", ",".join(files), *arguments, bootstrap=False)


@SUITE.case
def rolled_segments_have_whole_indexes():
    """The segment is rolled, because only then its indexes must be complete on disk."""
    topic = fresh("dump")
    settings = ["--config", "segment.bytes=1048576", "--config", "index.interval.bytes=100"]
    tool("TopicCommand", "--create", "--topic", topic, *settings)
    sent = [f"line {n} " + "x" * 1000 for n in range(1500)]
    produce(topic, sent)
    lines = dumped(f"{topic}-0/*.log", "--print-data-log", "--deep-iteration")
    read = re.findall(r"payload: (line \d+ x+)$", lines, re.MULTILINE)
    check_equal(len(read), len(sent), "number of payloads")
    check(read == sent, "the payloads are others than those that were sent")
    check("isvalid: false" not in lines, "a batch is not valid")
    first = f"{topic}-0/{0:020}"
    for kind in ("index", "timeindex"):
        out = dumped(f"{first}.{kind}", "--index-sanity-check")
        check("passed sanity check" in out, f"{kind}: {out}")
        out = dumped(f"{first}.{kind}", "--verify-index-only")
        check("Mismatches" not in out and "Found" not in out, f"{kind}: {out}")
    out = dumped(f"{first}.index")
    check("offset: " in out, f"the index has no entry: {out}")


@SUITE.case
def lines_outlive_a_node_restart():
    topic = fresh("restart")
    produce(topic, ["hello", "world"])
    SUITE.control.restart()
    check_equal(consume(topic, 2, "--from-beginning"), ["hello", "world"], "lines")


def main():
    arguments = SUITE.arguments()
    jars = [re.fullmatch(r"kafka-tools-(\d.*)\.jar", name) for name in os.listdir(arguments.lib)]
    version = next((jar.group(1) for jar in jars if jar), "of an unknown version")
    SUITE.run(f"Kafka's tools {version}")


if __name__ == "__main__":
    main()
