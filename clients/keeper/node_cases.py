"""Creating, reading, changing and deleting znodes, one at a time and many at once."""

import time

from kazoo.exceptions import (
    BadArgumentsError,
    BadVersionError,
    ConnectionLoss,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)

from kazoo_clients import SUITE, case, refused
from suite import check, check_equal, eventually

# Of a frame, as a server has it when nobody sets `jute.maxbuffer`: 1 MiB less one byte.
FRAME_BYTES_MAX = 0xFFFFF
FRAME_HEADER_BYTES = 200


@case
def a_znode_has_the_stat_that_its_life_gives_it(clients, path):
    client = clients.start()
    before_ms = time.time() * 1000
    check_equal(client.create(path, b"one"), path, "the path that create answers")
    data, made = client.get(path)
    check_equal(data, b"one", "data")
    check_equal((made.version, made.cversion, made.aversion), (0, 0, 0), "versions")
    check_equal((made.ephemeralOwner, made.dataLength, made.numChildren), (0, 3, 0), "owner, length, children")
    check_equal((made.mzxid, made.pzxid), (made.czxid, made.czxid), "zxids")
    check_equal(made.mtime, made.ctime, "times")
    check(abs(made.ctime - before_ms) < 60_000, f"the time of creation {made.ctime} is about now {before_ms}")

    changed = client.set(path, b"second")
    check_equal((changed.version, changed.dataLength), (1, 6), "version and length after a set")
    check_equal((changed.czxid, changed.ctime, changed.pzxid), (made.czxid, made.ctime, made.czxid), "what stays")
    check(changed.mzxid > made.mzxid and changed.mtime >= made.mtime, "the change is later")

    client.create(f"{path}/child")
    child = client.exists(f"{path}/child")
    stat = client.exists(path)
    check_equal((stat.numChildren, stat.cversion, stat.pzxid), (1, 1, child.czxid), "the parent with a child")
    check_equal((stat.version, stat.mzxid), (1, changed.mzxid), "a child does not change the parent's data")
    client.delete(f"{path}/child")
    stat = client.exists(path)
    check_equal((stat.numChildren, stat.cversion), (0, 2), "the parent without its child")
    check(stat.pzxid > child.czxid, "a delete is a change of the children")
    client.delete(path)
    check_equal(client.exists(path), None, "a deleted znode")


@case
def what_is_impossible_is_refused_by_name(clients, path):
    client = clients.start()
    client.create(path, b"")
    refused(NodeExistsError, client.create, path, b"")
    refused(NodeExistsError, client.create, "/", b"")
    refused(NoNodeError, client.create, f"{path}/none/child", b"")
    refused(NoNodeError, client.get, f"{path}/none")
    refused(NoNodeError, client.set, f"{path}/none", b"")
    refused(NoNodeError, client.delete, f"{path}/none")
    refused(NoNodeError, client.get_children, f"{path}/none")
    refused(NoNodeError, client.get_acls, f"{path}/none")
    client.create(f"{path}/child", b"")
    refused(NotEmptyError, client.delete, path)
    refused(BadVersionError, client.set, path, b"x", 1)
    refused(BadVersionError, client.delete, f"{path}/child", 7)
    client.set(path, b"x", 0)
    client.delete(f"{path}/child", 0)
    client.create(f"{path}/ephemeral", b"", ephemeral=True)
    refused(NoChildrenForEphemeralsError, client.create, f"{path}/ephemeral/child", b"")


@case
def sequential_names_count_the_changes_of_the_children(clients, path):
    client = clients.start()
    client.create(path)
    check_equal(client.create(f"{path}/n-", sequence=True), f"{path}/n-0000000000", "the first name")
    check_equal(client.create(f"{path}/m-", sequence=True), f"{path}/m-0000000001", "another prefix counts on")
    client.create(f"{path}/plain")
    check_equal(client.create(f"{path}/n-", sequence=True), f"{path}/n-0000000003", "plain creations count")
    client.delete(f"{path}/plain")
    check_equal(client.create(f"{path}/", sequence=True), f"{path}/0000000004", "deletions do not")
    name = client.create(f"{path}/e-", ephemeral=True, sequence=True)
    check_equal(name, f"{path}/e-0000000005", "an ephemeral sequential name")
    check_equal(client.exists(name).ephemeralOwner, client.client_id[0], "its owner")
    client.create(f"{path}/other")
    check_equal(client.create(f"{path}/other/n-", sequence=True), f"{path}/other/n-0000000000", "another parent")
    made, stat = client.create(f"{path}/n-", b"xy", sequence=True, include_data=True)
    check_equal((made, stat.dataLength), (f"{path}/n-0000000007", 2), "create that answers the stat")


@case
def names_beyond_ascii_stay_what_they_are(clients, path):
    client = clients.start()
    client.create(path)
    names = ["Grüße", "простор", "山", "a b", "é", "%2F", "a.b", "..."]
    for name in names:
        client.create(f"{path}/{name}", name.encode())
    check_equal(sorted(client.get_children(path)), sorted(names), "the children's names")
    for name in names:
        check_equal(client.get(f"{path}/{name}")[0], name.encode(), f"the data of {name}")
    # ZooKeeper looks at UTF-16: whatever lies beyond the first 65,536 characters has surrogates there, and is refused.
    refused(BadArgumentsError, client.create, f"{path}/😀", b"")


@case
def empty_data_is_empty_and_not_absent(clients, path):
    client = clients.start()
    client.create(path, b"")
    data, stat = client.get(path)
    check_equal((data, stat.dataLength), (b"", 0), "empty data")
    client.set(path, b"x")
    client.set(path, b"")
    data, stat = client.get(path)
    check_equal((data, stat.dataLength, stat.version), (b"", 0, 2), "data that became empty")


@case
def data_near_the_limit_comes_back_and_beyond_it_only_the_connection_is_lost(clients, path):
    client, other = clients.start(), clients.start()
    largest = bytes(range(256)) * (FRAME_BYTES_MAX // 256 + 1)
    largest = largest[: FRAME_BYTES_MAX - FRAME_HEADER_BYTES]
    client.create(path, largest)
    check(client.get(path)[0] == largest, "the data that was written")
    smaller = largest[::-1]
    client.set(path, smaller)
    check(client.get(path)[0] == smaller, "the data that was set")
    session = client.client_id[0]
    refused(ConnectionLoss, client.set, path, bytes(FRAME_BYTES_MAX + 1))
    check(other.get(path)[0] == smaller, "another client reads on")
    eventually(lambda: client.connected, "the client connects again")
    check_equal(client.client_id[0], session, "the session")
    check(client.retry(client.get, path)[0] == smaller, "the data is not changed")


@case
def many_children_are_all_listed(clients, path):
    client = clients.start()
    client.create(path)
    count = 5000
    asked = [client.create_async(f"{path}/child-{number:05}") for number in range(count)]
    for answer in asked:
        answer.get(timeout=60)
    children, stat = client.get_children(path, include_data=True)
    check_equal(sorted(children), [f"child-{number:05}" for number in range(count)], "the children")
    check_equal((stat.numChildren, stat.cversion), (count, count), "number of children and their changes")
    asked = [client.delete_async(f"{path}/{child}") for child in children]
    for answer in asked:
        answer.get(timeout=60)
    check_equal(client.get_children(path), [], "the children when all are deleted")
    check_equal(client.exists(path).cversion, 2 * count, "changes of the children")


@case
def requests_in_flight_are_carried_out_in_order(clients, path):
    client = clients.start()
    client.create(path, b"-1")
    answers = [(client.set_async(path, str(number).encode()), client.get_async(path)) for number in range(1000)]
    last_zxid = 0
    for number, (write, read) in enumerate(answers):
        stat = write.get(timeout=60)
        check_equal(stat.version, number + 1, "each set is the next version")
        check(stat.mzxid > last_zxid, "zxids grow")
        last_zxid = stat.mzxid
        check_equal(read.get(timeout=60)[0], str(number).encode(), "a read sees the write before it")


@case
def paths_are_made_and_removed_as_whole_trees(clients, path):
    client = clients.start()
    client.ensure_path(f"{path}/a/b/c")
    client.ensure_path(f"{path}/a/b/c")
    client.create(f"{path}/x/y/z", b"deep", makepath=True)
    check_equal(client.get(f"{path}/x/y/z")[0], b"deep", "data in the depth")
    check_equal(sorted(client.get_children(path)), ["a", "x"], "children")
    client.delete(path, recursive=True)
    check_equal(client.exists(path), None, "the tree when it is deleted")


@case
def a_chroot_hides_all_that_is_outside(clients, path):
    outside = clients.start()
    outside.create(path)
    client = clients.start(f"{SUITE.connect}{path}/inner")
    refused(NoNodeError, client.create, "/child", b"")
    outside.create(f"{path}/inner")
    check_equal(client.create("/child", b"data"), "/child", "the path that a client in a chroot sees")
    check_equal(client.create("/s-", sequence=True), "/s-0000000001", "a sequential one")
    check_equal(outside.get(f"{path}/inner/child")[0], b"data", "where it is")
    events = []
    client.get("/child", watch=lambda event: events.append(event.path))
    outside.set(f"{path}/inner/child", b"new")
    eventually(lambda: events == ["/child"], lambda: f"an event with the path inside, not {events}")
    results = client.transaction()
    results.create("/multi")
    check_equal(results.commit(), ["/multi"], "the path that a multi answers")
    check_equal(sorted(client.get_children("/")), ["child", "multi", "s-0000000001"], "the chroot's children")


@case
def a_multi_changes_all_with_one_zxid(clients, path):
    client = clients.start()
    client.create(path)
    client.create(f"{path}/old", b"")
    multi = client.transaction()
    multi.check(path, 0)
    multi.create(f"{path}/a", b"first")
    multi.create(f"{path}/a/b", b"below what is made in the same multi")
    multi.create(f"{path}/n-", sequence=True)
    multi.create(f"{path}/n-", sequence=True)
    multi.create(f"{path}/e", ephemeral=True)
    multi.set_data(f"{path}/a", b"second", 0)
    multi.delete(f"{path}/old", 0)
    results = multi.commit()
    check_equal(results[0], True, "the check")
    names = [f"{path}/a", f"{path}/a/b", f"{path}/n-0000000002", f"{path}/n-0000000003", f"{path}/e"]
    check_equal(results[1:6], names, "what was created")
    check_equal((results[6].version, results[6].dataLength), (1, 6), "the stat of the set")
    check_equal(results[7], True, "the delete")
    stats = [client.exists(name) for name in names]
    check_equal(len({stat.czxid for stat in stats}), 1, "zxids of one multi")
    check_equal(stats[0].mzxid, stats[0].czxid, "the set is part of it")
    check_equal(client.exists(f"{path}/old"), None, "what was deleted")
    check_equal(stats[4].ephemeralOwner, client.client_id[0], "the owner of the ephemeral")
    check_equal(client.exists(path).pzxid, stats[0].czxid, "pzxid of the parent")


@case
def a_multi_that_fails_changes_nothing(clients, path):
    client = clients.start()
    client.create(path, b"data")
    before = client.exists(path)
    multi = client.transaction()
    multi.create(f"{path}/a")
    multi.set_data(path, b"other")
    multi.delete(f"{path}/none")
    multi.create(f"{path}/b")
    results = multi.commit()
    kinds = [type(result) for result in results]
    expected = [RolledBackError, RolledBackError, NoNodeError, RuntimeInconsistency]
    check_equal(kinds, expected, "an outcome for each part")
    check_equal(client.exists(path), before, "the stat of what was not changed")
    check_equal(client.get_children(path), [], "children")
    multi = client.transaction()
    multi.check(path, 5)
    multi.create(f"{path}/a")
    kinds = [type(result) for result in multi.commit()]
    check_equal(kinds, [BadVersionError, RuntimeInconsistency], "a check that fails")
    check_equal(client.create(f"{path}/n-", sequence=True), f"{path}/n-0000000000", "names are not used up")


@case
def an_empty_multi_has_no_outcome(clients, path):
    client = clients.start()
    check_equal(client.transaction().commit(), [], "the outcome")


@case
def what_one_wrote_another_reads_after_a_sync(clients, path):
    writer, reader = clients.start(), clients.start()
    writer.create(path, b"")
    for number in range(50):
        writer.set(path, str(number).encode())
        check_equal(reader.sync(path), path, "the path that sync answers")
        check_equal(reader.get(path)[0], str(number).encode(), "data after a sync")


@case
def the_config_names_the_members(clients, path):
    client = clients.start()
    data, _ = client.get("/zookeeper/config")
    members = [line for line in data.decode().splitlines() if line.startswith("server.")]
    servers = len(SUITE.addresses)
    if servers > 1:
        check_equal(len(members), servers, "lines of members")
        check(data.decode().splitlines()[-1].startswith("version="), f"the last line is the version: {data}")
    check_equal(sorted(client.get_children("/zookeeper")), ["config", "quota"], "what is in /zookeeper")
