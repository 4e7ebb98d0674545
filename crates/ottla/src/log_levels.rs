//! What the log lets pass, and how that changes while the node runs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ottla_broker::{LogLevels, ROOT_LOGGER};
use tracing_subscriber::EnvFilter;

/// The parts of the log: the crates that write to it.
const PARTS: &[&str] = &[
    "ottla",
    "ottla_broker",
    "ottla_controller",
    "ottla_log",
    "ottla_net",
    "ottla_raft",
    "ottla_runtime",
];

/// What stands before every filter. openraft tells each failed heartbeat to a member that is away;
/// `ottla_raft` tells once that it is away, and when it is back.
const QUIET: &str = "openraft=off,";

/// The filter as `EnvFilter` reads it. What is given wins over what stands before it.
pub(crate) fn parse(filter: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("{QUIET}{filter}"))
}

/// Puts another filter in the place of the one that counts.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The log's filter: as given at the start, with what was set since.
pub(crate) struct Filter {
    at_start: String,
    set: Mutex<BTreeMap<String, String>>,
    reload: Reload,
}

impl Filter {
    pub(crate) fn new(at_start: &str, reload: Reload) -> Self {
        Filter {
            at_start: at_start.to_owned(),
            set: Mutex::default(),
            reload,
        }
    }

    /// The part's level: that of the longest name in the filter that the part begins with.
    fn level(&self, set: &BTreeMap<String, String>, part: &str) -> &'static str {
        let at_start = self.at_start.split(',').map(|directive| {
            let (target, level) = directive.split_once('=').unwrap_or(("", directive));
            (target.trim(), level.trim())
        });
        let since = set
            .iter()
            .map(|(target, level)| (target_of(target), level.as_str()));
        let matching = at_start
            .chain(since)
            .filter(|(target, _)| target.is_empty() || within(part, target));
        // Of equals the last one counts.
        let found = matching.max_by_key(|(target, _)| target.len());
        kafkas_name(found.map_or("error", |(_, level)| level))
    }

    fn text(&self, set: &BTreeMap<String, String>) -> String {
        let mut text = self.at_start.clone();
        for (part, level) in set {
            let level = if level == "FATAL" { "ERROR" } else { level };
            text.push(',');
            match target_of(part) {
                "" => text.push_str(level),
                target => text.push_str(&format!("{target}={level}")),
            }
        }
        text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // A panic while it was held left either the old or the new map.
        self.set
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The name in a filter; the root has none.
fn target_of(part: &str) -> &str {
    if part == ROOT_LOGGER { "" } else { part }
}

/// Whether a part is the other one or a module of it. A filter goes by the text alone.
fn within(part: &str, target: &str) -> bool {
    part.starts_with(target)
}

fn kafkas_name(level: &str) -> &'static str {
    match level.to_ascii_lowercase().as_str() {
        "trace" => "TRACE",
        "debug" => "DEBUG",
        "info" => "INFO",
        "warn" => "WARN",
        "off" => "OFF",
        "fatal" => "FATAL",
        _ => "ERROR",
    }
}

impl LogLevels for Filter {
    fn levels(&self) -> BTreeMap<String, &'static str> {
        let set = self.lock();
        let parts = PARTS.iter().map(|part| (*part).to_owned());
        let parts = parts.chain(set.keys().cloned());
        let mut levels: BTreeMap<_, _> = parts
            .map(|part| {
                let level = self.level(&set, &part);
                (part, level)
            })
            .collect();
        levels.insert(ROOT_LOGGER.to_owned(), self.level(&set, ""));
        levels
    }

    fn knows(&self, part: &str) -> bool {
        let is_name = |part: &str| {
            part.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
        };
        part == ROOT_LOGGER
            || (is_name(part)
                && PARTS.iter().any(|known| {
                    let rest = part.strip_prefix(known);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                }))
    }

    fn set(&self, changes: &[(String, Option<String>)]) -> Result<(), String> {
        let mut set = self.lock();
        let mut wanted = set.clone();
        for (part, level) in changes {
            match level {
                Some(level) => wanted.insert(part.clone(), level.clone()),
                None => wanted.remove(part),
            };
        }
        let filter = parse(&self.text(&wanted)).map_err(|error| error.to_string())?;
        (self.reload)(filter)?;
        *set = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn filter(at_start: &str) -> (Filter, Arc<Mutex<String>>) {
        let last = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&last);
        let reload = move |filter: EnvFilter| {
            *seen.lock().unwrap() = filter.to_string();
            Ok(())
        };
        (Filter::new(at_start, Box::new(reload)), last)
    }

    fn set(filter: &Filter, part: &str, level: Option<&str>) {
        let change = (part.to_owned(), level.map(str::to_owned));
        filter.set(&[change]).unwrap();
    }

    #[test]
    fn levels_are_set_inherited_and_taken_away() {
        let (filter, last) = filter("info,ottla_net=warn");
        let level = |filter: &Filter, part: &str| filter.levels()[part];
        assert_eq!(level(&filter, "root"), "INFO");
        assert_eq!(level(&filter, "ottla_log"), "INFO");
        assert_eq!(level(&filter, "ottla_net"), "WARN");
        set(&filter, "ottla_log::recovery", Some("TRACE"));
        set(&filter, "root", Some("ERROR"));
        assert_eq!(level(&filter, "ottla_log::recovery"), "TRACE");
        assert_eq!(level(&filter, "ottla_log"), "ERROR");
        assert_eq!(level(&filter, "ottla_net"), "WARN");
        let text = last.lock().unwrap().clone();
        assert!(text.contains("ottla_log::recovery=trace"), "{text}");
        assert!(text.ends_with("error") && !text.contains("info"), "{text}");
        set(&filter, "ottla_log::recovery", None);
        assert!(!filter.levels().contains_key("ottla_log::recovery"));
    }

    #[test]
    fn only_parts_of_this_program_are_known() {
        let (filter, _) = filter("info");
        let known = ["root", "ottla", "ottla_log", "ottla_log::roll"].map(|p| filter.knows(p));
        assert_eq!(known, [true; 4]);
        let unknown = ["", "kafka", "ottla_lo", "ottla_log=x,y", "ottla_log::a[b]"];
        assert_eq!(unknown.map(|part| filter.knows(part)), [false; 5]);
    }
}
