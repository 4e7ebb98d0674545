//! What every run of faults can be told.

use std::path::PathBuf;

use anyhow::Result;

use super::Kind;

/// The command line's part that all such programs share.
#[derive(Clone, Debug, clap::Args)]
pub struct FaultArguments {
    /// How many nodes
    #[arg(long, default_value_t = 3)]
    pub nodes: usize,
    /// How long faults go on
    #[arg(long, default_value_t = 2.0)]
    pub minutes: f64,
    /// Faults and what clients choose follow from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only these faults, separated by commas; "none" is none
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// All but these faults
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Loopback addresses even for root
    #[arg(long)]
    pub loopback: bool,
    /// Settings of every node, as NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Where reports go; what nodes and clients wrote stays there when something was found
    #[arg(long)]
    pub out: PathBuf,
    /// Keep what nodes and clients wrote even when nothing was found
    #[arg(long)]
    pub keep: bool,
}

impl FaultArguments {
    /// The kinds that were asked for, out of all that there are.
    pub fn kinds(&self, all: &[Kind]) -> Result<Vec<Kind>> {
        let parse = |names: &[String]| -> Result<Vec<Kind>> {
            let names = names.iter().filter(|name| *name != "none");
            names.map(|name| name.parse()).collect()
        };
        let without = parse(&self.without)?;
        let mut kinds = if self.faults.is_empty() {
            all.to_vec()
        } else {
            parse(&self.faults)?
        };
        kinds.retain(|kind| !without.contains(kind));
        Ok(kinds)
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
