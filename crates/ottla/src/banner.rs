//! The few lines that greet a person.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;

use crate::Node;

/// Says where the node listens, where its data is, and what to try. Printed on standard output, so
/// that it stands apart from the log on standard error.
pub(crate) fn print(node: &Node, http: Option<SocketAddr>) {
    let text = text(node, http, std::io::stdout().is_terminal());
    // Nobody may be listening to standard output; the node runs all the same.
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn text(node: &Node, http: Option<SocketAddr>, colours: bool) -> String {
    let (bold, dim, plain) = if colours {
        ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let image = node.controller.image();
    let advertised = image
        .broker(node.identity.node_id)
        .map(|b| b.endpoints.clone());
    let mut lines = vec![format!(
        "{bold}Ottla {} is up.{plain} Node {} of cluster {}",
        env!("CARGO_PKG_VERSION"),
        node.identity.node_id,
        node.identity.cluster_id
    )];
    let mut first = None;
    let addresses = node.broker.as_ref().map(|b| b.addresses());
    for (name, bound) in addresses.unwrap_or_default() {
        let told = advertised.as_ref().and_then(|a| a.get(&name));
        let told = told.map_or_else(|| bound.to_string(), |e| format!("{}:{}", e.host, e.port));
        let note = if told == bound.to_string() {
            String::new()
        } else {
            format!(" {dim}on {bound}{plain}")
        };
        lines.push(format!("  Kafka    {told}{note}  {dim}({name}){plain}"));
        first.get_or_insert(told);
    }
    if let Some(http) = http {
        lines.push(format!(
            "  HTTP     http://{http}/health/ready  {dim}/metrics{plain}"
        ));
    }
    lines.push(format!("  Data     {}", node.data.display()));
    if let Some(address) = first {
        lines.push(format!(
            "  Try      echo hello | kcat -b {address} -t greetings -P && kcat -b {address} -t greetings -C -e"
        ));
    }
    lines.push(format!("  {dim}Ctrl-C stops it; the data stays.{plain}\n"));
    lines.join("\n")
}
