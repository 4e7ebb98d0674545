//! Paths of znodes on the command line.

use ottla_jute::{ErrorCode, Stat};

use super::client::{Client, Failure};
use crate::{Error, suggest};

/// Reads the path of a znode.
pub(crate) fn znode(text: &str) -> Result<String, String> {
    if ottla_znode::is_valid_path(text) {
        return Ok(text.to_owned());
    }
    Err(if !text.starts_with('/') {
        "a path begins with a slash, such as /app/config".to_owned()
    } else if text.ends_with('/') {
        "a path does not end in a slash".to_owned()
    } else if text.contains("//") {
        "a path has no empty name: two slashes follow each other".to_owned()
    } else {
        "a path has no names . and .., and no control characters".to_owned()
    })
}

/// Reads the path of a znode to be created: that of a sequential one may end in a slash.
pub(crate) fn new_znode(text: &str) -> Result<String, String> {
    match text.strip_suffix('/') {
        Some(parent) if parent.is_empty() || ottla_znode::is_valid_path(parent) => {
            Ok(text.to_owned())
        }
        _ => znode(text),
    }
}

/// The parent's path; the root is its own.
pub(crate) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((parent, _)) => parent,
    }
}

/// A child's path.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path {
        "/" => format!("/{name}"),
        path => format!("{path}/{name}"),
    }
}

/// The error of something that was done to a znode. One that is not there may be misspelt: its
/// siblings are looked through.
pub(crate) async fn failed(client: &Client, action: &str, path: &str, failure: Failure) -> Error {
    if failure.code() != Some(ErrorCode::NoNode) {
        return failure.during(format!("{action} {path}"));
    }
    let siblings = client.children(parent(path), false).await;
    let siblings = siblings.map(|(names, _)| names).unwrap_or_default();
    let siblings: Vec<String> = siblings
        .iter()
        .map(|name| join(parent(path), name))
        .collect();
    Error::NotThere {
        what: "znode",
        name: path.to_owned(),
        similar: suggest::closest(path, siblings.iter().map(String::as_str)),
        to_do: format!("`ottla keeper ls {}` shows what there is", parent(path)),
    }
}

/// The stat of a znode that must be there.
pub(crate) async fn stat_of(
    client: &Client,
    action: &str,
    path: &str,
    watch: bool,
) -> Result<Stat, Error> {
    match client.exists(path, watch).await {
        Ok(Some(stat)) => Ok(stat),
        Ok(None) => {
            let none = Failure::Refused(ErrorCode::NoNode);
            Err(failed(client, action, path, none).await)
        }
        Err(failure) => Err(failure.during(format!("{action} {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_a_server_takes() {
        for path in ["/", "/a", "/a/b.c"] {
            assert_eq!(znode(path), Ok(path.to_owned()));
        }
        let cases = [
            ("a", "begins with a slash"),
            ("", "begins with a slash"),
            ("/a/", "does not end in a slash"),
            ("/a//b", "two slashes"),
            ("/a/../b", "no names . and .."),
            ("/a\u{1}", "no control characters"),
        ];
        for (path, reason) in cases {
            let refused = znode(path).unwrap_err();
            assert!(refused.contains(reason), "{path:?}: {refused}");
        }
        assert_eq!(new_znode("/a/"), Ok("/a/".to_owned()));
        assert_eq!(new_znode("/"), Ok("/".to_owned()));
        assert!(new_znode("/a//").is_err() && new_znode("a/").is_err());
    }

    #[test]
    fn parents_and_children() {
        assert_eq!(
            (parent("/"), parent("/a"), parent("/a/b")),
            ("/", "/", "/a")
        );
        assert_eq!(
            (join("/", "a"), join("/a", "b")),
            ("/a".into(), "/a/b".into())
        );
    }
}
