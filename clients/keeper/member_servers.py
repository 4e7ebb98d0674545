"""The suite of members: its ensembles, and who may change them."""

from kazoo.exceptions import ConnectionLoss, NewConfigNoQuorumError, ReconfigInProcessError, SessionExpiredError

from own_servers import SUPER, Ensemble, OwnServersSuite, within
from suite import check, eventually

SUITE = OwnServersSuite("The keeper's members, with clients of ZooKeeper.")
SUITE.case_seconds_max = 240
CHANGE_SECONDS = 60
RECONFIG = {"reconfigEnabled": "true"}


def observed():
    """Three that vote and one that watches."""
    return Ensemble(SUITE, ["participant"] * 3 + ["observer"], RECONFIG).start()


def three(**settings):
    """Three that vote."""
    return Ensemble(SUITE, ["participant"] * 3, {**RECONFIG, **settings}).start()


def of_three():
    """Three that vote, for cases that leave the members as they are."""
    return three()


def chief(clients, server, timeout=10.0):
    """kazoo on one server, as the superuser."""
    client = clients.start(server.address, timeout=timeout)
    client.add_auth("digest", SUPER)
    return client


def joins(ensemble, kind="participant", **settings):
    """Starts one more server, which knows the others and itself; it has no vote yet."""
    server = ensemble.add(kind)
    server.configure({**ensemble.settings, **settings}, ensemble.servers)
    return server.start()


def change(client, joining=None, leaving=None, new_members=None, from_config=-1):
    """A reconfig that goes through, although the new server may not have caught up, or a connection is lost."""
    failures = (ConnectionLoss, NewConfigNoQuorumError, ReconfigInProcessError, SessionExpiredError)
    return within(CHANGE_SECONDS, lambda: client.reconfig(joining, leaving, new_members, from_config), *failures)


def members(config):
    """The lines of the servers, by number."""
    lines = config.decode().splitlines()
    pairs = (line.split("=", 1) for line in lines if line.startswith("server."))
    return {int(name.removeprefix("server.")): place for name, place in pairs}


def members_on(client):
    client.sync("/zookeeper/config")
    return members(client.get("/zookeeper/config")[0])


def version_of(config):
    """The version in the last line, as a number."""
    last = config.decode().splitlines()[-1]
    check(last.startswith("version="), f"the last line {last!r}")
    return int(last.removeprefix("version="), 16)


def has(clients, server, path, value):
    """That a server, asked itself, comes to have this value."""
    client = clients.start(server.address)

    def there():
        client.sync(path)
        return client.exists(path) and client.get(path)[0] == value

    eventually(there, f"server {server.number} has {value!r} in {path}")
    return client
