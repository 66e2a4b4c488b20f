//! What can be found out next, and what goes out.

use alloy_primitives::{Address, B256};
use rushlight_chain::Batch;

use super::{
    super::limits::{MAX_SEARCH, READS, SEARCHES},
    Action, Ahead, Entry, Machine, Point, Reading, Report, View, push_write,
};

impl Machine {
    /// What can be found out next: superseded nonces, blocks to search, accounts to read.
    pub(super) fn plan(&mut self, view: &impl View, actions: &mut Vec<Action>) {
        self.supersede(view, actions);
        if !self.synced || !self.any_waits() {
            return;
        }
        let head = view.head();
        if head.number.saturating_sub(self.cursor().number) > MAX_SEARCH {
            let number = head.number - MAX_SEARCH;
            self.ahead = self.ahead.split_off(&(number + 1));
            let mut batch = Batch::new();
            self.reach(Point { number, hash: view.canonical(number).unwrap_or_default() }, &mut batch);
            push_write(batch, actions);
        }
        let under_way = self.ahead.values().filter(|ahead| matches!(ahead, Ahead::Asked(_))).count();
        let mut room = SEARCHES.saturating_sub(under_way);
        let mut number = self.cursor().number;
        // What was not retained is passed over, and moves the cursor.
        while room > 0 && number < head.number.min(self.cursor().number.saturating_add(SEARCHES as u64)) {
            number += 1;
            if self.ahead.contains_key(&number) {
                continue;
            }
            match view.canonical(number) {
                Some(hash) => {
                    room -= 1;
                    self.ahead.insert(number, Ahead::Asked(hash));
                    actions.push(Action::Search(Point { number, hash }));
                }
                // Not retained, and so not searched.
                None => {
                    self.ahead.insert(number, Ahead::Done(B256::ZERO));
                    self.advance(actions);
                }
            }
        }
        let under_way = self.senders.values().filter(|sender| sender.read == Reading::Asked).count();
        let entries = &self.entries;
        let waits = |hash: &B256| entries.get(hash).is_some_and(Entry::waits);
        let stale = self.senders.iter_mut().filter(|(_, sender)| {
            sender.read == Reading::Idle && sender.account.at != head && sender.slots.values().any(waits)
        });
        for (address, sender) in stale.take(READS.saturating_sub(under_way)) {
            sender.read = Reading::Asked;
            actions.push(Action::Read(*address));
        }
    }

    /// A nonce below the account's was used, by one of ours that was found or by another one, once every block up to
    /// where the account was read has been searched.
    pub(super) fn supersede(&mut self, view: &impl View, actions: &mut Vec<Action>) {
        let cursor = self.cursor();
        for sender in self.senders.values().filter(|sender| sender.account.at.number <= cursor.number) {
            if !view.holds(&sender.account.at) {
                continue;
            }
            for (nonce, hash) in &sender.slots {
                let Some(entry) = self.entries.get_mut(hash).filter(|entry| entry.place.is_none()) else { continue };
                match (*nonce < sender.account.nonce, entry.superseded) {
                    (true, None) => {
                        entry.superseded = Some(sender.account.at.number);
                        actions.push(Action::Report(Report::Superseded(*hash, *nonce)));
                    }
                    (false, Some(_)) => entry.superseded = None,
                    _ => {}
                }
            }
        }
    }

    pub(super) fn relay(&self, actions: &mut Vec<Action>) {
        let senders: Vec<_> = self.senders.keys().copied().collect();
        self.relay_of(&senders, actions);
    }

    /// What nobody has told of yet goes to all who do not have it.
    pub(super) fn relay_of(&self, senders: &[Address], actions: &mut Vec<Action>) {
        if !self.synced {
            return;
        }
        let proved = |sender: &&Address| self.senders.get(*sender).is_some_and(|sender| sender.is_proved());
        let executable = senders.iter().filter(proved).flat_map(|sender| self.executable(sender));
        let unheard = executable.filter_map(|hash| self.entries.get(&hash)).filter(|entry| entry.heard.is_empty());
        let transactions: Vec<_> = unheard.map(|entry| entry.tx.clone()).collect();
        if !transactions.is_empty() {
            actions.push(Action::Relay(transactions));
        }
    }

    /// Those of a sender that wait and follow its account's nonce, over such as were found, without a gap.
    pub(in crate::pool) fn executable(&self, sender: &Address) -> Vec<B256> {
        let Some(sender) = self.senders.get(sender) else { return Vec::new() };
        let from = sender.slots.range(sender.account.nonce..);
        let follow = (sender.account.nonce..).zip(from).take_while(|(expected, (nonce, _))| expected == *nonce);
        let hashes = follow.map(|(_, (_, hash))| *hash);
        hashes.filter(|hash| self.entries.get(hash).is_some_and(Entry::waits)).collect()
    }
}
