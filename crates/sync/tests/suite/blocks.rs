//! Whole blocks: by the same pool, and on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use rushlight_chain::{
    Body, ChainAccess, ChainSpec, Extended, Head, HeaderChain, Known, RawBlock, SealedHeader, header, verify_body,
};
use rushlight_odr::{Source, Unavailable, Wanted};
use rushlight_sync::blocks::{BlockError, block};
use rushlight_sync::{ChainSink, Fault, HeaderSink, Item, Refused, Want};

use super::chains::{Lie, SPEC, Served, TRUNK, miner, trunk};
use super::net::{Node, Serving, Setup, id, network};

/// Takes whole blocks, and checks no more of them than that body and header fit.
struct BlockSink {
    headers: HeaderSink,
    held: Mutex<HashMap<B256, RawBlock>>,
}

impl BlockSink {
    fn over(chain: Arc<HeaderChain>) -> Arc<dyn ChainSink> {
        Arc::new(Self { headers: HeaderSink(chain), held: Mutex::default() })
    }
}

impl ChainSink for BlockSink {
    fn want(&self) -> Want {
        Want::Blocks
    }

    fn spec(&self) -> Arc<ChainSpec> {
        self.headers.spec()
    }

    fn head(&self) -> Head {
        self.headers.head()
    }

    fn known(&self, hash: &B256) -> Known {
        self.headers.known(hash)
    }

    fn extend(&self, items: Vec<Item>) -> Result<Extended, Refused> {
        let mut last = None;
        for item in items {
            let Item::Block(block) = &item else { panic!("whole blocks were asked for") };
            let sealed = header::decode(&block.header).unwrap();
            let body = block.body();
            if let Err(error) = verify_body(&sealed, &body) {
                let (hash, number) = (sealed.hash(), sealed.number);
                return Err(Refused { hash, number, reason: error.to_string(), fault: Fault::Item });
            }
            self.held.lock().unwrap().insert(sealed.hash(), block.clone());
            last = Some(self.headers.extend(vec![item])?);
        }
        Ok(last.expect("runs are not empty"))
    }

    fn settle(&self, tip: &B256) -> Result<Extended, Refused> {
        self.headers.settle(tip)
    }
}

/// Serves true headers with a body that is not theirs.
struct WrongBodies(Arc<Served>);

impl ChainAccess for WrongBodies {
    fn head(&self) -> Head {
        self.0.head()
    }
    fn genesis_hash(&self) -> B256 {
        self.0.genesis_hash()
    }
    fn hashes_before(&self, hash: &B256, max: usize) -> Vec<B256> {
        self.0.hashes_before(hash, max)
    }
    fn header(&self, hash: &B256) -> Option<Bytes> {
        self.0.header(hash)
    }
    fn block(&self, hash: &B256) -> Option<RawBlock> {
        let uncle = header::encode(&TRUNK[0]);
        Some(RawBlock { uncles: vec![uncle], ..self.0.block(hash)? })
    }
    fn preimage(&self, _: &B256) -> Option<Bytes> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn whole_blocks_come_by_the_same_pool_and_a_wrong_body_costs_its_sender() {
    let network = network(1);
    let chain = Served::new(trunk(3_000), Lie::None);
    let liar = Serving::start(&network, 1, Arc::new(WrongBodies(chain.clone()))).await;
    let mut honest = Serving::start(&network, 2, chain.clone()).await;
    let third = Serving::start(&network, 3, chain.clone()).await;
    let node =
        Node::start(&network, Setup { sink: BlockSink::over, ..Setup::default() }, &[&liar, &honest, &third]).await;
    let session = honest.session().await;
    node.reaches(&TRUNK[2_999]).await;
    assert!(node.peers.is_banned(&id(1)));
    assert_eq!((node.peers.score(&id(2)), node.peers.score(&id(3))), (0.0, 0.0));

    // A full peer passes new blocks on to those who are not known to have them, and so does it with blocks of its own.
    node.until("end of the sync", || node.sync.synced()).await;
    let second = Node::start(&network, Setup { number: 101, ..Setup::default() }, &[]).await;
    assert!(second.server.add_peer(node.server.enode()).await);
    second.reaches(&TRUNK[2_999]).await;
    let raw = |sealed: &SealedHeader| RawBlock { header: header::encode(sealed), ..RawBlock::default() };
    session.announce_block(&raw(&TRUNK[3_000]), node.chain.head().td + TRUNK[3_000].difficulty);
    second.reaches(&TRUNK[3_000]).await;
    let own = miner(8).header(&TRUNK[3_000]);
    node.chain.extend(&[header::encode(&own)]).unwrap();
    node.sync.announce(raw(&own), node.chain.head().td).await;
    second.reaches(&own).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), node.sync.shutdown()).await.is_ok());
    node.sync.announce(raw(&own), node.chain.head().td).await;
}

struct Bodies(HashMap<B256, Body>);

impl Source for Bodies {
    fn preimages(&self, missing: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        async { Err(Unavailable { missing, asked: vec![], waited: Duration::ZERO }) }.boxed()
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        let body = self.0.get(&header.hash()).cloned();
        let none = Unavailable { missing: vec![], asked: vec![], waited: Duration::ZERO };
        async move { body.ok_or(none) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_on_demand_is_put_together_from_chain_and_source() {
    let uncle = header::encode(&miner(4).header(&SPEC.genesis));
    let body = Body { uncles: vec![uncle], ..Body::default() };
    let raw = miner(0).block(&TRUNK[0], body.clone());
    let network = network(2);
    let node = Node::start(&network, Setup::default(), &[]).await;
    node.chain.extend(&[header::encode(&TRUNK[0]), raw.header.clone()]).unwrap();
    let source = Bodies(HashMap::from([(raw.hash(), body)]));
    assert_eq!(block(&node.chain, &source, &raw.hash()).await.unwrap(), raw);
    let unknown = block(&node.chain, &source, &B256::ZERO).await;
    assert!(matches!(unknown, Err(BlockError::Unknown(B256::ZERO))));
    let nobody = block(&node.chain, &source, &TRUNK[0].hash()).await;
    assert!(matches!(nobody, Err(BlockError::Unavailable(_))));
}
