//! Everything but blobs: in geth's order, in geth's words.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use proptest::prelude::*;
use rushlight_chain::Fork;
use rushlight_chain::pool::{PoolError, PoolTransaction, PooledTransaction, check_account, replaces};
use rushlight_chain::testing::{sign_hash, signed};

use super::{CHAIN, GWEI, TO, check, key, refused};

fn legacy() -> TxLegacy {
    TxLegacy {
        chain_id: Some(CHAIN),
        nonce: 0,
        gas_price: GWEI,
        gas_limit: 21_000,
        to: TO.into(),
        value: U256::from(1),
        input: Bytes::new(),
    }
}

fn dynamic() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce: 0,
        gas_limit: 21_000,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TO.into(),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

fn set_code(authorizations: usize) -> TxEip7702 {
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: TO, nonce: 3 };
    let authorization = authorization.clone().into_signed(sign_hash(&key(), authorization.signature_hash()));
    TxEip7702 {
        chain_id: CHAIN,
        nonce: 0,
        gas_limit: 21_000 + 25_000 * authorizations as u64,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TO,
        authorization_list: vec![authorization; authorizations],
        ..TxEip7702::default()
    }
}

#[test]
fn types_come_with_their_forks() {
    let old = signed(&key(), TxLegacy { chain_id: None, ..legacy() });
    assert_eq!(check(&old, Fork::Homestead), Ok(()));
    assert_eq!(check(&signed(&key(), legacy()), Fork::Osaka), Ok(()));
    let list = signed(
        &key(),
        TxEip2930 { chain_id: CHAIN, gas_price: 1, gas_limit: 21_000, to: TO.into(), ..TxEip2930::default() },
    );
    assert_eq!(
        refused(&list, Fork::Istanbul),
        "transaction type not supported: type 1 rejected, pool not yet in Berlin"
    );
    assert_eq!(check(&list, Fork::Berlin), Ok(()));
    let dynamic = signed(&key(), dynamic());
    assert_eq!(
        refused(&dynamic, Fork::Istanbul),
        "transaction type not supported: type 2 rejected, pool not yet in Berlin"
    );
    assert_eq!(
        refused(&dynamic, Fork::Berlin),
        "transaction type not supported: type 2 rejected, pool not yet in London"
    );
    assert_eq!(check(&dynamic, Fork::London), Ok(()));
    let code = signed(&key(), set_code(1));
    assert_eq!(refused(&code, Fork::Cancun), "transaction type not supported: type 4 rejected, pool not yet in Prague");
    assert_eq!(check(&code, Fork::Prague), Ok(()));
    assert_eq!(code.authorities().collect::<Vec<_>>(), [code.sender()]);
}

#[test]
fn limits_of_gas_and_price() {
    let tx = |change: &dyn Fn(&mut TxEip1559)| {
        let mut tx = dynamic();
        change(&mut tx);
        signed(&key(), tx)
    };
    let cases: [(PoolTransaction, Fork, &str); 12] = [
        (
            tx(&|tx| tx.input = vec![1; 131_072].into()),
            Fork::London,
            "oversized data: transaction size 131186, limit 131072",
        ),
        (
            tx(&|tx| (tx.to, tx.input) = (TxKind::Create, vec![1; 49_153].into())),
            Fork::Shanghai,
            "max initcode size exceeded: code size 49153 limit 49152",
        ),
        (
            tx(&|tx| tx.gas_limit = 16_777_217),
            Fork::Osaka,
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (tx(&|tx| tx.gas_limit = 30_000_001), Fork::Prague, "exceeds block gas limit"),
        (
            tx(&|tx| tx.max_priority_fee_per_gas = 3 * GWEI),
            Fork::London,
            "max priority fee per gas higher than max fee per gas",
        ),
        (tx(&|tx| tx.chain_id = 1), Fork::London, "invalid sender: invalid chain id for signer: have 1 want 7"),
        (tx(&|tx| tx.nonce = u64::MAX), Fork::London, "nonce has max value"),
        (tx(&|tx| tx.gas_limit = 20_999), Fork::London, "intrinsic gas too low: gas 20999, minimum needed 21000"),
        (tx(&|tx| tx.input = vec![1].into()), Fork::London, "intrinsic gas too low: gas 21000, minimum needed 21016"),
        (
            tx(&|tx| (tx.input, tx.gas_limit) = (vec![1].into(), 21_039)),
            Fork::Prague,
            "insufficient gas for floor data gas cost: gas 21039, minimum needed 21040",
        ),
        (
            tx(&|tx| tx.max_priority_fee_per_gas = 0),
            Fork::London,
            "transaction gas price below minimum: gas tip cap 0, minimum needed 1",
        ),
        (signed(&key(), set_code(0)), Fork::Prague, "set code tx must have at least one authorization tuple"),
    ];
    for (tx, fork, text) in cases {
        assert_eq!(refused(&tx, fork), text);
    }
    // On the other side of each limit.
    assert_eq!(check(&tx(&|tx| tx.gas_limit = 16_777_216), Fork::Osaka), Ok(()));
    assert_eq!(check(&tx(&|tx| tx.gas_limit = 16_777_217), Fork::Prague), Ok(()));
    assert_eq!(check(&tx(&|tx| (tx.input, tx.gas_limit) = (vec![1].into(), 21_040)), Fork::Prague), Ok(()));
    let create = |gas| tx(&|tx| (tx.to, tx.input, tx.gas_limit) = (TxKind::Create, vec![0; 33].into(), gas));
    assert_eq!(check(&create(53_132), Fork::London), Ok(()));
    assert_eq!(refused(&create(53_135), Fork::Shanghai), "intrinsic gas too low: gas 53135, minimum needed 53136");
}

#[test]
fn what_a_list_and_data_cost() {
    let item = AccessListItem { address: TO, storage_keys: vec![B256::ZERO; 3] };
    let list = TxEip2930 {
        chain_id: CHAIN,
        gas_price: 1,
        gas_limit: 21_000,
        to: TO.into(),
        access_list: AccessList(vec![item; 2]),
        ..TxEip2930::default()
    };
    let needed = 21_000 + 2 * 2_400 + 6 * 1_900;
    assert_eq!(check(&signed(&key(), list), Fork::Berlin), Err(PoolError::IntrinsicGas { gas: 21_000, needed }));
    // EIP-2028 made a byte cheaper; Homestead made contracts dearer.
    let data = |fork| check(&signed(&key(), TxLegacy { input: vec![0, 5].into(), ..legacy() }), fork);
    assert_eq!(data(Fork::Byzantium), Err(PoolError::IntrinsicGas { gas: 21_000, needed: 21_072 }));
    assert_eq!(data(Fork::Istanbul), Err(PoolError::IntrinsicGas { gas: 21_000, needed: 21_020 }));
}

#[test]
fn signatures_that_are_none() {
    let tx = legacy();
    let with = |r: U256, s: U256| {
        let signed = PooledTransaction::Legacy(legacy().into_signed(Signature::new(r, s, false)));
        PoolTransaction::decode(signed.encoded_2718().into()).expect_err("no sender").to_string()
    };
    let good = sign_hash(&key(), tx.signature_hash());
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    assert_eq!(with(good.r(), order - good.s()), "invalid sender: invalid transaction v, r, s values");
    assert_eq!(with(U256::ZERO, U256::ZERO), "invalid sender: invalid transaction v, r, s values");
}

#[test]
fn accounts() {
    let tx = signed(&key(), TxLegacy { nonce: 5, ..legacy() });
    let cost = tx.cost();
    let text = |nonce, balance, queued, replaced| {
        check_account(&tx, nonce, balance, queued, replaced).err().map(|error| error.to_string())
    };
    assert_eq!(cost, U256::from(21_000_000_000_001u64));
    assert_eq!(text(5, cost, U256::ZERO, None), None);
    assert_eq!(text(0, cost, U256::ZERO, None), None);
    assert_eq!(text(6, cost, U256::ZERO, None).unwrap(), "nonce too low: next nonce 6, tx nonce 5");
    assert_eq!(
        text(5, U256::from(1), U256::ZERO, None).unwrap(),
        "insufficient funds for gas * price + value: balance 1, tx cost 21000000000001, overshot 21000000000000"
    );
    assert_eq!(
        text(5, cost, U256::from(1), None).unwrap(),
        "insufficient funds for gas * price + value: balance 21000000000001, queued cost 1, tx cost 21000000000001, overshot 1"
    );
    let (queued, before) = (cost, cost - U256::from(3));
    assert_eq!(
        text(5, cost, queued, Some(before)).unwrap(),
        "insufficient funds for gas * price + value: balance 21000000000001, queued cost 21000000000001, tx bumped 3, overshot 3"
    );
    assert_eq!(text(5, cost, queued, Some(cost)), None);
    // No sum leaves the word.
    assert!(text(5, U256::MAX, U256::MAX, None).is_none());
    assert!(text(5, cost, U256::MAX, None).is_some());
}

proptest! {
    /// Against the rule as geth writes it.
    #[test]
    fn a_tenth_more_of_each_price(fee in 1u128..1_000, tip in 1u128..1_000, more in 0u128..300, more_tip in 0u128..300) {
        let tip = tip.min(fee);
        let tx = |fee, tip| signed(&key(), TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: tip, ..dynamic() });
        let (old, new) = (tx(fee, tip), tx(fee + more, tip + more_tip));
        let enough = |old: u128, more: u128| more > 0 && old + more >= old * 110 / 100;
        prop_assert_eq!(replaces(&old, &new), enough(fee, more) && enough(tip, more_tip));
    }

    #[test]
    fn the_effective_tip(fee in 0u128..50, tip in 0u128..50, base in 0u64..50) {
        let tx = signed(&key(), TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: tip, ..dynamic() });
        let expected = (fee >= base.into()).then(|| tip.min(fee.saturating_sub(base.into())));
        prop_assert_eq!(tx.effective_tip(base), expected);
    }
}
