"""Watches: what fires them, how often, and when."""

import struct

from kazoo_clients import SUITE, Events, case
from keeper_suite import EXISTS, GET_DATA, SET_WATCHES, SET_WATCHES_XID, SYNC, RawSession, string, vector, watch_record
from suite import check, check_equal


@case
def a_watch_on_data_fires_once_for_a_set_or_a_delete(clients, path):
    client, other = clients.start(), clients.start()
    other.create(path, b"0")
    events = Events()
    client.sync(path)
    client.get(path, watch=events)
    other.set(path, b"1")
    check_equal(events.wait_for(1), [("CHANGED", path)], "events of the first set")
    other.set(path, b"2")
    client.sync(path)
    check_equal(len(events.seen), 1, "events without another watch")
    client.get(path, watch=events)
    other.delete(path)
    check_equal(events.wait_for(2)[1], ("DELETED", path), "the event of the delete")


@case
def a_watch_on_existence_fires_for_the_creation(clients, path):
    client, other = clients.start(), clients.start()
    events = Events()
    check_equal(client.exists(path, watch=events), None, "what is not there yet")
    other.create(path)
    check_equal(events.wait_for(1), [("CREATED", path)], "events of the creation")
    client.exists(path, watch=events)
    other.set(path, b"x")
    check_equal(events.wait_for(2)[1], ("CHANGED", path), "the event of the set")


@case
def a_watch_on_children_fires_for_them_and_not_for_data(clients, path):
    client, other = clients.start(), clients.start()
    other.create(path)
    client.sync(path)
    events = Events()
    client.get_children(path, watch=events)
    other.set(path, b"data is not children")
    other.create(f"{path}/a")
    check_equal(events.wait_for(1), [("CHILD", path)], "events of the creation")
    client.get_children(path, watch=events)
    other.set(f"{path}/a", b"a child's data neither")
    other.create(f"{path}/a/grandchild")
    other.delete(f"{path}/a/grandchild")
    client.sync(path)
    check_equal(len(events.seen), 1, "events of what is not a child")
    other.delete(f"{path}/a")
    check_equal(events.wait_for(2)[1], ("CHILD", path), "the event of the deletion")
    client.get_children(path, watch=events)
    other.delete(path)
    check_equal(events.wait_for(3)[2], ("DELETED", path), "the event when the parent goes")


@case
def a_failing_write_fires_nothing(clients, path):
    client, other = clients.start(), clients.start()
    other.create(path)
    client.sync(path)
    events = Events()
    client.get(path, watch=events)
    client.get_children(path, watch=events)
    multi = other.transaction()
    multi.set_data(path, b"x")
    multi.create(f"{path}/a")
    multi.check(path, 99)
    check(any(isinstance(result, Exception) for result in multi.commit()), "the multi fails")
    client.sync(path)
    check_equal(events.seen, [], "events of a multi that failed")


@case
def ones_own_changes_fire_too(clients, path):
    client = clients.start()
    client.create(path)
    events = Events()
    client.get(path, watch=events)
    client.get_children(path, watch=events)
    multi = client.transaction()
    multi.create(f"{path}/a")
    multi.set_data(path, b"x")
    multi.commit()
    expected = [("CHANGED", path), ("CHILD", path)]
    check_equal(sorted(events.wait_for(2)), expected, "events of one's own multi")


@case
def the_event_comes_ahead_of_the_answer_that_shows_the_change(clients, path):
    """On the wire: a read that shows the new data is answered behind the event."""
    writer = clients.start()
    writer.create(path, b"old")
    with RawSession(SUITE.addresses[0]) as reader:
        for round_ in range(20):
            before, after = str(round_).encode(), str(round_ + 1).encode()
            writer.set(path, before)
            while before not in reader.ask(GET_DATA, watch_record(path, True))[1]:
                pass
            writer.set_async(path, after)
            fired = False
            while True:
                reader.post(GET_DATA, watch_record(path))
                xid, _, _, record = reader.reply()
                while xid == -1:
                    fired = True
                    xid, _, _, record = reader.reply()
                if after in record[:20]:
                    break
            check(fired, f"round {round_}: the new data was seen before the event")
        reader.close()


@case
def what_changed_during_a_lost_connection_fires_when_it_is_back(clients, path):
    """The watches are set again with the last zxid that the client saw: what is newer fires at once."""
    other = clients.start()
    other.create(path, b"0")
    other.create(f"{path}/gone", b"")
    other.create(f"{path}/still", b"")
    with RawSession(SUITE.addresses[0]) as first:
        first.ask(EXISTS, watch_record(path))
        # The zxid in an answer is what the server had applied.
        first.post(EXISTS, watch_record(path))
        _, seen, _, _ = first.reply()
        first.close()
    while seen < other.exists(f"{path}/still").czxid:
        with RawSession(SUITE.addresses[0]) as again:
            again.post(EXISTS, watch_record(path))
            _, seen, _, _ = again.reply()
            again.close()
    other.set(path, b"1")
    other.create(f"{path}/new")
    other.delete(f"{path}/gone")
    with RawSession(SUITE.addresses[0]) as session:
        # Until this server has all of it.
        session.ask(SYNC, string(path))
        names = [string(path), string(f"{path}/gone"), string(f"{path}/still")]
        record = struct.pack(">q", seen) + vector(names) + vector([string(f"{path}/new")]) + vector([string(path)])
        session.post(SET_WATCHES, record, xid=SET_WATCHES_XID)
        fired, answered = [], False
        while len(fired) < 4 or not answered:
            xid, _, error, body = session.reply()
            if xid == SET_WATCHES_XID:
                check_equal(error, 0, "the error of setWatches")
                answered = True
            elif xid == -1:
                kind, _, length = struct.unpack(">iii", body[:12])
                fired.append((kind, body[12 : 12 + length].decode()))
        created, deleted, changed, child = 1, 2, 3, 4
        expected = [(created, f"{path}/new"), (deleted, f"{path}/gone"), (changed, path), (child, path)]
        check_equal(sorted(fired), sorted(expected), "events of what changed meanwhile")
        session.close()


@case
def a_thousand_watches_on_one_znode_all_fire(clients, path):
    client, other = clients.start(), clients.start()
    other.create(path)
    other.create(f"{path}/many")
    names = [f"{path}/many/{number:04}" for number in range(1000)]
    for answer in [other.create_async(name) for name in names]:
        answer.get(timeout=60)
    client.sync(path)
    events = Events()
    for answer in [client.get_async(name, watch=events) for name in names]:
        answer.get(timeout=60)
    for answer in [other.set_async(name, b"x") for name in names]:
        answer.get(timeout=60)
    expected = [("CHANGED", name) for name in names]
    check_equal(events.wait_for(1000), expected, "events, in the order of the changes")
