"""The scheme x509: who a client is by its certificate, and what it may do."""

from kazoo.exceptions import InvalidACLError, NoAuthError
from kazoo.security import ACL, CREATOR_ALL_ACL, Id, OPEN_ACL_UNSAFE

from kazoo_clients import refused
from suite import check, check_equal
from tls_servers import SUITE, alone, java, keys, of

ALL = 31


def only(name):
    return [ACL(ALL, Id("x509", name))]


def as_who(clients, who):
    return clients.start(SUITE.shared(alone).first.secure_address, **of(who))


@SUITE.case
def what_is_alices_is_hers_alone(clients, path):
    server = SUITE.shared(alone).first
    alice, bob = as_who(clients, keys().alice), as_who(clients, keys().bob)
    plain = clients.start(server.address)
    alice.create(path, b"hers", acl=only("CN=alice,O=Test"))
    check_equal(alice.get(path)[0], b"hers", "what she reads")
    for other in (bob, plain):
        refused(NoAuthError, other.get, path)
        refused(NoAuthError, other.set, path, b"his")
        refused(NoAuthError, other.create, f"{path}/his")
    alice.create(f"{path}/hers")
    check_equal(alice.get_children(path), ["hers"], "what is there")


@SUITE.case
def whoever_creates_may_mean_its_certificate(clients, path):
    alice, bob = as_who(clients, keys().alice), as_who(clients, keys().bob)
    alice.create(path, acl=CREATOR_ALL_ACL)
    acls, _ = alice.get_acls(path)
    check_equal([(acl.id.scheme, acl.id.id) for acl in acls], [("x509", "CN=alice,O=Test")], "the ACL")
    refused(NoAuthError, bob.get, path)
    again = as_who(clients, keys().alice)
    check_equal(again.get(path)[0], b"", "what her next session reads")


@SUITE.case
def an_acl_may_name_somebody_else(clients, path):
    alice, bob = as_who(clients, keys().alice), as_who(clients, keys().bob)
    alice.create(path, b"his", acl=only("CN=bob,O=Test"))
    refused(NoAuthError, alice.get, path)
    check_equal(bob.get(path)[0], b"his", "what he reads")
    bob.set_acls(path, OPEN_ACL_UNSAFE)
    check_equal(alice.get(path)[0], b"his", "what she reads")


@SUITE.case
def the_superuser_may_do_everything(clients, path):
    alice, admin = as_who(clients, keys().alice), as_who(clients, keys().admin)
    alice.create(path, b"hers", acl=only("CN=alice,O=Test"))
    check_equal(admin.get(path)[0], b"hers", "what the superuser reads")
    admin.set(path, b"changed")
    admin.set_acls(path, only("CN=bob,O=Test"))
    refused(NoAuthError, alice.get, path)
    said = SUITE.cli(SUITE.shared(alone).first.secure_address, "whoami", f"get {path}", **java(keys().admin))
    check("x509: CN=admin,O=Test" in said and "super" in said, said)
    check("changed" in said.splitlines(), said)


@SUITE.case
def a_name_that_is_no_subject_is_no_acl(clients, path):
    alice = as_who(clients, keys().alice)
    refused(InvalidACLError, alice.create, path, acl=only("alice"))
    plain = clients.start(SUITE.shared(alone).first.address)
    plain.create(path, acl=only("CN=alice,O=Test"))
    refused(NoAuthError, plain.get, path)
    check_equal(alice.get(path)[0], b"", "what she reads")


@SUITE.case
def proofs_add_up(clients, path):
    """A certificate and a password: either is enough."""
    alice, plain = as_who(clients, keys().alice), clients.start(SUITE.shared(alone).first.address)
    alice.add_auth("digest", "alice:secret")
    plain.add_auth("digest", "alice:secret")
    alice.create(path, acl=CREATOR_ALL_ACL)
    schemes = sorted(acl.id.scheme for acl in alice.get_acls(path)[0])
    check_equal(schemes, ["digest", "x509"], "the schemes of the ACL")
    check_equal(plain.get(path)[0], b"", "what the password reads")
