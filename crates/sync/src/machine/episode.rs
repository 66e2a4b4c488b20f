//! How far a sync has come, and how fast.

use std::collections::VecDeque;
use std::time::Duration;

use rushlight_chain::Descent;

use super::{path::Stage, *};
use crate::Progress;

/// Time between two lines in the log.
const REPORT_EVERY: Duration = Duration::from_secs(8);
/// The rate is that of the last so many seconds: long enough to be steady, short enough to follow the line.
const RATE_OVER: Duration = Duration::from_secs(20);
/// Time between two samples of it.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// One sync, from the first linked chain until nothing linked is left.
#[derive(Debug)]
pub(super) struct Episode {
    began: Duration,
    starting: u64,
    headers: u64,
    seals: u64,
    samples: VecDeque<(Duration, u64)>,
    reported: Duration,
    reported_headers: u64,
}

impl Episode {
    pub(super) fn count(&mut self, headers: u64, seals: u64) {
        self.headers += headers;
        self.seals += seals;
    }

    /// Headers or blocks a second.
    fn rate(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after - before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// A sync in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Where it stands.
    pub progress: Progress,
    /// Headers or blocks taken in it.
    pub headers: u64,
    /// Seals checked in it.
    pub seals: u64,
    /// Since it began.
    pub took: Duration,
    /// Headers or blocks a second, lately.
    pub rate: f64,
    /// Time to the end at that rate.
    pub remaining: Option<Duration>,
    /// Sessions.
    pub peers: usize,
}

impl Machine {
    /// How far it has come; `None` when no higher chain is being followed.
    pub fn progress(&self, view: &dyn View) -> Option<Progress> {
        if !Self::heeds_claims(view) {
            return self.progress_down(view);
        }
        let head = view.head();
        let heaviest = (self.paths.values())
            .filter(|path| path.td > head.td && path.walked().is_none())
            .max_by_key(|path| (path.td, path.best().number));
        let (current, highest) = match heaviest {
            Some(path) => {
                let highest = path.best().number;
                (path.window().map_or(highest, |window| window.first.saturating_sub(1)), highest)
            }
            // Nothing is linked: what walks claim is all there is.
            None => {
                let held = view.resumed().map_or(head.header.number, |(_, current)| current);
                let highest = self.paths.values().map(|path| path.best().number).max()?;
                (held, highest)
            }
        };
        let starting = match &self.episode {
            Some(episode) => episode.starting,
            None => view.resumed().map_or(head.header.number, |(start, _)| start),
        };
        Some(Progress { starting: starting.min(current), current, highest: highest.max(current) })
    }

    /// How far the way down from a trusted head has come: headers held, of those up to the head.
    fn progress_down(&self, view: &dyn View) -> Option<Progress> {
        let (current, highest) = match view.descent()? {
            Descent::Wanted { held, highest, .. } => (held.min(highest), highest),
            Descent::Summing { highest } => (highest, highest),
            Descent::Linked { .. } | Descent::Failed(_) => return None,
        };
        let starting = self.episode.as_ref().map_or(current, |episode| episode.starting.min(current));
        Some(Progress { starting, current, highest })
    }

    /// Hashes walked and claimed length of the longest open walk, while nothing is linked.
    pub fn walking_back(&self) -> Option<(u64, u64)> {
        if self.paths.values().any(|path| path.walked().is_none()) {
            return None;
        }
        self.paths.values().filter_map(|path| Some((path.walked()?, path.best().number))).max()
    }

    /// The sync that is under way, in figures.
    pub fn summary(&self, now: Now, view: &dyn View) -> Option<Summary> {
        let episode = self.episode.as_ref()?;
        let head = view.head().header.number;
        let progress = self.progress(view).unwrap_or(Progress {
            starting: episode.starting.min(head),
            current: head,
            highest: head,
        });
        let rate = episode.rate();
        let left = (progress.highest - progress.current) as f64;
        let remaining = (rate > 0.0).then(|| Duration::try_from_secs_f64(left / rate).ok()).flatten();
        let took = now.elapsed.saturating_sub(episode.began);
        let (headers, seals, peers) = (episode.headers, episode.seals, self.peers.len());
        Some(Summary { progress, headers, seals, took, rate, remaining, peers })
    }

    /// Opens and closes the episode, and reports on it.
    pub(super) fn track(&mut self, now: Now, view: &dyn View) {
        let down = !Self::heeds_claims(view);
        let held = self.progress_down(view).filter(|progress| down && progress.highest > 0);
        let busy =
            held.is_some() || self.paths.values().any(|path| matches!(path.stage, Stage::Linked(_) | Stage::Settling));
        match &mut self.episode {
            None if busy => {
                let starting = match held {
                    Some(progress) => progress.current,
                    None => view.resumed().map_or(view.head().header.number, |(start, _)| start),
                };
                self.episode = Some(Episode {
                    began: now.elapsed,
                    starting,
                    headers: 0,
                    seals: 0,
                    samples: VecDeque::from([(now.elapsed, 0)]),
                    reported: now.elapsed,
                    reported_headers: 0,
                });
                let summary = self.summary(now, view);
                self.actions.extend(summary.map(|summary| Action::Report(Report::Started(summary))));
            }
            None => {}
            Some(_) if !busy && !matches!(self.job, Some(Job::Run(_) | Job::Settle(_) | Job::Descend(_))) => {
                let summary = self.summary(now, view);
                self.episode = None;
                self.actions.extend(summary.map(|summary| Action::Report(Report::Finished(summary))));
            }
            Some(episode) => {
                if episode.samples.back().is_none_or(|(last, _)| *last + SAMPLE_EVERY <= now.elapsed) {
                    episode.samples.push_back((now.elapsed, episode.headers));
                    while episode.samples.front().is_some_and(|(first, _)| *first + RATE_OVER < now.elapsed) {
                        episode.samples.pop_front();
                    }
                }
                if episode.reported + REPORT_EVERY <= now.elapsed && episode.headers > episode.reported_headers {
                    episode.reported = now.elapsed;
                    episode.reported_headers = episode.headers;
                    let summary = self.summary(now, view);
                    self.actions.extend(summary.map(|summary| Action::Report(Report::Advanced(summary))));
                }
            }
        }
    }
}
