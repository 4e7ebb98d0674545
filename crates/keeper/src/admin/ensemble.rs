//! Commands about the ensemble.

use ottla_config::{KeeperListener, KeeperPeerType, KeeperServer};

use crate::admin::Query;
use crate::json::{Fields, Json, fields, int, object, text};
use crate::monitor::reading::{Facts, is_alone, state_of};
use crate::monitor::{ServerState, ensemble};
use crate::server::Server;

type Answer = Result<Fields, String>;

fn servers(server: &Server) -> Vec<KeeperServer> {
    ensemble::read(server)
        .map(|(servers, _)| servers)
        .unwrap_or_default()
}

/// `initial_configuration`: what the server was started with, as lines of a `zoo.cfg`. Where they
/// came from (a file, flags, variables) they need not have stood like that.
pub(super) fn initial_configuration(server: &Server, _query: &Query) -> Answer {
    let config = &server.config;
    let mut lines = vec![
        format!("tickTime={}", config.tick_time_ms),
        format!("initLimit={}", config.init_limit_ticks),
        format!("syncLimit={}", config.sync_limit_ticks),
        format!("dataDir={}", config.storage.data_dir),
    ];
    if config.storage.data_log_dir != config.storage.data_dir {
        lines.push(format!("dataLogDir={}", config.storage.data_log_dir));
    }
    let ports = [
        ("clientPort", &config.client_listener),
        ("secureClientPort", &config.secure_client_listener),
    ];
    for (name, listener) in ports {
        if let Some(listener) = listener {
            lines.push(format!("{name}={}", listener.port));
            if !listener.host.is_empty() {
                lines.push(format!("{name}Address={}", listener.host));
            }
        }
    }
    lines.extend(
        config
            .servers
            .iter()
            .map(|server| format!("server.{}={server}", server.id)),
    );
    Ok(fields([("initial_configuration", text(lines.join("\n")))]))
}

/// `leader`
pub(super) fn leader(server: &Server, _query: &Query) -> Answer {
    if is_alone(server) {
        return Err("server is not initialized".to_owned());
    }
    let leader = server.raft().and_then(|raft| raft.state().get().leader);
    let id = leader.and_then(|id| i64::try_from(id).ok());
    let servers = servers(server);
    let line = servers.iter().find(|server| Some(server.id) == id);
    let hosts = line.iter().flat_map(|line| &line.addresses);
    let hosts: Vec<_> = hosts.map(|address| address.host.as_str()).collect();
    Ok(fields([
        (
            "is_leader",
            Json::Bool(state_of(server) == ServerState::Leader),
        ),
        ("leader_id", int(id.unwrap_or(-1))),
        ("leader_ip", text(hosts.join("|"))),
    ]))
}

/// `observers`: those that the leader knows of.
pub(super) fn observers(server: &Server, _query: &Query) -> Answer {
    let facts = Facts::take(server);
    let synced = facts.leading.map_or(0, |leading| leading.synced_observers);
    let mut observers = Vec::new();
    if facts.leading.is_some()
        && let Some(raft) = server.raft()
    {
        let state = raft.state().get();
        let participants = server.participants().get();
        let learners = state
            .learners
            .iter()
            .filter(|(id, _)| !participants.contains(id));
        observers.extend(learners.map(|(id, member)| {
            let endpoint = member.endpoints.first();
            let address = endpoint.map_or_else(String::new, |e| format!("{}:{}", e.host, e.port));
            object([("remote_socket_address", text(address)), ("sid", int(*id))])
        }));
    }
    Ok(fields([
        ("synced_observers", int(synced)),
        ("observers", Json::List(observers)),
    ]))
}

/// `observer_connection_stat_reset`: connections of observers have no figures that could be reset.
pub(super) fn reset_observers(_server: &Server, _query: &Query) -> Answer {
    Ok(Fields::new())
}

/// `voting_view`
pub(super) fn voting_view(server: &Server, _query: &Query) -> Answer {
    let servers = servers(server);
    let voting = servers
        .iter()
        .filter(|server| server.peer_type == KeeperPeerType::Participant);
    let views = voting.map(|server| (server.id.to_string(), view(server)));
    Ok(fields([("current_config", object(views))]))
}

fn view(server: &KeeperServer) -> Json {
    let list = |addresses: Vec<String>| Json::List(addresses.into_iter().map(text).collect());
    object([
        ("server_addresses", list(quorum_addresses(server))),
        ("election_addresses", list(election_addresses(server))),
        (
            "client_address",
            text(client_address(server.client.as_ref())),
        ),
        ("learner_type", text(server.peer_type.name())),
    ])
}

fn quorum_addresses(server: &KeeperServer) -> Vec<String> {
    let each = server.addresses.iter();
    each.map(|address| host_port(&address.host, address.peer_port))
        .collect()
}

fn election_addresses(server: &KeeperServer) -> Vec<String> {
    let each = server.addresses.iter();
    each.map(|address| host_port(&address.host, address.election_port))
        .collect()
}

fn client_address(client: Option<&KeeperListener>) -> String {
    client.map_or_else(String::new, |client| host_port(&client.host, client.port))
}

fn host_port(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `zabstate`: how the server stands to its ensemble. An epoch is a term of raft.
pub(super) fn zab_state(server: &Server, _query: &Query) -> Answer {
    if is_alone(server) {
        return Ok(fields([
            ("voting", Json::Bool(false)),
            ("zabstate", text("")),
        ]));
    }
    let state = state_of(server);
    let own_id = server.id.cast_signed();
    let servers = servers(server);
    let own = servers.iter().find(|server| server.id == own_id);
    let joined = |addresses: fn(&KeeperServer) -> Vec<String>| {
        text(own.map_or_else(String::new, |own| addresses(own).join("|")))
    };
    let votes = server
        .raft()
        .is_some_and(|raft| raft.state().get().is_voter(server.id));
    let zxid = server.tree.last_zxid();
    let phase = match state {
        ServerState::Looking | ServerState::ReadOnly => "election",
        _ => "broadcast",
    };
    Ok(fields([
        ("myid", int(own_id)),
        ("is_leader", Json::Bool(state == ServerState::Leader)),
        ("quorum_address", joined(quorum_addresses)),
        ("election_address", joined(election_addresses)),
        (
            "client_address",
            text(client_address(own.and_then(|own| own.client.as_ref()))),
        ),
        ("voting", Json::Bool(votes)),
        ("last_zxid", text(format!("0x{zxid:x}"))),
        ("zab_epoch", int(zxid >> 32)),
        ("zab_counter", int(zxid & 0xffff_ffff)),
        ("zabstate", text(phase)),
    ]))
}
