//! What follows from the chain: which blocks have been searched, what a reorganisation gives back, what is deep enough.

use alloy_consensus::Transaction as _;
use alloy_primitives::B256;
use rushlight_chain::{Batch, pool::Included};

use super::{
    super::limits::{DEEP, MAX_PATH, MAX_SETTLED},
    Action, Ahead, Machine, Point, Report, View, disk, push_write,
};

impl Machine {
    /// The chain has another head: what has left it gives its transactions back, what is deep is let go.
    pub(super) fn follow(&mut self, view: &impl View, actions: &mut Vec<Action>) {
        let mut batch = Batch::new();
        let mut lowest = None;
        while let Some(point) = self.path.back().filter(|point| !view.holds(point)) {
            lowest = Some(point.number);
            self.path.pop_back();
        }
        let head = view.head();
        if let Some(lowest) = lowest {
            if self.path.is_empty() {
                // The reorganisation began somewhere below all that is remembered.
                let number = lowest.min(head.number).saturating_sub(DEEP);
                self.path.push_back(Point { number, hash: view.canonical(number).unwrap_or_default() });
            }
            disk::put_searched(&mut batch, &self.cursor());
        }
        // Blocks are searched beyond the path too, side by side.
        let any_back = self.put_back(view, &mut batch, actions);
        self.ahead.retain(|number, ahead| {
            let (Ahead::Asked(hash) | Ahead::Failed(hash) | Ahead::Done(hash)) = ahead;
            view.canonical(*number).is_some_and(|canonical| canonical == *hash)
        });
        self.let_go(head, &mut batch, actions);
        if !self.any_waits() {
            // Nothing is looked for: what comes later waits from here on.
            self.ahead.clear();
            self.reach(head, &mut batch);
        }
        push_write(batch, actions);
        if any_back {
            self.relay(actions);
        }
    }

    /// Transactions whose block has left the chain wait again; whether there were any.
    pub(super) fn put_back(&mut self, view: &impl View, batch: &mut Batch, actions: &mut Vec<Action>) -> bool {
        let cursor = self.cursor();
        let mut any = false;
        for (hash, entry) in &mut self.entries {
            if entry.superseded.is_some_and(|at| at > cursor.number) {
                entry.superseded = None;
            }
            let Some(place) = entry.place else { continue };
            if view.holds(&Point { number: place.number, hash: place.block }) {
                continue;
            }
            entry.place = None;
            any = true;
            // Others may have dropped it since.
            entry.heard.clear();
            disk::delete_place(batch, hash);
            actions.push(Action::Report(Report::PutBack(*hash, place)));
            let nonce = entry.tx.tx().nonce();
            if let Some(sender) = self.senders.get_mut(&entry.tx.sender()) {
                sender.account.nonce = sender.account.nonce.min(nonce);
            }
        }
        for sender in self.senders.values_mut().filter(|sender| !view.holds(&sender.account.at)) {
            // To be read again; what it said of nonces that are given back is corrected above.
            sender.account.at = Point::default();
        }
        any
    }

    /// What is deep enough is forgotten, but for the places.
    pub(super) fn let_go(&mut self, head: Point, batch: &mut Batch, actions: &mut Vec<Action>) {
        let deep = |number: u64| number.saturating_add(DEEP) <= head.number;
        let gone: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.place.map(|place| place.number).or(entry.superseded).is_some_and(deep))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in gone {
            let Some(entry) = self.remove(&hash) else { continue };
            disk::delete_transaction(batch, &hash);
            let sender = entry.tx.sender();
            if self.senders.get(&sender).is_some_and(|sender| sender.slots.is_empty()) {
                self.senders.remove(&sender);
                disk::delete_nonce(batch, &sender);
            }
            let nonce = entry.tx.tx().nonce();
            match entry.place {
                Some(place) => {
                    self.settled.push_back((hash, place));
                    actions.push(Action::Report(Report::Settled(hash, place)));
                }
                None => actions.push(Action::Report(Report::Dropped(hash, nonce))),
            }
        }
        while self.settled.len() > MAX_SETTLED {
            let Some((hash, _)) = self.settled.pop_front() else { break };
            disk::delete_place(batch, &hash);
        }
    }

    pub(super) fn reach(&mut self, point: Point, batch: &mut Batch) {
        if self.cursor() == point {
            return;
        }
        self.path.push_back(point);
        if self.path.len() > MAX_PATH {
            self.path.pop_front();
        }
        // With nothing in the pool nothing has to be searched after a restart.
        if !self.entries.is_empty() {
            disk::put_searched(batch, &point);
        }
    }

    pub(super) fn searched(
        &mut self,
        point: Point,
        transactions: &[B256],
        view: &impl View,
        actions: &mut Vec<Action>,
    ) {
        if !view.holds(&point) {
            return;
        }
        let mut batch = Batch::new();
        for (index, hash) in (0..).zip(transactions) {
            let place = Included { block: point.hash, number: point.number, index };
            if self.replaced.contains(hash) {
                self.replaced.retain(|replaced| replaced != hash);
                self.settled.push_back((*hash, place));
                disk::put_place(&mut batch, hash, &place);
                continue;
            }
            let Some(entry) = self.entries.get_mut(hash).filter(|entry| entry.place.is_none()) else { continue };
            entry.place = Some(place);
            entry.superseded = None;
            disk::put_place(&mut batch, hash, &place);
            actions.push(Action::Report(Report::Included(*hash, place)));
        }
        push_write(batch, actions);
        if let Some(ahead) = self.ahead.get_mut(&point.number) {
            *ahead = Ahead::Done(point.hash);
        }
    }

    /// Moves on over blocks that were searched.
    pub(super) fn advance(&mut self, actions: &mut Vec<Action>) {
        let mut batch = Batch::new();
        while let Some(next) = self.ahead.first_entry()
            && *next.key() == self.path.back().map_or(0, |point| point.number + 1)
            && let Ahead::Done(hash) = *next.get()
        {
            let (number, _) = next.remove_entry();
            self.reach(Point { number, hash }, &mut batch);
        }
        push_write(batch, actions);
    }
}
