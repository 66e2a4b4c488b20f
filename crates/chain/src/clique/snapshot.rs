//! The state of the votes at a block (EIP-225).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{
    CliqueError, IN_TURN, NO_TURN, SEAL_LENGTH, VANITY_LENGTH, VOTE_ADD, VOTE_DROP, listed_signers, recover_signer,
};
use crate::SealedHeader;

/// A signer's open vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who votes.
    pub signer: Address,
    /// On whom.
    pub subject: Address,
    /// To add them as a signer, or to drop them.
    pub add: bool,
}

/// Who may sign after a block, and what has been voted on by then.
///
/// Open votes are dropped at each checkpoint and a block casts at most one, so that a snapshot holds at most as many
/// votes as an epoch has blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    epoch: u64,
    number: u64,
    hash: B256,
    /// In ascending order.
    signers: Vec<Address>,
    /// Who signed each of the last blocks, by number: these may not sign yet.
    recent: BTreeMap<u64, Address>,
    /// The last block of those whose signer is not known, as its seal was not checked; 0 where every signer that the
    /// recency rule asks for is known.
    unchecked: u64,
    /// The last block that changed who may sign.
    changed: u64,
    votes: Vec<Vote>,
}

impl Snapshot {
    /// The snapshot at genesis, whose extra data lists the first signers.
    pub fn genesis(genesis: &SealedHeader, epoch: u64) -> Result<Snapshot, CliqueError> {
        let mut signers = listed_signers(&genesis.extra_data).unwrap_or_default();
        signers.sort_unstable();
        signers.dedup();
        if signers.is_empty() {
            return Err(CliqueError::GenesisSigners { got: genesis.extra_data.len() });
        }
        Ok(Snapshot {
            epoch: epoch.max(1),
            number: genesis.number,
            hash: genesis.hash(),
            signers,
            recent: BTreeMap::new(),
            unchecked: 0,
            changed: genesis.number,
            votes: Vec::new(),
        })
    }

    /// The number of the block that this is the state after.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The hash of the block that this is the state after.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Who may sign, in ascending order.
    pub fn signers(&self) -> &[Address] {
        &self.signers
    }

    /// Whether this account may sign at all.
    pub fn is_signer(&self, account: &Address) -> bool {
        self.signers.binary_search(account).is_ok()
    }

    /// The open votes, oldest first.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Whether it is this signer's turn at block `number`.
    pub fn in_turn(&self, number: u64, signer: &Address) -> bool {
        let place = self.signers.binary_search(signer);
        place.is_ok_and(|place| number % self.signers.len() as u64 == place as u64)
    }

    /// The difficulty of block `number` where this signer signs it.
    pub fn difficulty(&self, number: u64, signer: &Address) -> u64 {
        if self.in_turn(number, signer) { IN_TURN } else { NO_TURN }
    }

    /// The number of the first block from the next on that this signer may sign.
    pub fn may_sign_from(&self, signer: &Address) -> u64 {
        let next = self.number.saturating_add(1);
        let last = self.recent.iter().rev().find(|(_, other)| *other == signer);
        last.map_or(next, |(last, _)| next.max(last.saturating_add(self.window())))
    }

    /// Checks the seal of the next header, and moves on to the state after it. Where the header is refused, the
    /// snapshot stays as it was.
    ///
    /// The header's other rules are [`crate::verify_header`]'s; they are to be checked first.
    pub fn apply(&mut self, header: &SealedHeader) -> Result<Address, CliqueError> {
        self.apply_recovered(header, recover_signer(header))
    }

    /// [`apply`](Self::apply) where the signer has been recovered already: recovery is a pure function of the header
    /// ([`recover_signer`]) and nearly all of the work, so that it can be done for many headers at once.
    pub fn apply_recovered(
        &mut self,
        header: &SealedHeader,
        recovered: Result<Address, CliqueError>,
    ) -> Result<Address, CliqueError> {
        let signer = self.verify_recovered(header, recovered)?;
        self.advance(header, Some(signer));
        Ok(signer)
    }

    /// Moves on over the next header without looking at its seal. That leaves the state of the votes whole only for a
    /// [plain](Self::is_plain) header; who signed it stays unknown.
    pub(crate) fn pass(&mut self, header: &SealedHeader) -> Result<(), CliqueError> {
        self.verify_next(header)?;
        self.advance(header, None);
        Ok(())
    }

    /// Whether who signed the next header makes no difference to who may sign later: it is no checkpoint and casts no
    /// vote. No vote is the one to drop the zero address, which counts as soon as that is a signer or voted on.
    pub(crate) fn is_plain(&self, header: &SealedHeader) -> bool {
        let zero = Address::ZERO;
        is_plain(header, self.epoch) && !self.is_signer(&zero) && !self.votes.iter().any(|vote| vote.subject == zero)
    }

    /// Moves on over a header that has been verified before; the signer may be left out where it is plain.
    pub(crate) fn advance(&mut self, header: &SealedHeader, signer: Option<Address>) {
        let number = header.number;
        self.number = number;
        self.hash = header.hash();
        if number.is_multiple_of(self.epoch) {
            self.votes.clear();
        }
        self.forget(number);
        match signer {
            Some(signer) => {
                self.recent.insert(number, signer);
                self.vote(Vote { signer, subject: header.beneficiary, add: header.nonce == VOTE_ADD });
            }
            None => self.unchecked = number,
        }
        if self.unchecked.saturating_add(self.window()) <= number {
            self.unchecked = 0;
        }
    }

    /// Whether the signers of all blocks are known that the recency rule looks at for the next one.
    pub fn knows_recent(&self) -> bool {
        self.unchecked == 0
    }

    /// Whether the signer of block `number` is one that the recency rule asks for and that is not known.
    pub(crate) fn lacks(&self, number: u64) -> bool {
        let recent = number > 0 && number <= self.unchecked && number.saturating_add(self.window()) > self.number;
        recent && !self.recent.contains_key(&number)
    }

    /// The first block that the recency rule can look at for the next one.
    pub(crate) fn recent_from(&self) -> u64 {
        (self.number + 1).saturating_sub(self.window()).max(1)
    }

    /// Takes down who signed blocks before, found out afterwards. `unknown` is the last whose signer could not be found.
    pub(crate) fn learn(&mut self, signers: impl IntoIterator<Item = (u64, Address)>, unknown: Option<u64>) {
        self.recent.extend(signers);
        self.unchecked = unknown.unwrap_or(0);
    }

    /// The number of the last block that changed who may sign: the signers of every block after it, up to the next, are
    /// this snapshot's.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// Checks the seal of the next header: who signed it, whether they may, the difficulty of their turn, and a
    /// checkpoint's list of signers.
    pub fn verify(&self, header: &SealedHeader) -> Result<Address, CliqueError> {
        self.verify_recovered(header, recover_signer(header))
    }

    fn verify_recovered(
        &self,
        header: &SealedHeader,
        recovered: Result<Address, CliqueError>,
    ) -> Result<Address, CliqueError> {
        self.verify_next(header)?;
        let number = header.number;
        if number.is_multiple_of(self.epoch) {
            self.verify_checkpoint(header)?;
        }
        let signer = recovered?;
        if !self.is_signer(&signer) {
            return Err(CliqueError::Unauthorized { signer, count: self.signers.len() });
        }
        // Of a stretch whose seals are sampled only some signers are known; those count.
        let from = self.may_sign_from(&signer);
        if number < from {
            let last = from - self.window();
            return Err(CliqueError::RecentlySigned { signer, last, from, number });
        }
        self.verify_turn(header, &signer)?;
        Ok(signer)
    }

    /// Checks the seal of a header by itself: that one of the signers made it, and the difficulty of their turn. The
    /// header may be any for which these signers are in force.
    pub(crate) fn verify_alone(
        &self,
        header: &SealedHeader,
        recovered: Result<Address, CliqueError>,
    ) -> Result<(), CliqueError> {
        let signer = recovered?;
        if !self.is_signer(&signer) {
            return Err(CliqueError::Unauthorized { signer, count: self.signers.len() });
        }
        self.verify_turn(header, &signer)
    }

    fn verify_turn(&self, header: &SealedHeader, signer: &Address) -> Result<(), CliqueError> {
        let expected = self.difficulty(header.number, signer);
        if header.difficulty != U256::from(expected) {
            return Err(CliqueError::Turn { expected, got: header.difficulty });
        }
        Ok(())
    }

    fn verify_next(&self, header: &SealedHeader) -> Result<(), CliqueError> {
        if header.parent_hash != self.hash || Some(header.number) != self.number.checked_add(1) {
            return Err(CliqueError::NotNext { expected: self.hash.into(), got: header.parent_hash.into() });
        }
        Ok(())
    }

    fn verify_checkpoint(&self, header: &SealedHeader) -> Result<(), CliqueError> {
        let extra = &header.extra_data;
        let expected_length = VANITY_LENGTH + 20 * self.signers.len() + SEAL_LENGTH;
        let got =
            listed_signers(extra).ok_or(CliqueError::ExtraData { expected: expected_length, got: extra.len() })?;
        if self.signers != got {
            return Err(CliqueError::CheckpointSigners { expected: self.signers.clone(), got });
        }
        Ok(())
    }

    /// A signer signs at most one of so many blocks in a row.
    fn window(&self) -> u64 {
        self.signers.len() as u64 / 2 + 1
    }

    /// Forgets who signed the block that has just left the window at block `number`.
    fn forget(&mut self, number: u64) {
        if let Some(left) = number.checked_sub(self.window()) {
            self.recent.remove(&left);
        }
    }

    /// Counts a vote and acts on it where more than half the signers agree. A later vote of a signer on the same account
    /// replaces the earlier; a vote to add a signer, or to drop someone who is none, is none.
    ///
    /// Votes on an account are all of one kind: they fall when its standing changes.
    fn vote(&mut self, vote: Vote) {
        self.votes.retain(|old| old.signer != vote.signer || old.subject != vote.subject);
        if vote.add != self.is_signer(&vote.subject) {
            self.votes.push(vote);
        }
        let votes = self.votes.iter().filter(|open| open.subject == vote.subject).count();
        if votes <= self.signers.len() / 2 {
            return;
        }
        match self.signers.binary_search(&vote.subject) {
            Ok(place) => {
                self.changed = self.number;
                self.signers.remove(place);
                // one signer fewer can narrow the window
                self.forget(self.number);
                self.votes.retain(|open| open.signer != vote.subject);
            }
            Err(place) => {
                self.changed = self.number;
                self.signers.insert(place, vote.subject);
            }
        }
        self.votes.retain(|open| open.subject != vote.subject);
    }
}

/// Whether a header is no checkpoint and has the beneficiary and nonce of one without a vote.
pub(crate) fn is_plain(header: &SealedHeader, epoch: u64) -> bool {
    !header.number.is_multiple_of(epoch.max(1)) && header.beneficiary == Address::ZERO && header.nonce == VOTE_DROP
}
