//! Headers below the retained ones: fetched once, proved, and told from what is on no chain of ours.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_eips::{BlockId, RpcBlockHash};
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::future::BoxFuture;
use rushlight_chain::{
    HeaderChain, HeaderChainConfig, Retain, SealedHeader,
    block::Body,
    header,
    store::MemoryStore,
    testing::{ToyMiner, toy_spec},
};
use rushlight_light::ClientError;
use rushlight_odr::{Source, Unavailable, Wanted, What};

use crate::common::{chain_config, client_over, spec};

const COUNT: usize = 1_500;

#[derive(Default)]
struct Peers {
    headers: HashMap<B256, SealedHeader>,
    silent: AtomicBool,
    /// From which number down to which was asked for.
    asked: Mutex<Vec<(u64, u64)>>,
}

#[derive(Clone)]
struct Handle(Arc<Peers>);

impl Handle {
    fn answer<T>(&self, what: What, answer: T) -> BoxFuture<'_, Result<T, Unavailable>>
    where
        T: Send + 'static,
    {
        let missing = vec![Wanted::new(B256::ZERO, what)];
        let silent = self.0.silent.load(Ordering::Relaxed);
        let error = Unavailable { missing, asked: vec![], waited: Duration::ZERO };
        Box::pin(async move { if silent { Err(error) } else { Ok(answer) } })
    }

    fn asked(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }
}

impl Source for Handle {
    fn preimages(&self, _: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<Bytes>, Unavailable>> {
        self.answer(What::Header, vec![])
    }

    fn body(&self, _: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        self.answer(What::Header, Body::default())
    }

    fn ancestors(&self, header: &SealedHeader, count: u64) -> BoxFuture<'_, Result<Vec<SealedHeader>, Unavailable>> {
        self.0.asked.lock().unwrap().push((header.number, header.number - count));
        let mut found: Vec<SealedHeader> = Vec::new();
        for _ in 0..count {
            found.push(self.0.headers[&found.last().unwrap_or(header).parent_hash].clone());
        }
        self.answer(What::Ancestors { from: header.number - count }, found)
    }

    fn header(&self, hash: B256) -> BoxFuture<'_, Result<Option<SealedHeader>, Unavailable>> {
        self.answer(What::Header, self.0.headers.get(&hash).cloned())
    }
}

#[tokio::test]
async fn old_headers_by_number_and_by_hash() {
    let spec = spec();
    let config = HeaderChainConfig { retain: Retain::Last(256), ..chain_config() };
    let chain = Arc::new(HeaderChain::open(spec.clone(), Arc::new(MemoryStore::new()), config).unwrap());
    let miner = ToyMiner::new(toy_spec(5));
    let headers = miner.headers(&spec.genesis, COUNT);
    chain.extend(&headers.iter().map(|one| header::encode(one)).collect::<Vec<_>>()).unwrap();
    let side = ToyMiner::new(toy_spec(5)).for_beneficiary(Address::repeat_byte(9)).headers(&headers[98], 1).remove(0);
    let all = headers.iter().chain([&side, &spec.genesis]).map(|one| (one.hash(), one.clone()));
    let peers = Handle(Arc::new(Peers { headers: all.collect(), ..Peers::default() }));
    let client = client_over(chain.clone(), peers.clone());
    let at = |number: u64| &headers[number as usize - 1];
    let td = |number: u64| {
        let sum = headers[..number as usize].iter().map(|one| one.difficulty).sum::<U256>();
        sum + spec.genesis.difficulty
    };

    // Nothing is asked for what is held.
    for number in [512, 1_024, 1_300] {
        assert_eq!(client.resolve(BlockId::number(number)).await.unwrap(), *at(number));
        assert_eq!(client.resolve(BlockId::from(at(number).hash())).await.unwrap(), *at(number));
    }
    assert!(peers.asked().is_empty());
    // The rest comes from the next anchor, each header once.
    assert_eq!(client.resolve(BlockId::number(700)).await.unwrap(), *at(700));
    assert_eq!(client.resolve(BlockId::number(700)).await.unwrap(), *at(700));
    assert_eq!(client.resolve(BlockId::from(at(900).hash())).await.unwrap(), *at(900));
    assert_eq!(client.resolve(BlockId::number(650)).await.unwrap(), *at(650));
    assert_eq!(client.resolve(BlockId::number(639)).await.unwrap(), *at(639));
    assert_eq!(peers.asked(), [(1_024, 640), (640, 576)]);
    assert_eq!(client.resolve(BlockId::from(at(5).hash())).await.unwrap(), *at(5));
    assert_eq!(client.resolve(BlockId::from(at(600).hash())).await.unwrap(), *at(600));
    assert_eq!(peers.asked(), [(512, 1)]);
    for number in [600, 639, 700, 900, 512, 5] {
        assert_eq!(client.td(&at(number).hash()), Some(td(number)), "{number}");
    }
    assert_eq!(client.block(at(600)).await.unwrap().td, Some(td(600)));
    let canonical = RpcBlockHash { block_hash: at(650).hash(), require_canonical: Some(true) };
    assert_eq!(client.resolve(BlockId::Hash(canonical)).await.unwrap(), *at(650));

    // Known to others and not on our chain, known to nobody, and above the head.
    let unknown = B256::repeat_byte(7);
    for hash in [side.hash(), unknown] {
        let error = client.resolve(BlockId::from(hash)).await.unwrap_err();
        assert_eq!(error, ClientError::UnknownHash(hash));
    }
    let error = client.resolve(BlockId::number(COUNT as u64 + 1)).await.unwrap_err();
    assert_eq!(error, ClientError::UnknownNumber(COUNT as u64 + 1));

    // Nobody answers: what was fetched lately is there still.
    peers.0.silent.store(true, Ordering::Relaxed);
    assert_eq!(client.resolve(BlockId::number(700)).await.unwrap(), *at(700));
    for block in [BlockId::number(513), BlockId::from(at(513).hash()), BlockId::from(unknown)] {
        let error = client.resolve(block).await.unwrap_err();
        assert!(matches!(error, ClientError::Unavailable(_)), "{error}");
    }
}
