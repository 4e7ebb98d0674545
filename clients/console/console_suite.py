"""Kafka's own command line tools against a node: console producer and consumer, and three more."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from suite import LOG_LINES_KEPT, Suite, check, check_equal, eventually, fresh  # noqa: E402

COMMAND_SECONDS_MAX = 90
TOOLS = "org.apache.kafka.tools."
SUITE = Suite(__doc__)
SUITE.parser.add_argument("--lib", required=True, help="folder with the jars of kafka-tools")


def tool(name, *arguments, stdin="", bootstrap=True, fails=False):
    """Runs one tool to its end and returns its output."""
    command = [
        "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp", os.path.join(SUITE.args.lib, "*"), TOOLS + name,
        *(["--bootstrap-server", SUITE.bootstrap] if bootstrap else []), *arguments,
    ]  # fmt: skip
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
    )
    for line in (done.stderr + done.stdout).splitlines()[-LOG_LINES_KEPT:]:
        SUITE.log.lines.append(f"{name}: {line}")
    check((done.returncode != 0) == fails, f"{name} exits with {done.returncode}")
    return done.stdout + done.stderr if fails else done.stdout


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
