//! Where the server runs, as `envi` tells (`Environment`).

use std::env;

use ottla_runtime::system;

use crate::monitor::version;

/// What is unknown, or is not there: ours is no Java.
pub(crate) const NOT_AVAILABLE: &str = "<NA>";
const MIB: u64 = 1 << 20;

/// ZooKeeper's entries in its order.
///
/// Memory is what the process has, and what it may have.
pub(crate) fn entries() -> Vec<(&'static str, String)> {
    let unknown = || NOT_AVAILABLE.to_owned();
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| unknown());
    let path = |path: std::io::Result<std::path::PathBuf>| match path {
        Ok(path) => path.display().to_string(),
        Err(_) => unknown(),
    };
    let used = system::resident_memory_bytes().unwrap_or(0);
    let most = system::memory_limit_bytes();
    let mib = |bytes: u64| format!("{}MB", bytes / MIB);
    vec![
        ("zookeeper.version", version::full().to_owned()),
        ("host.name", system::hostname()),
        ("java.version", unknown()),
        ("java.vendor", unknown()),
        ("java.home", unknown()),
        ("java.class.path", unknown()),
        ("java.library.path", unknown()),
        ("java.io.tmpdir", env::temp_dir().display().to_string()),
        ("java.compiler", unknown()),
        ("os.name", os_name().to_owned()),
        ("os.arch", os_arch().to_owned()),
        ("os.version", system::kernel_release()),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", path(env::current_dir())),
        ("os.memory.free", mib(most.saturating_sub(used))),
        ("os.memory.max", mib(most)),
        ("os.memory.total", mib(used)),
    ]
}

/// The names that Java has for systems and processors.
fn os_name() -> &'static str {
    match env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        other => other,
    }
}

fn os_arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_are_zookeepers_in_its_order() {
        let entries = super::entries();
        let names: Vec<_> = entries.iter().map(|(name, _)| *name).collect();
        let wanted = "zookeeper.version host.name java.version java.vendor java.home java.class.path \
                      java.library.path java.io.tmpdir java.compiler os.name os.arch os.version \
                      user.name user.home user.dir os.memory.free os.memory.max os.memory.total";
        assert_eq!(names, wanted.split(' ').collect::<Vec<_>>());
        assert!(
            entries.iter().all(|(_, value)| !value.is_empty()),
            "{entries:?}"
        );
    }
}
