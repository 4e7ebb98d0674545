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
    with numbered(254, {"extendedTypesEnabled": "true"}).start() as ensemble:
        client = clients.start(ensemble.first.address)
        client.create(path, ephemeral=True)
        owner = client.get(path)[1].owner_session_id
        check_equal(owner, client.client_id[0], "the ephemeral's owner")
        check_equal((owner >> 56) & 0xFF, 254, "the server in the session's number")
        client.stop()


@SUITE.case
def a_number_without_room_in_sessions_is_refused_at_the_start(clients, path):
    """ZooKeeper takes it: its sessions look like another server's, or with 255 like times to live."""
    SUITE.needs_ottla()
    for number in (255, 256, 70_000):
        with numbered(number, {}) as ensemble:
            server = ensemble.first.start()
            eventually(lambda: not server.lives(), lambda: f"it ends:\n{server.tail()}")
            check(f"{number} is no number from 0 to 254" in server.log(), server.tail())
