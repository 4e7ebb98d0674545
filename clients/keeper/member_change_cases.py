"""Servers that join and leave a running ensemble."""

import json
import subprocess

from kazoo.exceptions import NewConfigNoQuorumError

from kazoo_clients import Events, refused
from member_servers import SUITE, change, chief, has, joins, members, members_on, three, version_of
from own_servers import SUPER
from suite import check, check_equal, eventually


def numbers(config):
    return sorted(members(config))


@SUITE.case
def a_server_joins_and_leaves_one_by_one(clients, path):
    """Asked of the leader, then of a follower."""
    with three() as ensemble:
        client = chief(clients, ensemble.leader())
        client.create(path, b"old")
        events = Events()
        clients.start(ensemble.follower().address).get("/zookeeper/config", watch=events)
        fourth = joins(ensemble)
        config, stat = change(client, joining=fourth.line)
        check_equal(numbers(config), [1, 2, 3, 4], "the members")
        check_equal(version_of(config), stat.mzxid, "the version")
        check_equal(events.wait_for(1), [("CHANGED", "/zookeeper/config")], "the events")
        fourth.wait("follower")
        has(clients, fourth, path, b"old").set(path, b"new")
        for server in ensemble.servers:
            check_equal(sorted(members_on(clients.start(server.address))), [1, 2, 3, 4], f"server {server.number}")
            check(f"server.4={fourth.place}" in server.word("conf"), server.word("conf"))
        check_equal(sorted(ensemble.leader().command("voting_view")["current_config"]), ["1", "2", "3", "4"], "who votes")
        # Three of four are a quorum, with the new one.
        ensemble.follower().kill()
        client.retry(client.set, path, b"newer")
        ensemble.healthy()
        asked = chief(clients, next(one for one in ensemble.of_mode("follower") if one is not fourth))
        config, _ = change(asked, leaving="4")
        check_equal(numbers(config), [1, 2, 3], "the members")
        fourth.kill()
        # Two of three are a quorum again.
        gone = ensemble.of_mode("follower")[0]
        gone.kill()
        client.retry(client.set, path, b"newest")
        gone.start().wait()
        has(clients, gone, path, b"newest")


@SUITE.case
def an_observer_joins_and_leaves(clients, path):
    with three() as ensemble:
        client = chief(clients, ensemble.follower())
        client.create(path, b"old")
        observer = joins(ensemble, "observer")
        config, _ = change(client, joining=observer.line)
        check_equal(members(config)[4], observer.place, "its line")
        observer.wait("observer")
        has(clients, observer, path, b"old")
        eventually(lambda: ensemble.leader().monitor()["synced_observers"] == "1", "the leader counts it")
        config, _ = change(client, leaving="4")
        check_equal(numbers(config), [1, 2, 3], "the members")


@SUITE.case
def all_members_are_set_at_once(clients, path):
    with three() as ensemble:
        leader = ensemble.leader()
        leaving = ensemble.of_mode("follower")[0]
        client = chief(clients, leader)
        fourth = joins(ensemble)
        stay = [one for one in ensemble.servers if one is not leaving]
        before = version_of(client.get("/zookeeper/config")[0])
        config, _ = change(client, new_members="\n".join(one.line for one in stay).replace("\n", ","), from_config=before)
        check_equal(numbers(config), sorted(one.number for one in stay), "the members")
        fourth.wait("follower")
        leaving.kill()
        client.create(path, b"1")
        fourth.kill()
        # The leader and one more of three are left.
        client.retry(client.set, path, b"2")


@SUITE.case
def zookeepers_own_command_changes_the_members(clients, path):
    with three() as ensemble:
        fourth = joins(ensemble)
        follower = ensemble.follower()
        say = (f"addauth digest {SUPER}", f"reconfig -add {fourth.line}")

        def added():
            said = SUITE.cli(follower.address, *say)
            return f"server.4={fourth.place}" in said and "Committed new configuration" in said

        eventually(added, "zkCli adds a server", 90)
        fourth.wait("follower")
        said = SUITE.cli(fourth.address, f"addauth digest {SUPER}", f"create {path} x", "reconfig -remove 4", "config")
        check("server.4=" not in said.split("Committed new configuration", 1)[-1], said)
        said = SUITE.cli(follower.address, f"addauth digest {SUPER}",
                         f"reconfig -members {','.join(one.line for one in ensemble.servers[:3])}")  # fmt: skip
        check("Committed new configuration" in said and "server.4=" not in said, said)


@SUITE.case
def the_leader_leaves(clients, path):
    with three() as ensemble:
        leader = ensemble.leader()
        stay = [one for one in ensemble.servers if one is not leader]
        client = chief(clients, stay[0])
        client.create(path, b"1")
        change(client, leaving=str(leader.number))
        eventually(lambda: sorted(members_on_retried(client)) == [one.number for one in stay], "it is no member")
        eventually(lambda: any(one.mode == "leader" for one in stay), "another one leads", 60)
        client.retry(client.set, path, b"2")
        leader.kill()
        client.retry(client.set, path, b"3")
        for server in stay:
            has(clients, server, path, b"3")
        # It comes back with its data; ZooKeeper has written into its configuration that it left.
        leader.configure(ensemble.settings, ensemble.servers)
        leader.start()
        change(client, joining=leader.line)
        leader.wait("follower", "leader")
        has(clients, leader, path, b"3")


def members_on_retried(client):
    return members(client.retry(client.get, "/zookeeper/config")[0])


@SUITE.case
def the_leader_removes_itself_when_it_is_asked_itself(clients, path):
    with three() as ensemble:
        leader = ensemble.leader()
        stay = [one for one in ensemble.servers if one is not leader]
        change(chief(clients, leader), leaving=str(leader.number))
        client = clients.start(stay[0].address)
        eventually(lambda: sorted(members_on_retried(client)) == [one.number for one in stay], "it is no member")
        client.retry(client.create, path)


@SUITE.case
def members_stay_changed_over_a_restart_of_all(clients, path):
    """Whatever the lines of `zoo.cfg` were at the first start."""
    with three() as ensemble:
        client = chief(clients, ensemble.leader())
        client.create(path, b"kept")
        fourth = joins(ensemble)
        change(client, joining=fourth.line)
        fourth.wait("follower")
        first = next(one for one in ensemble.servers[:3] if one.mode == "follower")
        change(client, leaving=str(first.number))
        for server in ensemble.servers:
            server.kill()
        stay = [one for one in ensemble.servers if one is not first]
        for server in stay:
            server.start()
        for server in stay:
            server.wait()
            has(clients, server, path, b"kept")
        check_equal(sorted(members_on(clients.start(stay[0].address))), [one.number for one in stay], "the members")


@SUITE.case
def a_member_may_be_added_before_it_is_there(clients, path):
    """Three of four are a quorum, so that the fourth may come later."""
    with three() as ensemble:
        client = chief(clients, ensemble.follower())
        fourth = ensemble.add()
        fourth.configure(ensemble.settings, ensemble.servers)
        config, _ = change(client, joining=fourth.line)
        check_equal(numbers(config), [1, 2, 3, 4], "the members")
        client.create(path, b"1")
        fourth.start().wait("follower")
        has(clients, fourth, path, b"1")


@SUITE.case
def without_a_quorum_of_the_new_members_nothing_changes(clients, path):
    with three() as ensemble:
        client = chief(clients, ensemble.leader())
        dead = ensemble.of_mode("follower")[0]
        dead.kill()
        other = next(one for one in ensemble.of_mode("follower"))
        eventually(lambda: ensemble.leader().monitor()["synced_followers"] == "1", "the leader misses one")
        # The leader and the dead one: one of two lives.
        refused(NewConfigNoQuorumError, client.reconfig, None, str(other.number), None)
        check_equal(sorted(members_on(client)), [1, 2, 3], "the members")
        client.create(path)
        ensemble.healthy()


@SUITE.case
def our_command_lists_and_changes_the_members(clients, path):
    SUITE.needs_ottla()
    with three() as ensemble:
        def ours(*words):
            command = [SUITE.args.ottla, "keeper", "members", *words, "-S", ensemble.connect, "--auth", f"digest:{SUPER}"]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        def listed():
            said = ours("list", "-o", "json")
            check(said.returncode == 0, said.stderr)
            return json.loads(said.stdout)

        check_equal([one["id"] for one in listed()["members"]], [1, 2, 3], "the members")
        fourth = joins(ensemble)
        eventually(lambda: ours("add", fourth.line).returncode == 0, lambda: f"it is added: {ours('add', fourth.line)}", 60)
        fourth.wait("follower")
        check_equal([one["id"] for one in listed()["members"]], [1, 2, 3, 4], "the members")
        said = ours("remove", "4")
        check(said.returncode == 0, said.stderr)
        check_equal([one["id"] for one in listed()["members"]], [1, 2, 3], "the members")
        status = subprocess.run([SUITE.args.ottla, "keeper", "status", "-S", ensemble.connect],
                                capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        check("leader" in status.stdout and "follower" in status.stdout, status)
