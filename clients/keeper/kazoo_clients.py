"""The kazoo suite itself, and the clients that its cases get."""

import functools
import threading

from kazoo.client import KazooClient
from kazoo.protocol.connection import _CONNECTION_DROP
from kazoo.protocol.states import KazooState

from keeper_suite import KeeperSuite, fresh_path
from suite import check, eventually

SUITE = KeeperSuite("kazoo, ZooKeeper's Python client, against the keeper.")
CONNECT_SECONDS = 30


class Clients:
    """Makes clients for one case and stops them behind it."""

    def __init__(self):
        self.made = []

    def start(self, hosts=None, **options):
        client = self.prepare(hosts, **options)
        client.start(timeout=CONNECT_SECONDS)
        return client

    def prepare(self, hosts=None, **options):
        client = KazooClient(hosts or SUITE.connect, **options)
        self.made.append(client)
        return client

    def of_server(self, server, chroot="", **options):
        """A client that knows only this server."""
        host, port = SUITE.addresses[server]
        return self.start(f"{host}:{port}{chroot}", **options)

    def stop(self):
        for client in self.made:
            try:
                client.stop()
                client.close()
            except Exception as error:  # What a case left behind shall not hide how it ended.
                print(f"    a client did not stop: {error!r}")


def case(function):
    """A case that gets `clients`, and a fresh znode to work under."""

    @functools.wraps(function)
    def body():
        clients = Clients()
        try:
            path = fresh_path(function.__name__.replace("_", "-"))
            function(clients, path)
        finally:
            clients.stop()

    return SUITE.case(body)


class Events:
    """Keeps the events of watches, in order."""

    def __init__(self):
        self.seen = []
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self.seen.append((event.type, event.path))
            self._changed.notify_all()

    def wait_for(self, count, seconds=30):
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.seen) >= count, seconds)
        check(done, f"{count} events within {seconds} s, not {self.seen}")
        return self.seen


def drop_connection(client):
    """Cuts the client's connection and waits until it has noticed."""
    states, listener = [], None

    def listener(state):
        states.append(state)

    client.add_listener(listener)
    client._call(_CONNECTION_DROP, None)
    eventually(lambda: KazooState.SUSPENDED in states, "the connection is lost")
    client.remove_listener(listener)


def refused(error, action, *arguments, **options):
    """That an action ends in this error."""
    try:
        outcome = action(*arguments, **options)
    except error:
        return
    except Exception as other:
        raise AssertionError(f"{error.__name__} was expected, got {other!r}") from other
    raise AssertionError(f"{error.__name__} was expected, got {outcome!r}")
