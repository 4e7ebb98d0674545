"""The suite of TLS: its keys, and servers that have them."""

import functools
import socket
import ssl

from certificates import Authority
from own_servers import Ensemble, OwnServersSuite

SUITE = OwnServersSuite("TLS and x509 of the keeper, with clients of ZooKeeper.")
X509 = "org.apache.zookeeper.server.auth.X509AuthenticationProvider"
NETTY = "org.apache.zookeeper.server.NettyServerCnxnFactory"
SOCKET_SECONDS = 20


class Keys:
    """An authority that everybody trusts and one that nobody does, and what they have signed."""

    def __init__(self):
        self.authority, self.stranger = Authority("authority"), Authority("stranger")
        self.server = self.authority.leaf("server")
        self.elsewhere = self.authority.leaf("elsewhere", names="DNS:elsewhere.example")
        self.alice, self.bob, self.admin = (self.authority.leaf(name) for name in ("alice", "bob", "admin"))
        self.forged = self.stranger.leaf("alice")


@functools.cache
def keys():
    return Keys()


def secured(key_store, **settings):
    """Settings of a server whose clients may use TLS; it reads its keys again when they change."""
    return {
        "serverCnxnFactory": NETTY,
        "ssl.keyStore.location": key_store,
        "ssl.trustStore.location": keys().authority.certificate,
        "authProvider.x509": X509,
        "X509AuthenticationProvider.superUser": "CN=admin,O=Test",
        "client.certReload": "true",
        # ZooKeeper's default is the newest alone.
        "ssl.enabledProtocols": "TLSv1.2,TLSv1.3",
        **settings,
    }


def alone():
    """One server that wants certificates of its clients."""
    return Ensemble(SUITE, ["participant"], secured(keys().server.pem)).start()


def without_certificates():
    """One server that wants none."""
    return Ensemble(SUITE, ["participant"], secured(keys().server.pem, **{"ssl.clientAuth": "none"})).start()


def of(leaf=None, authority=None):
    """kazoo's options: it trusts this authority, and shows this certificate."""
    options = {"use_ssl": True, "ca": (authority or keys().authority).certificate}
    if leaf:
        options |= {"certfile": leaf.certificate, "keyfile": leaf.key}
    return options


def java(leaf=None, authority=None):
    """The same as properties of ZooKeeper's own client."""
    properties = {
        "client.secure": "true",
        "clientCnxnSocket": "org.apache.zookeeper.ClientCnxnSocketNetty",
        "ssl.trustStore.location": (authority or keys().authority).certificate,
    }
    if leaf:
        properties["ssl.keyStore.location"] = leaf.pem
    return properties


def shake(address, leaf=None, authority=None, version=None):
    """A connection with TLS that checks the host's name, as kazoo does only when it is asked to."""
    context = ssl.create_default_context(cafile=(authority or keys().authority).certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    if leaf:
        context.load_cert_chain(leaf.certificate, leaf.key)
    host, port = address.split(":")
    plain = socket.create_connection((host, int(port)), timeout=SOCKET_SECONDS)
    return context.wrap_socket(plain, server_hostname=host)


def served_certificate(address):
    """The certificate that a server shows, whoever asks."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(keys().alice.certificate, keys().alice.key)
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=SOCKET_SECONDS) as plain:
        with context.wrap_socket(plain, server_hostname=host) as connection:
            return connection.getpeercert(binary_form=True)
