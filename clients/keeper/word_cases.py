"""The four-letter words: what probes and dashboards read. Field names are those of ZooKeeper 3.9
(the manual's page "ZooKeeper Commands", classes `MonitorCommand` and `ServerCnxn`)."""

import re
import struct

from kazoo_clients import SUITE, case
from suite import NotRun, check, check_equal, eventually

MODES = ("leader", "follower", "observer", "standalone")

SRVR = ["Zookeeper version", "Latency min/avg/max", "Received", "Sent", "Connections", "Outstanding", "Zxid", "Mode"]
SRVR += ["Node count"]

CONF = """clientPort secureClientPort dataDir dataDirSize dataLogDir dataLogSize tickTime maxClientCnxns
minSessionTimeout maxSessionTimeout clientPortListenBacklog serverId""".split()
CONF_OF_A_MEMBER = "initLimit syncLimit electionAlg electionPort quorumPort peerType".split()

# Gauges that every server has.
MNTR = """zk_version zk_server_state zk_ephemerals_count zk_num_alive_connections zk_avg_latency zk_outstanding_requests
zk_znode_count zk_global_sessions zk_last_client_response_size zk_packets_sent zk_packets_received
zk_max_client_response_size zk_connection_drop_probability zk_watch_count zk_auth_failed_count zk_min_latency
zk_max_file_descriptor_count zk_approximate_data_size zk_open_file_descriptor_count zk_local_sessions zk_uptime
zk_max_latency zk_outstanding_tls_handshake zk_min_client_response_size zk_non_mtls_local_conn_count
zk_non_mtls_remote_conn_count""".split()
MNTR_OF_A_MEMBER = ["zk_peer_state", "zk_quorum_size"]
MNTR_OF_THE_LEADER = """zk_synced_followers zk_synced_non_voting_followers zk_synced_observers zk_pending_syncs zk_leader_uptime
zk_learners zk_last_proposal_size zk_max_proposal_size zk_min_proposal_size""".split()
# Counters and summaries that dashboards draw.
MNTR_COUNTERS = """zk_commit_count zk_snap_count zk_looking_count zk_diff_count zk_connection_request_count zk_connection_rejected
zk_connection_drop_count zk_bytes_received_count zk_request_commit_queued zk_stale_sessions_expired zk_dead_watchers_cleared
zk_unrecoverable_error_count zk_response_packet_cache_hits zk_response_packet_cache_misses zk_large_requests_rejected
zk_connection_revalidate_count zk_watch_bytes zk_throttled_ops""".split()
SUMMARIES = ["readlatency", "updatelatency", "fsynctime", "snapshottime", "election_time", "propagation_latency"]

# One line of `cons` and `stat`: the address, the operations of interest, and what has been counted.
CONNECTION = re.compile(r" /\S+:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+")
CONNECTION_OF_A_SESSION = re.compile(
    r" /\S+:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+,sid=0x[0-9a-f]+,lop=\w+,est=\d+,to=\d+,"
    r"lcxid=0x[0-9a-f]+,lzxid=0x[0-9a-f]+,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)"
)


def ask(word, server=0):
    return SUITE.ask(word, server).decode()


def monitor(server=0):
    lines = [line.split("\t", 1) for line in ask(b"mntr", server).splitlines()]
    check(all(len(line) == 2 for line in lines), "each line of mntr has a name, a tab and a value")
    names = [name for name, _ in lines]
    check_equal(len(set(names)), len(names), "different names of mntr")
    return dict(lines)


def check_names(have, wanted, what):
    missing = [name for name in wanted if name not in have]
    check(not missing, f"{what} has no {missing}")


@SUITE.case
def ruok_and_isro_are_answered_with_one_word():
    for server in range(len(SUITE.addresses)):
        check_equal(SUITE.ask(b"ruok", server), b"imok", "the answer to ruok")
        check_equal(SUITE.ask(b"isro", server), b"rw", "the answer to isro")


@SUITE.case
def a_word_with_a_line_end_is_understood():
    check_equal(SUITE.ask(b"ruok\n"), b"imok", "the answer to ruok with a line end")


@case
def srvr_tells_its_fields_in_order(clients, path):
    client = clients.of_server(0)
    client.create(path)
    zxid = client.exists(path).czxid
    for server in range(len(SUITE.addresses)):
        lines = ask(b"srvr", server).splitlines()
        fields = dict(line.split(": ", 1) for line in lines)
        mode = fields["Mode"]
        check(mode in MODES, f"mode {mode}")
        wanted = SRVR + (["Proposal sizes last/min/max"] if mode == "leader" else [])
        check_equal(list(fields), wanted, "the fields of srvr")
        check(re.fullmatch(r"\d+/\d+\.\d+/\d+", fields["Latency min/avg/max"]), f"latencies {fields}")
        check(re.fullmatch(r"0x[0-9a-f]+", fields["Zxid"]), f"zxid {fields['Zxid']}")
        for name in ("Received", "Sent", "Connections", "Outstanding", "Node count"):
            check(fields[name].isdigit(), f"{name} is a number, not {fields[name]}")
        check(re.match(r"\d+\.\d+\.\d+", fields["Zookeeper version"]), f"version {fields['Zookeeper version']}")
        check(", built on " in fields["Zookeeper version"], "the version tells when it was built")
        eventually(lambda server=server: int(ask(b"srvr", server).split("Zxid: ")[1].split()[0], 16) >= zxid, "the zxid")


@case
def stat_lists_the_clients_and_then_what_srvr_tells(clients, path):
    client = clients.of_server(0)
    client.exists(path)
    lines = ask(b"stat").splitlines()
    check(lines[0].startswith("Zookeeper version: "), f"the first line {lines[0]}")
    check_equal(lines[1], "Clients:", "the second line")
    end = lines.index("")
    check(end > 2 and all(CONNECTION.match(line) for line in lines[2:end]), f"the clients' lines {lines[2:end]}")
    fields = [line.split(": ", 1)[0] for line in lines[end + 1 :]]
    check_equal(fields[: len(SRVR) - 1], SRVR[1:], "the fields behind the clients")


@case
def mntr_has_the_names_that_dashboards_ask_for(clients, path):
    for server in range(len(SUITE.addresses)):
        values = monitor(server)
        state = values["zk_server_state"]
        check(state in MODES, f"state {state}")
        check_names(values, MNTR, "mntr")
        check_names(values, MNTR_COUNTERS, "mntr")
        for name in SUMMARIES:
            check_names(values, [f"zk_{kind}_{name}" for kind in ("avg", "min", "max", "cnt", "sum")], "mntr")
        check_names(values, [f"zk_p{rank}_{name}" for rank in (50, 95, 99, 999) for name in SUMMARIES[:2]], "mntr")
        if state != "standalone":
            check_names(values, MNTR_OF_A_MEMBER, "mntr of a member")
        if state == "leader":
            check_names(values, MNTR_OF_THE_LEADER, "mntr of the leader")
            check_equal(int(values["zk_synced_followers"]), len(SUITE.addresses) - 1, "followers in sync")
        for name in MNTR[2:]:
            float(values[name])


@case
def mntr_counts_what_there_is(clients, path):
    client = clients.of_server(0)
    client.create(path)
    before = monitor()
    for number in range(5):
        client.create(f"{path}/{number}", b"x" * 1000)
    client.create(f"{path}/e", ephemeral=True)
    client.get(path, watch=lambda _: None)
    client.get_children(path, watch=lambda _: None)
    client.get(f"{path}/1", watch=lambda _: None)
    after = monitor()
    grown = {name: int(after[name]) - int(before[name]) for name in MNTR if after[name].lstrip("-").isdigit()}
    check_equal(grown["zk_znode_count"], 6, "more znodes")
    check_equal(grown["zk_ephemerals_count"], 1, "more ephemerals")
    check_equal(grown["zk_watch_count"], 3, "more watches")
    check(grown["zk_approximate_data_size"] >= 5000, f"more data: {grown['zk_approximate_data_size']}")
    check(grown["zk_packets_received"] >= 9, f"more packets: {grown['zk_packets_received']}")
    connections = int(monitor()["zk_num_alive_connections"])
    clients.of_server(0).exists(path)
    check_equal(int(monitor()["zk_num_alive_connections"]) - connections, 1, "more connections")


@SUITE.case
def conf_has_a_line_for_each_setting():
    host, port = SUITE.addresses[0]
    lines = ask(b"conf").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    check_names(values, CONF, "conf")
    check_equal(values["clientPort"], str(port), "the client port")
    for name in ("tickTime", "maxClientCnxns", "minSessionTimeout", "maxSessionTimeout", "dataDirSize"):
        check(values[name].lstrip("-").isdigit(), f"{name} is a number, not {values[name]}")
    if len(SUITE.addresses) > 1:
        check_names(values, CONF_OF_A_MEMBER, "conf of a member")
        check("membership: " in lines, "the members' heading")
        members = [line for line in lines if line.startswith("server.")]
        check_equal(len(members), len(SUITE.addresses), "members")
        check(lines[-1].startswith("version="), f"the last line {lines[-1]}")


@case
def cons_has_a_line_for_each_connection(clients, path):
    client = clients.of_server(0, timeout=20)
    client.create(path)
    client.get(path)
    lines = [line for line in ask(b"cons").splitlines() if line]
    check(all(CONNECTION.match(line) for line in lines), f"lines of cons {lines}")
    mine = [line for line in lines if f"sid={client.client_id[0]:#x}," in line]
    check_equal(len(mine), 1, f"lines of this session in {lines}")
    check(CONNECTION_OF_A_SESSION.fullmatch(mine[0]), f"the line {mine[0]!r}")
    check("lop=GETD," in mine[0] and "to=20000," in mine[0], f"the last operation and the timeout in {mine[0]!r}")


@case
def crst_and_srst_set_the_counters_back(clients, path):
    client = clients.of_server(0)
    for _ in range(20):
        client.exists(path)
    check_equal(ask(b"crst"), "Connection stats reset.\n", "the answer to crst")
    mine = next(line for line in ask(b"cons").splitlines() if f"sid={client.client_id[0]:#x}," in line)
    check(int(re.search(r"recved=(\d+)", mine).group(1)) < 5, f"counters behind crst: {mine}")
    check_equal(ask(b"srst"), "Server stats reset.\n", "the answer to srst")
    check(int(ask(b"srvr").split("Received: ")[1].split()[0]) < 20, "packets behind srst")


@case
def dump_lists_sessions_and_their_ephemerals(clients, path):
    leader = SUITE.leader()
    client = clients.of_server(leader)
    client.create(path, ephemeral=True)
    text = ask(b"dump", leader)
    lines = text.splitlines()
    check_equal(lines[0], "SessionTracker dump:", "the first line")
    check("ephemeral nodes dump:" in lines and "Connections dump:" in lines, f"the headings of {text}")
    check(re.search(r"^Sessions with Ephemerals \(\d+\):$", text, re.M), f"the count of sessions in {text}")
    session = f"{client.client_id[0]:#x}"
    check(f"{session}:" in lines, f"session {session} in {text}")
    check(f"\t{path}" in lines[lines.index(f"{session}:") :], f"the ephemeral in {text}")


@SUITE.case
def envi_names_the_environment():
    lines = ask(b"envi").splitlines()
    check_equal(lines[0], "Environment:", "the first line")
    values = dict(line.split("=", 1) for line in lines[1:])
    wanted = "zookeeper.version host.name os.name os.arch os.version user.name user.home user.dir".split()
    check_names(values, wanted, "envi")


@case
def wchs_wchc_and_wchp_tell_who_watches_what(clients, path):
    client = clients.of_server(0)
    client.create(path)
    before = re.fullmatch(r"(\d+) connections watching (\d+) paths\nTotal watches:(\d+)\n", ask(b"wchs"))
    check(before, f"the form of wchs: {ask(b'wchs')!r}")
    client.get(path, watch=lambda _: None)
    client.get_children(path, watch=lambda _: None)
    client.exists(f"{path}/none", watch=lambda _: None)
    after = re.fullmatch(r"(\d+) connections watching (\d+) paths\nTotal watches:(\d+)\n", ask(b"wchs"))
    # Watches on data are counted, and those on children are not.
    grown = [int(after[place]) - int(before[place]) for place in (1, 2, 3)]
    check_equal(grown, [1, 2, 2], "more connections, paths, watches")
    session = f"{client.client_id[0]:#x}"
    by_session = ask(b"wchc").splitlines()
    at = by_session.index(session)
    check_equal(sorted(by_session[at + 1 : at + 3]), [f"\t{path}", f"\t{path}/none"], "the paths of the session")
    by_path = ask(b"wchp").splitlines()
    check_equal(by_path[by_path.index(path) + 1], f"\t{session}", "the session of the path")


@SUITE.case
def dirs_and_the_trace_mask_are_numbers():
    check(re.fullmatch(r"datadir_size: \d+\nlogdir_size: \d+\n", ask(b"dirs")), f"the form of dirs: {ask(b'dirs')!r}")
    mask = ask(b"gtmk")
    check(mask.isdigit(), f"the trace mask {mask!r}")
    check_equal(ask(b"stmk" + struct.pack(">q", int(mask))), mask, "the answer to stmk")


@SUITE.case
def hash_lists_digests_of_history():
    for line in ask(b"hash").splitlines():
        check(re.fullmatch(r"\S+( \S+)*", line), f"a line of hash {line!r}")


@SUITE.case
def words_that_are_none_close_the_connection():
    for word in (b"nope", b"RUOK", b"ruo\n"):
        check_equal(SUITE.ask(word), b"", f"the answer to {word!r}")


@SUITE.case
def one_server_leads():
    if len(SUITE.addresses) == 1:
        raise NotRun("needs several servers")
    modes = SUITE.modes()
    check_equal(modes.count("leader"), 1, f"leaders among {modes}")
    check_equal(modes.count("follower"), len(modes) - 1, f"followers among {modes}")
