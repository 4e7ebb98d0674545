//! Where the keeper is: `HOST:PORT,…/CHROOT`, as ZooKeeper's clients write it.

use crate::Error;

/// Where clients connect when nothing is said.
pub(crate) const DEFAULT_SERVERS: &str = "127.0.0.1:2181";
/// ZooKeeper's port for clients.
const DEFAULT_PORT: u16 = 2181;

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The servers of an ensemble, and the znode that a client takes for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Servers {
    /// At least one.
    pub(crate) list: Vec<Server>,
    /// Empty, or a path without a slash at its end.
    pub(crate) chroot: String,
}

impl Servers {
    /// Reads a connect string; a missing port is 2181.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let chroot = chroot.trim_end_matches('/');
        if !chroot.is_empty() && !ottla_znode::is_valid_path(chroot) {
            return Err(Error::Usage(format!(
                "{chroot:?} cannot be a chroot: write a path such as /kafka behind the last server"
            )));
        }
        let mut list = Vec::new();
        for server in hosts.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            list.push(server_of(server, DEFAULT_PORT)?);
        }
        if list.is_empty() {
            return Err(not_a_server(text));
        }
        Ok(Servers {
            list,
            chroot: chroot.to_owned(),
        })
    }

    /// The servers as a person would write them.
    pub(crate) fn text(&self) -> String {
        let list: Vec<String> = self.list.iter().map(ToString::to_string).collect();
        list.join(",")
    }
}

/// Reads `HOST:PORT`, `HOST`, `[IPV6]:PORT` or `[IPV6]`.
pub(crate) fn server_of(text: &str, default_port: u16) -> Result<Server, Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or_else(|| not_a_server(text))?;
            match behind {
                "" => (host, None),
                _ => (host, Some(behind.strip_prefix(':').unwrap_or("wrong"))),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => Some(default_port),
    };
    match port {
        Some(port) if !host.is_empty() => Ok(Server {
            host: host.to_owned(),
            port,
        }),
        _ => Err(not_a_server(text)),
    }
}

fn not_a_server(text: &str) -> Error {
    Error::Usage(format!(
        "{text:?} names no server of a keeper: write HOST:PORT, several separated by commas, and \
         behind them a chroot if there is one: zk-0:2181,zk-1:2181/kafka"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (String, String) {
        let servers = Servers::parse(text).unwrap();
        (servers.text(), servers.chroot)
    }

    #[test]
    fn connect_strings_are_those_of_zookeepers_clients() {
        let cases = [
            ("zk", "zk:2181", ""),
            ("zk:2182/", "zk:2182", ""),
            ("a:1, b:2,", "a:1,b:2", ""),
            ("a,b:9/kafka/root/", "a:2181,b:9", "/kafka/root"),
            ("[::1]:2181/x", "[::1]:2181", "/x"),
            ("[fe80::1]", "[fe80::1]:2181", ""),
        ];
        for (text, servers, chroot) in cases {
            assert_eq!(
                texts(text),
                (servers.to_owned(), chroot.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_names_no_server_is_told_how_to() {
        for text in [
            "", "/kafka", "zk:", "zk:0", "zk:70000", ":2181", "[::1", "[::1]x", "a:b",
        ] {
            let refused = Servers::parse(text).unwrap_err().to_string();
            assert!(refused.contains("write HOST:PORT"), "{text}: {refused}");
        }
        let refused = Servers::parse("zk:2181/a//b").unwrap_err().to_string();
        assert!(refused.contains("cannot be a chroot"), "{refused}");
    }
}
