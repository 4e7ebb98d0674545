//! Kafka's rate: a sum over a few samples, divided by the time that they span.

use super::{Meter, Window, pause_ms};

/// How much was used lately.
///
/// ```text
///   oldest sample            current
///  ├─────┼─────┼─────┼─────┼───       window.samples of them, and one that is half gone
///  ◀───────── window_ms ──────▶ now    at least samples-1 whole ones
/// ```
#[derive(Debug, Clone, Default)]
pub struct WindowedRate {
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    start_ms: i64,
    last_used_ms: i64,
    sum: f64,
}

impl Sample {
    fn at(now_ms: i64) -> Self {
        Sample {
            start_ms: now_ms,
            last_used_ms: now_ms,
            sum: 0.0,
        }
    }
}

impl WindowedRate {
    /// Counts something used; a negative value takes back what was counted and is not used.
    pub fn record(&mut self, window: Window, value: f64, now_ms: i64) {
        match self.samples.get(self.current) {
            None => self.samples.push(Sample::at(now_ms)),
            Some(sample) if now_ms - sample.start_ms >= window.sample_ms => {
                self.advance(window, now_ms);
            }
            Some(_) => {}
        }
        let sample = &mut self.samples[self.current];
        sample.sum += value;
        sample.last_used_ms = now_ms;
    }

    fn advance(&mut self, window: Window, now_ms: i64) {
        // One sample more than there are: the oldest one still overlaps the window.
        self.current = (self.current + 1) % (window.samples as usize + 1);
        match self.samples.get_mut(self.current) {
            Some(oldest) => *oldest = Sample::at(now_ms),
            None => self.samples.push(Sample::at(now_ms)),
        }
    }

    /// What is used a second.
    pub fn per_second(&mut self, window: Window, now_ms: i64) -> f64 {
        let window_ms = self.window_ms(window, now_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum / (window_ms as f64 / 1000.0)
    }

    /// The time that the samples span. Where they are few, the ones that are missing count as
    /// whole: who has just come would have an enormous rate otherwise.
    fn window_ms(&mut self, window: Window, now_ms: i64) -> i64 {
        for sample in &mut self.samples {
            if now_ms - sample.last_used_ms >= window.span_ms() {
                *sample = Sample::at(now_ms);
            }
        }
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min();
        let elapsed = now_ms - oldest.unwrap_or(now_ms);
        let whole = elapsed / window.sample_ms;
        let missing = (i64::from(window.samples) - 1 - whole).max(0);
        (elapsed + missing * window.sample_ms).max(1)
    }

    /// How long to pause until the rate is down to the bound, if nothing more is used; 0 when it is
    /// not above it. Of a rate `r` over a window `w`, that is `(r - bound) / bound * w`.
    pub fn throttle_ms(&mut self, window: Window, bound: f64, now_ms: i64) -> i32 {
        let rate = self.per_second(window, now_ms);
        if rate <= bound {
            return 0;
        }
        pause_ms((rate - bound) / bound * self.window_ms(window, now_ms) as f64)
    }
}

impl Meter for WindowedRate {
    fn is_at_rest(&self, window: Window, _bound: f64, now_ms: i64) -> bool {
        let mut samples = self.samples.iter();
        samples.all(|sample| now_ms - sample.last_used_ms >= window.span_ms())
    }
}

#[cfg(test)]
mod tests;
