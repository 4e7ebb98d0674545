"""The numbers of servers: the largest ones, and those that are too large."""

from member_servers import SUITE
from own_servers import Ensemble
from suite import check, check_equal, eventually


def numbered(number, settings):
    """An ensemble of one server with this number, which is not started."""
    ensemble = Ensemble(SUITE, ["participant"], {"standaloneEnabled": "false", **settings})
    server = ensemble.first
    server.number = number
    server.write("data/myid", str(number))
    server.configure(ensemble.settings_of(server), [server])
    return ensemble


@SUITE.case
def the_largest_number_has_sessions(clients, path):
    for number, settings in ((254, {"extendedTypesEnabled": "true"}), (255, {})):
        with numbered(number, settings).start() as ensemble:
            client = clients.start(ensemble.first.address)
            client.create(path + str(number), ephemeral=True)
            owner = client.get(path + str(number))[1].owner_session_id
            check_equal(owner, client.client_id[0], "the ephemeral's owner")
            check_equal((owner >> 56) & 0xFF, number, "the server in the session's number")
            client.stop()


@SUITE.case
def a_number_without_room_for_the_types_is_refused_at_the_start(clients, path):
    with numbered(255, {"extendedTypesEnabled": "true"}) as ensemble:
        server = ensemble.first.start()
        eventually(lambda: not server.lives(), lambda: f"it ends:\n{server.tail()}")
        check("255" in server.log() or "extended" in server.log().lower(), server.tail())


@SUITE.case
def a_number_without_room_in_sessions_is_refused_at_the_start(clients, path):
    """ZooKeeper takes it, and its sessions are those of another server."""
    SUITE.needs_ottla()
    for number in (256, 300, 70_000):
        with numbered(number, {}) as ensemble:
            server = ensemble.first.start()
            eventually(lambda: not server.lives(), lambda: f"it ends:\n{server.tail()}")
            check(str(number) in server.log() and "255" in server.log(), server.tail())
