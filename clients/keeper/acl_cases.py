"""Who may do what: the schemes world, auth, digest, ip, super and sasl."""

import struct

from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    InvalidACLError,
    NoAuthError,
)
from kazoo.protocol.states import KeeperState
from kazoo.security import (
    ACL,
    CREATOR_ALL_ACL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    Id,
    Permissions,
    make_acl,
    make_digest_acl,
    make_digest_acl_credential,
)

from kazoo_clients import SUITE, case, refused
from keeper_suite import AUTH, AUTH_FAILED, AUTH_XID, GET_DATA, NO_AUTH, NO_NODE, RawSession, string, watch_record
from suite import check, check_equal, eventually, fresh


def auth_record(scheme, name):
    return struct.pack(">i", 0) + string(scheme) + string(name)


@case
def digest_lets_in_who_knows_the_password(clients, path):
    owner, stranger, guest = clients.start(), clients.start(), clients.start()
    owner.add_auth("digest", "alice:wonderland")
    guest.add_auth("digest", "bob:builder")
    acls = [make_digest_acl("alice", "wonderland", all=True), make_digest_acl("bob", "builder", read=True)]
    owner.create(path, b"secret", acl=acls)
    check_equal(owner.get(path)[0], b"secret", "what the owner reads")
    check_equal(guest.retry(guest.get, path)[0], b"secret", "what the guest reads")
    refused(NoAuthError, guest.set, path, b"x")
    refused(NoAuthError, guest.create, f"{path}/child", b"")
    refused(NoAuthError, stranger.get, path)
    refused(NoAuthError, stranger.set, path, b"x")
    refused(NoAuthError, stranger.get_children, path)
    refused(NoAuthError, stranger.set_acls, path, OPEN_ACL_UNSAFE)
    refused(NoAuthError, stranger.exists, path)
    stranger.add_auth("digest", "alice:looking-glass")
    refused(NoAuthError, stranger.get, path)
    stranger.add_auth("digest", "alice:wonderland")
    check_equal(stranger.get(path)[0], b"secret", "what a session reads that has one more identity")


@case
def the_scheme_auth_stands_for_whoever_creates(clients, path):
    owner, nobody = clients.start(), clients.start()
    refused(InvalidACLError, nobody.create, path, b"", acl=CREATOR_ALL_ACL)
    owner.add_auth("digest", "alice:wonderland")
    owner.create(path, b"", acl=CREATOR_ALL_ACL)
    credential = make_digest_acl_credential("alice", "wonderland")
    acls, stat = owner.get_acls(path)
    check_equal(acls, [ACL(Permissions.ALL, Id("digest", credential))], "the ACL that is kept")
    check_equal(stat.aversion, 0, "its version")
    refused(NoAuthError, nobody.get, path)


@case
def each_permission_is_asked_for_what_it_guards(clients, path):
    admin, user = clients.start(), clients.start()
    admin.add_auth("digest", "admin:admin")
    everything = make_digest_acl("admin", "admin", all=True)
    guarded = {
        "read": (lambda at: user.get(at), lambda at: user.get_children(at)),
        "write": (lambda at: user.set(at, b"x"),),
        "create": (lambda at: user.create(f"{at}/new"),),
        "delete": (lambda at: user.delete(f"{at}/victim"),),
        "admin": (lambda at: user.set_acls(at, [everything, make_acl("world", "anyone", admin=True)]),),
    }
    admin.create(path, acl=[everything, make_acl("world", "anyone", read=True)])
    for given in guarded:
        at = f"{path}/{given}"
        admin.create(at, acl=[everything, make_acl("world", "anyone", **{given: True})])
        admin.create(f"{at}/victim", acl=OPEN_ACL_UNSAFE)
        user.sync(at)
        for needed, actions in guarded.items():
            for action in actions:
                if needed == given:
                    action(at)
                else:
                    refused(NoAuthError, action, at)


@case
def acls_have_a_version_of_their_own(clients, path):
    client = clients.start()
    client.create(path, b"data")
    acls, stat = client.get_acls(path)
    check_equal((acls, stat.aversion), (OPEN_ACL_UNSAFE, 0), "the ACL of a new znode")
    changed = client.set_acls(path, READ_ACL_UNSAFE + [make_acl("ip", "127.0.0.1", all=True)], version=0)
    check_equal((changed.aversion, changed.version), (1, 0), "versions after the change")
    refused(BadVersionError, client.set_acls, path, OPEN_ACL_UNSAFE, version=0)
    acls, stat = client.get_acls(path)
    expected = [make_acl("world", "anyone", read=True), make_acl("ip", "127.0.0.1", all=True)]
    check_equal((acls, stat.aversion), (expected, 1), "the ACL that was set")


@case
def an_acl_that_makes_no_sense_is_refused(clients, path):
    client = clients.start()
    for acls in (
        [ACL(31, Id("nonsense", "x"))],
        [ACL(31, Id("world", "somebody"))],
        [ACL(31, Id("ip", "not-an-address"))],
        [ACL(31, Id("ip", "10.0.0.0/99"))],
        [ACL(31, Id("digest", "no-colon"))],
    ):
        refused(InvalidACLError, client.create, path, b"", acl=acls)
    check_equal(client.exists(path), None, "what was refused")
    client.create(path)
    refused(InvalidACLError, client.set_acls, path, [ACL(31, Id("nonsense", "x"))])
    refused(InvalidACLError, client.set_acls, path, [])


@case
def addresses_are_let_in_by_their_network(clients, path):
    client = clients.start()
    client.create(path)
    for name, reachable in (
        ("127.0.0.1", True),
        ("127.0.0.0/8", True),
        ("127.0.0.1/32", True),
        ("10.0.0.0/8", False),
        ("127.0.0.2", False),
    ):
        at = f"{path}/{name.replace('/', '-')}"
        client.create(at, b"here", acl=[make_acl("ip", name, read=True)])
        if reachable:
            check_equal(client.get(at)[0], b"here", f"what {name} lets in")
        else:
            refused(NoAuthError, client.get, at)


@case
def a_multi_is_refused_where_one_of_its_parts_is(clients, path):
    owner, stranger = clients.start(), clients.start()
    owner.add_auth("digest", "alice:wonderland")
    owner.create(path, b"")
    owner.create(f"{path}/open")
    owner.create(f"{path}/closed", acl=CREATOR_ALL_ACL)
    multi = stranger.transaction()
    multi.set_data(f"{path}/open", b"x")
    multi.set_data(f"{path}/closed", b"x")
    kinds = [type(result).__name__ for result in multi.commit()]
    check_equal(kinds, ["RolledBackError", "NoAuthError"], "outcomes")
    check_equal(owner.get(f"{path}/open")[0], b"", "what was not changed")


@case
def an_unknown_scheme_fails_the_authentication(clients, path):
    client = clients.start()
    refused(AuthFailedError, client.add_auth, "nonsense", "alice:wonderland")
    with RawSession(SUITE.addresses[0]) as session:
        session.post(AUTH, auth_record("nonsense", "x"), xid=AUTH_XID)
        xid, _, error, _ = session.reply()
        check_equal((xid, error), (AUTH_XID, AUTH_FAILED), "the answer")
        check(session.is_closed(), "the connection is closed")


@case
def identities_belong_to_a_connection(clients, path):
    """A client adds them again when it connects again; the server keeps nothing for the session."""
    owner = clients.start()
    owner.add_auth("digest", "alice:wonderland")
    owner.create(path, b"secret", acl=CREATOR_ALL_ACL)
    first = RawSession(SUITE.addresses[0], timeout_ms=20_000)
    check_equal(first.ask(AUTH, auth_record("digest", "alice:wonderland"), xid=AUTH_XID)[0], 0, "the error of auth")
    check_equal(first.ask(GET_DATA, watch_record(path))[0], 0, "the error of a read")
    with RawSession(SUITE.addresses[0], session=first.session, password=first.password) as second:
        check_equal(second.ask(GET_DATA, watch_record(path))[0], NO_AUTH, "without the identity")
        check_equal(second.ask(AUTH, auth_record("digest", "alice:wonderland"), xid=AUTH_XID)[0], 0, "auth again")
        check_equal(second.ask(GET_DATA, watch_record(path))[0], 0, "with it")
        second.close()


@case
def the_superuser_may_do_everything(clients, path):
    owner, chief = clients.start(), clients.start()
    chief.add_auth("digest", SUITE.superuser())
    owner.add_auth("digest", "alice:wonderland")
    owner.create(path, b"secret", acl=CREATOR_ALL_ACL)
    chief.sync(path)
    check_equal(chief.get(path)[0], b"secret", "what the superuser reads")
    chief.set(path, b"changed")
    chief.set_acls(path, OPEN_ACL_UNSAFE)
    chief.delete(path)
    stranger = clients.start()
    name, _, _ = SUITE.superuser().partition(":")
    stranger.add_auth("digest", f"{name}:a-guess")
    owner.create(path, b"secret", acl=CREATOR_ALL_ACL)
    stranger.sync(path)
    refused(NoAuthError, stranger.get, path)


@case
def what_is_not_there_is_told_before_who_may(clients, path):
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.ask(GET_DATA, watch_record(path))[0], NO_NODE, "the error of a read")
        session.close()


@case
def sasl_lets_in_who_knows_the_password(clients, path):
    user, password = SUITE.sasl_user()
    options = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
    client, stranger = clients.start(sasl_options=options), clients.start()
    client.create(path, b"secret", acl=[make_acl("sasl", user, all=True)])
    check_equal(client.get(path)[0], b"secret", "what the user reads")
    stranger.sync(path)
    refused(NoAuthError, stranger.get, path)
    client.create(f"{path}/auth", b"", acl=CREATOR_ALL_ACL)
    check_equal(client.get_acls(f"{path}/auth")[0], [make_acl("sasl", user, all=True)], "what auth stands for")


@case
def sasl_keeps_out_who_does_not(clients, path):
    user, _ = SUITE.sasl_user()
    for name, password in ((user, "a-guess"), (fresh("nobody"), "a-guess")):
        options = {"mechanism": "DIGEST-MD5", "username": name, "password": password}
        client = clients.prepare(sasl_options=options)
        # It tells of the refusal by being closed again, a moment after its start.
        client.start()
        ends = (KeeperState.CLOSED, KeeperState.AUTH_FAILED)
        eventually(lambda: not client.connected and client.client_state in ends, lambda: client.client_state)
