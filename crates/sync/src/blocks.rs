//! Whole blocks on demand: the header from the chain, the body from whoever has it, checked against the header.

use alloy_primitives::B256;
use rushlight_chain::{HeaderChain, RawBlock, header};
use rushlight_odr::{Source, Unavailable};

/// Why a block cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The header is not held, so nothing could be checked against it.
    #[error("unknown block {0}")]
    Unknown(B256),
    /// Nobody could give the body.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The whole block with this hash.
pub async fn block(chain: &HeaderChain, source: &dyn Source, hash: &B256) -> Result<RawBlock, BlockError> {
    let sealed = chain.header(hash).ok_or(BlockError::Unknown(*hash))?;
    let body = source.body(&sealed).await?;
    Ok(RawBlock::from_parts(header::encode(&sealed), body))
}
