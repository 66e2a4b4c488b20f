//! Giving complete runs to the sink, having chains settled, and what follows from the sink's answers.

use std::time::Duration;

use rushlight_chain::Known;

use super::{path::Stage, *};
use crate::Fault;

/// A tip to be settled; a new block's with its sender.
#[derive(Debug)]
pub(super) struct Settle {
    tip: B256,
    sender: Option<PeerKey>,
}

/// What the sink is busy with.
#[derive(Debug)]
pub(super) enum Job {
    Run(Run),
    Direct(Direct),
    Settle(Settle),
    /// So many headers below a trusted head.
    Descend(u64),
}

/// A linked run of one path.
#[derive(Debug)]
pub(super) struct Run {
    path: PathId,
    /// The hash below its first.
    parent: B256,
    /// Hash and sender of each item.
    items: Vec<(B256, PeerKey)>,
    /// The last item, if it is a block, to be announced once it is the head.
    last: Option<RawBlock>,
}

impl Machine {
    /// Moves every path past what has become known, and ends those that are complete.
    pub(super) fn advance_paths(&mut self, now: Now, view: &dyn View) {
        let head = view.head();
        if let Some((_, stopped)) = self.limit.take_if(|(good, _)| *good == head.header.hash())
            && self.stopped.is_none()
        {
            self.actions.push(Action::Report(Report::Stopped(stopped.clone())));
            self.stopped = Some(stopped);
        }
        let ids: Vec<PathId> = self.paths.keys().copied().collect();
        for id in ids {
            let Some(path) = self.paths.get_mut(&id) else { continue };
            if path.td <= head.td {
                self.drop_path(id); // Not worth its traffic any more.
                continue;
            }
            let waits_for_sink = path
                .window()
                .and_then(|window| window.hashes.front())
                .is_some_and(|hash| self.pool.get(hash).is_some());
            if path.skip_known(&mut self.pool, view) || waits_for_sink {
                path.progressed = now.elapsed;
            }
            let best = path.best().hash;
            let settling = matches!(path.stage, Stage::Settling);
            if !settling && !path.is_done() {
                continue;
            }
            let (leader, claimed, adds_up) = (path.leader, path.td, path.adds_up);
            match view.known(&best) {
                Known::Provisional if settling => {}
                Known::Provisional if adds_up.is_some_and(|held| held <= head.td) => {
                    self.refute(leader, Offence::FalseClaim, false_td(&best, adds_up.unwrap_or_default(), claimed));
                }
                Known::Provisional => {
                    path.stage = Stage::Settling;
                    self.settle(best, None);
                }
                // Its claim is looked at again, against what is held now.
                Known::Accepted | Known::Unknown => self.drop_path(id),
            }
        }
    }

    /// Has `tip` adopted.
    pub(super) fn settle(&mut self, tip: B256, sender: Option<PeerKey>) {
        let busy = matches!(&self.job, Some(Job::Settle(settle)) if settle.tip == tip);
        if !busy && self.settles.iter().all(|settle| settle.tip != tip) {
            self.settles.push_back(Settle { tip, sender });
        }
    }

    /// Gives the sink something to do, if it is idle.
    pub(super) fn feed_sink(&mut self, now: Now, view: &dyn View) {
        if self.job.is_some() || self.sink_rests_until > now.elapsed {
            return;
        }
        while let Some(settle) = self.settles.pop_front() {
            if view.known(&settle.tip) == Known::Provisional {
                self.actions.push(Action::Settle(settle.tip));
                self.job = Some(Job::Settle(settle));
                return;
            }
        }
        if let Some(direct) = self.direct.pop_front() {
            self.actions.push(Action::Extend(vec![direct.item.clone()]));
            self.job = Some(Job::Direct(direct));
            return;
        }
        // Each path in its turn, so that no chain holds up another.
        let turns: Vec<PathId> = (self.paths.range(PathId(self.served.0 + 1)..))
            .chain(self.paths.range(..=self.served))
            .filter(|(_, path)| path.is_linked())
            .map(|(id, _)| *id)
            .collect();
        for id in turns {
            if let Some((run, items)) = self.take_run(id) {
                self.served = id;
                self.actions.push(Action::Extend(items));
                self.job = Some(Job::Run(run));
                return;
            }
        }
    }

    /// What of a path has come without a gap, each the child of the one before.
    fn take_run(&mut self, id: PathId) -> Option<(Run, Vec<Item>)> {
        let path = self.paths.get(&id)?;
        let window = path.window()?;
        let leader = path.leader;
        let most = match self.config.want {
            Want::Headers => RUN_HEADERS,
            Want::Blocks => RUN_BLOCKS,
        };
        let mut run = Run { path: id, parent: window.previous, items: Vec::new(), last: None };
        let mut items = Vec::new();
        let mut previous = window.previous;
        let mut refuted = None;
        for (hash, number) in window.hashes.iter().zip(window.first..).take(most) {
            if self.beyond.contains(hash) {
                if items.is_empty() {
                    self.drop_path(id);
                    self.set_phase(leader, Phase::Beyond);
                    return None;
                }
                break;
            }
            let Some(fetched) = self.pool.get(hash) else { break };
            if fetched.parent != previous {
                refuted =
                    Some(format!("parent of its block {number} ({hash}): expected {previous}, got {}", fetched.parent));
                break;
            }
            if fetched.number != number {
                refuted =
                    Some(format!("number of its block {hash}: expected {number} by its place, got {}", fetched.number));
                break;
            }
            run.items.push((*hash, fetched.sender));
            items.push(fetched.item.clone());
            previous = *hash;
        }
        if let Some(why) = refuted {
            // What comes before the break may be anyone's; it is found again if it is.
            self.refute(leader, Offence::FalseClaim, why);
            return None;
        }
        if let Some(Item::Block(block)) = items.last() {
            run.last = Some(block.clone());
        }
        (!items.is_empty()).then_some((run, items))
    }

    /// The sink is done with a run or a new block.
    pub(super) fn extended(&mut self, result: Result<Extended, Refused>, now: Now, view: &dyn View) {
        match (self.job.take(), result) {
            (Some(Job::Run(run)), Ok(extended)) => self.run_taken(run, extended, now, view),
            (Some(Job::Run(run)), Err(refused)) => self.run_refused(run, refused, now, view),
            (Some(Job::Direct(direct)), Ok(extended)) => self.direct_taken(direct, extended, view),
            (Some(Job::Direct(direct)), Err(refused)) => self.direct_refused(direct, refused, now, view),
            (job, _) => self.job = job,
        }
    }

    /// Counts what the sink did; what it settles has been counted when it was taken.
    pub(super) fn count(&mut self, extended: &Extended, new: bool) {
        self.local_failures = 0;
        self.seals_checked += extended.seals_checked;
        if let Some(episode) = &mut self.episode {
            episode.count(if new { extended.added } else { 0 }, extended.seals_checked);
        }
    }

    fn run_taken(&mut self, run: Run, extended: Extended, now: Now, view: &dyn View) {
        self.count(&extended, true);
        let Some((tip, _)) = run.items.last() else { return };
        if !view.is_known(tip) {
            // It would be given the same again at once.
            return self.fail(format!("took block {tip}, and does not hold it"), now);
        }
        for path in self.paths.values_mut().filter(|path| path.best().hash == *tip) {
            path.adds_up = Some(extended.td);
        }
        let before = extended.number.saturating_sub(run.items.len() as u64);
        if before / self.config.settle_every < extended.number / self.config.settle_every
            && extended.td > view.head().td
        {
            self.settle(*tip, None); // Does nothing where it is accepted already.
        }
        let complete = self.paths.get(&run.path).is_some_and(|path| path.best().hash == *tip);
        if let Some(block) = run.last
            && complete
            && extended.head_changed
        {
            self.actions.push(Action::Announce { block, td: extended.td });
        }
    }

    fn run_refused(&mut self, run: Run, refused: Refused, now: Now, view: &dyn View) {
        let place = run.items.iter().position(|(hash, _)| *hash == refused.hash);
        let sender = place.map(|place| run.items[place].1);
        match refused.fault {
            Fault::Local => self.fail(refused.to_string(), now),
            Fault::Unlinked => {
                self.drop_path(run.path);
                self.revalidate(view);
            }
            Fault::Item if self.config.want == Want::Blocks && sender.is_some() => {
                self.pool.discard(&refused.hash);
                self.rescan();
                if let Some(sender) = sender {
                    self.penalise(sender, Offence::BadBlock, refused.to_string());
                    if let Some(peer) = self.peers.get_mut(&sender) {
                        peer.note_lack(refused.hash);
                    }
                }
            }
            Fault::NotSupported => {
                let good =
                    place.and_then(|place| place.checked_sub(1)).map_or(run.parent, |before| run.items[before].0);
                let leaders = self.leaders_through(&refused.hash, Some(run.path));
                self.reach_limit(refused, good, view);
                self.go_beyond(&leaders);
            }
            Fault::Item | Fault::Chain => {
                self.bad.put(refused.hash, ());
                for leader in self.leaders_through(&refused.hash, Some(run.path)) {
                    self.refute(leader, self.bad_item(), refused.to_string());
                }
                self.revalidate(view);
            }
        }
    }

    /// Leaders of the paths that have `hash` in their window, and that of `and`.
    fn leaders_through(&self, hash: &B256, and: Option<PathId>) -> Vec<PeerKey> {
        (self.paths.iter())
            .filter(|(id, path)| Some(**id) == and || path.window().is_some_and(|window| window.hashes.contains(hash)))
            .map(|(_, path)| path.leader)
            .collect()
    }

    pub(super) fn bad_item(&self) -> Offence {
        match self.config.want {
            Want::Headers => Offence::BadHeader,
            Want::Blocks => Offence::BadBlock,
        }
    }

    /// The sink is done with settling.
    pub(super) fn settled(&mut self, result: Result<Extended, Refused>, now: Now, view: &dyn View) {
        let Some(Job::Settle(Settle { tip, sender })) = self.job.take_if(|job| matches!(job, Job::Settle(_))) else {
            return;
        };
        let paths = self.paths.values().filter(|path| path.best().hash == tip && matches!(path.stage, Stage::Settling));
        let claims: Vec<(PeerKey, U256)> = paths.map(|path| (path.leader, path.td)).collect();
        match result {
            Ok(extended) => {
                self.count(&extended, false);
                let adopted = view.known(&tip) == Known::Accepted;
                for (leader, td) in claims {
                    if td > extended.td {
                        self.refute(leader, Offence::FalseClaim, false_td(&tip, extended.td, td));
                    } else if !adopted {
                        self.set_aside(leader, "its chain is held and could not be adopted", now);
                    }
                }
            }
            Err(refused) => match refused.fault {
                Fault::Local => {
                    self.fail(refused.to_string(), now);
                    self.settles.push_front(Settle { tip, sender });
                }
                Fault::Unlinked | Fault::NotSupported => {
                    claims.into_iter().for_each(|(leader, _)| self.set_aside(leader, &refused.to_string(), now));
                    self.revalidate(view);
                }
                Fault::Chain | Fault::Item => {
                    self.bad.put(refused.hash, ());
                    for leader in claims.into_iter().map(|(leader, _)| leader).chain(sender) {
                        self.refute(leader, self.bad_item(), refused.to_string());
                    }
                    self.revalidate(view);
                }
            },
        }
    }

    /// Drops the paths whose ground is gone; their leaders walk again.
    pub(super) fn revalidate(&mut self, view: &dyn View) {
        let lost = |path: &Path| match &path.stage {
            Stage::Linked(window) => !view.is_known(&window.previous),
            Stage::Settling => !view.is_known(&path.best().hash),
            Stage::Walking(_) => false,
        };
        let lost: Vec<PathId> = self.paths.iter().filter(|(_, path)| lost(path)).map(|(id, _)| *id).collect();
        lost.into_iter().for_each(|id| self.drop_path(id));
    }

    /// Our own failure: nobody is blamed, and it is tried again later.
    pub(super) fn fail(&mut self, why: String, now: Now) {
        let pause = (LOCAL_REST * 2u32.pow(self.local_failures.min(4))).min(Duration::from_secs(60));
        self.local_failures += 1;
        self.sink_rests_until = now.elapsed + pause;
        self.actions.push(Action::Report(Report::Failed { why, pause }));
    }

    /// The chain goes on past `good` with something that this version does not support.
    pub(super) fn reach_limit(&mut self, refused: Refused, good: B256, view: &dyn View) {
        self.beyond.put(refused.hash, ());
        if view.known(&good) == Known::Provisional {
            self.settle(good, None);
        }
        self.limit = Some((good, Stopped { number: refused.number, reason: refused.reason }));
    }

    /// Sessions that follow what we cannot follow. They go on being served, and are not looked at again.
    pub(super) fn go_beyond(&mut self, keys: &[PeerKey]) {
        for key in keys {
            self.drop_path_of(*key);
            self.set_phase(*key, Phase::Beyond);
        }
    }
}

pub(super) fn false_td(hash: &B256, expected: U256, got: U256) -> String {
    format!("total difficulty of its block {hash}: expected {expected}, got {got}")
}
