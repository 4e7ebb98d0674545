use super::*;

fn three() -> Servers {
    let server = |id| {
        let line = format!("zoo{id}:2888:3888;2181");
        (id, KeeperServer::parse(id, &line).unwrap())
    };
    (1..=3).map(server).collect()
}

fn asked(joining: &str, leaving: &str, members: &str) -> Result<Vec<i64>, ErrorCode> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let request = Reconfig {
        joining_servers: some(joining),
        leaving_servers: some(leaving),
        new_members: some(members),
        current_config_id: -1,
    };
    changed(&three(), &request).map(|servers| servers.into_keys().collect())
}

#[test]
fn servers_join_and_leave_or_are_named_anew() {
    assert_eq!(asked("server.4=zoo4:1:2;3", "1", ""), Ok(vec![2, 3, 4]));
    assert_eq!(asked("", "77", ""), Ok(vec![1, 2, 3]));
    assert_eq!(
        asked("", "", "server.1=a:1:2,server.5=b:1:2;3"),
        Ok(vec![1, 5])
    );
    assert_eq!(asked("", "", "server.1=a:1:2\nversion=100"), Ok(vec![1]));
}

#[test]
fn what_makes_no_ensemble_is_refused_with_zookeepers_codes() {
    for joining in [
        "not a member",
        "server.4",
        "server.4=localhost:1",
        "server.4=localhost:1:2:king;3",
        // Nobody would know where its clients go.
        "server.4=localhost:1:2",
    ] {
        let refused = asked(joining, "", "");
        assert_eq!(refused, Err(ErrorCode::BadArguments), "{joining}");
    }
    for joining in ["server.x=a:1:2;3", "foo=a:1:2;3", "server.300=a:1:2;3"] {
        let refused = asked(joining, "", "");
        assert_eq!(refused, Err(ErrorCode::MarshallingError), "{joining}");
    }
    assert_eq!(asked("", "one", ""), Err(ErrorCode::MarshallingError));
    assert_eq!(asked("", "1,2,3", ""), Err(ErrorCode::BadArguments));
}
