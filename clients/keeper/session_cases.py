"""Sessions: how long they live, who may take them up again, and what goes with them."""

import threading
import time

from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import KazooState

from kazoo_clients import SUITE, Events, case, drop_connection
from keeper_suite import EPHEMERAL, NO_PASSWORD, PING, PING_XID, Closed, RawSession
from suite import check, check_equal, eventually

LONG_TIMEOUT_MS = 30_000


def limits():
    """The least and the greatest session timeout in ms, as `conf` tells them."""
    lines = dict(line.split("=", 1) for line in SUITE.ask(b"conf").decode().splitlines() if "=" in line)
    return int(lines["minSessionTimeout"]), int(lines["maxSessionTimeout"])


@case
def ephemerals_go_with_their_session(clients, path):
    watcher, owner = clients.start(), clients.start()
    watcher.create(path)
    owner.create(f"{path}/e", b"mine", ephemeral=True)
    check_equal(watcher.get(f"{path}/e")[1].ephemeralOwner, owner.client_id[0], "the owner")
    events = Events()
    watcher.exists(f"{path}/e", watch=events)
    owner.stop()
    check_equal(events.wait_for(1, seconds=5), [("DELETED", f"{path}/e")], "the event")
    check_equal(watcher.get_children(path), [], "the children")


@case
def a_silent_session_ends_after_its_timeout_and_not_before(clients, path):
    watcher = clients.start()
    watcher.create(path)
    gone = threading.Event()
    timeout_ms = max(2000, limits()[0])
    with RawSession(SUITE.addresses[0], timeout_ms=timeout_ms) as silent:
        check_equal(silent.timeout_ms, timeout_ms, "the timeout that was agreed on")
        check_equal(silent.create(f"{path}/e", flags=EPHEMERAL), 0, "the error of the create")
        begun = time.monotonic()
        watcher.exists(f"{path}/e", watch=lambda _: gone.set())
        check(gone.wait(timeout_ms * 5 / 1000 + 10), "the ephemeral goes when its session is silent")
        lived_ms = (time.monotonic() - begun) * 1000
        check(lived_ms > timeout_ms * 0.8, f"it lived for {lived_ms} of {timeout_ms} ms")
        check(silent.is_closed(), "the server closes the connection of a session that ended")


@case
def pings_keep_a_session(clients, path):
    watcher = clients.start()
    watcher.create(path)
    timeout_ms = max(2000, limits()[0])
    with RawSession(SUITE.addresses[0], timeout_ms=timeout_ms) as session:
        check_equal(session.create(f"{path}/e", flags=EPHEMERAL), 0, "the error of the create")
        for _ in range(15):
            time.sleep(timeout_ms / 1000 / 4)
            check_equal(session.ask(PING, xid=PING_XID)[0], 0, "the error of a ping")
        check(watcher.exists(f"{path}/e") is not None, "the ephemeral is there after many timeouts")
        session.close()
    eventually(lambda: watcher.exists(f"{path}/e") is None, "it goes with the session")


@case
def timeouts_are_moved_between_their_bounds(clients, path):
    least, greatest = limits()
    for asked, given in ((1, least), (least, least), (greatest, greatest), (greatest * 10, greatest)):
        with RawSession(SUITE.addresses[0], timeout_ms=asked) as session:
            check_equal(session.timeout_ms, given, f"the timeout when {asked} ms are asked for")
            session.close()


@case
def a_session_is_taken_up_with_its_id_and_password(clients, path):
    watcher = clients.start()
    watcher.create(path)
    first = RawSession(SUITE.addresses[0], timeout_ms=LONG_TIMEOUT_MS)
    check_equal(first.create(f"{path}/e", flags=EPHEMERAL), 0, "the error of the create")
    first.socket.close()
    second = clients.prepare(client_id=(first.session, first.password), timeout=LONG_TIMEOUT_MS / 1000)
    second.start()
    check_equal(second.client_id[0], first.session, "the session's id")
    check_equal(second.client_id[1], first.password, "the session's password")
    check(watcher.exists(f"{path}/e") is not None, "the ephemeral is there")
    second.set(f"{path}/e", b"by the same session")
    second.stop()
    # The watcher may be served by a server that is a moment behind.
    watcher.sync(path)
    check_equal(watcher.exists(f"{path}/e"), None, "the ephemeral when its session was closed")


@case
def a_wrong_password_opens_no_session(clients, path):
    watcher = clients.start()
    with RawSession(SUITE.addresses[0], timeout_ms=LONG_TIMEOUT_MS) as session:
        session.create(path, flags=EPHEMERAL)
        guess = bytes(byte ^ 1 for byte in session.password)
        for password in (guess, NO_PASSWORD, b""):
            with RawSession(SUITE.addresses[0], session=session.session, password=password) as thief:
                check_equal((thief.session, thief.timeout_ms), (0, 0), "what a thief is answered")
                check(thief.is_closed(), "a thief's connection is closed")
        # ZooKeeper closes the owner's connection when a thief knocks; the session is the owner's all the same.
        check(watcher.exists(path) is not None, "the ephemeral is there")
    with RawSession(SUITE.addresses[0], session=session.session, password=session.password) as again:
        check_equal(again.session, session.session, "the session that its owner takes up again")
        again.close()
    watcher.sync("/")
    check_equal(watcher.exists(path), None, "the ephemeral when the session is closed")


@case
def a_session_that_is_unknown_has_expired(clients, path):
    with RawSession(SUITE.addresses[0], session=0x123456789ABCDEF, password=b"x" * 16) as nobody:
        check_equal((nobody.session, nobody.timeout_ms), (0, 0), "what an unknown session is answered")
        check(nobody.is_closed(), "its connection is closed")


@case
def a_closed_session_is_not_taken_up_again(clients, path):
    session = RawSession(SUITE.addresses[0])
    session.close()
    with RawSession(SUITE.addresses[0], session=session.session, password=session.password) as again:
        check_equal(again.session, 0, "the id that is answered")


@case
def a_client_whose_session_expired_gets_a_new_one(clients, path):
    client = clients.start()
    states = []
    client.add_listener(states.append)
    old = client.client_id
    # Somebody else takes up the session and closes it.
    RawSession(SUITE.addresses[0], session=old[0], password=old[1]).close()
    eventually(lambda: KazooState.LOST in states and states[-1] == KazooState.CONNECTED, lambda: f"states {states}")
    check(client.client_id[0] != old[0], "another session")
    client.create(path, ephemeral=True)


@case
def a_lost_connection_keeps_the_session_and_its_ephemerals(clients, path):
    client, watcher = clients.start(), clients.start()
    client.create(path, ephemeral=True)
    session = client.client_id[0]
    for _ in range(3):
        drop_connection(client)
        eventually(lambda: client.connected, "the client connects again")
        check_equal(client.client_id[0], session, "the session")
    check(watcher.exists(path) is not None, "the ephemeral is there")


@case
def a_session_on_a_new_connection_leaves_the_old_one(clients, path):
    first = RawSession(SUITE.addresses[0])
    second = RawSession(SUITE.addresses[0], session=first.session, password=first.password)
    check_equal(second.session, first.session, "the session's id")
    check_equal(second.create(path), 0, "the error of a create on the new connection")
    check(first.is_closed(), "the old connection is closed")
    check_equal(second.ask(PING, xid=PING_XID)[0], 0, "the new connection goes on")
    second.close()


@case
def whoever_has_seen_the_future_is_sent_away(clients, path):
    """A client's last zxid is honoured: a server that lags behind it must not serve it."""
    address = SUITE.addresses[0]
    try:
        RawSession(address, last_zxid=0x7000_0000_0000_0000)
    except Closed:
        pass
    else:
        raise AssertionError("the server took a client that has seen more than there is")
    with RawSession(address) as session:
        check_equal(session.create(path), 0, "the error of a create afterwards")
        session.close()


@case
def many_sessions_come_and_go(clients, path):
    watcher = clients.start()
    watcher.create(path)
    sessions = [RawSession(SUITE.addresses[number % len(SUITE.addresses)]) for number in range(200)]
    check_equal(len({session.session for session in sessions}), 200, "different ids")
    check_equal(len({session.password for session in sessions}), 200, "different passwords")
    for session in sessions:
        check_equal(session.create(f"{path}/e-", flags=3), 0, "the error of a create")
    watcher.sync(path)
    check_equal(len(watcher.get_children(path)), 200, "ephemerals")
    for session in sessions:
        session.close()
    watcher.sync(path)
    check_equal(watcher.get_children(path), [], "ephemerals when all sessions are closed")


@case
def closing_a_session_makes_way_at_once(clients, path):
    """The ephemeral's name is free when the close was answered."""
    for _ in range(10):
        client = clients.start(SUITE.connect.split(",")[0])
        client.create(path, ephemeral=True)
        client.stop()
    watcher = clients.start(SUITE.connect.split(",")[0])
    try:
        watcher.get(path)
    except NoNodeError:
        return
    raise AssertionError("the ephemeral of a closed session is there")
