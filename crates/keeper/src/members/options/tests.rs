use super::*;

fn config(text: &str) -> KeeperConfig {
    KeeperConfig::parse_zoo_cfg("zoo.cfg", text).unwrap().0
}

const THREE: &str = "dataDir=/data\nclientPort=2181\n\
    server.1=zoo1:2888:3888\n\
    server.2=zoo2:2888:3888|[fd00::2]:2889:3889\n\
    server.3=zoo3:2888:3888:observer\n";

#[test]
fn the_lines_of_the_servers_become_endpoints_participants_and_ports() {
    let options = Options::of_config(&config(THREE), 2).unwrap();
    assert_eq!((options.id, options.is_standalone), (2, false));
    assert_eq!(options.participants, [1, 2]);
    assert_eq!(options.others.keys().copied().collect::<Vec<_>>(), [1, 3]);
    let own = options.endpoints.iter();
    let own: Vec<_> = own.map(|at| (at.host.as_str(), at.port)).collect();
    assert_eq!(own, [("zoo2", 2888), ("fd00::2", 2889)]);
    let listen = [("fd00::2".to_owned(), 2889), ("zoo2".to_owned(), 2888)];
    assert_eq!(options.listen, listen);

    let everywhere = format!("{THREE}quorumListenOnAllIPs=true\n");
    let options = Options::of_config(&config(&everywhere), 2).unwrap();
    assert_eq!(
        options.listen,
        [(String::new(), 2888), (String::new(), 2889)]
    );
}

#[test]
fn a_server_alone_opens_no_port_unless_it_is_to_grow() {
    let options = Options::of_config(&config("clientPort=2181\n"), 1).unwrap();
    assert!(options.is_standalone && options.listen.is_empty());
    assert_eq!(options.participants, [1]);

    let one = "clientPort=2181\nserver.7=zoo1:2888:3888\n";
    let options = Options::of_config(&config(one), 7).unwrap();
    assert!(options.is_standalone && options.listen.is_empty());

    let growing = format!("{one}standaloneEnabled=false\n");
    let options = Options::of_config(&config(&growing), 7).unwrap();
    assert!(!options.is_standalone && options.listen.len() == 1);
}

#[test]
fn a_number_without_a_line_is_refused_by_name() {
    let error = Options::of_config(&config(THREE), 4)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("myid is 4") && error.contains("1, 2, 3"),
        "{error}"
    );
    let error = Options::of_config(&config(THREE), -1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("-1"), "{error}");
}
