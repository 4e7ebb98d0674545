//! Paths, and the names that are ZooKeeper's own.

/// The root.
pub(crate) const ROOT: &str = "/";
/// What belongs to the service itself.
pub(crate) const ZOOKEEPER: &str = "/zookeeper";
/// Where quotas are declared.
pub(crate) const QUOTA: &str = "/zookeeper/quota";
/// The members of the ensemble (`ZooDefs.CONFIG_NODE`).
pub const CONFIG_PATH: &str = "/zookeeper/config";

/// Whether the path is one of those that are always there and cannot be deleted.
pub(crate) fn is_special(path: &str) -> bool {
    matches!(path, ROOT | ZOOKEEPER | QUOTA | CONFIG_PATH)
}

/// The parent's path; `None` if there is no slash. The path need not be valid.
pub(crate) fn parent(path: &str) -> Option<&str> {
    let slash = path.rfind('/')?;
    Some(match path.get(..slash) {
        None | Some("") => ROOT,
        Some(parent) => parent,
    })
}

/// The part behind the last slash.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The path and its parents, upwards, the root last.
pub(crate) fn upwards(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match *path {
        ROOT => None,
        path => parent(path),
    })
}

/// Whether a node may have this path (`PathUtils.validatePath`).
#[must_use]
pub fn is_valid(path: &str) -> bool {
    if path == ROOT {
        return true;
    }
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(is_valid_name)
}

/// Whether a part of a path may be so.
pub(crate) fn is_valid_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.chars().all(|c| c != '/' && is_allowed(c))
}

/// Java looks at 16 bits at a time, and surrogates are not allowed: neither is what needs them.
fn is_allowed(c: char) -> bool {
    !matches!(
        u32::from(c),
        0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..
    )
}

/// A path's length as Java counts it, in units of 16 bits.
pub(crate) fn java_length(path: &str) -> usize {
    if path.is_ascii() {
        path.len()
    } else {
        path.encode_utf16().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/a..",
            "/..a",
            "/.a/b.",
            "/é",
            "/\u{ffef}",
            "/ ",
        ] {
            assert!(is_valid(path), "{path}");
        }
    }

    #[test]
    fn invalid_paths() {
        for path in [
            "",
            "a",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/.",
            "/a/../b",
            "/./b",
            "/\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid(path), "{path}");
        }
    }

    #[test]
    fn parents_and_names() {
        assert_eq!((parent("/a/b"), name("/a/b")), (Some("/a"), "b"));
        assert_eq!((parent("/a"), name("/a")), (Some("/"), "a"));
        assert_eq!((parent("/"), name("/")), (Some("/"), ""));
        assert_eq!(parent("a"), None);
        assert_eq!(parent("a/b"), Some("a"));
        let up: Vec<_> = upwards("/a/b").collect();
        assert_eq!(up, ["/a/b", "/a", "/"]);
        assert_eq!(upwards("/").count(), 1);
    }

    #[test]
    fn java_counts_surrogates() {
        assert_eq!(java_length("/abc"), 4);
        assert_eq!(java_length("/é"), 2);
        assert_eq!(java_length("\u{1f600}"), 2);
    }
}
