//! Facts about the machine that the node runs on.

use std::path::Path;

/// The host's name, as the kernel tells it.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The version of the kernel, such as `6.1.0`.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// The domain of a host by that name, if its own name or `/etc/hosts` tells it: in a pod of a
/// StatefulSet, `zk-hs.default.svc.cluster.local`.
#[must_use]
pub fn domain(hostname: &str) -> Option<String> {
    if let Some((_, domain)) = hostname.split_once('.') {
        return Some(domain.to_owned());
    }
    domain_in(&std::fs::read_to_string("/etc/hosts").ok()?, hostname)
}

/// Of the text of an `/etc/hosts`: what follows the host's name in one of its longer names.
fn domain_in(hosts: &str, hostname: &str) -> Option<String> {
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    // The first word of a line is an address.
    let mut names = lines.flat_map(|line| line.split_whitespace().skip(1));
    names
        .find_map(|name| name.strip_prefix(hostname)?.strip_prefix('.'))
        .filter(|domain| !domain.is_empty())
        .map(str::to_owned)
}

/// How many processors the process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The bytes of memory that this process may use: the smallest limit of its cgroup (v2, then v1)
/// and the machine's own memory.
#[must_use]
pub fn memory_limit_bytes() -> u64 {
    let machine = meminfo_total().unwrap_or(1 << 30);
    let files = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    files
        .iter()
        .filter_map(|f| read_number(Path::new(f)))
        .fold(machine, u64::min)
}

/// The process's resident memory in bytes, or `None` where `/proc` is missing.
#[must_use]
pub fn resident_memory_bytes() -> Option<u64> {
    resident_bytes(&std::fs::read_to_string("/proc/self/statm").ok()?)
}

/// Of the text of a `/proc/PID/statm`.
pub(crate) fn resident_bytes(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The processor seconds that the process has used so far (user and system).
#[must_use]
pub fn processor_seconds() -> Option<f64> {
    seconds_used(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Of the text of a `/proc/PID/stat`.
pub(crate) fn seconds_used(stat: &str) -> Option<f64> {
    // The command's name may hold spaces; the fields are counted from behind its parenthesis.
    let rest = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let user: f64 = fields.get(11)?.parse().ok()?;
    let system: f64 = fields.get(12)?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

/// The columns and rows of the terminal at standard output, if there is one.
#[must_use]
pub fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_col, size.ws_row)).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Whether the terminal at standard input is this process's to read. Reading it in the background
/// would stop the process.
#[must_use]
pub fn owns_terminal() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin())
        .is_ok_and(|group| group == rustix::process::getpgrp())
}

/// How many file descriptors the process has open.
#[must_use]
pub fn open_files() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// How many files the process may have open; `None` is no limit.
#[must_use]
pub fn open_files_limit() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current
}

/// Raises the soft limit of open files to the hard one and returns it: a broker holds a file
/// for every connection, and thousands for its partitions.
pub fn raise_open_files_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    }
}

fn read_number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn meminfo_total() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pods_domain_is_in_its_hosts_file() {
        let hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
                     10.1.2.3\tzk-0.zk-hs.default.svc.cluster.local\tzk-0 # mine\n\
                     10.1.2.4\tzk-01.elsewhere\n";
        let domain = |name| super::domain_in(hosts, name);
        assert_eq!(
            domain("zk-0").as_deref(),
            Some("zk-hs.default.svc.cluster.local")
        );
        assert_eq!(domain("zk-01").as_deref(), Some("elsewhere"));
        assert_eq!(domain("localhost"), None);
        assert_eq!(domain("mine"), None);
    }

    #[test]
    fn the_machine_tells_plausible_facts() {
        assert!(!super::hostname().is_empty());
        assert!(!super::kernel_release().is_empty());
        assert!(super::processors() >= 1);
        assert!(super::memory_limit_bytes() > 1 << 20);
        assert!(super::resident_memory_bytes().unwrap() > 1 << 16);
        assert!(super::processor_seconds().unwrap() >= 0.0);
        assert!(super::open_files().unwrap() >= 3);
    }
}
