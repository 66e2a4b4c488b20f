//! Logs: on stderr, as text or JSON, above a progress bar where one is shown.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::fatal::Fatal;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people, coloured on a terminal.
    Terminal,
    /// One JSON object a line.
    Json,
}

/// What the rest of the program needs of the log: where bars are drawn, if anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    bars: Option<MultiProgress>,
}

impl Console {
    /// Starts logging. A bar is shown only where a person reads: stderr is a terminal, the format is for people and
    /// the log is not silenced.
    pub(crate) fn start(verbosity: u8, format: LogFormat) -> Result<Self, Fatal> {
        let terminal = io::stderr().is_terminal();
        let bars = (terminal && format == LogFormat::Terminal && verbosity > 0).then(MultiProgress::new);
        let writer = Stderr(bars.clone());
        let filter = filter(verbosity, bars.is_some());
        let done = match format {
            LogFormat::Terminal => {
                let layer = fmt::layer().with_writer(writer).with_ansi(terminal).with_target(verbosity > 3);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
            LogFormat::Json => {
                let layer = fmt::layer().json().flatten_event(true).with_writer(writer);
                tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
            }
        };
        done.map_err(|error| Fatal::failed(format!("cannot start logging: {error}")))?;
        Ok(Self { bars })
    }

    /// Where bars are drawn, or `None` where progress goes into the log.
    pub(crate) const fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }
}

/// geth's levels. Libraries are heard only when something is wrong with them, or at 5.
fn filter(verbosity: u8, bars: bool) -> Targets {
    let own = match verbosity {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let libraries = if verbosity > 4 { LevelFilter::DEBUG } else { own.min(LevelFilter::WARN) };
    // A bar says what these lines say.
    let progress = if bars { own.min(LevelFilter::WARN) } else { own };
    // jsonrpsee calls an answer past its bound an error of the server; the caller is told, the log need not be.
    Targets::new()
        .with_default(libraries)
        .with_target("rushlight", own)
        .with_target("rushlight_sync::progress", progress)
        .with_target("jsonrpsee", LevelFilter::OFF)
}

/// stderr, with the bars out of the way while a line is written.
#[derive(Debug, Clone)]
struct Stderr(Option<MultiProgress>);

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(bars) => bars.suspend(|| io::stderr().write(line)),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn verbosity_is_geths() {
        let levels =
            [None, Some(Level::ERROR), Some(Level::WARN), Some(Level::INFO), Some(Level::DEBUG), Some(Level::TRACE)];
        for (verbosity, most) in levels.into_iter().enumerate() {
            let filter = filter(u8::try_from(verbosity).unwrap(), false);
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                let enabled = most.is_some_and(|most| level <= most);
                assert_eq!(filter.would_enable("rushlight_sync", &level), enabled, "{verbosity} {level}");
            }
        }
        assert!(filter(3, false).would_enable("rushlight_sync::progress", &Level::INFO));
        assert!(!filter(3, true).would_enable("rushlight_sync::progress", &Level::INFO));
        assert!(!filter(3, false).would_enable("hyper", &Level::INFO));
        assert!(filter(3, false).would_enable("hyper", &Level::WARN));
    }
}
