//! What transaction pools take.

mod blobs;
mod check;

use std::sync::LazyLock;

use alloy_consensus::Header;
use alloy_primitives::{Address, U256};
use rushlight_chain::pool::{PoolError, PoolLimits, PoolTransaction};
use rushlight_chain::{Activation, ChainSpec, Consensus, Fork, Forks, SealedHeader, header};
use secp256k1::SecretKey;

pub(crate) const CHAIN: u64 = 7;
pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const TO: Address = Address::repeat_byte(0x70);

/// A chain on which each fork of interest has a block or a time of its own.
pub(crate) static SPEC: LazyLock<ChainSpec> = LazyLock::new(|| {
    let schedule = vec![
        (Fork::Homestead, Activation::Block(1)),
        (Fork::SpuriousDragon, Activation::Block(2)),
        (Fork::Byzantium, Activation::Block(3)),
        (Fork::Istanbul, Activation::Block(4)),
        (Fork::Berlin, Activation::Block(5)),
        (Fork::London, Activation::Block(6)),
        (Fork::Shanghai, Activation::Time(100)),
        (Fork::Cancun, Activation::Time(200)),
        (Fork::Prague, Activation::Time(300)),
        (Fork::Osaka, Activation::Time(400)),
    ];
    let genesis = header::seal(Header::default());
    ChainSpec::new("test", CHAIN, genesis, Forks::new(schedule), Consensus::Clique { period: 1, epoch: 30_000 })
});

/// The first head at which a fork is in force.
pub(crate) fn head(fork: Fork) -> SealedHeader {
    let (number, timestamp) = match SPEC.forks.activation(fork) {
        Some(Activation::Block(number)) => (number, 0),
        Some(Activation::Time(time)) => (10, time),
        other => panic!("{fork}: {other:?}"),
    };
    let difficulty = U256::from(2);
    header::seal(Header { number, timestamp, gas_limit: 30_000_000, difficulty, ..Header::default() })
}

pub(crate) fn key() -> SecretKey {
    SecretKey::from_byte_array([7; 32]).unwrap()
}

pub(crate) fn check(tx: &PoolTransaction, fork: Fork) -> Result<(), PoolError> {
    rushlight_chain::pool::check(tx, &SPEC, &head(fork), &PoolLimits::default())
}

/// geth's words.
pub(crate) fn refused(tx: &PoolTransaction, fork: Fork) -> String {
    check(tx, fork).expect_err("is refused").to_string()
}
