//! Spreading the pool over the sessions.

use rand::seq::SliceRandom;

use super::{claim::Top, pool::Fetched, *};

impl Machine {
    /// Asks every session that has room for a batch of what comes next, marked as on its way.
    pub(super) fn ask_for_items(&mut self, now: Now) {
        if self.pool.len() == 0 {
            return;
        }
        let mut keys: Vec<PeerKey> =
            self.peers.iter().filter(|(_, peer)| peer.has_room(now.elapsed)).map(|(key, _)| *key).collect();
        // Those with nothing to do first, then the fastest: what is next in line should come soon. Of equals any.
        keys.shuffle(&mut self.rng);
        keys.sort_by_key(|key| {
            let peer = &self.peers[key];
            (peer.flying, std::cmp::Reverse(peer.pace.rate.unwrap_or(f64::MAX) as u64))
        });
        for round in 1..=REQUESTS_PER_PEER {
            for key in &keys {
                let Some(peer) = self.peers.get(key) else { continue };
                if peer.flying >= round || !peer.has_room(now.elapsed) {
                    continue;
                }
                let timeout = peer.pace.timeout();
                let wanted = self.collect(*key);
                if wanted.is_empty() {
                    continue;
                }
                let ask = match self.config.want {
                    Want::Headers => Ask::Headers(wanted.clone()),
                    Want::Blocks => Ask::Blocks(wanted.clone()),
                };
                let id = self.request(*key, Purpose::Items(wanted.clone()), ask, timeout, now);
                wanted.iter().for_each(|hash| self.pool.mark(hash, id));
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.flying += 1;
                }
            }
        }
    }

    /// A batch for one session: what is open in the windows of the linked chains, lowest first, and not lacked by it.
    fn collect(&mut self, key: PeerKey) -> Vec<B256> {
        let Some(peer) = self.peers.get(&key) else { return Vec::new() };
        let batch = peer.pace.batch();
        let ahead = match self.config.want {
            Want::Headers => HEADERS_AHEAD,
            Want::Blocks => BLOCKS_AHEAD,
        };
        let mut wanted: Vec<B256> = Vec::new();
        for path in self.paths.values_mut() {
            let Some(window) = path.window_mut() else { continue };
            while window.hashes.get(window.scan).is_some_and(|hash| !self.pool.is_open(hash)) {
                window.scan += 1;
            }
            // With the pool full of bytes, only what the sink waits for is fetched.
            let end = if self.pool.bytes() > MAX_POOL_BYTES { batch } else { ahead };
            for hash in window.hashes.iter().take(end).skip(window.scan) {
                if wanted.len() >= batch {
                    return wanted;
                }
                // Chains that share hashes are in lockstep, so what was taken for the one is skipped for the other.
                if self.pool.is_open(hash) && !peer.lacks(hash) && !wanted.contains(hash) {
                    wanted.push(*hash);
                }
            }
        }
        wanted
    }

    /// Headers or blocks came; `None`: they did not.
    pub(super) fn items(
        &mut self,
        key: PeerKey,
        id: RequestId,
        asked: Vec<B256>,
        items: Option<Vec<Item>>,
        took: std::time::Duration,
        now: Now,
    ) {
        if let Some(items) = items
            && let Some(peer) = self.peers.get_mut(&key)
        {
            if items.is_empty() {
                peer.note_empty(now.elapsed);
                asked.iter().for_each(|hash| peer.note_lack(*hash));
            } else {
                peer.empties = 0;
                peer.pace.served(asked.len(), items.len(), took);
            }
            let mut last = 0;
            let mut came = std::collections::HashSet::with_capacity(items.len());
            for item in items {
                let hash = item.hash();
                let Some(place) = asked.iter().position(|wanted| *wanted == hash) else { continue };
                came.insert(hash);
                last = last.max(place);
                // Bytes that hash to what was asked for and are no header: the chain that asks for them is at fault.
                let (parent, number) = Top::read(item.header()).map_or((B256::ZERO, 0), |top| (top.parent, top.number));
                self.pool.put(hash, Fetched { item, parent, number, sender: key });
            }
            // What was left out before the last that came is not held; what would have followed may have been cut off.
            asked[..last].iter().filter(|hash| !came.contains(*hash)).for_each(|hash| peer.note_lack(*hash));
        }
        asked.iter().for_each(|hash| self.pool.unmark(hash, id));
        self.rescan();
    }

    /// Something is open again: batches are collected from the bottom.
    pub(super) fn rescan(&mut self) {
        self.paths.values_mut().filter_map(Path::window_mut).for_each(|window| window.scan = 0);
    }
}
