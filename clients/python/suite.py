"""Runs named cases against a node and prints one line for each.

Every suite is a program with the same arguments and the same output, so that
`cargo xtask test` and a person at a terminal read it alike:

    version: kcat 1.7.1
    case produce_consume_gzip: ok (0.8 s)
    case headers: FAILED (0.3 s)
        ...the error and the tail of the client's log...
    case restart: not run (needs --control)

The exit code is 0 only when no case failed.
"""

import argparse
import collections
import logging
import os
import socket
import sys
import threading
import time
import traceback
import uuid

CASE_SECONDS_MAX = 120
LOG_LINES_KEPT = 40


class NotRun(Exception):
    """Raised by a case that cannot run here; the reason is printed."""


class Control:
    """Asks whoever started the node, or the nodes, to restart it, over one line of TCP."""

    def __init__(self, address):
        self.address = address

    def restart(self):
        """SIGTERM, then a start on the same address and data."""
        self._ask("restart")

    def kill(self):
        """SIGKILL, then a start on the same address and data."""
        self._ask("kill")

    def node(self, word, number):
        """`stop`, `kill` or `start` for one node of a cluster; a start waits until it is ready."""
        self._ask(f"{word} {number}")

    def _ask(self, word):
        if not self.address:
            raise NotRun("needs --control, the address that restarts the node")
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=320) as connection:
            connection.sendall(word.encode() + b"\n")
            answer = connection.makefile().readline().strip()
        if answer != "ok":
            raise RuntimeError(f"the node did not come back after {word}: {answer!r}")


class LogTail(logging.Handler):
    """Keeps the last lines of what a client logs, for the cases that fail."""

    def __init__(self):
        super().__init__()
        self.lines = collections.deque(maxlen=LOG_LINES_KEPT)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def emit(self, record):
        self.lines.append(self.format(record))


class Suite:
    def __init__(self, description, address="--bootstrap", address_help="HOST:PORT of the node"):
        parser = argparse.ArgumentParser(description=description)
        # Without an address the suite starts what it needs itself.
        parser.add_argument(address or "--address", dest="address", required=address is not None, help=address_help)
        parser.add_argument("--control", help="HOST:PORT that restarts the node")
        parser.add_argument("--only", help="run the cases whose name contains this")
        self.parser = parser
        self.cases = []
        self.case_seconds_max = CASE_SECONDS_MAX
        self.log = LogTail()
        logging.getLogger().addHandler(self.log)
        logging.getLogger().setLevel(logging.INFO)

    def arguments(self):
        self.args = self.parser.parse_args()
        self.bootstrap = self.args.address
        self.control = Control(self.args.control)
        return self.args

    def case(self, function, name=None):
        self.cases.append((name or function.__name__, function))
        return function

    def run(self, version, at_end=None):
        """Runs the cases and ends the process; `at_end` is called before that."""
        print(f"version: {version}", flush=True)
        failed = 0
        for name, function in self.cases:
            if not self.args.only or self.args.only in name:
                failed += not self._run_case(name, function)
        if at_end:
            at_end()
        # Clients leave threads behind when a case fails; they must not keep the process.
        sys.stdout.flush()
        os._exit(1 if failed else 0)

    def _run_case(self, name, function):
        self.log.lines.clear()
        outcome = {}

        def body():
            try:
                function()
            except NotRun as reason:
                outcome["not run"] = str(reason)
            except BaseException:  # A case may fail in any way; all of them are printed.
                outcome["error"] = traceback.format_exc()

        started = time.monotonic()
        thread = threading.Thread(target=body, name=name, daemon=True)
        thread.start()
        thread.join(self.case_seconds_max)
        if thread.is_alive():
            stack = sys._current_frames().get(thread.ident)
            where = "".join(traceback.format_stack(stack)) if stack else ""
            outcome["error"] = f"not finished after {self.case_seconds_max} s, it is at:\n{where}"
        seconds = time.monotonic() - started
        if "error" in outcome:
            print(f"case {name}: FAILED ({seconds:.1f} s)")
            for line in outcome["error"].splitlines()[-30:] + list(self.log.lines):
                print(f"    {line}")
        elif "not run" in outcome:
            print(f"case {name}: not run ({outcome['not run']})")
        else:
            print(f"case {name}: ok ({seconds:.1f} s)")
        sys.stdout.flush()
        return "error" not in outcome


def fresh(name):
    """A name that no earlier run has used."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def check_equal(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: expected {shortened(expected)}, got {shortened(actual)}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def shortened(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:600]}... ({len(text)} characters)"


def eventually(condition, what, seconds=45):
    """Waits until `condition()` is true; `what` says what was awaited, text or function."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
