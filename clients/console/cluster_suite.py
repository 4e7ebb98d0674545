"""Kafka's own tools for clusters, against three nodes: where replicas lie, who leads, who votes."""

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
# Nodes are killed and started, and each question to them is the start of a JVM.
SUITE.case_seconds_max = 400
tool = Tools(SUITE).run
SUITE.parser.add_argument("--folder", help="the cluster's folder: node-ID/data has the data of a node")

REASSIGN = "reassign.ReassignPartitionsCommand"
QUORUM = "MetadataQuorumCommand"


def create(topic, assignment, *settings):
    """Creates a topic whose partitions lie on these brokers: `1:2:3,2:3:1`."""
    arguments = ["--create", "--topic", topic, "--replica-assignment", assignment]
    for setting in settings:
        arguments += ["--config", setting]
    tool("TopicCommand", *arguments)


def described(topic, *filters):
    """The rows of a topic's partitions, each a dictionary: Partition, Leader, Replicas, Isr…"""
    out = tool("TopicCommand", "--describe", "--topic", topic, *filters)
    return rows(out, topic)


def rows(out, topic):
    found = []
    for line in out.splitlines():
        fields = dict(re.findall(r"(\w+): (\S*)", line))
        if fields.get("Topic") == topic and "Partition" in fields:
            found.append(fields)
    return found


def produce(topic, count, size=1000, acks="all"):
    producer = Producer({"bootstrap.servers": SUITE.bootstrap, "acks": acks, "linger.ms": 5})
    for number in range(count):
        producer.produce(topic, f"{number:08}" + os.urandom(size // 2).hex()[: size - 8])
        producer.poll(0)
    check_equal(producer.flush(60), 0, "records that were not acknowledged")


class Down:
    """A node that is killed for a while."""

    def __init__(self, node, word="kill"):
        self.node, self.word = node, word

    def __enter__(self):
        SUITE.control.node(self.word, self.node)

    def __exit__(self, *_):
        SUITE.control.node("start", self.node)


def json_file(value):
    file = tempfile.NamedTemporaryFile("w", suffix=".json")
    json.dump(value, file)
    file.flush()
    return file


def assignment(topic, *replicas):
    partitions = [{"topic": topic, "partition": n, "replicas": r} for n, r in enumerate(replicas)]
    return {"version": 1, "partitions": partitions}


def all_in_sync(topic):
    return all(sorted(row["Isr"].split(",")) == sorted(row["Replicas"].split(",")) for row in described(topic))


@SUITE.case
def topics_tool_finds_partitions_that_miss_a_node():
    """One partition for each way to be unwell while node 3 is away."""
    healthy, at, under, gone = fresh("healthy"), fresh("at"), fresh("under"), fresh("gone")
    create(healthy, "1:2", "min.insync.replicas=1")
    create(at, "1:2:3", "min.insync.replicas=2")
    create(under, "1:2:3", "min.insync.replicas=3")
    create(gone, "3", "min.insync.replicas=1")
    filters = {
        "--under-replicated-partitions": {at, under, gone},
        "--unavailable-partitions": {gone},
        "--at-min-isr-partitions": {at},
        "--under-min-isr-partitions": {under, gone},
    }
    ours = {healthy, at, under, gone}

    def found(name):
        out = tool("TopicCommand", "--describe", name)
        return {topic for topic in ours if rows(out, topic)}

    with Down(3):
        for name, expected in filters.items():
            # Whether the only replica is in sync while it is away is a matter of taste (KIP-966).
            unclear = set() if name == "--unavailable-partitions" else {gone}
            eventually(
                lambda name=name, expected=expected, unclear=unclear: found(name) - unclear == expected - unclear, name
            )
    eventually(lambda: all_in_sync(under), "all in sync")
    for name in filters:
        # A topic that needs all its replicas is always at the minimum.
        expected = {under, gone} if name == "--at-min-isr-partitions" else set()
        check_equal(found(name), expected, f"{name} once node 3 is back")


@SUITE.case
def reassignment_is_generated_executed_with_a_throttle_and_verified():
    topic = fresh("move")
    create(topic, "1:2,2:1,1:2")
    produce(topic, 3000)
    with json_file({"version": 1, "topics": [{"topic": topic}]}) as wanted:
        out = tool(REASSIGN, "--topics-to-move-json-file", wanted.name, "--broker-list", "2,3", "--generate")
    current, proposed = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    check_equal(len(current["partitions"]), 3, "partitions of the current assignment")
    brokers = {broker for partition in proposed["partitions"] for broker in partition["replicas"]}
    check_equal(brokers, {2, 3}, "brokers of the proposed assignment")
    with json_file(proposed) as plan:
        file = ["--reassignment-json-file", plan.name]
        out = tool(REASSIGN, *file, "--execute", "--throttle", "5000000")
        check("Successfully started partition reassignment" in out, f"execute: {out}")
        check("limit was set to 5000000" in out, f"no throttle: {out}")
        # A throttle that is there already can be changed while it moves.
        tool(REASSIGN, *file, "--execute", "--additional", "--throttle", "50000000")
        eventually(
            lambda: "is still in progress" not in tool(REASSIGN, *file, "--verify", "--preserve-throttles"),
            "the end of the reassignment",
        )
        configs = ["kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", topic, "--describe"]
        check("replication.throttled.replicas" in tool(*configs), "the throttle of the topic is gone too early")
        out = tool(REASSIGN, *file, "--verify")
        check(f"Reassignment of partition {topic}-0 is completed" in out, f"verify: {out}")
        check("Clearing topic-level throttles" in out, f"verify: {out}")
    check("replication.throttled.replicas" not in tool(*configs), "the throttle of the topic is still there")
    for broker in ("1", "2", "3"):
        out = tool("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-name", broker, "--describe")
        check("replication.throttled.rate" not in out, f"broker {broker} is still throttled: {out}")
    for row in described(topic):
        wanted = next(p for p in proposed["partitions"] if str(p["partition"]) == row["Partition"])
        check_equal(row["Replicas"], ",".join(map(str, wanted["replicas"])), "replicas")
        check_equal(sorted(row["Isr"].split(",")), sorted(row["Replicas"].split(",")), "in sync")


@SUITE.case
def reassignment_that_is_under_way_is_listed_and_cancelled():
    topic = fresh("cancel")
    create(topic, "1:2")
    produce(topic, 10000)
    with json_file(assignment(topic, [1, 3])) as plan:
        file = ["--reassignment-json-file", plan.name]
        tool(REASSIGN, *file, "--execute", "--throttle", "1000")
        out = tool(REASSIGN, "--list")
        row = next((line for line in out.splitlines() if f"{topic}-0" in line), None)
        check(row and "adding: 3" in row and "removing: 2" in row, f"list: {out}")
        out = tool("TopicCommand", "--describe", "--topic", topic)
        check("Adding Replicas: 3" in out and "Removing Replicas: 2" in out, f"describe: {out}")
        under = described(topic, "--under-replicated-partitions")
        check_equal(under, [], "under-replicated partitions while one is only being added")
        out = tool(REASSIGN, *file, "--execute", fails=True)
        check("existing assignment" in out.lower() or "existing partition assignment" in out.lower(), f"again: {out}")
        out = tool(REASSIGN, *file, "--cancel")
        check("Successfully cancelled partition reassignment" in out, f"cancel: {out}")
    check("No partition reassignments found" in tool(REASSIGN, "--list"), "it is still listed")
    check_equal([row["Replicas"] for row in described(topic)], ["1,2"], "replicas after the cancel")


@SUITE.case
def reassignment_to_nobody_is_refused():
    topic = fresh("nobody")
    create(topic, "1:2")
    with json_file(assignment(topic, [1, 9])) as plan:
        out = tool(REASSIGN, "--reassignment-json-file", plan.name, "--execute", fails=True)
        check("Unknown broker id 9" in out, f"the refusal does not name the broker: {out}")


@SUITE.case
def replication_factor_is_raised_and_lowered():
    topic = fresh("factor")
    create(topic, "1,2")
    produce(topic, 100)
    for replicas in ([[1, 2, 3], [2, 3, 1]], [[3, 2], [1, 2]]):
        with json_file(assignment(topic, *replicas)) as plan:
            file = ["--reassignment-json-file", plan.name]
            tool(REASSIGN, *file, "--execute")
            eventually(lambda file=file: "in progress" not in tool(REASSIGN, *file, "--verify"), "the move")
        expected = [",".join(map(str, r)) for r in replicas]
        check_equal([row["Replicas"] for row in described(topic)], expected, "replicas")
    leader = described(topic)[0]["Leader"]
    check(leader in ("3", "2"), f"the leader where the old one has gone: {leader}")


@SUITE.case
def leaders_tool_elects_the_preferred_one():
    topic, other = fresh("preferred"), fresh("other")
    create(topic, "3:1,3:2")
    create(other, "1:2")
    with Down(3):
        eventually(lambda: all(row["Leader"] != "3" for row in described(topic)), "other leaders")
    eventually(lambda: all_in_sync(topic), "node 3 in sync")
    out = tool("LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0")
    check("Successfully completed leader election (PREFERRED)" in out and f"{topic}-0" in out, f"one: {out}")
    leaders = {row["Partition"]: row["Leader"] for row in described(topic)}
    check_equal(leaders["0"], "3", "leader of the one partition")
    check(leaders["1"] != "3", "the other partition has another leader, too")
    out = tool("LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0")
    check("Valid replica already elected" in out, f"again: {out}")
    with json_file({"partitions": [{"topic": topic, "partition": n} for n in (0, 1)]}) as file:
        tool("LeaderElectionCommand", "--election-type", "preferred", "--path-to-json-file", file.name)
    check_equal([row["Leader"] for row in described(topic)], ["3", "3"], "leaders")
    tool("LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")
    with Down(3):
        eventually(lambda: all(row["Leader"] != "3" for row in described(topic)), "other leaders again")
        out = tool(
            "LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0", fails=True
        )  # fmt: skip
        check("PREFERRED_LEADER_NOT_AVAILABLE" in out or "preferred leader was not available" in out.lower(), out)


@SUITE.case
def leaders_tool_elects_an_unclean_one_when_asked():
    """Node 2 misses records that only node 3 has; with node 3 away nobody may lead, unless asked."""
    topic = fresh("unclean")
    create(topic, "3:2", "min.insync.replicas=1", "unclean.leader.election.enable=false")
    produce(topic, 10)
    command = ["LeaderElectionCommand", "--election-type", "unclean", "--topic", topic, "--partition", "0"]
    with Down(2):
        eventually(lambda: described(topic)[0]["Isr"] == "3", "node 2 out of the ISR")
        produce(topic, 10)
        SUITE.control.node("kill", 3)
    # Node 2 is back, node 3 is not.
    try:
        eventually(lambda: described(topic)[0]["Leader"] in ("none", "-1"), "no leader")
        out = tool(*command)
        check("Successfully completed leader election (UNCLEAN)" in out, f"unclean: {out}")
        check_equal(described(topic)[0]["Leader"], "2", "leader")
        ends = tool("GetOffsetShell", "--topic", topic).split()
        check_equal(ends, [f"{topic}:0:10"], "what node 2 has")
        check("Valid replica already elected" in tool(*command), "a second election is told as one")
    finally:
        SUITE.control.node("start", 3)
    eventually(lambda: all_in_sync(topic), "node 3 follows node 2")
    ends = tool("GetOffsetShell", "--topic", topic).split()
    check_equal(ends, [f"{topic}:0:10"], "what is left")


def quorum_status(bootstrap=True):
    out = tool(QUORUM, "describe", "--status", bootstrap=bootstrap)
    return dict(re.findall(r"^(\w+):\s+(.*)$", out, re.MULTILINE))


def quorum_replicas(bootstrap=True):
    out = tool(QUORUM, "describe", "--replication", bootstrap=bootstrap)
    found = {}
    for line in out.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 7 and fields[0].isdigit():
            found[int(fields[0])] = {"directory": fields[1], "lag": int(fields[3]), "role": fields[6]}
    return found


def controllers():
    """`HOST:PORT` of each voter's controller listener, by its id."""
    voters = json.loads(quorum_status()["CurrentVoters"].replace("'", '"'))
    found = {}
    for voter in voters:
        endpoint = (voter.get("endpoints") or [None])[0]
        check(endpoint, f"no endpoint of voter {voter}")
        found[voter["id"]] = endpoint.split("://")[1]
    return found


def by_controllers():
    return ["--bootstrap-controller", ",".join(controllers().values())]


@SUITE.case
def quorum_tool_describes_status_and_replication():
    status = quorum_status()
    check_equal(status["ClusterId"], cluster_id(), "cluster id")
    voters = [voter["id"] for voter in json.loads(status["CurrentVoters"])]
    check_equal(sorted(voters), [1, 2, 3], "voters")
    check(int(status["LeaderId"]) in voters and int(status["LeaderEpoch"]) > 0, f"leader: {status}")
    check(int(status["HighWatermark"]) > 0, f"high watermark: {status}")
    eventually(lambda: int(quorum_status()["MaxFollowerLag"]) <= 5, "followers that keep up")
    replicas = quorum_replicas()
    check_equal(sorted(replicas), [1, 2, 3], "replicas")
    roles = sorted(replica["role"] for replica in replicas.values())
    check_equal(roles, ["Follower", "Follower", "Leader"], "roles")
    directories = {replica["directory"] for replica in replicas.values()}
    check_equal(len(directories), 3, "different directory ids")
    readable = tool(QUORUM, "describe", "--replication", "--human-readable")
    check("ms ago" in readable, f"human readable: {readable}")


@SUITE.case
def quorum_tool_asks_controllers_themselves():
    bootstrap = by_controllers()
    status = quorum_status(bootstrap)
    check_equal(status["LeaderId"], quorum_status()["LeaderId"], "leader")
    check_equal(sorted(quorum_replicas(bootstrap)), [1, 2, 3], "replicas")


@SUITE.case
def quorum_goes_on_when_its_leader_is_killed():
    before = quorum_status()
    leader = int(before["LeaderId"])
    with Down(leader):
        topic = fresh("failover")
        tool("TopicCommand", "--create", "--topic", topic, "--partitions", "2", "--replication-factor", "2")
        after = quorum_status()
        check(int(after["LeaderId"]) != leader, f"the killed node leads: {after}")
        check(int(after["LeaderEpoch"]) > int(before["LeaderEpoch"]), "the epoch did not rise")
    eventually(lambda: quorum_replicas()[leader]["lag"] <= 5, "the killed node catches up")


@SUITE.case
def quorum_tool_removes_and_adds_a_controller():
    """The tool reads the new controller's properties and the id of its directory from files."""
    if not SUITE.args.folder:
        raise NotRun("needs --folder, the cluster's data")
    if "kraft.version" not in tool("FeatureCommand", "describe"):
        raise NotRun("the cluster has no kraft.version, so its voters are fixed")
    leader = int(quorum_status()["LeaderId"])
    voter = next(node for node in (3, 2) if node != leader)
    directory, endpoint = quorum_replicas()[voter]["directory"], controllers()[voter]
    data = os.path.join(SUITE.args.folder, f"node-{voter}", "data")
    arguments = ["--controller-id", str(voter), "--controller-directory-id", directory]
    out = tool(QUORUM, "remove-controller", *arguments, "--dry-run")
    check("DRY RUN" in out, f"dry run: {out}")
    out = tool(QUORUM, "remove-controller", *arguments)
    check(re.search(rf"Removed +KRaft controller {voter} ", out), f"remove: {out}")
    eventually(lambda: voter not in controllers(), "one voter less")
    eventually(lambda: quorum_replicas().get(voter, {}).get("role") == "Observer", "it is an observer")
    out = tool(QUORUM, "remove-controller", *arguments, fails=True)
    check("VoterNotFound" in out or "not find" in out or "voter" in out.lower(), f"again: {out}")
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        file.write(
            f"process.roles=controller\nnode.id={voter}\nlisteners=CONTROLLER://{endpoint}\n"
            f"advertised.listeners=CONTROLLER://{endpoint}\ncontroller.listener.names=CONTROLLER\n"
            f"controller.quorum.bootstrap.servers={','.join(controllers().values())}\nlog.dirs={data}\n"
        )
        file.flush()
        eventually(lambda: quorum_replicas()[voter]["lag"] <= 5, "the observer is up to date")
        out = tool(QUORUM, "--command-config", file.name, "add-controller")
        check(f"Added controller {voter}" in out, f"add: {out}")
        eventually(lambda: voter in controllers(), "the voter is back")
        out = tool(QUORUM, "--command-config", file.name, "add-controller", fails=True)
        check("DuplicateVoter" in out or "already" in out, f"again: {out}")


def cluster_id():
    return re.search(r"Cluster ID: (\S+)", tool_with_verb("ClusterTool", "cluster-id")).group(1)


def tool_with_verb(name, verb, *arguments, bootstrap=None, fails=False):
    """A tool that wants its verb before the address."""
    bootstrap = bootstrap or ["--bootstrap-server", SUITE.bootstrap]
    return tool(name, verb, *bootstrap, *arguments, bootstrap=False, fails=fails)


def endpoints(*arguments, bootstrap=None):
    out = tool_with_verb("ClusterTool", "list-endpoints", *arguments, bootstrap=bootstrap)
    heads, *lines = out.splitlines()
    return {line.split()[0]: dict(zip(heads.split(), line.split())) for line in lines if line.strip()}


@SUITE.case
def cluster_tool_lists_brokers_and_controllers():
    check_equal(len(cluster_id()), 22, "length of the cluster id")
    found = endpoints()
    check_equal(sorted(found), ["1", "2", "3"], "brokers")
    ports = {f"{row['HOST']}:{row['PORT']}" for row in found.values()}
    check_equal(ports, set(SUITE.bootstrap.split(",")), "addresses of brokers")
    found = endpoints(bootstrap=by_controllers())
    ports = {f"{row['HOST']}:{row['PORT']}" for row in found.values()}
    check_equal(ports, set(controllers().values()), "addresses of controllers")


@SUITE.case
def cluster_tool_unregisters_a_broker_that_comes_back():
    leader = int(quorum_status()["LeaderId"])
    node = next(node for node in (3, 2) if node != leader)
    with Down(node, "stop"):
        def states():
            return {id: row["STATE"] for id, row in endpoints("--include-fenced-brokers").items()}

        eventually(lambda: states().get(str(node)) == "fenced", "the stopped broker is fenced")
        out = tool_with_verb("ClusterTool", "unregister", "--id", str(node))
        check(f"Broker {node} is no longer registered" in out, f"unregister: {out}")
        check(str(node) not in endpoints("--include-fenced-brokers"), "it is still listed")
        out = tool_with_verb("ClusterTool", "unregister", "--id", "99", fails=True)
        check("Broker ID 99 is not currently registered" in out, f"an unknown broker: {out}")
    eventually(lambda: str(node) in endpoints(), "a broker that starts again is registered again")


@SUITE.case
def features_tool_describes_upgrades_and_downgrades():
    def level(feature):
        out = tool("FeatureCommand", "describe")
        line = next((line for line in out.splitlines() if line.startswith(f"Feature: {feature} ") or line.startswith(f"Feature: {feature}\t")), None)
        check(line, f"no feature {feature}: {out}")
        return re.search(r"FinalizedVersionLevel: (\S+)", line).group(1)

    check(level("metadata.version") != "0", "metadata.version")
    before = level("transaction.version")
    if before != "2":
        raise NotRun(f"transaction.version is {before}, not 2")
    change = ["--feature", "transaction.version=1"]
    out = tool("FeatureCommand", "downgrade", *change, "--dry-run")
    check("can be downgraded to 1" in out, f"dry run: {out}")
    check_equal(level("transaction.version"), "2", "level after a dry run")
    check("was downgraded to 1" in tool("FeatureCommand", "downgrade", *change), "downgrade")
    eventually(lambda: level("transaction.version") == "1", "the lower level")
    out = tool("FeatureCommand", "upgrade", "--feature", "transaction.version=2")
    check("was upgraded to 2" in out, f"upgrade: {out}")
    eventually(lambda: level("transaction.version") == "2", "the level from before")
    out = tool("FeatureCommand", "upgrade", "--feature", "transaction.version=99", fails=True)
    check("99" in out, f"an impossible level: {out}")


@SUITE.case
def log_dirs_tool_tells_of_every_broker():
    topic = fresh("dirs")
    create(topic, "1:2:3")
    produce(topic, 10)

    def brokers():
        out = tool("LogDirsCommand", "--describe", "--topic-list", topic)
        answer = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
        found = {}
        for broker in answer["brokers"]:
            for folder in broker["logDirs"]:
                for partition in folder["partitions"]:
                    found[broker["broker"]] = partition["size"]
        return found

    eventually(lambda: len(set(brokers().values())) == 1 and len(brokers()) == 3, lambda: f"three alike: {brokers()}")


@SUITE.case
def partitions_get_other_leaders_when_a_broker_stops_cleanly():
    topic = fresh("planned")
    create(topic, "2:1:3,2:3:1")
    produce(topic, 100)
    with Down(2, "stop"):
        leaders = [row["Leader"] for row in described(topic)]
        check("2" not in leaders and "none" not in leaders, f"leaders: {leaders}")
        produce(topic, 100)
    eventually(lambda: all_in_sync(topic), "node 2 in sync")


def main():
    arguments = SUITE.arguments()
    jars = [re.fullmatch(r"kafka-tools-(\d.*)\.jar", name) for name in os.listdir(arguments.lib)]
    version = next((jar.group(1) for jar in jars if jar), "of an unknown version")
    SUITE.run(f"Kafka's tools {version}, three nodes")


if __name__ == "__main__":
    main()
