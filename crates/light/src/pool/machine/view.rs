//! What JSON-RPC reads.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use rushlight_chain::pool::{Content, PoolTransaction, Tracked};

use super::Machine;

impl Machine {
    /// Lengths of what is bounded: points, blocks ahead, and the most peers of one transaction.
    #[cfg(test)]
    pub(in crate::pool) fn sizes(&self) -> (usize, usize, usize) {
        let heard = self.entries.values().map(|entry| entry.heard.len()).max().unwrap_or_default();
        (self.path.len(), self.ahead.len(), heard)
    }

    pub(in crate::pool) fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.entries.get(hash).filter(|entry| entry.superseded.is_none()).map(|entry| entry.tx.clone())
    }

    pub(in crate::pool) fn tracked(&self, hash: &B256) -> Option<Tracked> {
        if let Some(entry) = self.entries.get(hash) {
            let queued = entry.waits() && !self.executable(&entry.tx.sender()).contains(hash);
            let heard = entry.heard.len() as u64;
            return Some(Tracked { sent: entry.sent, heard, included: entry.place, queued });
        }
        let (_, place) = self.settled.iter().rev().find(|(settled, _)| settled == hash)?;
        Some(Tracked { included: Some(*place), ..Tracked::default() })
    }

    pub(in crate::pool) fn content(&self) -> Content {
        let mut content = Content::default();
        for (address, sender) in &self.senders {
            let executable = self.executable(address);
            for (nonce, hash) in &sender.slots {
                let Some(entry) = self.entries.get(hash).filter(|entry| entry.waits()) else { continue };
                let of = if executable.contains(hash) { &mut content.pending } else { &mut content.queued };
                of.entry(*address).or_default().insert(*nonce, entry.tx.clone());
            }
        }
        content
    }

    pub(in crate::pool) fn next_nonce(&self, sender: &Address) -> Option<u64> {
        let last = self.executable(sender).pop()?;
        self.entries.get(&last)?.tx.tx().nonce().checked_add(1)
    }
}
