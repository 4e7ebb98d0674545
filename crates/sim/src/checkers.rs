//! What must hold of every history, one property a file.

mod acknowledged;
mod answers;
mod commits;
mod growing;
mod offsets;
mod once_in_order;
mod one_image;
mod one_leader;
mod one_life;
mod only_sent;
mod positions;
mod replicas;
mod stable_offsets;
mod topics;
mod watermark;

use crate::history::Entry;

/// A property that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which: the name of a checker, or `node` for one that ended by itself.
    pub checker: &'static str,
    /// What was seen, and what should have been.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.checker, self.message)
    }
}

type Check = fn(&[Entry]) -> Vec<String>;

const ALL: [(&str, Check); 14] = [
    ("acknowledged", acknowledged::check),
    ("answers", answers::check),
    ("commits", commits::check),
    ("offsets", offsets::check),
    ("once-in-order", once_in_order::check),
    ("one-image", one_image::check),
    ("one-leader", one_leader::check),
    ("one-life", one_life::check),
    ("only-sent", only_sent::check),
    ("positions", positions::check),
    ("replicas", replicas::check),
    ("stable-offsets", stable_offsets::check),
    ("topics", topics::check),
    ("watermark", watermark::check),
];

/// The checkers' names.
pub const CHECKERS: [&str; 14] = {
    let mut names = [""; 14];
    let mut n = 0;
    while n < names.len() {
        names[n] = ALL[n].0;
        n += 1;
    }
    names
};

/// All violations, the first ones of each checker.
pub(crate) fn check(entries: &[Entry]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (checker, check) in ALL {
        let messages = check(entries);
        let all = messages.len();
        let shown = messages.into_iter().take(3).enumerate();
        found.extend(shown.map(|(n, message)| Violation {
            checker,
            message: match (n, all) {
                (2, 4..) => format!("{message} (and {} more)", all - 3),
                _ => message,
            },
        }));
    }
    found
}

#[cfg(test)]
mod tests;
