//! New blocks: straight to the sink where their parent is known, else a claim like any other.

use rushlight_chain::{Known, MAX_FUTURE_SECONDS};

use super::{
    adopt::{Job, false_td},
    claim::Top,
    *,
};
use crate::Fault;

/// A new block whose parent is known.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) item: Item,
    hash: B256,
    top: Top,
    /// Who sent it first, then who else, each with the total difficulty it claimed.
    claims: Vec<(PeerKey, U256)>,
}

impl Machine {
    /// A session announces a block.
    pub(super) fn new_block(&mut self, key: PeerKey, item: Item, td: U256, now: Now, view: &dyn View) {
        let hash = item.hash();
        if !Self::heeds_claims(view) {
            // Where blocks carry difficulty its claim is looked at once the trusted head is linked; elsewhere it is none.
            if !view.head().header.difficulty.is_zero() {
                self.claim(key, td, hash, None);
            }
            return;
        }
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
        if top.timestamp > now.unix.saturating_add(MAX_FUTURE_SECONDS) {
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

    pub(super) fn direct_taken(&mut self, direct: Direct, extended: Extended, view: &dyn View) {
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

    pub(super) fn direct_refused(&mut self, direct: Direct, refused: Refused, now: Now, view: &dyn View) {
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
}
