//! `ottla keeper set`.

use bytes::Bytes;
use ottla_jute::{MultiOp, SetData};
use serde::Serialize;

use super::data::{DataArgs, StatView};
use super::paths::{failed, znode};
use super::session::Session;
use crate::Error;
use crate::output::{self, View};

/// What `ottla keeper set` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    #[command(flatten)]
    data: DataArgs,
    /// Only if its data have this version
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
    /// Also print its stat
    #[arg(short, long)]
    stat: bool,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct Set {
    path: String,
    stat: StatView,
    #[serde(skip)]
    version: i32,
    #[serde(skip)]
    with_stat: bool,
}

impl View for Set {
    fn table(&self, _wide: bool) -> String {
        let mut text = format!("{} set (version {})\n", self.path, self.version);
        if self.with_stat {
            text.push_str(&self.stat.lines());
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

impl SetArgs {
    /// The data to set; none were forgotten.
    fn data(&self, session: &mut Session<'_>) -> Result<Bytes, Error> {
        let data = self.data.read(session)?;
        data.ok_or_else(|| {
            let to_do = "write them behind the path, or '' for none";
            Error::Usage(format!(
                "set {} to what? the data are missing: {to_do}",
                self.path
            ))
        })
    }

    fn version(&self) -> i32 {
        self.version.unwrap_or(-1)
    }

    /// The operation of a multi.
    pub(super) fn op(&self, session: &mut Session<'_>) -> Result<MultiOp, Error> {
        Ok(MultiOp::SetData(SetData {
            path: self.path.clone(),
            data: Some(self.data(session)?),
            version: self.version(),
        }))
    }
}

pub(super) async fn run(args: &SetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let data = args.data(session)?;
    let client = session.client;
    let stat = match client.set(&args.path, Some(data), args.version()).await {
        Ok(stat) => stat,
        Err(failure) => return Err(failed(client, "setting", &args.path, failure).await),
    };
    let view = Set {
        path: args.path.clone(),
        version: stat.version,
        stat: stat.into(),
        with_stat: args.stat,
    };
    output::print(&view, session.format, session.streams)
}
