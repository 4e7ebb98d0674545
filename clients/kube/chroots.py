"""Clients of an ensemble in Kubernetes, each below its own chroot (kazoo)."""

import argparse
import uuid

from kazoo.client import KazooClient

SECONDS_MAX = 30


def connected(hosts):
    client = KazooClient(hosts=hosts, timeout=20)
    client.start(timeout=SECONDS_MAX)
    return client


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True, help="HOST:PORT of the service")
    parser.add_argument("--all", help="HOST:PORT,… of every server: what one took, each has")
    parser.add_argument("--tenants", help="roots that exist already, separated by commas")
    arguments = parser.parse_args()
    administrator = connected(arguments.connect)
    if arguments.tenants:
        roots = arguments.tenants.split(",")
    else:
        roots = [f"kafka-root-{uuid.uuid4().hex[:6]}" for _ in range(2)]
        for root in roots:
            administrator.create(f"/{root}")
    tenants = [connected(f"{arguments.connect}/{root}") for root in roots]
    for root, tenant in zip(roots, tenants):
        tenant.create("/config", root.encode())
        tenant.create("/ids/1", ephemeral=True, makepath=True)
        assert sorted(tenant.get_children("/")) == ["config", "ids"], tenant.get_children("/")
    for root, tenant in zip(roots, tenants):
        assert tenant.get("/config")[0] == root.encode()
        assert administrator.get(f"/{root}/config")[0] == root.encode()
    servers = arguments.all.split(",") if arguments.all else []
    for server in servers:
        client = connected(f"{server}/{roots[0]}")
        client.sync("/config")
        assert client.get("/config")[0] == roots[0].encode(), server
        client.stop()
    if servers:
        # A list of which one alone can be reached.
        client = connected(f"127.0.0.1:1,{servers[-1]},127.0.0.1:2/{roots[1]}")
        assert client.get("/config")[0] == roots[1].encode()
        client.stop()
    for tenant in tenants:
        tenant.stop()
        tenant.close()
    assert administrator.get_children(f"/{roots[0]}/ids") == [], "ephemerals stay"
    administrator.stop()
    print(f"kazoo: {len(roots)} tenants and {len(servers)} servers, one by one, see what is theirs")


if __name__ == "__main__":
    main()
