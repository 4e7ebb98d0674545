"""TLS on the clients' port: who is let in, who is not, and that it concerns nobody else."""

import socket
import ssl
import subprocess

from kazoo.handlers.threading import KazooTimeoutError

from certificates import replace
from keeper_suite import RawSession, read_all
from kazoo_clients import Events, refused
from own_servers import Ensemble
from suite import check, check_equal, eventually
from tls_servers import (
    SOCKET_SECONDS,
    SUITE,
    alone,
    java,
    keys,
    of,
    secured,
    served_certificate,
    shake,
    without_certificates,
)

# How long a client tries that must not succeed.
REFUSED_SECONDS = 4


def stays_out(clients, address, **options):
    """That a client gets no session, however often it tries."""
    client = clients.prepare(address, **options)
    refused(KazooTimeoutError, client.start, timeout=REFUSED_SECONDS)


def ended(connection):
    """What comes on a connection until its end, if it does not end with a reset."""
    connection.settimeout(SOCKET_SECONDS)
    try:
        return read_all(connection)
    except (ConnectionResetError, ssl.SSLError):
        return b""


@SUITE.case
def kazoo_works_over_tls(clients, path):
    server = SUITE.shared(alone).first
    client = clients.start(server.secure_address, check_hostname=True, **of(keys().alice))
    events = Events()
    client.create(path, b"1")
    check_equal(client.get(path, watch=events)[0], b"1", "what it has written")
    plain = clients.start(server.address)
    plain.set(path, b"2" * 500_000)
    events.wait_for(1)
    check_equal(client.get(path)[0], b"2" * 500_000, "what a client without TLS has written")


@SUITE.case
def zookeepers_own_client_works_over_tls(clients, path):
    server = SUITE.shared(alone).first
    said = SUITE.cli(server.secure_address, f"create {path} hello", f"get {path}", "whoami", **java(keys().alice))
    check(f"Created {path}" in said and "hello" in said.splitlines(), said)
    check("x509: CN=alice,O=Test" in said, said)
    check_equal(clients.start(server.address).get(path)[0], b"hello", "what it has written")


@SUITE.case
def both_versions_of_tls_are_spoken(clients, path):
    server = SUITE.shared(alone).first
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        with shake(server.secure_address, keys().alice, version=version) as connection:
            check_equal(connection.version(), name, "the version")
            connection.sendall(b"ruok")
            check_equal(read_all(connection), b"imok", f"the answer in {name}")


@SUITE.case
def words_are_answered_over_tls(clients, path):
    server = SUITE.shared(alone).first
    for word, wanted in ((b"srvr", b"Mode: standalone"), (b"mntr", b"zk_server_state\tstandalone")):
        with shake(server.secure_address, keys().alice) as connection:
            connection.sendall(word)
            check(wanted in read_all(connection), word)
    check(f"secureClientPort={server.secure_port}" in server.word("conf"), server.word("conf"))


@SUITE.case
def a_client_without_a_certificate_is_refused(clients, path):
    server = SUITE.shared(alone).first
    witness = clients.start(server.secure_address, **of(keys().alice))
    stays_out(clients, server.secure_address, **of())
    # In TLS 1.3 the client learns it behind its own handshake.
    try:
        with shake(server.secure_address) as connection:
            connection.sendall(b"ruok")
            check_equal(ended(connection), b"", "what a client without a certificate gets")
    except (ssl.SSLError, ConnectionResetError):
        pass
    witness.create(path)
    if not SUITE.reference:
        server.says("peer sent no certificates")


@SUITE.case
def a_certificate_of_another_authority_is_refused(clients, path):
    server = SUITE.shared(alone).first
    stays_out(clients, server.secure_address, **of(keys().forged))
    said = SUITE.cli(server.secure_address, f"create {path} forged", **java(keys().forged))
    check("Created" not in said, said)
    check(not clients.start(server.address).exists(path), "it has written")
    if not SUITE.reference:
        server.says("invalid peer certificate: UnknownIssuer")


@SUITE.case
def a_server_that_a_client_does_not_trust_goes_on(clients, path):
    server = SUITE.shared(alone).first
    witness = clients.start(server.secure_address, **of(keys().alice))
    stays_out(clients, server.secure_address, **of(keys().alice, keys().stranger))
    said = SUITE.cli(server.secure_address, f"create {path} x", **java(keys().alice, keys().stranger))
    check("Created" not in said, said)
    check(not witness.exists(path), "it has written")


@SUITE.case
def clients_check_the_name_of_the_host(clients, path):
    with Ensemble(SUITE, ["participant"], secured(keys().elsewhere.pem)).start() as ensemble:
        server = ensemble.first
        refused(ssl.SSLCertVerificationError, shake, server.secure_address, keys().alice)
        stays_out(clients, server.secure_address, check_hostname=True, **of(keys().alice))
        said = SUITE.cli(server.secure_address, f"create {path} x", **java(keys().alice))
        check("Created" not in said, said)
        lenient = {**java(keys().alice), "ssl.hostnameVerification": "false"}
        said = SUITE.cli(server.secure_address, f"create {path} x", **lenient)
        check("Created" in said, said)


@SUITE.case
def plain_text_on_the_port_for_tls_ends_that_connection_only(clients, path):
    server = SUITE.shared(alone).first
    witness = clients.start(server.secure_address, **of(keys().alice))
    session = witness.client_id
    for said in (b"ruok", b"\0\0\0\x2d" + bytes(45), b"\xff" * 4096):
        with socket.create_connection(("127.0.0.1", server.secure_port), timeout=SOCKET_SECONDS) as connection:
            connection.sendall(said)
            answer = ended(connection)
            # An alert at most.
            check(len(answer) < 32 and b"imok" not in answer, f"the answer {answer!r}")
    stays_out(clients, server.secure_address)
    witness.create(path)
    check_equal(witness.client_id, session, "the session of somebody else")
    if not SUITE.reference:
        server.says("what came is not TLS")


@SUITE.case
def tls_on_the_plain_port_ends_that_connection_only(clients, path):
    server = SUITE.shared(alone).first
    with RawSession(("127.0.0.1", server.client_port)) as witness:
        refused((ssl.SSLError, OSError), shake, server.address, keys().alice)
        stays_out(clients, server.address, **of(keys().alice))
        check_equal(witness.create(path), 0, "a write of somebody else")
    if not SUITE.reference:
        server.says("is secureClientPort meant?")


@SUITE.case
def a_handshake_that_never_comes_is_given_up(clients, path):
    """The default is five seconds (`ssl.handshakeDetectionTimeoutMillis`)."""
    SUITE.needs_ottla()
    server = SUITE.shared(alone).first
    with socket.create_connection(("127.0.0.1", server.secure_port), timeout=60) as silent:
        silent.settimeout(60)
        check_equal(ended(silent), b"", "what it hears")


@SUITE.case
def certificates_are_asked_for_only_where_they_are_wanted(clients, path):
    server = SUITE.shared(without_certificates).first
    client = clients.start(server.secure_address, **of())
    client.create(path, b"1")
    check_equal(client.get(path)[0], b"1", "what it has written")
    said = SUITE.cli(server.secure_address, f"get {path}", **java())
    check("1" in said.splitlines(), said)
    check("x509" not in SUITE.cli(server.secure_address, "whoami", **java(keys().alice)), "it was asked for one")


@SUITE.case
def keys_may_be_in_pkcs12(clients, path):
    settings = {"ssl.keyStore.password": "secret", "ssl.keyStore.type": "PKCS12"}
    with Ensemble(SUITE, ["participant"], secured(keys().server.p12, **settings)).start() as ensemble:
        client = clients.start(ensemble.first.secure_address, **of(keys().alice))
        client.create(path)


@SUITE.case
def new_connections_use_new_certificates(clients, path):
    own = keys().authority.leaf("first")
    with Ensemble(SUITE, ["participant"], secured(own.pem)).start() as ensemble:
        server = ensemble.first
        old = clients.start(server.secure_address, **of(keys().alice))
        session, before = old.client_id, served_certificate(server.secure_address)
        replace(own.pem, keys().authority.leaf("second").pem)
        eventually(lambda: served_certificate(server.secure_address) != before, "the new certificate is shown", 60)
        clients.start(server.secure_address, **of(keys().bob)).create(path)
        check(old.exists(path) and old.client_id == session, "who is there stays")
        if SUITE.reference:
            return
        with open(own.pem, "w", encoding="utf-8") as file:
            file.write("not a certificate\n")
        server.says("stay in use")
        check(old.exists(path), "who is there stays")
        clients.start(server.secure_address, **of(keys().bob))


@SUITE.case
def a_session_moves_between_the_ports(clients, path):
    """It is one session, with TLS or without."""
    server = SUITE.shared(alone).first
    client = clients.start(server.secure_address, **of(keys().alice))
    client.create(path, ephemeral=True)
    session, password = client.client_id
    with RawSession(("127.0.0.1", server.client_port), session=session, password=password) as moved:
        check_equal(moved.session, session, "the session")


@SUITE.case
def openssl_sees_the_whole_chain(clients, path):
    server = SUITE.shared(without_certificates).first
    seen = subprocess.run(
        ["openssl", "s_client", "-connect", server.secure_address, "-CAfile", keys().authority.certificate,
         "-verify_return_error", "-verify_ip", "127.0.0.1"],
        input="", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    check("Verification: OK" in seen.stdout, seen.stdout + seen.stderr)
