//! A run of the binary.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Generous: tests run beside each other, on two cores, in a build that is optimised only a little.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

type Lines = Arc<Mutex<Vec<String>>>;

/// A running `rushlight`. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    out: Lines,
    log: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) out: Vec<String>,
    pub(crate) log: Vec<String>,
}

impl Process {
    pub(crate) fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::start_in(&std::env::temp_dir(), args)
    }

    /// The same, with another place for temporary folders.
    pub(crate) fn start_in<S: AsRef<OsStr>>(temporary: &Path, args: impl IntoIterator<Item = S>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rushlight"))
            .args(args)
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (out, log) = (Lines::default(), Lines::default());
        let readers = vec![
            collect(child.stdout.take().expect("piped"), out.clone()),
            collect(child.stderr.take().expect("piped"), log.clone()),
        ];
        Self { child, out, log, readers }
    }

    /// Runs to the end, which must come by itself.
    pub(crate) fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ended {
        Self::start(args).wait()
    }

    /// What stdout has so far.
    pub(crate) fn out_lines(&self) -> Vec<String> {
        self.out.lock().unwrap().clone()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line of stdout that `wanted` gives something for.
    pub(crate) fn out_line<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let lines = self.out.clone();
        self.line(what, &lines, wanted)
    }

    /// The first line of the log that `wanted` gives something for.
    pub(crate) fn log_line<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let lines = self.log.clone();
        self.line(what, &lines, wanted)
    }

    /// What follows `after` in the log, up to the next blank or quote.
    pub(crate) fn logged(&mut self, after: &str) -> String {
        self.log_line(after, |line| {
            let (_, rest) = line.split_once(after)?;
            Some(rest.split([' ', '"']).next().unwrap_or_default().to_owned())
        })
    }

    fn line<T>(&mut self, what: &str, lines: &Lines, wanted: impl Fn(&str) -> Option<T>) -> T {
        let started = Instant::now();
        let mut seen = 0;
        loop {
            // Looked at before the lines, so that the last of them are not missed.
            let ended = self.child.try_wait().expect("a child");
            if ended.is_some() {
                self.readers.drain(..).for_each(|reader| reader.join().expect("a reader"));
            }
            {
                let lines = lines.lock().unwrap();
                if let Some(found) = lines[seen..].iter().find_map(|line| wanted(line)) {
                    return found;
                }
                seen = lines.len();
            }
            assert!(ended.is_none(), "ended ({ended:?}) before {what:?}: {}", self.dump());
            assert!(started.elapsed() < PATIENCE, "no {what:?} in {PATIENCE:?}: {}", self.dump());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn dump(&self) -> String {
        format!("\nstdout: {:#?}\nlog: {:#?}", self.out.lock().unwrap(), self.log.lock().unwrap())
    }

    /// `TERM`, `INT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "does not end: {}", self.dump());
            thread::sleep(Duration::from_millis(5));
        };
        let took = started.elapsed();
        self.readers.drain(..).for_each(|reader| reader.join().expect("a reader"));
        let (out, log) = (self.out.lock().unwrap().clone(), self.log.lock().unwrap().clone());
        Ended { status, took, out, log }
    }

    /// Asks it to end, which must be in order and within 5 seconds.
    pub(crate) fn stop(self, signal: &str) -> Ended {
        self.signal(signal);
        let ended = self.wait();
        assert!(ended.took < Duration::from_secs(5), "{signal} took {:?}: {:#?}", ended.took, ended.log);
        assert!(ended.status.success(), "{signal}: {:?}: {:#?}", ended.status, ended.log);
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    })
}
