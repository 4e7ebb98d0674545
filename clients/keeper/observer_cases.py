"""Observers: they serve as others do, and do not count."""

from kazoo.exceptions import ConnectionLoss, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

from kazoo_clients import Events, refused
from member_servers import RECONFIG, SUITE, change, chief, has, members, observed
from own_servers import Ensemble, within
from suite import check, check_equal, eventually

REFUSED_SECONDS = 6


def four():
    """The ensemble, its observer, its leader, and the two that follow."""
    ensemble = SUITE.shared(observed)
    return ensemble, ensemble.servers[3], ensemble.leader(), ensemble.of_mode("follower")


@SUITE.case
def an_observer_reads_writes_and_watches(clients, path):
    _, observer, leader, _ = four()
    client, other = clients.start(observer.address), clients.start(leader.address)
    events = Events()
    client.create(path, b"1")
    other.sync(path)
    check_equal(other.get(path)[0], b"1", "what the leader has")
    check_equal(client.get(path, watch=events)[0], b"1", "what the observer reads")
    other.set(path, b"2")
    check_equal(events.wait_for(1), [("CHANGED", path)], "the events")
    check_equal(client.get(path)[0], b"2", "what is read behind the event")
    client.create(f"{path}/mine", ephemeral=True)
    names = [client.create(f"{path}/n-", sequence=True).rsplit("/", 1)[1] for _ in range(5)]
    check_equal(names, sorted(names), "sequential nodes")
    with_two = client.transaction()
    with_two.create(f"{path}/a")
    with_two.set_data(path, b"3")
    check(not any(isinstance(one, Exception) for one in with_two.commit()), "a transaction on an observer")
    other.sync(path)
    check_equal(other.get(f"{path}/mine")[1].owner_session_id, client.client_id[0], "the ephemeral's owner")
    client.stop()
    eventually(lambda: not other.exists(f"{path}/mine"), "the ephemeral goes with its session")


@SUITE.case
def zookeepers_own_client_works_on_an_observer(clients, path):
    _, observer, leader, _ = four()
    said = SUITE.cli(observer.address, f"create {path} hello", f"get {path}", "config")
    check(f"Created {path}" in said and "hello" in said.splitlines(), said)
    check(f"server.4={observer.place}" in said, said)
    has(clients, leader, path, b"hello")


@SUITE.case
def words_tell_who_observes(clients, path):
    ensemble, observer, leader, followers = four()
    check("Mode: observer\n" in observer.word("srvr"), observer.word("srvr"))
    check("Mode: observer\n" in observer.word("stat"), observer.word("stat"))
    check_equal(observer.word("isro"), "rw", "isro")
    check_equal(observer.monitor()["server_state"], "observer", "the observer's state")
    check_equal(observer.monitor()["peer_state"], "observing - broadcast", "the observer's peer state")
    check_equal(len(followers), 2, "the followers")
    figures = leader.monitor()
    have = {name: figures.get(name) for name in ("learners", "synced_followers", "synced_observers", "quorum_size")}
    wanted = {"learners": "3", "synced_followers": "2", "synced_observers": "1", "quorum_size": "3"}
    check_equal({**have, "quorum_size": wanted["quorum_size"]}, wanted, "the leader's figures")
    conf = observer.word("conf")
    check("peerType=1" in conf and f"server.4={observer.place}" in conf, conf)


@SUITE.case
def admin_commands_tell_who_observes(clients, path):
    _, observer, leader, followers = four()
    seen = leader.command("observers")
    check_equal(seen["synced_observers"], 1, "observers in sync")
    check_equal([one["sid"] for one in seen["observers"]], [4], "the observers' numbers")
    check_equal(observer.command("monitor")["server_state"], "observer", "its state")
    check_equal(observer.command("server_stats")["server_stats"]["server_state"], "observer", "its state in its statistics")
    told = observer.command("leader")
    check_equal((told["is_leader"], told["leader_id"]), (False, leader.number), "who leads, as the observer says")
    view = leader.command("voting_view")["current_config"]
    check_equal(sorted(view), ["1", "2", "3"], "who votes")
    check_equal(observer.command("zabstate")["voting"], False, "whether the observer votes")
    check(followers[0].command("zabstate")["voting"], "a follower votes")


@SUITE.case
def the_loss_of_an_observer_harms_nobody(clients, path):
    ensemble, observer, leader, _ = four()
    client = clients.start(leader.address)
    client.create(path, b"1")
    moving = clients.start(f"{observer.address},{leader.address}", timeout=10.0)
    session = moving.client_id[0]
    moving.retry(moving.create, f"{path}/moving", ephemeral=True)
    observer.kill()
    for number in range(50):
        client.set(path, b"%d" % number)
    moving.retry(moving.set, path, b"moved")
    check_equal(moving.client_id[0], session, "the session of who was there")
    check(client.exists(f"{path}/moving"), "its ephemeral stays")
    eventually(lambda: leader.monitor()["synced_observers"] == "0", "the leader misses the observer")
    ensemble.healthy()
    has(clients, observer, path, b"moved")


@SUITE.case
def writes_go_on_with_one_participant_lost(clients, path):
    ensemble, observer, leader, _ = four()
    client = clients.start(observer.address, timeout=10.0)
    client.create(path, b"0")
    leader.kill()
    client.retry(client.set, path, b"1")
    eventually(lambda: ensemble.of_mode("leader"), "another one leads")
    check(observer.mode == "observer", f"the observer is {observer.mode}")
    ensemble.healthy()
    has(clients, leader, path, b"1")


@SUITE.case
def an_observer_does_not_count(clients, path):
    """Two of four servers live, and one of three votes: that is no quorum."""
    ensemble, observer, leader, followers = four()
    client = clients.start(leader.address, timeout=10.0)
    client.create(path, b"before")
    for follower in followers:
        follower.kill()
    eventually(lambda: leader.mode not in ("leader", "follower"), lambda: f"the leader steps down, it is {leader.mode}", 60)
    eventually(lambda: observer.mode != "observer", lambda: f"the observer serves nobody, it is {observer.mode}", 60)
    stranger = clients.prepare(f"{observer.address},{leader.address}")
    refused(KazooTimeoutError, stranger.start, timeout=REFUSED_SECONDS)
    stranger.stop()
    ensemble.healthy()
    lost = (ConnectionLoss, SessionExpiredError, OperationTimeoutError)
    within(30, lambda: client.set(path, b"after"), *lost)
    has(clients, observer, path, b"after")


@SUITE.case
def an_observer_gets_a_vote_and_gives_it_back(clients, path):
    with Ensemble(SUITE, ["participant"] * 3 + ["observer"], RECONFIG).start() as ensemble:
        observer = ensemble.servers[3]
        client = chief(clients, ensemble.leader())
        client.create(path, b"1")
        config, _ = change(client, joining=observer.line.replace(":observer;", ":participant;"))
        check(":participant;" in members(config)[4], f"the members {members(config)}")
        eventually(lambda: observer.mode == "follower", lambda: f"it is {observer.mode}", 60)
        for follower in [one for one in ensemble.of_mode("follower") if one is not observer][:1]:
            follower.kill()
        client.retry(client.set, path, b"three of four")
        ensemble.healthy()
        config, _ = change(client, joining=observer.line)
        check(":observer;" in members(config)[4], f"the members {members(config)}")
        eventually(lambda: observer.mode == "observer", lambda: f"it is {observer.mode}", 60)
        has(clients, observer, path, b"three of four")
