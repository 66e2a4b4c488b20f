use alloy_primitives::{B256, U256};
use rlp::RlpStream;

use super::{DecodeError, VERSION, wire};

/// `[protocolVersion: P, networkId: P, td: P, bestHash: B_32, genesisHash: B_32]`: the first message in each direction,
/// sent exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Must be [`VERSION`].
    pub protocol_version: u64,
    /// 0 unless the operator says otherwise: chains are told apart by `genesis`.
    pub network_id: u64,
    /// Total difficulty of the best header, its own included.
    pub td: U256,
    /// Hash of the header with the highest total difficulty.
    pub best: B256,
    /// Hash of the genesis header.
    pub genesis: B256,
}

/// Which of the three things that both sides must agree on differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// `protocolVersion`.
    #[error("protocol version: ours is {ours}, the peer's is {theirs}")]
    Version {
        /// What we say.
        ours: u64,
        /// What the peer says.
        theirs: u64,
    },
    /// `networkId`.
    #[error("network id: ours is {ours}, the peer's is {theirs}")]
    Network {
        /// What we say.
        ours: u64,
        /// What the peer says.
        theirs: u64,
    },
    /// `genesisHash`.
    #[error("genesis: ours is {ours}, the peer's is {theirs}")]
    Genesis {
        /// What we say.
        ours: B256,
        /// What the peer says.
        theirs: B256,
    },
}

impl Status {
    /// A Status of this version.
    pub fn new(network_id: u64, td: U256, best: B256, genesis: B256) -> Self {
        Self { protocol_version: VERSION.into(), network_id, td, best, genesis }
    }

    /// Whether a session is possible between a side that says this and one that says `theirs`.
    ///
    /// # Errors
    ///
    /// The first of version, network and genesis that differs, with both values.
    pub fn agrees(&self, theirs: &Self) -> Result<(), Mismatch> {
        if self.protocol_version != theirs.protocol_version {
            return Err(Mismatch::Version { ours: self.protocol_version, theirs: theirs.protocol_version });
        }
        if self.network_id != theirs.network_id {
            return Err(Mismatch::Network { ours: self.network_id, theirs: theirs.network_id });
        }
        if self.genesis != theirs.genesis {
            return Err(Mismatch::Genesis { ours: self.genesis, theirs: theirs.genesis });
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut RlpStream) {
        out.begin_list(5);
        out.append(&self.protocol_version);
        out.append(&self.network_id);
        wire::write_u256(out, &self.td);
        out.append(&self.best.as_slice());
        out.append(&self.genesis.as_slice());
    }

    pub(super) fn read(list: &wire::Item<'_>) -> Result<Self, DecodeError> {
        let [version, network, td, best, genesis] = list.fields("Status")?;
        Ok(Self {
            protocol_version: version.u64("protocolVersion")?,
            network_id: network.u64("networkId")?,
            td: td.u256("td")?,
            best: best.hash("bestHash")?,
            genesis: genesis.hash("genesisHash")?,
        })
    }
}
