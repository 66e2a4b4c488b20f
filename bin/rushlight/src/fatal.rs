//! How a run fails: one line on stderr and an exit code.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// What stops a run, in words for the operator.
#[derive(Debug)]
pub(crate) enum Fatal {
    /// The flags cannot be understood or do not go together; exit code 2.
    Usage(String),
    /// Anything else; exit code 1.
    Failed(String),
    /// Help or the version were asked for: text for stdout, no failure.
    Text(String),
}

impl Fatal {
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    pub(crate) fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The same, with the flag named that it comes from.
    pub(crate) fn of_flag(self, flag: &str) -> Self {
        match self {
            Self::Usage(message) => Self::Usage(format!("{flag}: {message}")),
            Self::Failed(message) => Self::Failed(format!("{flag}: {message}")),
            text @ Self::Text(_) => text,
        }
    }

    /// An error with those that caused it, outermost first, each said once.
    pub(crate) fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self::Failed(text)
    }

    /// Prints it and gives the exit code. A closed stdout or stderr is nobody's to be told about.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Text(text) => {
                let _ = write!(io::stdout(), "{text}");
                ExitCode::SUCCESS
            }
            Self::Usage(message) => {
                let _ = writeln!(io::stderr(), "Fatal: {}", one_line(&message));
                ExitCode::from(2)
            }
            Self::Failed(message) => {
                let _ = writeln!(io::stderr(), "Fatal: {}", one_line(&message));
                ExitCode::FAILURE
            }
        }
    }
}

/// Line breaks as spaces: a message may quote a file.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
