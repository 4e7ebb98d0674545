//! Where the shell's history is.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file; none where there is no home. `OTTLA_KEEPER_HISTORY` names another one.
pub(super) fn place(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
    if let Some(file) = variable("OTTLA_KEEPER_HISTORY") {
        return Some(PathBuf::from(file));
    }
    let state = match variable("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None => PathBuf::from(variable("HOME")?).join(".local/state"),
    };
    Some(state.join("ottla/keeper-history"))
}

/// Whether a line is kept: not one with a password in it.
pub(super) fn keeps(line: &str) -> bool {
    let command = line.split_whitespace().next().unwrap_or_default();
    !matches!(command, "" | "auth" | "addauth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_where_programs_keep_such_things() {
        let place = |pairs: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            place(&pairs.iter().map(owned).collect())
        };
        assert_eq!(place(&[]), None);
        let home = ("HOME", "/home/a");
        let usual = PathBuf::from("/home/a/.local/state/ottla/keeper-history");
        assert_eq!(place(&[home]), Some(usual));
        let xdg = place(&[home, ("XDG_STATE_HOME", "/s")]);
        assert_eq!(xdg, Some(PathBuf::from("/s/ottla/keeper-history")));
        let named = place(&[home, ("OTTLA_KEEPER_HISTORY", "/h")]);
        assert_eq!(named, Some(PathBuf::from("/h")));
    }

    #[test]
    fn passwords_are_not_kept() {
        assert!(keeps("ls /") && !keeps(" addauth digest a:b") && !keeps("auth digest a:b"));
    }
}
