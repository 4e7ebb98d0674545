//! Progress bars: only on a terminal, and only for work whose length is known.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Streams;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Bytes of a file.
    Bytes,
    /// Records of a topic.
    Records,
    /// Records of many topics; the message tells the bytes.
    Copied,
    /// Partitions that move to other brokers; the message tells how many are under way.
    Partitions,
}

/// A bar on standard error, or one that shows nothing when nobody watches.
pub(crate) fn bar(counted: Counted, total: Option<u64>, streams: &Streams) -> ProgressBar {
    let Some(total) = total.filter(|_| streams.err_is_terminal) else {
        return ProgressBar::hidden();
    };
    let template = match counted {
        Counted::Bytes => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        Counted::Records => "{bar:30} {human_pos}/{human_len} records {eta} left",
        Counted::Partitions => "{bar:30} {human_pos}/{human_len} partitions, {msg}",
        Counted::Copied => "{bar:30} {human_pos}/{human_len} offsets {msg} {eta} left",
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    // Drawn a few times a second, however often it is advanced.
    let target = ProgressDrawTarget::stderr_with_hz(5);
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}
