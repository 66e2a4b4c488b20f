//! Giving complete runs and new blocks to the sink, and what follows from its answers.

use std::time::Duration;

use rushlight_chain::Known;

use super::{claim::Top, path::Stage, *};
use crate::Fault;

/// A new block whose parent is known.
#[derive(Debug)]
pub(super) struct Direct {
    item: Item,
    hash: B256,
    top: Top,
    /// Who sent it first, then who else, each with the total difficulty it claimed.
    claims: Vec<(PeerKey, U256)>,
}

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

    /// A session announces a block.
    pub(super) fn new_block(&mut self, key: PeerKey, item: Item, td: U256, now: Now, view: &dyn View) {
        let hash = item.hash();
        let top = match Top::read(item.header()) {
            Ok(top) => top,
            Err(error) => return self.penalise(key, Offence::BadBlock, error.to_string()),
        };
        if self.bad.contains(&hash) {
            return self.penalise(key, Offence::BadBlock, format!("block {hash} was refused before"));
        }
        if self.beyond.contains(&hash) {
            return self.go_beyond(&[key]);
        }
        if top.timestamp > now.unix.saturating_add(rushlight_chain::MAX_FUTURE_SECONDS) {
            return; // One of the two clocks is wrong, which proves nothing; it comes again as someone's best block.
        }
        if let Err(error) = self.config.rule.check(&top, now.unix) {
            return self.penalise(key, Offence::FalseClaim, error.to_string());
        }
        match view.known(&hash) {
            Known::Accepted => {
                let held = view.td(&hash).unwrap_or_else(|| view.head().td.min(td));
                self.judge(key, hash, td, held, top);
            }
            Known::Provisional => self.claim(key, td, hash, Some(top)),
            Known::Unknown => self.queue(key, item, hash, top, td, view),
        }
    }

    /// Queues an unknown block for the sink if its parent is known; else it is an ordinary claim.
    fn queue(&mut self, key: PeerKey, item: Item, hash: B256, top: Top, td: U256, view: &dyn View) {
        let busy = match &mut self.job {
            Some(Job::Direct(direct)) => Some(direct),
            _ => None,
        };
        let mut waiting: Vec<&mut Direct> = busy.into_iter().chain(&mut self.direct).collect();
        if let Some(same) = waiting.iter_mut().find(|direct| direct.hash == hash) {
            // As many as there are sessions, each once.
            if same.claims.iter().all(|(other, _)| *other != key) {
                same.claims.push((key, td));
            }
            return;
        }
        let linked = view.is_known(&top.parent) || waiting.iter().any(|direct| direct.hash == top.parent);
        let of_peer = waiting.iter().filter(|direct| direct.claims[0].0 == key).count();
        let room = waiting.len() < MAX_NEW_BLOCKS && of_peer < MAX_NEW_BLOCKS_OF_PEER;
        let recent = top.number + OLD_BLOCK >= view.head().header.number;
        if linked && recent && room {
            self.direct.push_back(Direct { item, hash, top, claims: vec![(key, td)] });
        } else {
            self.claim(key, td, hash, Some(top));
        }
    }

    /// Compares the total difficulty that came with a block with what it is.
    fn judge(&mut self, key: PeerKey, hash: B256, claimed: U256, held: U256, top: Top) {
        if claimed != held {
            self.penalise(key, Offence::BadTotalDifficulty, false_td(&hash, held, claimed));
        }
        self.claim(key, held, hash, Some(top));
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
    fn count(&mut self, extended: &Extended, new: bool) {
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

    fn bad_item(&self) -> Offence {
        match self.config.want {
            Want::Headers => Offence::BadHeader,
            Want::Blocks => Offence::BadBlock,
        }
    }

    fn direct_taken(&mut self, direct: Direct, extended: Extended, view: &dyn View) {
        self.count(&extended, true);
        for (key, td) in direct.claims.iter().copied() {
            self.judge(key, direct.hash, td, extended.td, direct.top);
        }
        if view.known(&direct.hash) == Known::Provisional && extended.td > view.head().td {
            self.settle(direct.hash, direct.claims.first().map(|(key, _)| *key));
        }
        if let Item::Block(block) = direct.item
            && extended.head_changed
        {
            self.actions.push(Action::Announce { block, td: extended.td });
        }
    }

    fn direct_refused(&mut self, direct: Direct, refused: Refused, now: Now, view: &dyn View) {
        let Direct { hash, top, claims, .. } = direct;
        let keys: Vec<PeerKey> = claims.iter().map(|(key, _)| *key).collect();
        let (first, others) = keys.split_first().map_or((None, &keys[..]), |(first, others)| (Some(*first), others));
        match refused.fault {
            Fault::Local | Fault::Unlinked => {
                claims.into_iter().for_each(|(key, td)| self.claim(key, td, hash, Some(top)));
                if refused.fault == Fault::Local {
                    self.fail(refused.to_string(), now);
                }
            }
            Fault::NotSupported => {
                self.reach_limit(refused, top.parent, view);
                self.go_beyond(&keys);
            }
            // The body was wrong, which says nothing about those who sent another one.
            Fault::Item => {
                let others = others.to_vec();
                first.into_iter().for_each(|key| self.penalise(key, Offence::BadBlock, refused.to_string()));
                for (key, td) in claims.into_iter().filter(|(key, _)| others.contains(key)) {
                    self.claim(key, td, hash, Some(top));
                }
            }
            Fault::Chain => {
                self.bad.put(refused.hash, ());
                keys.into_iter().for_each(|key| self.penalise(key, Offence::BadBlock, refused.to_string()));
                self.revalidate(view);
            }
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
    fn revalidate(&mut self, view: &dyn View) {
        let lost = |path: &Path| match &path.stage {
            Stage::Linked(window) => !view.is_known(&window.previous),
            Stage::Settling => !view.is_known(&path.best().hash),
            Stage::Walking(_) => false,
        };
        let lost: Vec<PathId> = self.paths.iter().filter(|(_, path)| lost(path)).map(|(id, _)| *id).collect();
        lost.into_iter().for_each(|id| self.drop_path(id));
    }

    /// Our own failure: nobody is blamed, and it is tried again later.
    fn fail(&mut self, why: String, now: Now) {
        let pause = (LOCAL_REST * 2u32.pow(self.local_failures.min(4))).min(Duration::from_secs(60));
        self.local_failures += 1;
        self.sink_rests_until = now.elapsed + pause;
        self.actions.push(Action::Report(Report::Failed { why, pause }));
    }

    /// The chain goes on past `good` with something that this version does not support.
    fn reach_limit(&mut self, refused: Refused, good: B256, view: &dyn View) {
        self.beyond.put(refused.hash, ());
        if view.known(&good) == Known::Provisional {
            self.settle(good, None);
        }
        self.limit = Some((good, Stopped { number: refused.number, reason: refused.reason }));
    }

    /// Sessions that follow what we cannot follow. They go on being served, and are not looked at again.
    fn go_beyond(&mut self, keys: &[PeerKey]) {
        for key in keys {
            self.drop_path_of(*key);
            self.set_phase(*key, Phase::Beyond);
        }
    }
}

fn false_td(hash: &B256, expected: U256, got: U256) -> String {
    format!("total difficulty of its block {hash}: expected {expected}, got {got}")
}
