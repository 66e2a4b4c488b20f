//! Walks: chains of hashes, backwards from a best block until one is known.

use super::{
    claim::Top,
    path::{Stage, Step},
    *,
};

impl Machine {
    /// Walks that are open: unlinked, and past their first answer, which may still show that they are another's chain.
    pub(super) fn open_walks(&self) -> usize {
        self.paths.values().filter(|path| matches!(&path.stage, Stage::Walking(walk) if walk.looked)).count()
    }

    /// Walks of any kind.
    pub(super) fn walking(&self) -> usize {
        self.paths.values().filter(|path| path.walked().is_some()).count()
    }

    /// Asks the leader of every path that needs more hashes for them.
    pub(super) fn ask_for_hashes(&mut self, now: Now) {
        let ids: Vec<PathId> = self.paths.keys().copied().collect();
        for id in ids {
            let Some(path) = self.paths.get(&id) else { continue };
            let leader = path.leader;
            let Some(peer) = self.peers.get(&leader) else { continue };
            if path.asking.is_some() || !peer.is_free(now.elapsed) {
                continue;
            }
            let Some((from, max)) = path.next_hashes(WINDOW) else { continue };
            let timeout = peer.pace.timeout();
            let request =
                self.request(leader, Purpose::Hashes { path: id, from }, Ask::Hashes { from, max }, timeout, now);
            if let Some(path) = self.paths.get_mut(&id) {
                path.asking = Some(request);
            }
        }
    }

    /// Hashes came from a path's leader; `None`: they did not.
    pub(super) fn hashes(
        &mut self,
        key: PeerKey,
        id: PathId,
        from: B256,
        hashes: Option<Vec<B256>>,
        now: Now,
        view: &dyn View,
    ) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.asking = None;
        let Some(hashes) = hashes else { return };
        let due = path.next_hashes(usize::MAX);
        if due.is_none_or(|(due, _)| due != from) {
            return; // The chain below has become known meanwhile.
        }
        if path.is_linked() {
            if hashes.is_empty() {
                return self.set_aside(key, "no longer gives the hashes of its chain", now);
            }
            if let Some(bad) = hashes.iter().find(|hash| self.bad.contains(*hash)) {
                return self.refute(
                    key,
                    Offence::BadHeader,
                    format!("its chain holds {bad}, which was refused before"),
                );
            }
            if let Err(why) = path.load(&hashes, &mut self.pool) {
                self.refute(key, Offence::FalseClaim, why);
            }
            return;
        }
        let bad = &self.bad;
        let step = path.step(
            &hashes[..hashes.len().min(SEGMENT as usize)],
            self.config.rule.is_unbounded(),
            |hash| bad.contains(hash),
            &mut self.pool,
            view,
        );
        match step {
            Step::Further => self.looked(key, id, now),
            Step::Linked => {
                path.progressed = now.elapsed;
                self.linked(key, id, now);
            }
            Step::Flood(why) => self.refute(key, Offence::FloodedHashes, why),
            Step::Foreign(hash) => {
                let expected = self.config.rule.genesis();
                let why = format!("its chain begins with another genesis: expected {expected}, got {hash}");
                self.refute(key, Offence::FalseClaim, why);
            }
            Step::Bad(hash) => {
                self.refute(key, Offence::BadHeader, format!("its chain holds {hash}, which was refused before"));
            }
            Step::Ended => {
                let walked = path.walked().unwrap_or_default();
                self.set_aside(key, &format!("its chain ends after {walked} hashes without reaching ours"), now);
            }
        }
    }

    /// A walk goes on. After its first answer it finds its place among the others.
    fn looked(&mut self, key: PeerKey, id: PathId, now: Now) {
        let Some(Path { stage: Stage::Walking(walk), .. }) = self.paths.get_mut(&id) else { return };
        if !std::mem::replace(&mut walk.looked, true) && self.open_walks() > MAX_OPEN_WALKS {
            let Some(path) = self.paths.get(&id) else { return };
            let patient = self.peers.get(&key).is_some_and(|peer| !peer.impatient);
            let shared = (self.paths.iter()).find(|(other, with)| **other != id && path.shares_with(with));
            if let Some((&shared, _)) = shared.filter(|_| patient) {
                self.drop_path(id);
                return self.set_phase(key, Phase::Backing { path: shared, since: now.elapsed });
            }
            let longest = (self.paths.iter())
                .filter(|(other, path)| **other != id && path.walked().is_some())
                .max_by_key(|(_, path)| path.walked());
            if let Some((&longest, path)) = longest {
                let leader = path.leader;
                self.drop_path(longest);
                self.set_phase(leader, Phase::Waiting { since: now.elapsed });
            }
        }
        self.probe(key, id, now);
    }

    /// Asks for the header of a kept hash now and then: whoever invents hashes has none.
    fn probe(&mut self, key: PeerKey, id: PathId, now: Now) {
        let Some(path) = self.paths.get(&id) else { return };
        let Stage::Walking(walk) = &path.stage else { return };
        let Some(anchor) = path.anchors.last().filter(|_| walk.probe.is_none() && path.anchors.len() > walk.next_probe)
        else {
            return;
        };
        let purpose = Purpose::Probe { path: id, hash: anchor.hash, number: anchor.number };
        let request = self.request(key, purpose, Ask::Headers(vec![anchor.hash]), CHECK_TIMEOUT, now);
        if let Some(Path { stage: Stage::Walking(walk), anchors, .. }) = self.paths.get_mut(&id) {
            walk.probe = Some(request);
            walk.next_probe = anchors.len() - 1 + PROBE_EVERY;
        }
    }

    /// The header of a kept hash came, or did not.
    pub(super) fn probed(&mut self, id: PathId, hash: B256, number: u64, answer: Option<Vec<Item>>, now: Now) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let leader = path.leader;
        let Stage::Walking(walk) = &mut path.stage else { return };
        walk.probe = None;
        let Some(items) = answer else { return }; // Silence is counted elsewhere.
        let Some(item) = items.into_iter().find(|item| item.hash() == hash) else {
            walk.unserved += 1;
            walk.next_probe = path.anchors.len();
            if walk.unserved >= MAX_UNSERVED {
                let walked = walk.walked;
                let why = format!("gave {walked} hashes, and no header of {MAX_UNSERVED} of them that were asked for");
                self.refute(leader, Offence::FloodedHashes, why);
            }
            return;
        };
        walk.unserved = 0;
        let refuted = match Top::read(item.header()) {
            Ok(top) if top.number != number => {
                Some(format!("number of its block {hash}: expected {number} by its place, got {}", top.number))
            }
            Ok(top) => self.config.rule.check(&top, now.unix).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = refuted {
            self.refute(leader, Offence::FloodedHashes, why);
        }
    }

    /// A walk has reached what we know. Where too many chains are linked, one that stands still makes room.
    fn linked(&mut self, key: PeerKey, id: PathId, now: Now) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.impatient = false;
        }
        let linked = self.paths.values().filter(|path| path.is_linked()).count();
        if linked <= MAX_LINKED {
            return;
        }
        let others = self.paths.iter().filter(|(other, path)| **other != id && path.is_linked());
        let Some((&oldest, path)) = others.min_by_key(|(_, path)| path.progressed) else { return };
        let (leader, still) = (path.leader, path.progressed + YIELD <= now.elapsed);
        if still {
            self.drop_path(oldest);
            self.set_phase(leader, Phase::Waiting { since: now.elapsed });
        } else {
            // The four are moving. It counts on one of them, which it most likely shares the chain with.
            self.drop_path(id);
            self.set_phase(key, Phase::Backing { path: oldest, since: now.elapsed });
        }
    }
}
