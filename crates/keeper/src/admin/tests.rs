use std::sync::Arc;

use ottla_config::{KeeperConfig, KeeperServer};
use ottla_runtime::Runtime;

use super::*;

fn server(change: impl FnOnce(&mut KeeperConfig)) -> Server {
    let mut config = KeeperConfig::default();
    change(&mut config);
    Server::new(&Runtime::real(), Arc::new(config), 1, None)
}

/// The names of the outermost fields, in their order.
fn names(json: &str) -> String {
    let fields = json.lines().filter_map(|line| {
        let name = line.strip_prefix("  \"")?;
        name.split_once("\" :").map(|(name, _)| name)
    });
    fields.collect::<Vec<_>>().join(" ")
}

fn told(server: &Server, command: &str) -> serde_json::Value {
    let answer = run(server, command, &Query::new());
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.json).unwrap_or_else(|error| panic!("{error}: {}", answer.json))
}

#[tokio::test]
async fn answers_have_zookeepers_fields_in_its_order() {
    let server = server(|_| ());
    server.set_has_leader(true);
    for (command, wanted) in [
        (
            "configuration",
            "client_port data_dir data_log_dir tick_time max_client_cnxns min_session_timeout \
             max_session_timeout server_id client_port_listen_backlog command error",
        ),
        ("connection_stat_reset", "command error"),
        (
            "connections",
            "connections secure_connections command error",
        ),
        ("dirs", "datadir_size logdir_size command error"),
        (
            "dump",
            "expiry_time_to_session_ids session_id_to_ephemeral_paths command error",
        ),
        ("get_trace_mask", "tracemask command error"),
        ("hash", "digests command error"),
        (
            "initial_configuration",
            "initial_configuration command error",
        ),
        ("is_read_only", "read_only command error"),
        ("last_snapshot", "zxid timestamp command error"),
        ("leader", "error command"),
        ("observers", "synced_observers observers command error"),
        ("ruok", "command error"),
        (
            "server_stats",
            "version read_only server_stats client_response node_count command error",
        ),
        ("set_trace_mask", "error command"),
        ("stat_reset", "command error"),
        (
            "stats",
            "version read_only server_stats client_response node_count connections \
             secure_connections command error",
        ),
        ("voting_view", "current_config command error"),
        (
            "watch_summary",
            "num_connections num_paths num_total_watches command error",
        ),
        ("watches", "session_id_to_watched_paths command error"),
        ("watches_by_path", "path_to_session_ids command error"),
        ("zabstate", "voting zabstate command error"),
    ] {
        let answer = run(&server, command, &Query::new());
        assert_eq!(names(&answer.json), wanted, "{command}");
        assert_eq!(told(&server, command)["command"], command);
    }
}

#[tokio::test]
async fn the_inner_fields_of_server_stats_are_zookeepers() {
    let server = server(|_| ());
    server.set_has_leader(true);
    let json = run(&server, "srvr", &Query::new()).json;
    let inner = json.lines().filter_map(|line| {
        let name = line.strip_prefix("    \"")?;
        name.split_once("\" :").map(|(name, _)| name)
    });
    let inner: Vec<_> = inner.collect();
    let wanted = "packets_sent packets_received fsync_threshold_exceed_count client_response_stats \
                  data_dir_size log_dir_size provider_null server_state last_processed_zxid \
                  outstanding_requests avg_latency max_latency min_latency \
                  num_alive_client_connections auth_failed_count non_mtlsremote_conn_count \
                  non_mtlslocal_conn_count uptime last_buffer_size min_buffer_size max_buffer_size";
    assert_eq!(inner, wanted.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        told(&server, "srvr")["command"],
        "server_stats",
        "the first name is told"
    );
}

#[tokio::test]
async fn monitor_has_the_fields_of_mntr() {
    let server = server(|_| ());
    server.set_has_leader(true);
    let told = told(&server, "mntr");
    assert_eq!(told["server_state"], "standalone");
    assert_eq!(told["znode_count"], 5);
    assert_eq!(told["avg_latency"], 0.0);
    assert_eq!(told["p999_readlatency"], 0);
    assert_eq!(told["command"], "monitor");
    let text = crate::words::tests::names_of_mntr(&server);
    let object = told.as_object().unwrap();
    assert_eq!(object.len(), text.len() + 2);
    assert!(
        text.iter().all(|name| object.contains_key(name)),
        "{text:?}"
    );
}

#[tokio::test]
async fn every_name_of_every_command_works_and_others_do_not() {
    let server = server(|_| ());
    server.set_has_leader(true);
    for command in COMMANDS {
        for name in command.names {
            assert_eq!(told(&server, name)["command"], command.names[0]);
        }
    }
    let unknown = told(&server, "../\"x");
    assert_eq!(unknown["error"], "Unknown command: ../\"x");
    assert_eq!(unknown["command"], "../\"x");
}

#[tokio::test]
async fn without_a_leader_only_some_commands_work() {
    let server = server(|_| ());
    let refused = run(&server, "conf", &Query::new());
    assert_eq!(names(&refused.json), "command error");
    assert_eq!(told(&server, "conf")["error"], NOT_SERVING);
    assert_eq!(
        told(&server, "conf")["command"],
        "conf",
        "the name as it was asked for"
    );
    for command in ["environment", "gtmk", "monitor", "sysp", "zabstate"] {
        assert_eq!(
            told(&server, command)["error"],
            serde_json::Value::Null,
            "{command}"
        );
    }
    assert_eq!(told(&server, "monitor")["server_state"], "leaderelection");
}

#[tokio::test]
async fn the_trace_mask_is_set_by_a_number() {
    let server = server(|_| ());
    assert_eq!(told(&server, "gtmk")["tracemask"], 306);
    let with = |mask: &str| {
        let query = Query::from([("traceMask".to_owned(), mask.to_owned())]);
        run(&server, "stmk", &query).json
    };
    assert!(with("-7").contains("\"tracemask\" : -7"));
    assert_eq!(told(&server, "gtmk")["tracemask"], -7);
    let refused = with("many");
    assert!(
        refused.contains("requires long traceMask argument, got many"),
        "{refused}"
    );
    assert_eq!(told(&server, "gtmk")["tracemask"], -7);
}

#[tokio::test]
async fn a_member_tells_who_votes_and_what_it_was_started_with() {
    let server = server(|config| {
        let parse = |id, line| KeeperServer::parse(id, line).unwrap();
        config.servers = vec![
            parse(1, "zoo1:2888:3888;2181"),
            parse(2, "zoo2:2888:3888|[fe80::1]:2889:3889"),
            parse(3, "zoo3:2888:3888:observer"),
        ];
    });
    server.set_has_leader(true);
    let view = told(&server, "voting_view")["current_config"].clone();
    assert_eq!(view.as_object().unwrap().len(), 2, "observers do not vote");
    assert_eq!(
        view["1"]["server_addresses"],
        serde_json::json!(["zoo1:2888"])
    );
    assert_eq!(view["1"]["client_address"], "0.0.0.0:2181");
    assert_eq!(view["2"]["election_addresses"][1], "[fe80::1]:3889");
    assert_eq!(view["2"]["learner_type"], "participant");
    let started = told(&server, "icfg");
    let lines = started["initial_configuration"].as_str().unwrap();
    assert!(
        lines.contains("tickTime=2000\n") && lines.contains("\nserver.1=zoo1:2888:3888"),
        "{lines}"
    );
    let leader = told(&server, "lead");
    assert_eq!(
        (&leader["is_leader"], &leader["leader_id"]),
        (&false.into(), &(-1).into())
    );
    let state = told(&server, "zabstate");
    assert_eq!(
        (&state["myid"], &state["zabstate"]),
        (&1.into(), &"broadcast".into())
    );
    assert_eq!(state["quorum_address"], "zoo1:2888");
}

#[test]
fn the_index_links_to_every_command() {
    let html = index("/commands");
    let first = "<a href=\"/commands/configuration\">configuration</a>\n<br/>\n";
    assert!(html.starts_with(first), "{html}");
    assert_eq!(html.lines().count(), 2 * COMMANDS.len());
    let names = COMMANDS.iter().map(|command| command.names[0]);
    assert!(names.is_sorted(), "as ZooKeeper sorts them");
}
