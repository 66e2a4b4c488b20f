//! What one incoming message says, in the light of the question that it answers: pure.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use rushlight_chain::block::RawBlock;

use super::{
    breach::{Breach, Why},
    request::{Answer, Question},
};
use crate::{
    serve::Asked,
    v28::{Message28, decode, transaction_hash},
};

/// A message past every check that needs no state.
#[derive(Debug)]
pub(crate) enum Inbound {
    Asked(Asked),
    Answer(Answer),
    NewBlock { hash: B256, block: RawBlock, td: U256 },
    Transactions(Vec<(B256, Bytes)>),
}

/// Decodes and checks a message. `question` is the oldest open one of the type that the message answers.
pub(crate) fn read(id: u64, payload: &[u8], question: Option<&Question>) -> Result<Inbound, Breach> {
    let message = decode(id, payload).map_err(|error| Breach::new(id, error))?;
    Ok(match message {
        Message28::Status(_) => return Err(Breach::new(id, Why::SecondStatus)),
        Message28::GetBlockHashes(asked) => Inbound::Asked(Asked::Hashes(asked)),
        Message28::GetBlockHeaders(asked) => Inbound::Asked(Asked::Headers(asked.0)),
        Message28::GetBlocks(asked) => Inbound::Asked(Asked::Blocks(asked.0)),
        Message28::HashLookup(asked) => Inbound::Asked(Asked::Lookup(asked.0)),
        Message28::NewBlock(new) => {
            Inbound::NewBlock { hash: keccak256(&new.block.header), block: new.block, td: new.td }
        }
        Message28::Transactions(transactions) => {
            let hashed = transactions.0.into_iter().enumerate().map(|(index, raw)| match transaction_hash(&raw) {
                Ok(hash) => Ok((hash, raw)),
                Err(error) => Err(Breach::new(id, Why::Transaction { index, error })),
            });
            Inbound::Transactions(hashed.collect::<Result<_, _>>()?)
        }
        answer @ (Message28::BlockHashes(_)
        | Message28::BlockHeaders(_)
        | Message28::Blocks(_)
        | Message28::HashLookupResponse(_)) => {
            let question = question.ok_or_else(|| Breach::new(id, Why::NothingOpen))?;
            Inbound::Answer(question.check(answer)?)
        }
    })
}
