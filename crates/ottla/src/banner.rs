//! The few lines that greet a person.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use crate::Node;

/// Says where the node listens, where its data is, and what to try. Printed on standard output, so
/// that it stands apart from the log on standard error.
pub(crate) fn print(node: &Node, data: &Path, http: Option<SocketAddr>) {
    let text = text(node, data, http, std::io::stdout().is_terminal());
    // Nobody may be listening to standard output; the node runs all the same.
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn text(node: &Node, data: &Path, http: Option<SocketAddr>, colours: bool) -> String {
    let (bold, dim, plain) = if colours {
        ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut lines = vec![format!(
        "{bold}Ottla {} is up.{plain}{}",
        env!("CARGO_PKG_VERSION"),
        node.kafka
            .as_ref()
            .map_or_else(String::new, |kafka| format!(
                " Node {} of cluster {}",
                kafka.identity.node_id, kafka.identity.cluster_id
            ))
    )];
    let mut first = None;
    if let Some(kafka) = &node.kafka {
        let image = kafka.controller.image();
        let advertised = image.broker(kafka.identity.node_id);
        let advertised = advertised.map(|b| b.endpoints.clone());
        let addresses = kafka.broker.as_ref().map(|b| b.addresses());
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
    }
    let ports = node.keeper.as_ref().map(|keeper| keeper.client_ports());
    for port in ports.unwrap_or_default() {
        let note = if port.secure { " (TLS)" } else { "" };
        lines.push(format!("  Keeper   {}{dim}{note}{plain}", port.address));
    }
    if let Some(http) = http {
        lines.push(format!(
            "  HTTP     http://{http}/health/ready  {dim}/metrics{plain}"
        ));
    }
    lines.push(format!("  Data     {}", data.display()));
    if let Some(address) = first {
        lines.push(format!(
            "  Try      echo hello | kcat -b {address} -t greetings -P && kcat -b {address} -t greetings -C -e"
        ));
    }
    lines.push(format!("  {dim}Ctrl-C stops it; the data stays.{plain}\n"));
    lines.join("\n")
}
