//! What the operator reads.

use std::fmt;
use std::time::Duration;

use rushlight_chain::Head;
use rushlight_p2p::PeerId;
use tracing::{error, info, warn};

use crate::Want;
use crate::machine::{Report, Summary};

/// Writes a report. `peer`: whom it is about, where it is about someone.
pub(super) fn write(report: &Report, want: Want, head: &Head, peer: Option<PeerId>) {
    let what = match want {
        Want::Headers => "headers",
        Want::Blocks => "blocks",
    };
    match report {
        Report::Started(summary) => {
            let progress = summary.progress;
            info!(from = progress.current, to = progress.highest, peers = summary.peers, "sync of {what} started");
        }
        Report::Advanced(summary) => {
            let progress = summary.progress;
            let remaining = summary.remaining.map_or_else(|| "unknown".to_owned(), |time| Time(time).to_string());
            let (current, highest, peers) = (progress.current, progress.highest, summary.peers);
            let rate = summary.rate.round() as u64;
            info!(target: "rushlight_sync::progress", current, highest, rate, remaining, peers, seals_checked = summary.seals, "syncing {what}: {rate}/s");
        }
        Report::Finished(Summary { headers, seals, took, peers, .. }) => {
            let seconds = took.as_secs_f64();
            let rate = (*headers as f64 / seconds.max(0.001)).round() as u64;
            let (number, hash) = (head.header.number, head.header.hash());
            let seconds = format!("{seconds:.1}");
            info!(
                head = number, %hash, count = headers, seconds, rate, seals_checked = seals, peers,
                "sync of {what} ended: {headers} in {seconds} s, {seals} seals checked"
            );
        }
        Report::Stopped(stopped) => {
            error!(
                head = head.header.number,
                next = stopped.number,
                "cannot follow the chain past block {}: {}",
                head.header.number,
                stopped.reason
            );
        }
        Report::Distrusted(why) => error!("nothing is answered any more: {why}"),
        Report::SetAside { why, .. } => match peer {
            Some(peer) => warn!(%peer, why, "a peer's claim is not followed for now"),
            None => warn!(why, "the claim of a peer that has left is not followed"),
        },
        Report::Failed { why, pause } => {
            error!(why, retry_in = %Time(*pause), "what was synced could not be stored");
        }
    }
}

/// A time to the second, in the two units that matter.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            _ => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
        }
    }
}
