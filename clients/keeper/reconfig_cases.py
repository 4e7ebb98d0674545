"""`reconfig` that is refused, and changes that leave the members as they are."""

from kazoo.exceptions import (
    BadArgumentsError,
    BadVersionError,
    MarshallingError,
    NewConfigNoQuorumError,
    NoAuthError,
    ReconfigDisabledError,
    UnimplementedError,
)

from kazoo.security import OPEN_ACL_UNSAFE, READ_ACL_UNSAFE

from kazoo_clients import refused
from member_servers import SUITE, chief, members, members_on, of_three, three, version_of
from own_servers import SUPER, Ensemble
from suite import check, check_equal


def each_place(clients):
    """A superuser on the leader, and one on a follower."""
    ensemble = SUITE.shared(of_three)
    return [chief(clients, ensemble.leader()), chief(clients, ensemble.follower())]


@SUITE.case
def the_members_are_read_by_anybody(clients, path):
    ensemble = SUITE.shared(of_three)
    for server in ensemble.servers:
        client = clients.start(server.address)
        config, stat = client.get("/zookeeper/config")
        check_equal(members(config), {one.number: one.place for one in ensemble.servers}, "the members")
        # It stays what it was at the first start until something is changed.
        check(version_of(config) >= 0, config)
    if not SUITE.reference:
        check_equal(len(set(client.get("/zookeeper/config")[1].mzxid for client in clients.made)), 1, "the zxids")


@SUITE.case
def whoever_has_no_right_is_refused(clients, path):
    ensemble = SUITE.shared(of_three)
    for server in (ensemble.leader(), ensemble.follower()):
        client = clients.start(server.address)
        refused(NoAuthError, client.reconfig, None, "1", None)
        client.add_auth("digest", "somebody:else")
        refused(NoAuthError, client.reconfig, None, "1", None)
    said = SUITE.cli(ensemble.first.address, "reconfig -remove 1")
    check("NoAuth" in said or "Insufficient permission" in said, said)


@SUITE.case
def another_version_is_refused(clients, path):
    for client in each_place(clients):
        refused(BadVersionError, client.reconfig, None, "1", None, 0x7777)
        check_equal(len(members_on(client)), 3, "the members")
    said = SUITE.cli(
        SUITE.shared(of_three).follower().address, f"addauth digest {SUPER}", "reconfig -remove 1 -v 7777"
    )
    check("not valid" in said or "BadVersion" in said, said)


@SUITE.case
def what_names_no_servers_is_refused(clients, path):
    for client in each_place(clients):
        for joining in (
            "not a member",
            "server.4",
            "server.4=",
            "server.4=localhost",
            "server.4=localhost:1",
            "server.4=localhost:1:x",
            "server.4=localhost:1:2",
            "server.4=localhost:1:2:king;3",
        ):
            refused(BadArgumentsError, client.reconfig, joining, None, None)
        refused(BadArgumentsError, client.reconfig, None, None, "not a member")
        # What should be a number.
        refused(MarshallingError, client.reconfig, "server.x=localhost:1:2;3", None, None)
        refused(MarshallingError, client.reconfig, "foo=localhost:1:2;3", None, None)
        refused(MarshallingError, client.reconfig, None, "one", None)
        check_equal(len(members_on(client)), 3, "the members")


@SUITE.case
def an_ensemble_without_a_vote_is_refused(clients, path):
    for client in each_place(clients):
        refused(BadArgumentsError, client.reconfig, None, "1,2,3", None)
        check_equal(len(members_on(client)), 3, "the members")


@SUITE.case
def members_that_could_not_agree_are_refused(clients, path):
    """Five more that are not there: three of eight are no quorum."""
    absent = ",".join(f"server.{4 + one}=127.0.0.1:{11000 + one}:{11100 + one};{11200 + one}" for one in range(5))
    for client in each_place(clients):
        refused(NewConfigNoQuorumError, client.reconfig, absent, None, None)
        refused(NewConfigNoQuorumError, client.reconfig, None, None, absent)
        check_equal(len(members_on(client)), 3, "the members")
        client.create(f"{path}-{client.client_id[0]:x}")


@SUITE.case
def what_changes_nothing_is_a_change(clients, path):
    """The servers stay, and the version grows."""
    ensemble = SUITE.shared(of_three)
    for client in each_place(clients):
        client.sync("/zookeeper/config")
        before, _ = client.get("/zookeeper/config")
        config, stat = client.reconfig(ensemble.first.line, None, None)
        check_equal(members(config), members(before), "the members")
        check_equal(version_of(config), stat.mzxid, "the version is the zxid of the change")
        check(version_of(config) > version_of(before), f"the version grows from {before} to {config}")
        config, _ = client.reconfig(ensemble.first.line, None, None, version_of(config))
        check_equal(client.get("/zookeeper/config")[0], config, "what is read behind it")
        refused(BadVersionError, client.reconfig, ensemble.first.line, None, None, version_of(before))
        # A server that is no member cannot leave, and that is no error.
        config, _ = client.reconfig(None, "77", None)
        check_equal(members(config), members(before), "the members")


@SUITE.case
def an_acl_lets_others_change_the_members(clients, path):
    ensemble = SUITE.shared(of_three)
    admin, anybody = chief(clients, ensemble.leader()), clients.start(ensemble.follower().address)
    admin.set_acls("/zookeeper/config", OPEN_ACL_UNSAFE)
    try:
        anybody.sync("/")
        config, _ = anybody.reconfig(ensemble.first.line, None, None)
        check_equal(len(members(config)), 3, "the members")
    finally:
        admin.set_acls("/zookeeper/config", READ_ACL_UNSAFE)
    anybody.sync("/")
    refused(NoAuthError, anybody.reconfig, ensemble.first.line, None, None)


@SUITE.case
def it_may_be_off(clients, path):
    with three(reconfigEnabled="false") as ensemble:
        for server in (ensemble.leader(), ensemble.follower()):
            refused(ReconfigDisabledError, chief(clients, server).reconfig, None, "1", None)


@SUITE.case
def a_server_alone_has_no_members(clients, path):
    with Ensemble(SUITE, ["participant"], {"reconfigEnabled": "true"}).start() as ensemble:
        refused(UnimplementedError, chief(clients, ensemble.first).reconfig, ensemble.first.line, None, None)
