"""What no library sends: bad frames, bad records, bad paths, greedy and silent connections. Whatever comes, it costs at
most the connection that it came on; a session on another connection goes on."""

import contextlib
import socket
import struct
import time

from keeper_suite import (
    ADD_WATCH,
    BAD_ARGUMENTS,
    BAD_VERSION,
    CHECK,
    CREATE,
    CREATE2,
    DELETE,
    EPHEMERAL,
    EXISTS,
    GET_CHILDREN2,
    GET_DATA,
    INVALID_ACL,
    MARSHALLING_ERROR,
    MULTI,
    MULTI_READ,
    NO_NODE,
    NO_PASSWORD,
    NODE_EXISTS,
    OK,
    PING,
    PING_XID,
    SET_DATA,
    SET_WATCHES,
    SYNC,
    UNIMPLEMENTED,
    Closed,
    RawSession,
    acl,
    create_record,
    delete_record,
    fresh_path,
    set_record,
    stat_of,
    string,
    watch_record,
)
from kazoo_clients import SUITE
from suite import NotRun, check, check_equal

FRAME_BYTES_MAX = 0xFFFFF


@contextlib.contextmanager
def bystander():
    """A session with an ephemeral that must not notice what the case does."""
    path = fresh_path("bystander")
    with RawSession(SUITE.addresses[0], timeout_ms=30_000) as session:
        check_equal(session.create(path, b"here", flags=EPHEMERAL), OK, "the error of the bystander's create")
        yield session
        error, record = session.ask(GET_DATA, watch_record(path))
        check_equal((error, record[4:8]), (OK, b"here"), "what the bystander reads")
        check_equal(session.create(fresh_path("bystander")), OK, "the error of the bystander's write")
        check_equal(SUITE.ask(b"ruok"), b"imok", "the answer to ruok")
        session.close()


def connection():
    return socket.create_connection(SUITE.addresses[0], timeout=20)


def is_closed(raw):
    try:
        while raw.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def sent(data):
    """A connection on which these bytes were sent."""
    raw = connection()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        raw.sendall(data)
    return raw


@SUITE.case
def first_bytes_that_are_no_frame_close_the_connection():
    with bystander():
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff\xff\xff\xff" + bytes(40),
            b"\x80\x00\x00\x00" + bytes(40),
            b"\x7f\xff\xff\xff" + bytes(40),
            struct.pack(">i", FRAME_BYTES_MAX + 1) + bytes(100),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
            bytes(range(255, 0, -1)),
        ):
            with sent(data) as raw:
                check(is_closed(raw), f"the connection is closed behind {data[:12]!r}")


@SUITE.case
def a_connect_request_that_is_no_record_closes_the_connection():
    body = struct.pack(">iqiq", 0, 0, 10_000, 0)
    with bystander():
        for record in (
            b"",
            body[:10],
            body,
            body + struct.pack(">i", 16),
            body + struct.pack(">i", 1 << 30) + bytes(16),
            body + struct.pack(">i", -2) + bytes(16),
        ):
            with sent(struct.pack(">i", len(record)) + record) as raw:
                check(is_closed(raw), f"the connection is closed behind a record of {len(record)} bytes")


@SUITE.case
def a_connect_request_of_an_old_client_is_answered_without_a_flag():
    """Clients before 3.4 do not send whether they are content with reading, and must not be told."""
    body = struct.pack(">iqiq", 0, 0, 10_000, 0) + string(NO_PASSWORD)
    with sent(struct.pack(">i", len(body)) + body) as raw:
        (length,) = struct.unpack(">i", raw.recv(4, socket.MSG_WAITALL))
        check_equal(length, 36, "the length of the answer")
    with RawSession(SUITE.addresses[0]) as session:
        check_equal((session.read_only, len(session.password)), (False, 16), "a new client's answer")
        session.close()


@SUITE.case
def a_frame_that_is_too_long_closes_the_connection_and_not_the_session():
    path = fresh_path("long")
    with bystander():
        for length in (FRAME_BYTES_MAX + 1, 0x7FFFFFFF, -1, -0x80000000):
            first = RawSession(SUITE.addresses[0], timeout_ms=20_000)
            check_equal(first.create(path, flags=EPHEMERAL), OK, "the error of the create")
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                first.socket.sendall(struct.pack(">i", length) + bytes(1000))
            check(first.is_closed(), f"the connection is closed behind a length of {length}")
            with RawSession(SUITE.addresses[0], session=first.session, password=first.password) as second:
                error, record = second.ask(EXISTS, watch_record(path))
                check_equal((error, stat_of(record)["ephemeralOwner"]), (OK, first.session), "the ephemeral's owner")
                second.close()


@SUITE.case
def a_frame_of_the_greatest_length_is_served():
    path = fresh_path("greatest")
    with RawSession(SUITE.addresses[0]) as session:
        # What else is in the frame: the header, the path, the length of the data, an ACL of one entry, the flags.
        rest = 8 + len(create_record(path))
        check_equal(session.create(path, b"x" * (FRAME_BYTES_MAX - rest)), OK, "the error of the create")
        check_equal(session.ask(EXISTS, watch_record(path))[0], OK, "the error of exists")
        session.close()


HUGE = struct.pack(">i", 0x7FFFFFFF)


def refused_records(records):
    """An error or a closed connection are both right: nothing else is."""
    with bystander():
        for kind, record in records:
            with RawSession(SUITE.addresses[0]) as session:
                session.socket.settimeout(8)
                try:
                    error, _ = session.ask(kind, record)
                    check_equal(error, MARSHALLING_ERROR, f"the error of type {kind} with {record[:24]!r}")
                except Closed:
                    pass


@SUITE.case
def reads_that_lie_about_their_lengths_harm_nobody():
    path = fresh_path("lies")
    refused_records(
        [
            (GET_DATA, b""),
            (GET_DATA, HUGE + path.encode()),
            (GET_DATA, struct.pack(">i", -7)),
            (GET_DATA, string(path)),
            (EXISTS, string(path)[:-1]),
            (GET_CHILDREN2, b"\0\0"),
            (SET_WATCHES, struct.pack(">q", 0) + HUGE),
            (SET_WATCHES, struct.pack(">qi", 0, 100_000_000) + string(path)),
            (ADD_WATCH, string(path) + b"\0"),
            (MULTI_READ, b""),
            (MULTI_READ, struct.pack(">ibi", GET_DATA, 0, -1) + HUGE),
        ]
    )


@SUITE.case
def writes_that_lie_about_their_lengths_harm_nobody():
    if SUITE.args.reference and len(SUITE.addresses) > 1:
        raise NotRun("a server of ZooKeeper 3.9.5 in an ensemble answers nobody any more after one of these")
    path = fresh_path("lies")
    refused_records(
        [
            (CREATE, b""),
            (CREATE, string(path) + HUGE + b"data"),
            (CREATE, HUGE + path.encode()),
            (CREATE, string(path) + string(b"") + HUGE + acl()),
            (CREATE, string(path) + string(b"") + struct.pack(">i", 100_000_000) + acl()),
            (CREATE, string(path) + string(b"") + struct.pack(">i", -5)),
            (SET_DATA, string(path)),
            (DELETE, string(path) + b"\0"),
            (SYNC, b"\0\0"),
            (MULTI, b""),
            (MULTI, struct.pack(">ibi", CREATE, 0, -1)),
            (MULTI, struct.pack(">ibi", CREATE, 0, -1) + HUGE),
            (MULTI, struct.pack(">ibi", 999, 0, -1) + string(path)),
        ]
    )
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.ask(EXISTS, watch_record(path))[0], NO_NODE, "nothing was created")
        session.close()


@SUITE.case
def paths_that_are_none_are_refused():
    parent = fresh_path("paths")
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.create(parent), OK, "the error of the create")
        for path in (
            "",
            "relative",
            f"{parent}/",
            f"{parent}//double",
            f"{parent}/.",
            f"{parent}/./x",
            f"{parent}/..",
            f"{parent}/../x",
            f"{parent}/nul\0",
            f"{parent}/control\x01",
            f"{parent}/delete\x7f",
            f"{parent}/\u009f",
            f"{parent}/\ufff0",
            f"{parent}/\ue000",
            f"{parent}/😀",
        ):
            # A parent that is not there is found out first.
            error = session.create(path)
            check(error in (BAD_ARGUMENTS, NO_NODE), f"{path!r} is refused, not {error}")
            error = session.ask(CREATE2, create_record(path))[0]
            check(error in (BAD_ARGUMENTS, NO_NODE), f"{path!r} is refused by create2, not {error}")
        for path in (f"{parent}/nul\0", f"{parent}/control\x01", f"{parent}/delete\x7f", "relative", ""):
            check_equal(session.create(path), BAD_ARGUMENTS, f"the error of {path!r}")
        error = session.create(f"{parent}/".encode() + b"\xff\xfe\xfd")
        check(error == BAD_ARGUMENTS, f"bytes that are not UTF-8 are refused, not {error}")
        error, record = session.ask(GET_CHILDREN2, watch_record(parent))
        check_equal((error, record[:4]), (OK, bytes(4)), "children: none")
        check_equal(session.ask(DELETE, delete_record("/"))[0], BAD_ARGUMENTS, "the error of deleting the root")
        check_equal(session.ask(DELETE, delete_record("/zookeeper"))[0], BAD_ARGUMENTS, "of deleting /zookeeper")
        check_equal(session.create("/"), NODE_EXISTS, "the error of creating the root")
        session.close()


@SUITE.case
def arguments_that_make_no_sense_are_refused():
    path = fresh_path("arguments")
    with RawSession(SUITE.addresses[0]) as session:
        for flags in (7, 100, -1):
            check_equal(session.create(path, flags=flags), BAD_ARGUMENTS, f"the error of flags {flags}")
        check_equal(session.create(path, acls=[]), INVALID_ACL, "the error of an empty ACL")
        check_equal(session.create(path, acls=[acl(31, None, None)]), INVALID_ACL, "the error of an ACL of nothing")
        check_equal(session.create(path), OK, "the error of the create")
        check_equal(session.ask(SET_DATA, set_record(path, b"", 5))[0], BAD_VERSION, "the error of version 5")
        check_equal(session.ask(SET_DATA, set_record(path, b"", -1))[0], OK, "the error of version -1")
        error, record = session.ask(CREATE2, create_record(f"{path}/two", b"xy"))
        check_equal((error, stat_of(record)["dataLength"]), (OK, 2), "create2 answers the stat")
        session.close()


@SUITE.case
def data_may_be_absent_and_stays_so():
    path = fresh_path("absent")
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.create(path, None), OK, "the error of the create")
        error, record = session.ask(GET_DATA, watch_record(path))
        check_equal((error, record[:4]), (OK, b"\xff\xff\xff\xff"), "data that is absent")
        check_equal(stat_of(record)["dataLength"], 0, "its length in the stat")
        session.close()


@SUITE.case
def a_type_that_is_unknown_is_not_implemented():
    with bystander():
        for kind in (999, 10, -1000, 30):
            with RawSession(SUITE.addresses[0]) as session:
                session.socket.settimeout(8)
                try:
                    error, _ = session.ask(kind, string("/x"))
                    check_equal(error, UNIMPLEMENTED, f"the error of type {kind}")
                except Closed:
                    pass


@SUITE.case
def a_multi_tells_each_part_in_its_own_header():
    path = fresh_path("multi")

    def part(kind, record):
        return struct.pack(">ibi", kind, 0, -1) + record

    end = struct.pack(">ibi", -1, 1, -1)
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.create(path), OK, "the error of the create")
        parts = [
            part(CHECK, delete_record(path, 0)),
            part(CREATE, create_record(f"{path}/a")),
            part(SET_DATA, set_record(path, b"x")),
            part(DELETE, delete_record(f"{path}/a")),
        ]
        error, record = session.ask(MULTI, b"".join(parts) + end)
        check_equal(error, OK, "the error of the multi")
        expected = part(CHECK, b"")[:5] + struct.pack(">i", 0)
        check_equal(record[:9], expected, "the header of the check")
        made = struct.pack(">ibi", CREATE, 0, 0) + string(f"{path}/a")
        check_equal(record[9 : 9 + len(made)], made, "the outcome of the create")
        at = 9 + len(made)
        check_equal(record[at : at + 9], struct.pack(">ibi", SET_DATA, 0, 0), "the header of the set")
        check_equal(stat_of(record[at + 9 : at + 77])["version"], 1, "the version of the set")
        check_equal(record[at + 77 :], struct.pack(">ibi", DELETE, 0, 0) + end, "the delete, and the end")

        parts = [part(CREATE, create_record(f"{path}/b")), part(DELETE, delete_record(f"{path}/none")), parts[2]]
        error, record = session.ask(MULTI, b"".join(parts) + end)
        check_equal(error, OK, "the error in the header of a multi that failed")
        outcomes = [(-1, False, 0, 0), (-1, False, NO_NODE, NO_NODE), (-1, False, -2, -2)]
        expected = b"".join(struct.pack(">i?ii", *outcome) for outcome in outcomes) + end
        check_equal(record, expected, "the outcomes of a multi that failed")
        check_equal(session.ask(MULTI, end), (OK, end), "an empty multi")
        session.close()


@SUITE.case
def answers_come_in_the_order_of_the_requests():
    path = fresh_path("order")
    with RawSession(SUITE.addresses[0]) as session:
        check_equal(session.create(path, b"0"), OK, "the error of the create")
        asked = []
        for number in range(500):
            asked.append(session.post(SET_DATA, set_record(path, str(number).encode())))
            asked.append(session.post(GET_DATA, watch_record(path)))
            asked.append(session.post(SYNC, string(path)))
            asked.append(session.post(PING, xid=PING_XID))
            asked.append(session.post(DELETE, delete_record(f"{path}/none")))
            asked.append(session.post(EXISTS, watch_record(f"{path}/none")))
        last_zxid = 0
        got = []
        for place in range(len(asked)):
            xid, zxid, error, record = session.reply()
            got.append(xid)
            kind = place % 6
            check_equal(error, (OK, OK, OK, OK, NO_NODE, NO_NODE)[kind], f"the error of request {place}")
            if kind == 1:
                data = record[4 : 4 + struct.unpack(">i", record[:4])[0]]
                check_equal(data, str(place // 6).encode(), f"what request {place} reads")
            check(zxid >= last_zxid or kind == 3, f"the zxid of answer {place} goes back from {last_zxid} to {zxid}")
            last_zxid = max(last_zxid, zxid)
        # A ping may be answered ahead of what waits; everything else keeps its place.
        without_pings = [xid for xid in asked if xid != PING_XID]
        check_equal([xid for xid in got if xid != PING_XID], without_pings, "the order of the answers")
        check_equal(got.count(PING_XID), 500, "pings")
        session.close()


@SUITE.case
def bytes_may_come_one_by_one():
    path = fresh_path("drip")
    with RawSession(SUITE.addresses[0], timeout_ms=20_000) as session:
        session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session.xid += 1
        body = struct.pack(">ii", session.xid, CREATE) + create_record(path, b"drop by drop")
        for byte in struct.pack(">i", len(body)) + body:
            session.socket.sendall(bytes([byte]))
            time.sleep(0.003)
        check_equal(session.reply()[2], OK, "the error of a create that came slowly")
        session.close()


@SUITE.case
def connections_that_say_nothing_do_not_keep_others_out():
    with bystander():
        silent = [connection() for _ in range(300)]
        half = [sent(struct.pack(">i", 45) + bytes(20)) for _ in range(50)]
        with RawSession(SUITE.addresses[0]) as session:
            check_equal(session.create(fresh_path("beside")), OK, "the error of a create beside them")
            session.close()
        for raw in silent + half:
            raw.close()


@SUITE.case
def whoever_does_not_read_its_answers_holds_up_nobody():
    path = fresh_path("deaf")
    with bystander() as other:
        with RawSession(SUITE.addresses[0], timeout_ms=4000) as deaf:
            check_equal(deaf.create(path, b"x" * 500_000), OK, "the error of the create")
            deaf.socket.settimeout(2)
            with contextlib.suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
                for _ in range(2000):
                    deaf.post(GET_DATA, watch_record(path))
            for _ in range(20):
                begun = time.monotonic()
                check_equal(other.ask(EXISTS, watch_record(path))[0], OK, "the error of another's read")
                check(time.monotonic() - begun < 5, "another's read is answered at once")


@SUITE.case
def a_deep_path_and_a_long_name_are_served():
    with RawSession(SUITE.addresses[0]) as session:
        path = fresh_path("deep")
        check_equal(session.create(path), OK, "the error of the create")
        top = path
        for _ in range(120):
            path += "/d"
            check_equal(session.create(path), OK, "the error of a create in the depth")
        name = f"{top}/{'n' * 60_000}"
        check_equal(session.create(name, b"long"), OK, "the error of a long name")
        error, record = session.ask(GET_DATA, watch_record(name))
        check_equal((error, record[4:8]), (OK, b"long"), "what is read by a long name")
        session.close()
