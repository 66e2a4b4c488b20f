//! The sink of a light node.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256};
use rushlight_chain::{ChainSpec, Descent, DescentError, Extended, Head, HeaderChain, Known, Refusal};

use crate::{ChainSink, Fault, Item, Refused, Want};

/// Headers into a [`HeaderChain`].
#[derive(Clone, Debug)]
pub struct HeaderSink(pub Arc<HeaderChain>);

impl ChainSink for HeaderSink {
    fn want(&self) -> Want {
        Want::Headers
    }

    fn spec(&self) -> Arc<ChainSpec> {
        self.0.spec().clone()
    }

    fn head(&self) -> Head {
        self.0.head()
    }

    fn known(&self, hash: &B256) -> Known {
        self.0.known(hash)
    }

    fn td(&self, hash: &B256) -> Option<U256> {
        self.0.any_td(hash)
    }

    fn resumed(&self) -> Option<(u64, u64)> {
        self.0.provisional().map(|progress| (progress.start, progress.current))
    }

    fn descent(&self) -> Option<Descent> {
        self.0.descent()
    }

    fn descend(&self, items: Vec<Item>) -> Result<(), Refused> {
        let headers: Vec<Bytes> = items.iter().map(|item| item.header().clone()).collect();
        let hash = items.first().map(Item::hash).unwrap_or_default();
        let refused = |error: DescentError| {
            let fault = if matches!(error, DescentError::Store(_)) { Fault::Local } else { Fault::Unlinked };
            Refused { hash, number: 0, reason: error.to_string(), fault }
        };
        self.0.descend(&headers).map(|_| ()).map_err(refused)
    }

    fn extend(&self, items: Vec<Item>) -> Result<Extended, Refused> {
        // An item's hash was worked out when it came.
        let headers: Vec<(B256, Bytes)> = items.iter().map(|item| (item.hash(), item.header().clone())).collect();
        self.0.extend_hashed(&headers).map_err(|error| {
            // The chain keeps nothing of a batch with a bad header; those before it are good, unless the stretch that
            // they stand on fell with it.
            let in_batch = items.get(error.index).is_some_and(|item| item.hash() == error.hash);
            if in_batch
                && error.index > 0
                && !error.error.is_local()
                && let Err(before) = self.0.extend_hashed(&headers[..error.index])
            {
                tracing::debug!(%error, %before, "the headers before a refused one were not taken either");
            }
            refused(error.hash, error.number, &error.error)
        })
    }

    fn settle(&self, tip: &B256) -> Result<Extended, Refused> {
        self.0.settle(tip).map_err(|error| refused(error.hash, error.number, &error.error))
    }

    fn ended(&self) {
        self.0.tidy();
    }
}

fn refused(hash: B256, number: u64, error: &Refusal) -> Refused {
    let fault = match error {
        Refusal::Store(_) => Fault::Local,
        Refusal::UnknownParent { .. } | Refusal::Unknown | Refusal::Descending => Fault::Unlinked,
        error if error.is_not_supported() => Fault::NotSupported,
        Refusal::Decode(_) | Refusal::NotLinked { .. } | Refusal::Header(_) | Refusal::Seal(_) => Fault::Chain,
    };
    Refused { hash, number, reason: error.to_string(), fault }
}
