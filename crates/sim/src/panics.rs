//! A task that panics ends alone in tokio; here it must end the run.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on, panics inside a simulation are kept for [`take`] instead of being printed.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if turmoil::in_simulation() {
                let text = info.to_string();
                tracing::error!(target: "ottla_sim", "{text}");
                SEEN.with_borrow_mut(|seen| seen.push(text));
            } else {
                before(info);
            }
        }));
    });
}

/// The panics on this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    SEEN.with_borrow_mut(std::mem::take)
}
