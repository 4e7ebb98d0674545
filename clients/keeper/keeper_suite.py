"""What the keeper's Python suites share: the arguments, the servers that stop and start, and a socket that speaks
ZooKeeper's protocol by hand, for what no library would send.

A frame is a length of four bytes and a body. All numbers are big-endian; a string or buffer is a length of four bytes
(-1 for none) and its bytes; a vector is a count of four bytes and its elements (ZooKeeper's `zookeeper.jute`).

    connect   → protocol, last zxid seen, timeout, session id, password, read only
              ← protocol, timeout, session id, password, read only
    request   → xid, type, the type's record
              ← xid, zxid, error, the type's record when there is no error
"""

import contextlib
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from suite import NotRun, Suite, eventually, fresh  # noqa: E402

SOCKET_SECONDS = 20
NO_PASSWORD = bytes(16)

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL = 1, 2, 3, 4, 5, 6
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2 = 9, 11, 12, 13, 14, 15
MULTI_READ, AUTH, SET_WATCHES, ADD_WATCH, CLOSE = 22, 100, 101, 106, -11
PING_XID, AUTH_XID, SET_WATCHES_XID = -2, -4, -8

OK = 0
MARSHALLING_ERROR, UNIMPLEMENTED, BAD_ARGUMENTS = -5, -6, -8
NO_NODE, NO_AUTH, BAD_VERSION, NODE_EXISTS, NOT_EMPTY = -101, -102, -103, -110, -111
INVALID_ACL, AUTH_FAILED, SESSION_MOVED = -114, -115, -118

EPHEMERAL, SEQUENTIAL = 1, 2


class KeeperSuite(Suite):
    """Takes `--connect HOST:PORT,…` instead of one address."""

    def __init__(self, description):
        super().__init__(description, address="--connect", address_help="HOST:PORT,… of the servers")
        self.parser.add_argument("--super", help="NAME:PASSWORD of the superuser of scheme digest")
        self.parser.add_argument(
            "--reference", action="store_true", help="the servers are Apache ZooKeeper: spare it what it does not survive"
        )
        self.parser.add_argument(
            "--local-sessions", action="store_true", help="with --reference: the servers have localSessionsEnabled"
        )
        self.parser.add_argument("--sasl", help="NAME:PASSWORD of a user of SASL's DIGEST-MD5")

    @property
    def connect(self):
        return self.args.address

    @property
    def addresses(self):
        return [(host, int(port)) for host, port in (one.rsplit(":", 1) for one in self.connect.split(","))]

    def needs_servers(self, count):
        if len(self.addresses) < count:
            raise NotRun(f"needs {count} servers")

    def needs_control(self):
        if not self.args.control:
            raise NotRun("needs --control, the address that stops and starts servers")

    def superuser(self):
        if not self.args.super:
            raise NotRun("needs --super, the superuser's name and password")
        return self.args.super

    def sasl_user(self):
        if not self.args.sasl:
            raise NotRun("needs --sasl, a user's name and password")
        return self.args.sasl.split(":", 1)

    def ask(self, word, server=0):
        return four_letters(self.addresses[server], word)

    def modes(self):
        """The mode of each server, None where nobody serves."""
        return [mode_of(address) for address in self.addresses]

    def leader(self):
        """The place of the server that leads, from 0 on."""
        place = []
        eventually(lambda: place.extend(self.leaders()) or place, "a leader is known")
        return place[0]

    def leaders(self):
        return [place for place, mode in enumerate(self.modes()) if mode in ("leader", "standalone")]

    @contextlib.contextmanager
    def servers_down(self, *places, word="kill"):
        """Takes servers away and brings them back behind the block."""
        self.needs_control()
        for place in places:
            self.control.node(word, place + 1)
        try:
            yield
        finally:
            # Without a quorum none of them gets ready before the others are started.
            for place in places[:-1]:
                self.control.node("spawn", place + 1)
            self.control.node("start", places[-1] + 1)
            self.wait_for_all()

    def wait_for_all(self):
        serving = ("leader", "follower", "observer", "standalone")
        eventually(lambda: all(mode in serving for mode in self.modes()), "all servers serve")


def mode_of(address):
    try:
        answer = four_letters(address, b"srvr").decode()
    except OSError:
        return None
    return next((line[len("Mode: ") :] for line in answer.splitlines() if line.startswith("Mode: ")), None)


def four_letters(address, word):
    """The whole answer to a four-letter word; the server closes the connection behind it."""
    with socket.create_connection(address, timeout=SOCKET_SECONDS) as connection:
        connection.sendall(word)
        return read_all(connection)


def read_all(connection):
    """All that comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


class Closed(Exception):
    """The server has closed the connection."""


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def vector(elements):
    return struct.pack(">i", len(elements)) + b"".join(elements)


def acl(permissions=31, scheme="world", name="anyone"):
    return struct.pack(">i", permissions) + string(scheme) + string(name)


def create_record(path, data=b"", acls=None, flags=0):
    acls = [acl()] if acls is None else acls
    return string(path) + string(data) + vector(acls) + struct.pack(">i", flags)


def set_record(path, data, version=-1):
    return string(path) + string(data) + struct.pack(">i", version)


def delete_record(path, version=-1):
    return string(path) + struct.pack(">i", version)


def watch_record(path, watch=False):
    return string(path) + (b"\1" if watch else b"\0")


class RawSession:
    """A session on a socket of our own. Nothing is sent unless a method is called: no pings either."""

    def __init__(self, address, timeout_ms=10_000, session=0, password=NO_PASSWORD, last_zxid=0, read_only=False):
        self.socket = socket.create_connection(address, timeout=SOCKET_SECONDS)
        self.xid = 0
        body = struct.pack(">iqiq", 0, last_zxid, timeout_ms, session) + string(password)
        self.send(body + (b"\1" if read_only else b"\0"))
        answer = self.receive()
        _, self.timeout_ms, self.session, length = struct.unpack(">iiqi", answer[:20])
        self.password = answer[20 : 20 + length]
        self.read_only = answer[20 + length :] == b"\1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self):
        (length,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(length)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed(f"closed after {len(data)} of {count} bytes")
            data += part
        return data

    def post(self, kind, record=b"", xid=None):
        """Sends a request and does not wait for its answer."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send(struct.pack(">ii", xid, kind) + record)
        return xid

    def reply(self):
        """The next frame: xid, zxid, error, record."""
        answer = self.receive()
        return (*struct.unpack(">iqi", answer[:16]), answer[16:])

    def ask(self, kind, record=b"", xid=None):
        """A request's error and record; other frames on the way, such as events, are dropped."""
        wanted = self.post(kind, record, xid)
        while True:
            answered, _, error, rest = self.reply()
            if answered == wanted:
                return error, rest

    def create(self, path, data=b"", acls=None, flags=0):
        return self.ask(CREATE, create_record(path, data, acls, flags))[0]

    def close(self):
        """Ends the session, not only the connection."""
        self.ask(CLOSE)
        self.socket.close()

    def is_closed(self, seconds=SOCKET_SECONDS):
        """Whether the server closes the connection; what it still says is dropped."""
        self.socket.settimeout(seconds)
        try:
            read_all(self.socket)
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def stat_of(record):
    """A Stat, as ZooKeeper's records name its fields."""
    names = "czxid mzxid ctime mtime version cversion aversion ephemeralOwner dataLength numChildren pzxid".split()
    return dict(zip(names, struct.unpack(">qqqqiiiqiiq", record[-68:])))


def fresh_path(name):
    return f"/{fresh(name)}"
