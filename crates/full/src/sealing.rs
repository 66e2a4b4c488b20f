//! The task that seals: waits as the sealer decides, makes the block, takes it in, announces it.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rushlight_chain::clique::Draft;
use rushlight_sync::SyncHandle;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use crate::FullChain;
use crate::error::InsertError;
use crate::pool::FullPool;
use crate::sealer::{CliqueSealer, Turn};

/// After a failure of our own.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Sealing {
    pub(crate) chain: Arc<FullChain>,
    pub(crate) sync: SyncHandle,
    pub(crate) pool: FullPool,
    pub(crate) sealer: CliqueSealer,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Sealing {
    pub(crate) async fn run(mut self, mut random: StdRng) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.seal_blocks(&mut random) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn seal_blocks(&mut self, random: &mut StdRng) {
        let mut heads = self.chain.headers.subscribe();
        let mut status = self.sync.watch();
        let mut arrivals = self.pool.changed();
        let on_demand = self.sealer.on_demand(&self.chain.headers);
        // Of what is in the pool now nothing stands in a block on this head.
        let mut nothing = false;
        loop {
            // While a longer chain is on its way, blocks on ours would only be thrown away.
            if status.wait_for(|status| status.syncing.is_none()).await.is_err() {
                return;
            }
            // Events up to here are behind the head that is looked at next.
            heads = heads.resubscribe();
            if on_demand && (nothing || !self.pool.has_executable()) {
                nothing = false;
                tokio::select! {
                    Ok(()) = arrivals.changed() => {}
                    event = heads.recv() => if ended(event) { return },
                }
                continue;
            }
            let turn = self.sealer.turn(&self.chain.headers, (self.chain.clock)(), random.random());
            let (draft, delay) = match turn {
                Turn::Seal { draft, delay } => (draft, delay),
                Turn::Wait(why) => {
                    tracing::debug!(%why, "not sealing on this head");
                    if ended(heads.recv().await) {
                        return;
                    }
                    continue;
                }
            };
            tokio::select! {
                () = sleep(delay) => {}
                event = heads.recv() => {
                    if ended(event) {
                        return;
                    }
                    continue;
                }
            }
            if status.borrow().syncing.is_some() {
                continue;
            }
            arrivals.borrow_and_update();
            match self.seal(*draft, on_demand).await {
                Ok(sealed) => nothing = !sealed,
                Err(error) => {
                    // Our own block cannot break a rule unless our disk or our rules are at fault; either is for the operator.
                    tracing::error!(%error, "cannot seal a block");
                    sleep(PAUSE.max(Duration::from_secs(self.sealer.period))).await;
                }
            }
        }
    }

    /// Makes and announces a block, and says whether it did: where there has to be a transaction in it, none may fit.
    async fn seal(&self, mut draft: Draft, needs_transactions: bool) -> Result<bool, InsertError> {
        let (chain, pool) = (self.chain.clone(), self.pool.clone());
        let (header, signer, min_tip) = (draft.header, self.sealer.address(), self.sealer.min_tip);
        let filled = tokio::task::spawn_blocking(move || {
            let offer = pool.offer(min_tip)?;
            let filled = chain.fill(header, signer, offer)?;
            pool.drop_refused(&filled.refused);
            Ok::<_, InsertError>(filled)
        });
        // What panicked was reported; the next head is another try.
        let Ok(filled) = filled.await else { return Ok(false) };
        let filled = filled?;
        if needs_transactions && filled.transactions.is_empty() {
            return Ok(false);
        }
        draft.header = filled.header;
        let transactions = filled.transactions.len();
        let (header, block) = match self.sealer.seal(draft, filled.transactions) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::error!(%error, "cannot sign a block");
                return Ok(false);
            }
        };
        let (chain, own) = (self.chain.clone(), block.clone());
        let inserted = tokio::task::spawn_blocking(move || chain.insert(vec![own])).await;
        let Ok(inserted) = inserted else { return Ok(false) };
        let extended = inserted?;
        tracing::info!(number = header.number, hash = %header.hash(), transactions, "sealed a block");
        self.sync.announce(block, extended.td).await;
        Ok(true)
    }
}

/// Whether the channel of events is closed. Having missed some is as good as having seen one.
fn ended<T>(event: Result<T, broadcast::error::RecvError>) -> bool {
    matches!(event, Err(broadcast::error::RecvError::Closed))
}
