//! What is done about each session's claim.

use alloy_primitives::{B256, U256};
use rushlight_chain::Known;

use super::{
    claim::{ClaimError, Top},
    path::Anchor,
    *,
};

impl Machine {
    pub(super) fn joined(&mut self, key: PeerKey, td: U256, best: B256, now: Now) {
        self.left(key);
        self.peers.insert(key, Peer::new(td, best, self.config.want, now.elapsed));
    }

    pub(super) fn left(&mut self, key: PeerKey) {
        self.forsake(key);
        self.peers.remove(&key);
    }

    /// Gives up everything that rests on a session. What it was asked for is given to others.
    pub(super) fn forsake(&mut self, key: PeerKey) {
        self.drop_path_of(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.phase = Phase::Refuted;
        peer.flying = 0;
        let (pool, way) = (&mut self.pool, &mut self.way);
        self.requests.retain(|id, request| {
            if request.peer == key
                && let Purpose::Items(Batch { asked, .. }) = &request.purpose
            {
                asked.iter().for_each(|hash| pool.unmark(hash, *id));
            }
            if request.peer == key {
                match &request.purpose {
                    Purpose::Hints { .. } => way.forget_asking(*id),
                    Purpose::Below(asked) => way.unmark(asked, *id),
                    _ => {}
                }
            }
            request.peer != key
        });
        self.rescan();
    }

    /// A session's newest claim. What is under way for the one before goes on; it ends in a look at this one.
    pub(super) fn claim(&mut self, key: PeerKey, td: U256, best: B256, top: Option<Top>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if td <= peer.td || peer.gone {
            return;
        }
        (peer.td, peer.best, peer.top) = (td, best, top);
        match peer.phase {
            // It is beyond us for good: the fork that we lack lies below whatever comes.
            Phase::Beyond | Phase::Idle | Phase::Waiting { .. } | Phase::Leading(_) | Phase::Backing { .. } => {}
            Phase::Checking { .. } | Phase::Aside { .. } | Phase::Refuted => peer.phase = Phase::Idle,
        }
    }

    /// Looks at every claim that nothing is being done about.
    pub(super) fn evaluate_claims(&mut self, now: Now, view: &dyn View) {
        let head = view.head().td;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.evaluate(key, head, now, view);
        }
    }

    fn evaluate(&mut self, key: PeerKey, head: U256, now: Now, view: &dyn View) {
        let walking = self.walking();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !peer.is_free(now.elapsed) {
            return;
        }
        let again = match peer.phase {
            Phase::Idle => false,
            Phase::Aside { until } if until <= now.elapsed => true,
            Phase::Waiting { .. } if walking < MAX_OPEN_WALKS => false,
            Phase::Waiting { since } if since + PATIENCE <= now.elapsed => {
                peer.impatient = true;
                false
            }
            Phase::Backing { path, since } if since + PATIENCE <= now.elapsed => {
                if self.paths.get(&path).is_some_and(Path::is_linked) {
                    return; // It moves, or is set aside.
                }
                peer.impatient = true;
                false
            }
            _ => return,
        };
        if peer.td <= head {
            peer.phase = Phase::Idle;
            return;
        }
        let (best, td, top) = (peer.best, peer.td, peer.top);
        if self.bad.contains(&best) {
            return self.refute(key, Offence::BadHeader, format!("its best block {best} was refused before"));
        }
        let known = view.known(&best);
        let held = if known == Known::Unknown { None } else { view.td(&best) };
        // Were an accepted block as heavy as claimed, it would be our head.
        if known == Known::Accepted || held.is_some_and(|held| held < td) {
            let held = held.map_or_else(|| format!("at most {head}"), |held| held.to_string());
            let why = format!("total difficulty of its best block {best}: expected {held}, got {td}");
            return self.refute(key, Offence::FalseClaim, why);
        }
        let Some(top) = top else {
            let timeout = CHECK_TIMEOUT;
            let request = self.request(key, Purpose::Check(best), Ask::Headers(vec![best]), timeout, now);
            self.set_phase(key, Phase::Checking { request, counted: !again });
            return;
        };
        if top.number == 0 {
            let expected = self.config.rule.genesis();
            let why = format!("its chain begins with another genesis: expected {expected}, got {best}");
            return self.refute(key, Offence::FalseClaim, why);
        }
        let id = PathId(self.next_id());
        let anchor = Anchor { hash: best, number: top.number };
        let path = if known == Known::Provisional {
            self.settle(best, None);
            Path::settling(key, td, anchor, now.elapsed)
        } else {
            Path::walk(key, td, anchor, now.elapsed)
        };
        self.paths.insert(id, path);
        self.set_phase(key, Phase::Leading(id));
    }

    /// The header of a best block came, or did not.
    pub(super) fn checked(&mut self, key: PeerKey, id: RequestId, best: B256, answer: Option<Vec<Item>>, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.best != best || !matches!(peer.phase, Phase::Checking { request, .. } if request == id) {
            return;
        }
        let Some(item) = answer.and_then(|items| items.into_iter().find(|item| item.hash() == best)) else {
            return self.set_aside(key, "did not give the header of its best block", now);
        };
        match Top::read(item.header()).and_then(|top| self.config.rule.check(&top, now.unix).map(|()| top)) {
            Ok(top) => {
                peer.top = Some(top);
                peer.phase = Phase::Idle;
            }
            // A clock that is wrong by minutes, ours or its own, is no lie: the time comes.
            Err(error @ ClaimError::Future { expected, got }) if got - expected <= CLOCK_ERROR => {
                self.set_aside(key, &error.to_string(), now);
            }
            Err(error) => self.refute(key, Offence::FalseClaim, error.to_string()),
        }
    }

    /// A session's claim is false: it costs score, and its hashes leave the pool.
    pub(super) fn refute(&mut self, key: PeerKey, offence: Offence, why: String) {
        self.penalise(key, offence, why);
        self.drop_path_of(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            // What it says next may be true, though it be less.
            (peer.phase, peer.td) = (Phase::Refuted, U256::ZERO);
        }
    }

    /// A session's claim cannot be followed for now; it no longer counts.
    pub(super) fn set_aside(&mut self, key: PeerKey, why: &str, now: Now) {
        self.drop_path_of(key);
        if let Some(peer) = self.peers.get_mut(&key)
            && !peer.gone
        {
            peer.set_aside(now.elapsed);
            self.actions.push(Action::Report(Report::SetAside { peer: key, why: why.to_owned() }));
        }
    }

    pub(super) fn set_phase(&mut self, key: PeerKey, phase: Phase) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.phase = phase;
        }
    }

    /// Drops the path that a session leads, if any.
    pub(super) fn drop_path_of(&mut self, key: PeerKey) {
        if let Some(Peer { phase: Phase::Leading(path), .. }) = self.peers.get(&key) {
            self.drop_path(*path);
        }
    }

    /// Takes a path out of the pool. Its leader, and the sessions that counted on it, are looked at again.
    pub(super) fn drop_path(&mut self, id: PathId) {
        let Some(path) = self.paths.remove(&id) else { return };
        for hash in path.window().into_iter().flat_map(|window| &window.hashes) {
            self.pool.release(hash);
        }
        for peer in self.peers.values_mut() {
            peer.forget_empty(id);
            if matches!(peer.phase, Phase::Leading(on) | Phase::Backing { path: on, .. } if on == id) {
                peer.phase = Phase::Idle;
            }
        }
    }

    pub(super) fn tick(&mut self, now: Now) {
        let stalled: Vec<PeerKey> = (self.paths.values())
            .filter(|path| {
                // Silence and missing hashes are noticed elsewhere. This is a next block that its own leader lacks.
                let next = path.window().and_then(|window| window.hashes.front());
                let leader = self.peers.get(&path.leader);
                let lacking =
                    next.is_some_and(|hash| self.pool.is_open(hash) && leader.is_some_and(|leader| leader.lacks(hash)));
                lacking && path.progressed + STALL <= now.elapsed
            })
            .map(|path| path.leader)
            .collect();
        for key in stalled {
            let why = "nobody gave the next block of its chain";
            self.penalise(key, Offence::Stalled, why.to_owned());
            self.set_aside(key, why, now);
        }
        for peer in self.peers.values_mut() {
            peer.forget_lacks(now.elapsed);
        }
        self.rescan();
    }
}
