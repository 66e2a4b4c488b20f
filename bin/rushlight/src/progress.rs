//! How far something has come: a bar with rate and remaining time on a terminal, a log line every few seconds
//! elsewhere.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use crate::logging::Console;

/// Time between two log lines. Five seconds tell a watcher that it goes on, and keep an hour's log under a thousand
/// lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Time between two measurements of the rate that a bar shows.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// Weight of the newest measurement in the rate that log lines give.
const SMOOTHING: f64 = 0.3;

/// One thing under way.
pub(crate) struct Progress {
    what: &'static str,
    unit: &'static str,
    bar: Option<ProgressBar>,
    rate: Rate,
    /// `None` until the first measurement, which is due at once: it shows that something goes on.
    measured: Option<Instant>,
}

impl Progress {
    /// `what` is under way from now on, with `start` of its `unit`s already done.
    pub(crate) fn start(console: &Console, what: &'static str, unit: &'static str, start: u64) -> Self {
        let now = Instant::now();
        let bar = console.bars().map(|bars| {
            let bar = bars.add(ProgressBar::new(start));
            let template = format!("{{msg}} {{bar:30}} {{human_pos}} of {{human_len}} {unit}{{prefix}}");
            // A template that does not parse would be a mistake here; the plain bar is good enough then.
            bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what);
            bar.set_position(start);
            bar
        });
        Self { what, unit, bar, rate: Rate::new(now, start), measured: None }
    }

    /// `done` of `total`; `note` says where it is, or nothing. Cheap enough to be called for every item.
    pub(crate) fn update(&mut self, done: u64, total: u64, note: &dyn Display) {
        let now = Instant::now();
        let every = if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(format!("{} {note}", self.what).trim_end().to_owned());
            MEASURE_EVERY
        } else {
            LOG_EVERY
        };
        if self.measured.is_some_and(|measured| now.duration_since(measured) < every) {
            return;
        }
        self.measured = Some(now);
        let rate = self.rate.measure(now, done).round();
        let remaining = remaining(total.saturating_sub(done), rate);
        match &self.bar {
            Some(bar) => bar.set_prefix(format!(", {rate}/s, {remaining} to go")),
            None => {
                let (unit, what) = (self.unit, self.what);
                info!(done, total, unit, per_second = rate, remaining, "{}", format!("{what} {note}").trim_end());
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Items a second, smoothed.
struct Rate {
    at: Instant,
    done: u64,
    rate: Option<f64>,
}

impl Rate {
    const fn new(at: Instant, done: u64) -> Self {
        Self { at, done, rate: None }
    }

    fn measure(&mut self, now: Instant, done: u64) -> f64 {
        let seconds = now.duration_since(self.at).as_secs_f64().max(f64::EPSILON);
        // Counts of blocks and bytes stay far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let newest = done.saturating_sub(self.done) as f64 / seconds;
        let rate = self.rate.map_or(newest, |rate| rate + SMOOTHING * (newest - rate));
        (self.at, self.done, self.rate) = (now, done, Some(rate));
        rate
    }
}

/// In words, as `3m12s`; a dash where nothing moves.
fn remaining(left: u64, rate: f64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let seconds = left as f64 / rate;
    if !seconds.is_finite() {
        return "-".to_owned();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_reads_well() {
        assert_eq!(remaining(0, 10.0), "0s");
        assert_eq!(remaining(95, 10.0), "10s");
        assert_eq!(remaining(1_920, 10.0), "3m12s");
        assert_eq!(remaining(72_600, 10.0), "2h01m");
        assert_eq!(remaining(5, 0.0), "-");
        assert_eq!(remaining(0, 0.0), "-");
    }

    #[test]
    fn the_rate_follows_what_happens() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 100);
        assert!((rate.measure(start + Duration::from_secs(2), 300) - 100.0).abs() < 1e-9);
        assert!((rate.measure(start + Duration::from_secs(3), 300) - 70.0).abs() < 1e-9);
    }
}
