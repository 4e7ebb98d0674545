"""kazoo's own tests, as they come with its package, against servers that somebody else starts and stops.

They expect to start ZooKeeper themselves; here their cluster is an object that asks `--control`. What passes against
Apache ZooKeeper is listed in `kazoo_own_tests.json`, and must pass here. `--record` adds a run to that list: a test that passed in
one run and failed in another is unsteady, and may fail."""

import json
import os
import sys
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import kazoo.version  # noqa: E402
from keeper_suite import KeeperSuite, mode_of  # noqa: E402
from suite import eventually  # noqa: E402

TEST_SECONDS_MAX = 120
LINES_SHOWN = 25
LIST = os.path.join(HERE, "kazoo_own_tests.json")
SUITE = KeeperSuite(__doc__)
SUITE.parser.add_argument("--record", action="store_true", help="write down what passes, instead of comparing with it")


class Server:
    """One of the servers, in the words of kazoo's tests."""

    def __init__(self, place):
        self.place = place
        self.host, self.client_port = SUITE.addresses[place]
        self.running = True

    @property
    def address(self):
        return f"{self.host}:{self.client_port}"

    # Nobody listens for TLS; the tests that want it fail against any server here.
    secure_address = address

    def run(self):
        if not self.running:
            # Only with the others does it get ready, if they are a quorum.
            others = [server for server in CLUSTER if server is not self and server.running]
            word = "start" if (len(others) + 1) * 2 > len(CLUSTER) else "spawn"
            SUITE.control.node(word, self.place + 1)
            self.running = True

    def stop(self):
        if self.running:
            SUITE.control.node("stop", self.place + 1)
            self.running = False


class Cluster(list):
    """All servers. Between tests they go on: each test has a chroot of its own."""

    def start(self):
        for server in self:
            server.run()
        self.settle()

    def terminate(self):
        """Called behind each class of tests: whatever it left stopped is started again."""
        self.start()

    def settle(self):
        eventually(lambda: all(mode_of((server.host, server.client_port)) for server in self), "all servers serve")

    def get_logs(self):
        return []

    def get_ssl_client_configuration(self):
        raise RuntimeError("the servers have no TLS here")


CLUSTER = Cluster()


def prepare():
    """Puts our cluster in the place of kazoo's, whose module wants libraries for making certificates."""
    for name in ("OpenSSL", "jks"):
        sys.modules.setdefault(name, types.ModuleType(name))
    os.environ["ZOOKEEPER_VERSION"] = "3.9.5"
    from kazoo.testing import harness

    CLUSTER.extend(Server(place) for place in range(len(SUITE.addresses)))
    harness.get_global_cluster = lambda: CLUSTER


class Recorder:
    """A plugin of pytest that prints each test as a case."""

    def __init__(self, expected, out):
        self.expected, self.out = expected, out
        self.outcomes, self.seconds, self.failed = {}, {}, 0

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rsplit("tests/", 1)[-1]
        self.seconds[name] = self.seconds.get(name, 0) + report.duration
        outcome, reason = self.outcomes.get(name, ("passed", ""))
        if report.failed and outcome != "failed":
            outcome, reason = "failed", report.longreprtext
        elif report.skipped and outcome == "passed":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "expected to fail"
            outcome = "skipped"
        self.outcomes[name] = (outcome, reason)
        if report.when == "teardown":
            self.tell(name, outcome, reason)

    def tell(self, name, outcome, reason):
        told = {"passed": "ok", "failed": "FAILED"}.get(outcome)
        lines = []
        if outcome == "skipped":
            told = f"not run ({reason.strip()})"
        elif outcome == "failed" and self.expected.get(name, "passed") != "passed":
            told = "not run (it failed, as it does against Apache ZooKeeper)"
        elif outcome == "failed":
            self.failed += 1
            lines = reason.splitlines()[-LINES_SHOWN:]
        seconds = "" if told.startswith("not run") else f" ({self.seconds[name]:.1f} s)"
        text = "".join(f"    {line}\n" for line in lines)
        self.out.write(f"case {name.replace(': ', ' ')}: {told}{seconds}\n{text}")
        self.out.flush()


def main():
    SUITE.arguments()
    SUITE.needs_control()
    known = {}
    if os.path.exists(LIST):
        with open(LIST, encoding="utf-8") as file:
            known = json.load(file)["outcomes"]
    expected = {} if SUITE.args.record else known
    prepare()
    import pytest

    # What pytest and the tests print themselves is not for the reader.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    out.write(f"version: kazoo {kazoo.version.__version__}, its own tests\n")
    out.flush()
    recorder = Recorder(expected, out)
    arguments = ["--pyargs", "kazoo.tests", "-q", "--tb=short", "-p", "no:cacheprovider", "--show-capture=no"]
    arguments.append(f"--timeout={TEST_SECONDS_MAX}")
    if SUITE.args.only:
        arguments += ["-k", SUITE.args.only]
    begun = time.monotonic()
    code = pytest.main(arguments, plugins=[recorder])
    missing = sorted(name for name, was in expected.items() if was == "passed" and name not in recorder.outcomes)
    if missing and not SUITE.args.only:
        recorder.failed += len(missing)
        out.writelines(f"case {name}: FAILED (it was not there)\n" for name in missing)
    if SUITE.args.record:
        outcomes = {}
        for name, (outcome, _) in sorted(recorder.outcomes.items()):
            outcomes[name] = outcome if known.get(name, outcome) == outcome else "unsteady"
        with open(LIST, "w", encoding="utf-8") as file:
            json.dump({"kazoo": kazoo.version.__version__, "outcomes": outcomes}, file, indent=1)
            file.write("\n")
    passed = sum(outcome == "passed" for outcome, _ in recorder.outcomes.values())
    out.write(f"    {passed} of kazoo's tests passed in {time.monotonic() - begun:.0f} s\n")
    out.flush()
    os._exit(1 if recorder.failed or code not in (0, 1) else 0)


if __name__ == "__main__":
    main()
