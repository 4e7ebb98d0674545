//! Log lines that a flood of peers cannot turn into a flood of lines.

use ottla_runtime::Clock;
use parking_lot::Mutex;

/// How many lines pass in one [`WINDOW_MS`].
const LINES: u32 = 20;
const WINDOW_MS: i64 = 10_000;

/// Lets a number of lines pass in each window of time and counts the others.
pub struct LogLimit {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    window_start_ms: i64,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// A new one, through which everything passes at first.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        LogLimit {
            clock,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now, and then how many were left out before it.
    pub fn pass(&self) -> Option<u64> {
        let now_ms = self.clock.monotonic_ms();
        let mut state = self.state.lock();
        if state.lines == 0 || now_ms - state.window_start_ms >= WINDOW_MS {
            state.window_start_ms = now_ms;
            state.lines = 0;
        }
        if state.lines < LINES {
            state.lines += 1;
            return Some(std::mem::take(&mut state.suppressed));
        }
        state.suppressed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_lines_is_cut_off() {
        let limit = LogLimit::new(ottla_runtime::Runtime::real().clock);
        let passed = (0..1_000).filter(|_| limit.pass().is_some()).count();
        // A window may end within the loop on a machine that stands still.
        assert!((LINES as usize..1_000).contains(&passed), "{passed}");
    }
}
