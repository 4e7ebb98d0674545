//! Lines of ZooKeeper's `zkCli` in our words.

/// Rewrites a line that `zkCli` takes; others stay as they are.
pub(super) fn of_zkcli(mut words: Vec<String>) -> Vec<String> {
    if words.is_empty() {
        return words;
    }
    let command = words.remove(0);
    let ours: &[&str] = match command.as_str() {
        "?" | "help" => {
            // `help ls` is `ls --help`.
            return match words.is_empty() {
                true => vec!["help".to_owned()],
                false => words.into_iter().chain(["--help".to_owned()]).collect(),
            };
        }
        "ls2" => &["ls", "--stat"],
        "getAcl" => &["acl", "get"],
        "setAcl" => &["acl", "set"],
        "listquota" => &["quota", "list"],
        "setquota" => {
            replace(&mut words, &[("-b", "--bytes"), ("-B", "--hard-bytes")]);
            &["quota", "set"]
        }
        "delquota" => {
            replace(&mut words, &[("-b", "--bytes"), ("-B", "--hard-bytes")]);
            &["quota", "del"]
        }
        "get" => {
            replace(
                &mut words,
                &[("-b", "--format=base64"), ("-x", "--format=hex")],
            );
            &["get"]
        }
        "set" => {
            replace(&mut words, &[("-b", "--base64")]);
            &["set"]
        }
        "config" => {
            words.retain(|word| !matches!(word.as_str(), "-s" | "-c" | "-w"));
            &["members"]
        }
        "reconfig" => return reconfig(words),
        "addauth" => &["auth"],
        "addWatch" | "addwatch" => return add_watch(words),
        "removewatches" | "removeWatches" => {
            words.retain(|word| !word.starts_with('-'));
            &["unwatch"]
        }
        "getEphemerals" | "getephemerals" => &["ephemerals"],
        "getAllChildrenNumber" | "getallchildrennumber" => &["count"],
        "whoami" | "whoAmI" => &["whoami"],
        "close" => &["quit"],
        _ => {
            words.insert(0, command);
            return words;
        }
    };
    ours.iter()
        .map(|word| (*word).to_owned())
        .chain(words)
        .collect()
}

fn replace(words: &mut [String], flags: &[(&str, &str)]) {
    for word in words {
        if let Some((_, ours)) = flags.iter().find(|(theirs, _)| word == theirs) {
            *word = (*ours).to_owned();
        }
    }
}

/// `addWatch [-m PERSISTENT|PERSISTENT_RECURSIVE] PATH`; there the recursive one is the default.
fn add_watch(mut words: Vec<String>) -> Vec<String> {
    let mut mode = "PERSISTENT_RECURSIVE".to_owned();
    if let Some(at) = words.iter().position(|word| word == "-m") {
        words.remove(at);
        if at < words.len() {
            mode = words.remove(at);
        }
    }
    let flag = (mode == "PERSISTENT_RECURSIVE").then(|| "--recursive".to_owned());
    let watch = std::iter::once("watch".to_owned());
    watch.chain(flag).chain(words).collect()
}

/// `reconfig [-v VERSION] -add LINES | -remove IDS | -members LINES | -file FILE`.
fn reconfig(words: Vec<String>) -> Vec<String> {
    let mut rewritten = vec!["members".to_owned()];
    let mut flags = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let list = |text: Option<String>| -> Vec<String> {
            let text = text.unwrap_or_default();
            let parts = text.split(',').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        match word.trim_start_matches('-') {
            "add" => {
                rewritten.push("add".to_owned());
                rewritten.extend(list(words.next()));
            }
            "remove" => {
                rewritten.push("remove".to_owned());
                rewritten.extend(list(words.next()));
            }
            "members" => {
                rewritten.push("set".to_owned());
                rewritten.extend(list(words.next()));
            }
            "file" => {
                rewritten.extend(["set".to_owned(), "--file".to_owned()]);
                rewritten.extend(words.next());
            }
            "s" => {}
            "v" => {
                flags.push("--version".to_owned());
                flags.extend(words.next());
            }
            _ => flags.push(word),
        }
    }
    rewritten.extend(flags);
    rewritten
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::keeper::shell::line::Line;
    use crate::keeper::words;

    #[test]
    fn lines_of_zkcli_are_lines_of_ours() {
        let cases = [
            ("ls2 /a", "ls --stat /a"),
            ("getAcl /a", "acl get /a"),
            (
                "setAcl -R /a world:anyone:r",
                "acl set -R /a world:anyone:r",
            ),
            ("setquota -b 100 /a", "quota set --bytes 100 /a"),
            ("setquota -N 5 /a", "quota set -N 5 /a"),
            ("delquota -n /a", "quota del -n /a"),
            ("listquota /a", "quota list /a"),
            ("get -s -b /a", "get -s --format=base64 /a"),
            ("config -s", "members"),
            (
                "reconfig -add server.4=h:1:2;3,server.5=h:4:5;6",
                "members add server.4=h:1:2;3 server.5=h:4:5;6",
            ),
            (
                "reconfig -remove 3,4 -v 100",
                "members remove 3 4 --version 100",
            ),
            ("addauth digest a:b", "auth digest a:b"),
            ("addWatch /a", "watch --recursive /a"),
            ("addWatch -m PERSISTENT /a", "watch /a"),
            ("removewatches /a -d", "unwatch /a"),
            ("getEphemerals", "ephemerals"),
            ("getAllChildrenNumber /a", "count /a"),
            ("rmr /a", "rmr /a"),
            ("deleteall /a", "deleteall /a"),
            ("delete -v 3 /a", "delete -v 3 /a"),
            (
                "create -s -e /a data world:anyone:r",
                "create -s -e /a data world:anyone:r",
            ),
            ("create -t 5000 /a", "create -t 5000 /a"),
            ("set /a data -v 2 -s", "set /a data -v 2 -s"),
            ("stat -w /a", "stat -w /a"),
            ("whoami", "whoami"),
            ("sync /a", "sync /a"),
            ("close", "quit"),
            ("quit", "quit"),
        ];
        for (theirs, ours) in cases {
            let rewritten = of_zkcli(words::split(theirs).unwrap());
            assert_eq!(rewritten.join(" "), ours, "{theirs}");
            if let Err(error) = Line::try_parse_from(rewritten) {
                panic!("{theirs}: {error}");
            }
        }
        assert!(of_zkcli(Vec::new()).is_empty());
        assert_eq!(of_zkcli(vec!["help".into(), "ls".into()]), ["ls", "--help"]);
    }
}
