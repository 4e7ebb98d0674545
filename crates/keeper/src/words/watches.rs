//! Words about watches (`WatchCommand`, `WatchManager`).

use std::fmt::Write as _;

use ottla_znode::WatchSummary;

use crate::monitor::watches;
use crate::server::Server;

/// `wchs`
pub(super) fn wchs(server: &Server) -> String {
    summary(watches::summary(server))
}

pub(super) fn summary(summary: WatchSummary) -> String {
    let WatchSummary {
        watchers,
        paths,
        total,
    } = summary;
    format!("{watchers} connections watching {paths} paths\nTotal watches:{total}\n")
}

/// `wchc`
pub(super) fn wchc(server: &Server) -> String {
    let mut text = String::new();
    for (session, paths) in watches::by_session(server) {
        let _ = writeln!(text, "0x{session:x}");
        for path in paths {
            let _ = writeln!(text, "\t{path}");
        }
    }
    text.push('\n');
    text
}

/// `wchp`
pub(super) fn wchp(server: &Server) -> String {
    let mut text = String::new();
    for (path, sessions) in watches::by_path(server) {
        let _ = writeln!(text, "{path}");
        for session in sessions {
            let _ = writeln!(text, "\t0x{session:x}");
        }
    }
    text.push('\n');
    text
}
