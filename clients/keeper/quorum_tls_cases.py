"""TLS between servers: three that trust each other, and one that nobody trusts."""

import time

from certificates import replace
from own_servers import Ensemble, START_SECONDS
from suite import check, check_equal, eventually
from tls_servers import SUITE, keys

# How long a server tries that must not get in.
OUTSIDE_SECONDS = 8


def with_keys(key_of):
    """Settings of servers that talk to each other with TLS."""
    return lambda server: {
        "sslQuorum": "true",
        "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
        "ssl.quorum.keyStore.location": key_of(server),
        "ssl.quorum.trustStore.location": keys().authority.certificate,
        "sslQuorumReloadCertFiles": "true",
    }


def stays_outside(server, seconds=OUTSIDE_SECONDS):
    """That a server which runs gets into no ensemble."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        mode = server.mode
        check(mode not in ("leader", "follower"), f"server {server.number} is {mode}")
        time.sleep(0.2)


@SUITE.case
def servers_with_keys_form_an_ensemble(clients, path):
    with Ensemble(SUITE, ["participant"] * 3, each=with_keys(lambda server: keys().server.pem)).start() as ensemble:
        client = clients.start(ensemble.connect)
        client.create(path, b"1")
        for server in ensemble.servers:
            there = clients.start(server.address)
            there.sync(path)
            check_equal(there.get(path)[0], b"1", f"what server {server.number} has")
        ensemble.leader().kill()
        client.retry(client.set, path, b"2")
        ensemble.healthy()
        for server in ensemble.servers:
            there = clients.start(server.address)
            there.sync(path)
            check_equal(there.get(path)[0], b"2", f"what server {server.number} has")


@SUITE.case
def a_server_that_is_not_trusted_stays_outside_until_it_is(clients, path):
    forged = keys().stranger.leaf("server")
    key_of = {1: keys().server.pem, 2: keys().server.pem, 3: keys().authority.leaf("third").pem}
    each = with_keys(lambda server: key_of[server.number])
    with Ensemble(SUITE, ["participant"] * 3, each=each).start() as ensemble:
        third = ensemble.servers[2]
        good = keys().authority.leaf("third-again")
        third.kill()
        replace(key_of[3], forged.pem)
        third.start()
        stays_outside(third)
        client = clients.start(",".join(server.address for server in ensemble.servers[:2]))
        client.retry(client.create, path, b"without the third")
        if not SUITE.reference:
            whoever = "".join(server.log() for server in ensemble.servers)
            check("certificate" in whoever, f"nobody says why:\n{whoever}")
        # Keys are read again while it runs.
        replace(key_of[3], good.pem)
        third.wait("leader", "follower", seconds=START_SECONDS)
        there = clients.start(third.address)
        there.sync(path)
        check_equal(there.get(path)[0], b"without the third", "what the third has missed")


@SUITE.case
def a_server_without_tls_stays_outside(clients, path):
    each = with_keys(lambda server: keys().server.pem)
    with Ensemble(SUITE, ["participant"] * 3, each=each).start() as ensemble:
        third = ensemble.servers[2]
        third.kill()
        third.configure({}, ensemble.servers)
        third.start()
        stays_outside(third)
        client = clients.start(",".join(server.address for server in ensemble.servers[:2]))
        client.retry(client.create, path)
        third.kill()
        third.configure(ensemble.settings_of(third), ensemble.servers)
        third.start().wait("leader", "follower")
        eventually(lambda: clients.start(third.address).exists(path), "the third has what it missed")
