//! Spreading the pool over the sessions.

use std::collections::HashSet;
use std::time::Duration;

use rand::seq::SliceRandom;

use super::{claim::Top, pool::Fetched, *};

/// What comes next on a path, asked of one session.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) path: PathId,
    pub(super) asked: Vec<B256>,
}

impl Machine {
    /// Sessions with room, in the order in which they are asked. What is next in line should come soon: the fastest
    /// first, and last whoever has not shown any pace yet or left something unanswered. Of equals any.
    pub(super) fn fastest_first(&mut self, now: Now) -> Vec<PeerKey> {
        let mut keys: Vec<PeerKey> =
            self.peers.iter().filter(|(_, peer)| peer.has_room(now.elapsed)).map(|(key, _)| *key).collect();
        keys.shuffle(&mut self.rng);
        keys.sort_by_key(|key| {
            let peer = &self.peers[key];
            (peer.strikes, std::cmp::Reverse(peer.pace.rate.map_or(0, |rate| rate as u64)))
        });
        keys
    }

    /// Asks every session that has room for a batch of what comes next, marked as on its way.
    pub(super) fn ask_for_items(&mut self, now: Now) {
        if self.pool.len() == 0 {
            return;
        }
        let keys = self.fastest_first(now);
        for round in 1..=REQUESTS_PER_PEER {
            for key in &keys {
                let Some(peer) = self.peers.get(key) else { continue };
                if peer.flying >= round || !peer.has_room(now.elapsed) {
                    continue;
                }
                let timeout = peer.pace.timeout();
                let Some((path, wanted)) = self.collect(*key, now) else { continue };
                let ask = match self.config.want {
                    Want::Headers => Ask::Headers(wanted.clone()),
                    Want::Blocks => Ask::Blocks(wanted.clone()),
                };
                let id = self.request(*key, Purpose::Items(Batch { path, asked: wanted.clone() }), ask, timeout, now);
                wanted.iter().for_each(|hash| self.pool.mark(hash, id));
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.flying += 1;
                }
            }
        }
    }

    /// A batch for one session: what is open in the window of a linked chain, lowest first, and not lacked by it. Its own
    /// chain comes first, as it can be expected to hold that; then any.
    fn collect(&mut self, key: PeerKey, now: Now) -> Option<(PathId, Vec<B256>)> {
        let peer = self.peers.get(&key)?;
        let batch = peer.pace.batch();
        let ahead = match self.config.want {
            Want::Headers => HEADERS_AHEAD,
            Want::Blocks => BLOCKS_AHEAD,
        };
        // With the pool full of bytes, only what the sink waits for is fetched.
        let ahead = if self.pool.bytes() > MAX_POOL_BYTES { batch } else { ahead };
        let linked = self.paths.iter().filter(|(id, path)| path.is_linked() && !peer.avoids(**id, now.elapsed));
        let mut ids: Vec<PathId> = linked.map(|(id, _)| *id).collect();
        ids.shuffle(&mut self.rng);
        ids.sort_by_key(|id| peer.phase != Phase::Leading(*id));
        for id in ids {
            let Some(window) = self.paths.get_mut(&id).and_then(Path::window_mut) else { continue };
            while window.hashes.get(window.scan).is_some_and(|hash| !self.pool.is_open(hash)) {
                window.scan += 1;
            }
            let open = window.hashes.iter().take(ahead).skip(window.scan);
            let open = open.filter(|hash| self.pool.is_open(hash) && !peer.lacks(hash));
            let wanted: Vec<B256> = open.take(batch).copied().collect();
            if !wanted.is_empty() {
                return Some((id, wanted));
            }
        }
        None
    }

    /// Headers or blocks came; `None`: they did not.
    pub(super) fn items(
        &mut self,
        key: PeerKey,
        id: RequestId,
        batch: Batch,
        items: Option<Vec<Item>>,
        took: Duration,
        now: Now,
    ) {
        let Batch { path, asked } = batch;
        let complete = items.as_ref().is_some_and(|items| items.len() >= asked.len());
        if let Some(items) = items
            && let Some(peer) = self.peers.get_mut(&key)
        {
            if items.is_empty() {
                peer.note_empty(path, now.elapsed);
                asked.iter().for_each(|hash| peer.note_lack(*hash));
            } else {
                peer.forget_empty(path);
                peer.pace.served(asked.len(), items.len(), took);
            }
            let (mut last, mut next) = (0, 0);
            let mut came = HashSet::with_capacity(items.len());
            for item in items {
                let hash = item.hash();
                // They come in the order in which they were asked for, by and large.
                let place = match asked.get(next) {
                    Some(wanted) if *wanted == hash => Some(next),
                    _ => asked.iter().position(|wanted| *wanted == hash),
                };
                let Some(place) = place else { continue };
                next = place + 1;
                came.insert(hash);
                last = last.max(place);
                // Bytes that hash to what was asked for and are no header: the chain that asks for them is at fault.
                let (parent, number) = Top::read(item.header()).map_or((B256::ZERO, 0), |top| (top.parent, top.number));
                self.pool.put(hash, Fetched { item, parent, number, sender: key });
            }
            // What was left out before the last that came is not held; what would have followed may have been cut off.
            asked[..last].iter().filter(|hash| !came.contains(*hash)).for_each(|hash| peer.note_lack(*hash));
        }
        if !complete {
            asked.iter().for_each(|hash| self.pool.unmark(hash, id));
            self.rescan();
        }
    }

    /// Something is open again: batches are collected from the bottom.
    pub(super) fn rescan(&mut self) {
        self.paths.values_mut().filter_map(Path::window_mut).for_each(|window| window.scan = 0);
    }
}
