//! A transaction on its way into the pool.

use std::sync::Arc;

use alloy_consensus::constants::EIP4844_TX_TYPE_ID;
use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use rushlight_chain::{
    ChainSpec, SealedHeader,
    pool::{
        PoolError, PoolLimits, PoolTransaction, SubmitError, check, needs_cell_proofs, verify_blobs, with_cell_proofs,
    },
};
use tokio::sync::oneshot;

use super::{
    LightPool,
    machine::{Account, Point},
    task::Command,
};
use crate::{ClientError, LightClient};

impl LightPool {
    /// Checks a transaction over the verified head and hands it to the task, which has it on disk when it answers.
    pub(super) async fn take(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let head = self.client.resolve(BlockId::latest()).await.map_err(unproven)?;
        let tx = self.checked(raw, &head).await?;
        let account = account(&self.client, &head, tx.sender()).await.map_err(unproven)?;
        let (reply, answer) = oneshot::channel();
        // Where the task has ended, nobody answers.
        let _ = self.commands.send(Command::Admit(Arc::new(tx), account, reply)).await;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Everything that needs no state, off the async threads: recovering a sender takes a while, blobs a long one.
    async fn checked(&self, raw: Bytes, head: &SealedHeader) -> Result<PoolTransaction, SubmitError> {
        let (spec, head, limits) = (self.client.spec().clone(), head.clone(), self.limits);
        let _turn = match raw.first() {
            Some(&EIP4844_TX_TYPE_ID) => Some(self.blobs.acquire().await.map_err(|_| ended())?),
            _ => None,
        };
        off_thread(move || {
            let tx = without_proofs(raw, &spec, &head, &limits)?;
            verify_blobs(&tx).map(|()| tx)
        })
        .await
    }
}

fn without_proofs(
    raw: Bytes,
    spec: &ChainSpec,
    head: &SealedHeader,
    limits: &PoolLimits,
) -> Result<PoolTransaction, PoolError> {
    let mut tx = PoolTransaction::decode(raw)?;
    if needs_cell_proofs(&tx, spec, head) {
        tx = with_cell_proofs(tx)?;
    }
    check(&tx, spec, head, limits)?;
    Ok(tx)
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PoolError> + Send + 'static,
) -> Result<T, SubmitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ended()),
    }
}

/// A sender's account at a header, proved.
pub(super) async fn account(
    client: &LightClient,
    header: &SealedHeader,
    sender: alloy_primitives::Address,
) -> Result<Account, ClientError> {
    let found = client.account(header, sender).await?.unwrap_or_default();
    let at = Point { number: header.number, hash: header.hash() };
    let delegated = found.code_hash != KECCAK256_EMPTY;
    Ok(Account { nonce: found.nonce, balance: found.balance, delegated, at })
}

fn unproven(error: ClientError) -> SubmitError {
    let data = match &error {
        ClientError::Unavailable(unavailable) => serde_json::to_value(unavailable).ok(),
        _ => None,
    };
    SubmitError::Unproven { message: error.to_string(), data }
}

fn ended() -> SubmitError {
    SubmitError::Unproven { message: "the node is shutting down".to_owned(), data: None }
}
