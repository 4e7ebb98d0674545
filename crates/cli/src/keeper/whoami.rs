//! `ottla keeper whoami`.

use serde::Serialize;

use super::data::hex;
use super::session::Session;
use crate::Error;
use crate::output::{self, View};
use crate::table::table;

/// Who the servers take the connection for.
#[derive(Debug, Serialize)]
struct WhoAmI {
    session: String,
    server: String,
    identities: Vec<Identity>,
}

#[derive(Debug, Serialize)]
struct Identity {
    scheme: String,
    user: String,
}

impl View for WhoAmI {
    fn table(&self, _wide: bool) -> String {
        let row = |identity: &Identity| [identity.scheme.clone(), identity.user.clone()];
        table(&["SCHEME", "USER"], self.identities.iter().map(row))
    }

    fn names(&self) -> Vec<String> {
        let name = |identity: &Identity| format!("{}:{}", identity.scheme, identity.user);
        self.identities.iter().map(name).collect()
    }
}

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let asked = client.who_am_i().await;
    let identities = asked.map_err(|failure| failure.during("asking who this is"))?;
    let identity = |info: ottla_jute::ClientInfo| Identity {
        scheme: info.auth_scheme,
        user: info.user,
    };
    let view = WhoAmI {
        session: hex(client.session()),
        server: client.server().to_owned(),
        identities: identities.into_iter().map(identity).collect(),
    };
    output::print(&view, session.format, session.streams)
}
