//! The version that words tell, in ZooKeeper's form.

use std::sync::LazyLock;

/// When the program was built, if the build says so. The same sources otherwise make the same
/// program, whose date is the epoch.
const BUILT_ON: &str = match option_env!("OTTLA_BUILT_ON") {
    Some(date) => date,
    None => "1970-01-01 00:00 UTC",
};

/// `3.9.4-ottla-VERSION, built on DATE`: tools read the part before the first hyphen as ZooKeeper's
/// version, and know by it which fields and commands there are; the rest is ours.
pub(crate) fn full() -> &'static str {
    static FULL: LazyLock<String> = LazyLock::new(|| {
        let ours = env!("CARGO_PKG_VERSION");
        format!("3.9.4-ottla-{ours}, built on {BUILT_ON}")
    });
    &FULL
}
