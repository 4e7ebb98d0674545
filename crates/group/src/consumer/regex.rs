//! Subscriptions by regular expression: which topics they name.
//!
//! The syntax is that of the `regex` crate, which is RE2's but for details: no backtracking, so that
//! no expression can hold the coordinator up. A topic matches when the whole of its name does.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::cluster::Cluster;

/// The most memory that a compiled expression may take, and its cache.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The longest expression.
const LEN_MAX: usize = 8 * 1024;

/// The topics that an expression names, as they were when it was last resolved: the
/// `ConsumerGroupRegularExpression` record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResolvedRegex {
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The version of the cluster's metadata.
    pub(crate) version: i64,
    pub(crate) timestamp_ms: i64,
}

/// Compiles an expression so that it matches whole names only.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    if expression.len() > LEN_MAX {
        return Err(format!(
            "it has {} bytes, {LEN_MAX} are allowed",
            expression.len()
        ));
    }
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
    };
    // On its own first: what is only valid inside of parentheses is not valid.
    build(expression).map_err(|e| describe(&e))?;
    build(&format!("\\A(?:{expression})\\z")).map_err(|e| describe(&e))
}

/// The last line of the message says what is wrong; those before it draw where.
fn describe(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("it cannot be parsed");
    last.trim_start_matches("error: ").to_owned()
}

/// The topics of the cluster that an expression names. One that does not compile (it comes from the
/// log then, and from another program) names none.
pub(super) fn resolve(expression: &str, cluster: &dyn Cluster) -> BTreeSet<Arc<str>> {
    let mut topics = BTreeSet::new();
    if let Ok(regex) = compile(expression) {
        cluster.visit_topics(&mut |name| {
            if regex.is_match(name) {
                topics.insert(name.into());
            }
        });
    }
    topics
}
