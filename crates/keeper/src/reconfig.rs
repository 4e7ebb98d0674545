//! `reconfig`: which servers the ensemble has, as the znode `/zookeeper/config` says.
//!
//! ```text
//! server.1=zoo1:2888:3888:participant;0.0.0.0:2181
//! server.2=…
//! version=100000003
//! ```
//!
//! The znode is what all servers agree on; the leader gives and takes votes accordingly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_config::{KeeperPeerType, KeeperServer};
use ottla_jute::{ErrorCode, OpCode, Reconfig, perms};
use ottla_raft::NodeId;
use ottla_znode::{Access, CONFIG_PATH, Command, Requester, Rules, State};

use crate::clients::connection::{Connection, Waiting};
use crate::clients::replies::{self, Asked, Kind};
use crate::members::{ChangeError, Reconfigured, endpoints};
use crate::server::Server;

/// Servers by their number.
type Servers = BTreeMap<i64, KeeperServer>;

/// Servers as lines.
pub(crate) fn lines(servers: &[KeeperServer]) -> String {
    let lines = servers
        .iter()
        .map(|server| format!("server.{}={server}", server.id));
    lines.collect::<Vec<_>>().join("\n")
}

/// The servers that the znode names; none while there is no ensemble.
pub(crate) fn servers(state: &State) -> Servers {
    let Ok((Some(data), _)) = state.get_data(CONFIG_PATH, everything()) else {
        return Servers::new();
    };
    let text = String::from_utf8_lossy(data);
    let parsed = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let id = KeeperServer::id_of_key(key.trim())?.ok()?;
        // What does not parse was refused before it got there.
        Some((id, KeeperServer::parse(id, value).ok()?))
    });
    parsed.collect()
}

/// The server itself may read everything.
fn everything() -> Access<'static> {
    Access {
        session: 0,
        identities: &[],
        rules: Rules {
            skip_acl: true,
            ..Rules::default()
        },
    }
}

/// Who votes, as the znode says.
pub(crate) fn participants(state: &State) -> BTreeSet<NodeId> {
    let servers = servers(state).into_values();
    let voting = servers.filter(|server| server.peer_type == KeeperPeerType::Participant);
    voting
        .filter_map(|server| NodeId::try_from(server.id).ok())
        .collect()
}

/// What the ensemble is to be. The codes are ZooKeeper's: what should be a number and is none is a
/// `MARSHALLINGERROR`.
fn changed(old: &Servers, request: &Reconfig) -> Result<Servers, ErrorCode> {
    let refused = |code: ErrorCode, reason: String| {
        tracing::warn!(reason, "a reconfig is refused");
        code
    };
    let bad = |reason| refused(ErrorCode::BadArguments, reason);
    let no_number = |reason| refused(ErrorCode::MarshallingError, reason);
    let parse = |text: &str, into: &mut Servers| -> Result<(), ErrorCode> {
        let entries = text.split([',', '\n']).map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let (key, value) = entry
                .split_once('=')
                .ok_or_else(|| bad(format!("{entry} is no server.N=…")))?;
            if key.trim() == "version" {
                continue;
            }
            let id = KeeperServer::id_of_key(key.trim());
            let id = id
                .ok_or_else(|| no_number(format!("{key} is no server.N")))?
                .map_err(no_number)?;
            let server = KeeperServer::parse(id, value).map_err(bad)?;
            into.insert(id, server);
        }
        Ok(())
    };
    let mut servers = match &request.new_members {
        Some(members) if !members.is_empty() => {
            let mut servers = Servers::new();
            parse(members, &mut servers)?;
            servers
        }
        _ => old.clone(),
    };
    let leaving = request.leaving_servers.as_deref().unwrap_or_default();
    for id in leaving
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
    {
        let id: i64 = id
            .parse()
            .map_err(|_| no_number(format!("{id} is no server's number")))?;
        servers.remove(&id);
    }
    if let Some(joining) = &request.joining_servers {
        let mut joined = Servers::new();
        parse(joining, &mut joined)?;
        if let Some(server) = joined.values().find(|server| server.client.is_none()) {
            let reason = format!(
                "server.{}={server} does not say where clients find it: add ;PORT",
                server.id
            );
            return Err(bad(reason));
        }
        servers.extend(joined);
    }
    let voting = |server: &&KeeperServer| server.peer_type == KeeperPeerType::Participant;
    if servers.values().filter(voting).count() == 0 {
        return Err(bad("no server would vote".to_owned()));
    }
    Ok(servers)
}

/// The change as the members carry it out. None if a number is no server's.
fn wanted(servers: &Servers) -> Option<Reconfigured> {
    let mut to = Reconfigured {
        participants: BTreeSet::new(),
        observers: BTreeSet::new(),
        addresses: BTreeMap::new(),
    };
    for server in servers.values() {
        let id = NodeId::try_from(server.id).ok()?;
        match server.peer_type {
            KeeperPeerType::Participant => to.participants.insert(id),
            KeeperPeerType::Observer => to.observers.insert(id),
        };
        to.addresses.insert(id, endpoints(server));
    }
    Some(to)
}

/// Carries out a client's request.
pub(crate) async fn carry_out(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    xid: i32,
    request: Reconfig,
) {
    // It is answered in its turn, and whatever it needs comes from what was asked before.
    while !connection.work().waiting.is_empty() && !connection.is_ending() {
        connection.room().await;
    }
    let asked = Asked {
        op: OpCode::Reconfig,
        xid,
        arrived: server.runtime.clock.instant(),
    };
    if let Err(code) = prepare(server, connection, &asked, &request).await {
        let zxid = server.tree.last_zxid();
        let refused: Result<fn(&mut ottla_jute::Writer<'_>), _> = Err(code);
        replies::send(server, connection, (Kind::Read, &asked), zxid, refused);
    }
}

/// Changes the votes, and sends the command on its way.
async fn prepare(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    asked: &Asked,
    request: &Reconfig,
) -> Result<(), ErrorCode> {
    if !server.config.reconfig_enabled {
        return Err(ErrorCode::ReconfigDisabled);
    }
    let identities = connection.identities();
    let (old, version, acl) = {
        let state = server.tree.read();
        let (acl, _) = state.get_acl(CONFIG_PATH, everything())?;
        (servers(&state), state.config_version(), acl)
    };
    if old.is_empty() {
        // Alone, there is nothing to be changed (`PrepRequestProcessor`).
        return Err(ErrorCode::Unimplemented);
    }
    if request.current_config_id != -1 && request.current_config_id != version {
        return Err(ErrorCode::BadVersion);
    }
    let may = ottla_znode::allows(&acl, perms::WRITE, &identities, server.rules);
    let new = changed(&old, request).map_err(|code| match code {
        // Among these are numbers that are too large here and nowhere else.
        ErrorCode::MarshallingError if !may => ErrorCode::NoAuth,
        code => code,
    })?;
    let to = wanted(&new).ok_or(ErrorCode::BadArguments)?;
    // Whoever may not is told so last, as ZooKeeper does it.
    if !may {
        return Err(ErrorCode::NoAuth);
    }
    let Some(members) = server.members() else {
        return Err(ErrorCode::ReconfigInProgress);
    };
    match members.change(to).await {
        // Whoever leads follows what the znode will say.
        Ok(()) | Err(ChangeError::NotLeader) => {}
        Err(ChangeError::NewConfigNoQuorum { .. }) => return Err(ErrorCode::NewConfigNoQuorum),
        Err(ChangeError::InProgress) => return Err(ErrorCode::ReconfigInProgress),
        Err(error) => {
            tracing::warn!(%error, "a reconfig is refused");
            return Err(ErrorCode::BadArguments);
        }
    }
    let command = Command::SetConfig {
        requester: Some(Requester {
            session: connection.session(),
            owner: server.owner(connection),
            cxid: asked.xid,
            identities,
        }),
        expected_version: version,
        members: lines(&new.into_values().collect::<Vec<_>>()),
    };
    let waiting = Waiting::Write {
        op: asked.op,
        xid: asked.xid,
        arrived: asked.arrived,
        large: None,
    };
    // A connection that was given up ends by itself.
    let _: bool = server.send(connection, waiting, &command);
    Ok(())
}

#[cfg(test)]
mod tests;
