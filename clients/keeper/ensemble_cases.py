"""Several servers: sessions that move, servers that are lost, leaders that change, and what reading alone allows."""

import contextlib
import threading
import time

from kazoo.exceptions import ConnectionLoss, NodeExistsError, NotReadOnlyCallError, SessionExpiredError
from kazoo.protocol.states import KeeperState

from kazoo_clients import SUITE, Events, case, refused
from keeper_suite import (
    EPHEMERAL,
    EXISTS,
    GET_DATA,
    OK,
    PING,
    PING_XID,
    SESSION_MOVED,
    SYNC,
    Closed,
    RawSession,
    set_record,
    SET_DATA,
    stat_of,
    string,
    watch_record,
)
from suite import NotRun, check, check_equal, eventually

SESSION_SECONDS = 20


class Writer:
    """Writes numbers as fast as they are acknowledged, through whatever happens, and remembers which were."""

    def __init__(self, client, path):
        self.client, self.path = client, path
        self.acknowledged, self.unknown, self.error = [], [], None
        self.stopping = threading.Event()
        client.ensure_path(path)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                try:
                    self.client.create(f"{self.path}/{number:06}", b"")
                    self.acknowledged.append(number)
                except NodeExistsError:
                    # An answer that was lost, and the client asked again.
                    self.unknown.append(number)
                except (ConnectionLoss, SessionExpiredError):
                    self.unknown.append(number)
                    time.sleep(0.05)
                number += 1
        except BaseException as error:  # Told by `stop`.
            self.error = error

    def wait_for_more(self, count=20):
        already = len(self.acknowledged)
        eventually(
            lambda: len(self.acknowledged) >= already + count or self.error,
            lambda: f"{count} more writes, behind {already}; {self.error!r}",
        )

    def stop(self):
        """Ends the writing and checks that all that was acknowledged is there."""
        self.stopping.set()
        self.thread.join(60)
        if self.error:
            raise self.error
        self.client.retry(self.client.sync, self.path)
        there = {int(name) for name in self.client.retry(self.client.get_children, self.path)}
        lost = sorted(set(self.acknowledged) - there)
        check(not lost, f"acknowledged and lost: {lost[:20]}")
        check(there <= set(self.acknowledged) | set(self.unknown), "nothing is there that nobody wrote")


def taken_up(address, session, last_zxid, seconds=20):
    """The session on another connection; a server that is behind the zxid sends it away until it has caught up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return RawSession(address, 20_000, session.session, session.password, last_zxid)
        except Closed:
            check(time.monotonic() < deadline, f"the server has caught up within {seconds} s")
            time.sleep(0.02)


@case
def what_is_written_on_one_server_is_read_on_all(clients, path):
    SUITE.needs_servers(2)
    everybody = [clients.of_server(place) for place in range(len(SUITE.addresses))]
    everybody[0].create(path, b"")
    for number in range(30):
        writer = everybody[number % len(everybody)]
        written = writer.set(path, str(number).encode())
        for reader in everybody:
            reader.sync(path)
            data, stat = reader.get(path)
            check_equal((data, stat), (str(number).encode(), written), "data and stat on another server")


@case
def a_session_moves_to_another_server_with_all_it_has(clients, path):
    SUITE.needs_servers(2)
    with RawSession(SUITE.addresses[0], timeout_ms=20_000) as first:
        check_equal(first.create(path, b"0"), OK, "the error of the create")
        check_equal(first.create(f"{path}/e", flags=EPHEMERAL), OK, "the error of the ephemeral's create")
        for number in range(1, 40):
            error, record = first.ask(SET_DATA, set_record(path, str(number).encode()))
            seen = stat_of(record)["mzxid"]
            at = number % len(SUITE.addresses)
            with taken_up(SUITE.addresses[at], first, seen) as now:
                check_equal((now.session, now.password), (first.session, first.password), "the session")
                error, record = now.ask(GET_DATA, watch_record(path))
                check_equal((error, stat_of(record)["mzxid"]), (OK, seen), "its own write is read on another server")
                error, record = now.ask(EXISTS, watch_record(f"{path}/e"))
                check_equal((error, stat_of(record)["ephemeralOwner"]), (OK, first.session), "the ephemeral's owner")
            first = taken_up(SUITE.addresses[0], first, seen)
            check_equal(first.session, now.session, "the session on the first server again")
        first.close()
    watcher = clients.start()
    watcher.sync(path)
    check_equal(watcher.get_children(path), [], "the ephemeral when the session is closed")


@case
def a_session_that_moved_is_told_so_on_its_old_connection(clients, path):
    SUITE.needs_servers(2)
    first = RawSession(SUITE.addresses[0], timeout_ms=20_000)
    check_equal(first.create(path, b"0"), OK, "the error of the create")
    second = RawSession(SUITE.addresses[1], session=first.session, password=first.password)
    check_equal(second.session, first.session, "the session on another server")
    check_equal(second.ask(SET_DATA, set_record(path, b"second"))[0], OK, "the error of a write where it is now")
    try:
        error, _ = first.ask(SET_DATA, set_record(path, b"first"))
        check_equal(error, SESSION_MOVED, "the error of a write where it was")
        check(first.is_closed(), "the old connection is closed")
    except Closed:
        pass
    error, record = second.ask(GET_DATA, watch_record(path))
    check_equal((error, record[4:10]), (OK, b"second"), "the data: the old connection wrote nothing")
    check_equal(second.ask(PING, xid=PING_XID)[0], OK, "the error of a ping where it is now")
    second.close()


@case
def a_session_that_moves_keeps_living_where_it_is(clients, path):
    """Its expiry is counted from what it says to any server."""
    SUITE.needs_servers(2)
    timeout_ms = 3000
    session = RawSession(SUITE.addresses[0], timeout_ms=timeout_ms)
    check_equal(session.create(path, flags=EPHEMERAL), OK, "the error of the create")
    for turn in range(12):
        time.sleep(timeout_ms / 1000 / 2)
        place = turn % len(SUITE.addresses)
        moved = RawSession(SUITE.addresses[place], timeout_ms, session.session, session.password)
        check_equal(moved.session, session.session, "the session")
        session.socket.close()
        session = moved
    check_equal(session.ask(SYNC, string(path))[0], OK, "the error of a sync")
    check_equal(session.ask(EXISTS, watch_record(path))[0], OK, "the ephemeral is there")
    session.close()


@case
def the_loss_of_a_follower_loses_nothing(clients, path):
    SUITE.needs_servers(3)
    SUITE.needs_control()
    lost = next(place for place in range(len(SUITE.addresses)) if place != SUITE.leader())
    writer = Writer(clients.start(timeout=SESSION_SECONDS), path)
    owner = clients.of_server(lost, timeout=SESSION_SECONDS)
    owner.set_hosts(SUITE.connect)
    owner.create(f"{path}-e", ephemeral=True)
    session = owner.client_id[0]
    writer.wait_for_more()
    with SUITE.servers_down(lost):
        writer.wait_for_more(100)
        eventually(lambda: owner.connected, "the client has found another server")
        check_equal(owner.client_id[0], session, "the session of a client whose server is lost")
        check(owner.retry(owner.exists, f"{path}-e") is not None, "its ephemeral")
    writer.wait_for_more()
    writer.stop()
    back = clients.of_server(lost)
    back.sync(path)
    check_equal(len(back.get_children(path)), len(writer.client.get_children(path)), "children on the server that came back")


@case
def the_loss_of_the_leader_loses_nothing(clients, path):
    SUITE.needs_servers(3)
    SUITE.needs_control()
    owner = clients.start(timeout=SESSION_SECONDS)
    owner.create(f"{path}-e", b"mine", ephemeral=True)
    session = owner.client_id[0]
    writer = Writer(clients.start(timeout=SESSION_SECONDS), path)
    for _ in range(2):
        writer.wait_for_more()
        leader = SUITE.leader()
        with SUITE.servers_down(leader):
            eventually(lambda: SUITE.leaders(), "another server leads")
            writer.wait_for_more(100)
            eventually(lambda: owner.connected, "the owner of the ephemeral is connected")
            check_equal(owner.client_id[0], session, "its session")
            check_equal(owner.retry(owner.get, f"{path}-e")[1].ephemeralOwner, session, "the owner of the ephemeral")
    writer.stop()


@case
def zxids_grow_over_a_change_of_leaders(clients, path):
    SUITE.needs_servers(3)
    SUITE.needs_control()
    client = clients.start(timeout=SESSION_SECONDS)
    client.create(path)
    before = client.set(path, b"before").mzxid
    with SUITE.servers_down(SUITE.leader()):
        eventually(lambda: SUITE.leaders(), "another server leads")
        after = client.retry(client.set, path, b"after").mzxid
        check(after >> 32 > before >> 32, f"another epoch: {before:#x}, then {after:#x}")
    check(client.retry(client.set, path, b"later").mzxid > after, "zxids grow")


@case
def sessions_outlive_a_change_of_leaders_only_when_their_clients_do(clients, path):
    """Nobody expires because of the change itself; whoever is gone does expire afterwards."""
    SUITE.needs_servers(3)
    SUITE.needs_control()
    watcher = clients.start(timeout=SESSION_SECONDS)
    watcher.create(path)
    gone = RawSession(SUITE.addresses[0], timeout_ms=6000)
    check_equal(gone.create(f"{path}/gone", flags=EPHEMERAL), OK, "the error of the create")
    gone.socket.close()
    alive = clients.start(timeout=SESSION_SECONDS)
    alive.create(f"{path}/alive", ephemeral=True)
    with SUITE.servers_down(SUITE.leader()):
        eventually(lambda: SUITE.leaders(), "another server leads")
        eventually(
            lambda: watcher.retry(watcher.get_children, path) == ["alive"],
            lambda: f"only the ephemeral of who is gone goes: {watcher.retry(watcher.get_children, path)}",
            seconds=60,
        )
        time.sleep(3)
        check_equal(watcher.retry(watcher.get_children, path), ["alive"], "the ephemerals some time later")


@case
def without_a_quorum_only_readers_are_served(clients, path):
    if SUITE.args.reference and not SUITE.args.local_sessions:
        raise NotRun("ZooKeeper serves readers without a quorum only when localSessionsEnabled is set")
    SUITE.needs_servers(3)
    SUITE.needs_control()
    writer = clients.start()
    writer.create(path, b"data")
    for place in range(len(SUITE.addresses)):
        clients.of_server(place).sync(path)
    left = SUITE.leader()
    others = [place for place in range(len(SUITE.addresses)) if place != left]
    with SUITE.servers_down(*others):
        eventually(lambda: SUITE.ask(b"isro", left) == b"ro", lambda: f"isro answers {SUITE.ask(b'isro', left)}")
        eventually(lambda: SUITE.modes()[left] == "read-only", lambda: f"modes {SUITE.modes()}")
        host, port = SUITE.addresses[left]
        reader = clients.start(f"{host}:{port}", read_only=True)
        eventually(lambda: reader.client_state == KeeperState.CONNECTED_RO, "a reader is connected, read only")
        check_equal(reader.get(path)[0], b"data", "what it reads")
        check_equal(reader.get_children(path), [], "children that it reads")
        refused(NotReadOnlyCallError, reader.set, path, b"x")
        refused(NotReadOnlyCallError, reader.create, f"{path}/x")
        with contextlib.suppress(Closed):
            with RawSession(SUITE.addresses[left]) as raw:
                check_equal(raw.session, 0, "a client that wants to write is not served")
        reader.set_hosts(SUITE.connect)
    eventually(lambda: reader.client_state == KeeperState.CONNECTED, "the reader may write again", seconds=90)
    reader.retry(reader.set, path, b"written")


@case
def watches_fire_although_the_server_was_lost_meanwhile(clients, path):
    """On the wire: a watch that was set on one server is set on another again, and what happened between fires."""
    SUITE.needs_servers(3)
    SUITE.needs_control()
    lost = next(place for place in range(len(SUITE.addresses)) if place != SUITE.leader())
    writer = clients.start(timeout=SESSION_SECONDS)
    writer.create(path, b"0")
    watcher = clients.of_server((lost + 1) % len(SUITE.addresses), timeout=SESSION_SECONDS)
    watcher.sync(path)
    events = Events()
    watcher.get(path, watch=events)
    with SUITE.servers_down(lost):
        writer.retry(writer.set, path, b"1")
        check_equal(events.wait_for(1), [("CHANGED", path)], "events on a server that was not lost")


@case
def all_servers_stop_and_start_and_have_everything(clients, path):
    SUITE.needs_control()
    client = clients.start(timeout=SESSION_SECONDS)
    client.create(path, b"data")
    for number in range(50):
        client.create(f"{path}/{number}", str(number).encode())
    client.create(f"{path}-e", ephemeral=True)
    session, before = client.client_id[0], client.get(path)
    with SUITE.servers_down(*range(len(SUITE.addresses))):
        pass
    eventually(lambda: client.connected, "the client is connected again")
    check_equal(client.client_id[0], session, "the session")
    client.retry(client.sync, path)
    check_equal(client.retry(client.get, path), before, "data and stat")
    check_equal(len(client.get_children(path)), 50, "children")
    check(client.exists(f"{path}-e") is not None, "the ephemeral of a session that outlived it")
