"""Runs Kafka's own command line tools."""

import os
import subprocess

from suite import LOG_LINES_KEPT, check

COMMAND_SECONDS_MAX = 90
PACKAGE = "org.apache.kafka.tools."


class Tools:
    """The tools whose jars lie in `suite.args.lib`, for the node or cluster of the suite."""

    def __init__(self, suite):
        self.suite = suite
        suite.parser.add_argument("--lib", required=True, help="folder with the jars of kafka-tools")

    def run(self, name, *arguments, stdin="", bootstrap=True, fails=False):
        """Runs one tool to its end and returns its output. `bootstrap` may be other arguments."""
        if bootstrap is True:
            bootstrap = ["--bootstrap-server", self.suite.bootstrap]
        command = [
            "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", os.path.join(self.suite.args.lib, "*"), name if name.startswith("kafka.") else PACKAGE + name,
            *(bootstrap or []), *arguments,
        ]  # fmt: skip
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
        )
        for line in (done.stderr + done.stdout).splitlines()[-LOG_LINES_KEPT:]:
            self.suite.log.lines.append(f"{name}: {line}")
        check((done.returncode != 0) == fails, f"{name} exits with {done.returncode}")
        return done.stdout + done.stderr if fails else done.stdout
