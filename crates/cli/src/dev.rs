//! `ottla dev`: several nodes on this machine, each a process, and what happens to them.
//!
//! ```text
//!   arguments ─▶ folder (as it was made?) ─▶ plan (ports, settings) ─▶ ports free? ─▶ nodes
//!   nodes ─▶ watch: ends of processes, answers of the cluster (view), orders of the person
//!              └──▶ events ─▶ live table (screen), or a line each
//! ```
//!
//! A node is this program again, as `ottla server`: killing one is a real failure. It ends with us
//! in any case, because its standard input is a pipe of ours.

mod events;
mod folder;
mod node;
mod orders;
mod plan;
mod screen;
mod view;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use ottla_runtime::{Runtime, Shutdown};

use self::folder::{Folder, Made};
use self::plan::{DEFAULT_NODES, DEFAULT_PORT, HOST, PORT_MAX, Plan};
use self::watch::Watch;
use crate::globals::{GlobalArgs, key_value};
use crate::{Error, Streams};

/// What `ottla dev` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct DevArgs {
    /// How many nodes, 1 to 9 [default: as the cluster was made, or 3]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: Option<u16>,
    /// Where the first node listens for clients; the second two ports further, and so on [default:
    /// as the cluster was made, or 9092]
    #[arg(short, long, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..=PORT_MAX))]
    pub port: Option<u16>,
    /// Keep data and logs of all nodes in this folder
    #[arg(long, value_name = "DIR", default_value = "ottla-dev")]
    pub data_dir: PathBuf,
    /// Set a property of all nodes; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Start a node again when it has ended by itself, or was killed from outside
    #[arg(long)]
    pub restart: bool,
}

/// Flags about a cluster mean nothing to one that is started here.
fn refuse(global: &GlobalArgs) -> Result<(), Error> {
    if global.bootstrap_server.is_none() && global.output.is_none() && global.timeout.is_none() {
        return Ok(());
    }
    Err(Error::Usage(
        "--bootstrap-server, --output and --timeout belong to commands that ask a cluster, not to \
         `ottla dev`, which starts one; --port says where"
            .to_owned(),
    ))
}

/// Starts the nodes, and watches them until the person has enough.
pub(crate) async fn run(
    args: &DevArgs,
    global: &GlobalArgs,
    env: &BTreeMap<String, String>,
    runtime: &Runtime,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    refuse(global)?;
    let default = Made {
        nodes: DEFAULT_NODES,
        port: DEFAULT_PORT,
    };
    // Held until the last node has ended.
    let folder = Folder::open(&args.data_dir, args.nodes, args.port, default, runtime)?;
    let plan = Plan {
        nodes: folder.made.nodes,
        port: folder.made.port,
        folder: args.data_dir.clone(),
        settings: args.set.clone(),
    };
    plan.check()?;
    refuse_taken_ports(&plan, runtime).await?;
    let program = node::own_program().map_err(|error| Error::Failed {
        action: "finding the program to start nodes with".to_owned(),
        reason: error.to_string(),
    })?;
    folder.remember(&args.data_dir, runtime)?;
    let mut watch = Watch::new(plan, program, args.restart, env, runtime, streams);
    watch.run(interrupt).await
}

/// Tells every port that is taken, before anything starts.
async fn refuse_taken_ports(plan: &Plan, runtime: &Runtime) -> Result<(), Error> {
    let mut taken = Vec::new();
    for place in plan.places() {
        for (port, purpose) in place.ports() {
            if let Err(error) = runtime.network.listen(HOST, port).await {
                let why = match error.kind() {
                    io::ErrorKind::AddrInUse => "is taken".to_owned(),
                    _ => format!("cannot be listened on: {error}"),
                };
                taken.push(format!(
                    "{HOST}:{port} (node {}, {purpose}) {why}",
                    place.id
                ));
            }
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    Err(Error::Failed {
        action: "starting the nodes".to_owned(),
        reason: format!(
            "{}; stop what listens there, or choose another --port (for a cluster that was made \
             before, with another --data-dir)",
            taken.join(", ")
        ),
    })
}
