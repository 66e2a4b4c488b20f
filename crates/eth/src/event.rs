use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::block::RawBlock;
use rushlight_p2p::PeerId;

use crate::Session;

/// What a peer does unasked. Of one peer they come in order: `Joined` first, `Left` last.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// Both sides have said Status, and agree.
    Joined(Session),
    /// The session is over. Also comes, without a `Joined` before it, where a peer broke the protocol before its Status.
    Left {
        /// Whose session.
        id: PeerId,
        /// What the peer did where it broke the protocol.
        breach: Option<String>,
    },
    /// The peer tells of a block. Nothing of it is verified.
    NewBlock {
        /// Who tells.
        session: Session,
        /// The block.
        block: RawBlock,
        /// The total difficulty that the peer claims for it, its own included.
        td: U256,
    },
    /// The peer sent transactions; they are well formed, and remembered as known to it.
    Transactions {
        /// Who sent them.
        session: Session,
        /// Those that the peer had not sent before, in order: hash, and bytes in their network form.
        transactions: Vec<(B256, Bytes)>,
        /// How many of them the peer had sent before, in this session.
        repeated: usize,
    },
}
