"""Ensembles that a suite starts itself, for what the fixed ones do not have: keys, observers, members that come and go.

`--lib` has ZooKeeper's jars: its servers are the reference, its command line is a client. With `--ottla BINARY` our
keeper takes the servers' place, with the same `zoo.cfg`.
"""

import contextlib
import functools
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from kazoo_clients import Clients  # noqa: E402
from keeper_suite import fresh_path, four_letters, mode_of  # noqa: E402
from suite import LOG_LINES_KEPT, NotRun, Suite, check, eventually  # noqa: E402

START_SECONDS = 90
CLI_SECONDS = 90
# Below those that the kernel gives to whoever connects, and away from those of the fixed ensembles.
PORTS = range(12_000, 20_000)
SUPER = "super:test"
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
SERVING = ("leader", "follower", "observer", "standalone")

# What every server has. ZooKeeper takes lines that it does not know for properties of its own.
COMMON = {
    "tickTime": 500,
    "initLimit": 40,
    "syncLimit": 10,
    "maxClientCnxns": 0,
    "4lw.commands.whitelist": "*",
    "DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
}

_numbers = itertools.count(os.getpid() * 61)


def free_port():
    for number in _numbers:
        port = PORTS[number % len(PORTS)]
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class OwnServersSuite(Suite):
    def __init__(self, description):
        super().__init__(description, address=None)
        self.parser.add_argument("--lib", required=True, help="folder with ZooKeeper's jars")
        self.parser.add_argument("--ottla", help="our binary, whose keeper serves instead of ZooKeeper's servers")
        self.ensembles, self.started = {}, []

    @property
    def reference(self):
        return not self.args.ottla

    def needs_ottla(self):
        if self.reference:
            raise NotRun("needs --ottla, for it is about what ZooKeeper does not have")

    def case(self, function):
        """A case that gets `clients`, and a fresh path to work under."""

        @functools.wraps(function)
        def body():
            clients = Clients()
            try:
                function(clients, fresh_path(function.__name__.replace("_", "-")))
            finally:
                clients.stop()

        return super().case(body)

    def shared(self, make):
        """The ensemble that `make` starts, one for all cases."""
        if make not in self.ensembles:
            self.ensembles[make] = make()
        return self.ensembles[make].healthy()

    def end(self):
        # Those of cases that hang, too.
        for ensemble in self.started:
            ensemble.end()

    def cli(self, server, *commands, **properties):
        """ZooKeeper's command line on one server, `HOST:PORT`: what it says to these commands."""
        command = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Djava.awt.headless=true"]
        command += [f"-Dzookeeper.{name}={value}" for name, value in properties.items()]
        command += ["-cp", os.path.join(self.args.lib, "*"), "org.apache.zookeeper.ZooKeeperMain"]
        command += ["-timeout", "15000", "-waitforconnection", "-server", server]
        text = "".join(f"{one}\n" for one in (*commands, "quit"))
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=CLI_SECONDS, check=False
        )
        return done.stdout + done.stderr


class Server:
    """One process: its ports, its folder, and its `zoo.cfg`."""

    def __init__(self, ensemble, number, kind):
        self.ensemble, self.number, self.kind = ensemble, number, kind
        self.home = os.path.join(ensemble.folder.name, f"server-{number}")
        self.client_port, self.quorum_port, self.election_port, self.admin_port, self.secure_port = (
            free_port() for _ in range(5)
        )
        self.process, self.starts = None, 0
        os.makedirs(os.path.join(self.home, "data"))
        self.write("data/myid", str(number))

    @property
    def address(self):
        return f"127.0.0.1:{self.client_port}"

    @property
    def secure_address(self):
        return f"127.0.0.1:{self.secure_port}"

    @property
    def place(self):
        """Its line in a configuration, behind `server.N=`."""
        return f"127.0.0.1:{self.quorum_port}:{self.election_port}:{self.kind};127.0.0.1:{self.client_port}"

    @property
    def line(self):
        return f"server.{self.number}={self.place}"

    def write(self, name, text):
        with open(os.path.join(self.home, name), "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, settings, servers):
        """Writes its `zoo.cfg`; without other servers it is alone."""
        lines = {"dataDir": os.path.join(self.home, "data"), "admin.serverPort": self.admin_port, **COMMON, **settings}
        if not servers:
            lines.update({"clientPort": self.client_port, "clientPortAddress": "127.0.0.1"})
        if "ssl.keyStore.location" in settings:
            lines.update({"secureClientPort": self.secure_port, "secureClientPortAddress": "127.0.0.1"})
        if self.kind == "observer":
            lines["peerType"] = "observer"
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        self.write("zoo.cfg", text + "".join(f"{server.line}\n" for server in servers))

    def start(self):
        config = os.path.join(self.home, "zoo.cfg")
        suite = self.ensemble.suite
        if suite.reference:
            lib = os.path.join(suite.args.lib, "*")
            command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            command += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=info"]
            command += ["-cp", lib, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]
        else:
            command = [suite.args.ottla, "server", "--keeper-config", config, "--set", "ottla.http.listener="]
        self.starts += 1
        self.log_path = os.path.join(self.home, f"log-{self.starts}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def lives(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        """What it has said since its last start, without colours."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read())

    def tail(self):
        return "\n".join(self.log().splitlines()[-LOG_LINES_KEPT:])

    def says(self, text, seconds=30):
        """That its log comes to hold this."""
        eventually(lambda: text in self.log(), lambda: f"server {self.number} says {text!r}:\n{self.tail()}", seconds)

    @property
    def mode(self):
        return mode_of(("127.0.0.1", self.client_port)) if self.lives() else None

    def wait(self, *modes, seconds=START_SECONDS):
        """Until it serves, in one of these modes."""
        modes = modes or SERVING

        def ready():
            check(self.lives(), f"server {self.number} has ended:\n{self.tail()}")
            return self.mode in modes

        eventually(ready, lambda: f"server {self.number} is {modes}, not {self.mode}:\n{self.tail()}", seconds)
        return self

    def word(self, word):
        return four_letters(("127.0.0.1", self.client_port), word.encode()).decode()

    def monitor(self):
        """The fields of `mntr`, without their `zk_`."""
        fields = (line.split("\t", 1) for line in self.word("mntr").splitlines() if "\t" in line)
        return {name.removeprefix("zk_"): value for name, value in fields}

    def command(self, name):
        """What AdminServer answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/commands/{name}", timeout=20) as answer:
            return json.load(answer)


class Ensemble:
    """Servers with the same lines; dropped with `end`."""

    def __init__(self, suite, kinds, settings=None, each=None):
        """`kinds` are participants and observers, in the order of their numbers; `each` gives a server more settings."""
        self.suite = suite
        suite.started.append(self)
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-ensemble-")
        self.settings, self.each = settings or {}, each or (lambda server: {})
        self.servers = []
        for kind in kinds:
            self.add(kind)
        for server in self.servers:
            server.configure(self.settings_of(server), self.servers if len(self.servers) > 1 else [])

    def settings_of(self, server):
        return {**self.settings, **self.each(server)}

    def add(self, kind="participant"):
        """One more server, which has no `zoo.cfg` yet."""
        self.servers.append(Server(self, len(self.servers) + 1, kind))
        return self.servers[-1]

    def start(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait()
        return self

    def healthy(self):
        """Starts what an earlier case has left dead."""
        for server in self.servers:
            if not server.lives():
                server.start()
        for server in self.servers:
            server.wait()
        return self

    @property
    def first(self):
        return self.servers[0]

    @property
    def connect(self):
        return ",".join(server.address for server in self.servers)

    def of_mode(self, mode):
        return [server for server in self.servers if server.mode == mode]

    def leader(self):
        found = []
        eventually(lambda: found.extend(self.of_mode("leader")) or found, "a server leads", START_SECONDS)
        return found[0]

    def follower(self):
        return self.of_mode("follower")[0]

    def end(self):
        for server in self.servers:
            server.kill()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            for server in self.servers:
                if server.starts:
                    print(f"    server {server.number}, {server.mode}:\n{server.tail()}")
        self.end()


def within(seconds, action, *failures):
    """What `action` gives once it raises none of these any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except failures:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
