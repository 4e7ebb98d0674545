//! The verbs that work over a session: one at a time, or many in a shell.

use super::session::Session;
use super::{acl, create, delete, get, ls, members, multi, quota, set, stat, watch, whoami};
use crate::{Error, Streams};

/// What can be done with znodes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List the children of a znode
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Print the data of a znode
    Get(get::GetArgs),
    /// Print the stat of a znode: zxids, times, versions, counts
    Stat(stat::StatArgs),
    /// Create a znode
    Create(create::CreateArgs),
    /// Set the data of a znode
    Set(set::SetArgs),
    /// Delete znodes that have no children
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Delete znodes with everything below them
    #[command(visible_alias = "rmr")]
    Deleteall(delete::DeleteAllArgs),
    /// Print what happens to znodes, until Ctrl-C
    Watch(watch::WatchArgs),
    /// Carry out several operations, all or none
    Multi(multi::MultiArgs),
    /// Show and set who may do what
    #[command(subcommand)]
    Acl(acl::AclCommand),
    /// Show and set bounds for the number of znodes and the bytes below a path
    #[command(subcommand, visible_alias = "quotas")]
    Quota(quota::QuotaCommand),
    /// Show who the servers take you for
    Whoami,
    /// Show the members of the ensemble; add and remove some
    Members(members::MembersArgs),
}

impl Verb {
    /// Asks before what cannot be undone.
    pub(crate) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        match self {
            Verb::Deleteall(args) => args.confirm(streams),
            Verb::Members(args) => args.confirm(streams),
            _ => Ok(()),
        }
    }

    /// Works until done or interrupted.
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<(), Error> {
        let interrupt = session.interrupt;
        // These end by themselves at an interruption.
        if let Verb::Watch(args) = self {
            return watch::run(args, session).await;
        }
        crate::until_interrupted(interrupt, Box::pin(self.work(session))).await
    }

    async fn work(&self, session: &mut Session<'_>) -> Result<(), Error> {
        match self {
            Verb::Ls(args) => ls::run(args, session).await,
            Verb::Get(args) => get::run(args, session).await,
            Verb::Stat(args) => stat::run(args, session).await,
            Verb::Create(args) => create::run(args, session).await,
            Verb::Set(args) => set::run(args, session).await,
            Verb::Delete(args) => delete::run(args, session).await,
            Verb::Deleteall(args) => delete::run_all(args, session).await,
            Verb::Watch(args) => watch::run(args, session).await,
            Verb::Multi(args) => multi::run(args, session).await,
            Verb::Acl(command) => acl::run(command, session).await,
            Verb::Quota(command) => quota::run(command, session).await,
            Verb::Whoami => whoami::run(session).await,
            Verb::Members(args) => members::run(args, session).await,
        }
    }
}
