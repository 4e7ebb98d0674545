//! Coordination services as nodes of a cluster: Apache ZooKeeper and our keeper, which are told the same
//! in a `zoo.cfg` (page "ZooKeeper Administrator's Guide").

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::node::{Flavour, Node, java_arguments, shown};

const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const CONFIGURATION: &str = "zoo.cfg";
/// ZooKeeper has no times of its own for these three: a `zoo.cfg` must name them.
const TIMES: [(&str, &str); 3] = [
    ("tickTime", "2000"),
    ("initLimit", "10"),
    ("syncLimit", "5"),
];

/// The arguments of a node's process. What it reads at its start is written unless it is there: an
/// ensemble that was changed while it ran has written its own members there.
pub(super) fn arguments(
    flavour: &Flavour,
    node: &Node,
    all: &[Node],
    settings: &[(String, String)],
) -> Result<Vec<String>> {
    let file = node.folder.join(CONFIGURATION);
    if !file.exists() {
        fs::write(&file, configuration(flavour, node, all, settings))?;
    }
    let data = node.data_dir();
    fs::create_dir_all(&data)?;
    fs::write(data.join("myid"), node.id.to_string())?;
    Ok(match flavour {
        Flavour::ZooKeeper { lib, jvm } => {
            let mut arguments = java_arguments(lib, jvm);
            let class = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
            arguments.extend([class.to_owned(), shown(&file)]);
            arguments
        }
        _ => {
            let http = format!("ottla.http.listener={}", node.http());
            let given = ["server", "--keeper-config", &shown(&file), "--set", &http];
            given.map(str::to_owned).to_vec()
        }
    })
}

fn configuration(
    flavour: &Flavour,
    node: &Node,
    all: &[Node],
    settings: &[(String, String)],
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name}={value}");
    };
    let place = node.place;
    line("dataDir", &shown(&node.data_dir()));
    if matches!(flavour, Flavour::ZooKeeper { .. }) {
        line("admin.serverPort", &place.http_port.to_string());
        line("admin.serverAddress", &place.address.to_string());
    }
    let is_given = |name: &str| settings.iter().any(|(given, _)| given == name);
    for (name, value) in TIMES.iter().filter(|(name, _)| !is_given(name)) {
        line(name, value);
    }
    for (name, value) in settings {
        line(name, value);
    }
    if all.len() == 1 {
        line("clientPort", &place.client_port.to_string());
        line("clientPortAddress", &place.address.to_string());
        return text;
    }
    for peer in all {
        let (name, at) = (format!("server.{}", peer.id), peer.place);
        let (address, client) = (at.address, at.client_port);
        let (quorum, election) = (at.controller_port, at.election_port);
        let value = format!("{address}:{quorum}:{election}:participant;{address}:{client}");
        line(&name, &value);
    }
    text
}

/// What a server answers to a four-letter word on its clients' port.
pub fn four_letters(address: SocketAddr, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What a server is in its ensemble, in the words of `srvr`: `leader`, `follower`, `standalone`…
/// `None` for one that does not serve.
pub(super) fn mode(address: SocketAddr) -> Option<String> {
    let answer = four_letters(address, "srvr").ok()?;
    let mode = answer
        .lines()
        .find_map(|line| line.strip_prefix("Mode: "))?;
    Some(mode.trim().to_owned())
}

/// Whether a server takes part: one without a quorum does not.
pub(super) fn is_ready(address: SocketAddr) -> bool {
    mode(address).is_some_and(|mode| mode != "read-only")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;

    use super::*;
    use crate::cluster::node::Place;

    fn nodes(folder: &std::path::Path, count: u8) -> Vec<Node> {
        let node = |id: u8| {
            let place = Place {
                address: Ipv4Addr::new(127, 0, 9, id),
                client_port: 1,
                controller_port: 2,
                election_port: 3,
                http_port: 4,
            };
            Node::new(usize::from(id), place, folder.join(id.to_string())).unwrap()
        };
        (1..=count).map(node).collect()
    }

    fn keeper() -> Flavour {
        let binary = PathBuf::from("/x");
        Flavour::Keeper { binary }
    }

    #[test]
    fn members_know_each_other_and_one_alone_has_no_members() {
        let folder = tempfile::tempdir().unwrap();
        let three = nodes(folder.path(), 3);
        let text = configuration(&keeper(), &three[1], &three, &[]);
        assert!(
            text.contains("server.3=127.0.9.3:2:3:participant;127.0.9.3:1\n"),
            "{text}"
        );
        assert!(!text.contains("clientPort"), "{text}");
        let alone = configuration(&keeper(), &three[1], &three[1..2], &[]);
        assert!(
            alone.contains("clientPort=1\nclientPortAddress=127.0.9.2\n"),
            "{alone}"
        );
        assert!(!alone.contains("server."), "{alone}");
    }

    #[test]
    fn given_settings_replace_the_usual_times() {
        let folder = tempfile::tempdir().unwrap();
        let one = nodes(folder.path(), 1);
        let given = [("tickTime".to_owned(), "500".to_owned())];
        let text = configuration(&keeper(), &one[0], &one, &given);
        let ticks: Vec<&str> = text.lines().filter(|l| l.starts_with("tickTime")).collect();
        assert_eq!(ticks, ["tickTime=500"]);
        assert!(text.contains("syncLimit=5\n"), "{text}");
    }

    #[test]
    fn a_configuration_that_is_there_stays_and_the_id_lies_beside_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let two = nodes(folder.path(), 2);
        let first = arguments(&keeper(), &two[1], &two, &[]).unwrap();
        assert_eq!(first[..2], ["server", "--keeper-config"]);
        let file = two[1].folder.join(CONFIGURATION);
        fs::write(&file, "changed").unwrap();
        arguments(&keeper(), &two[1], &two, &[]).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "changed");
        let id = fs::read_to_string(two[1].data_dir().join("myid")).unwrap();
        assert_eq!(id, "2");
    }
}
