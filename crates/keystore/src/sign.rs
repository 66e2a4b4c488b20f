//! What a key signs: hashes, messages, transactions. Deterministic (RFC 6979), with the lower s (EIP-2).

use alloy_consensus::{SignableTransaction as _, TxEnvelope, TypedTransaction};
use alloy_primitives::{B256, Signature, eip191_hash_message};
use secp256k1::{Message, SECP256K1};

use crate::key::UnlockedKey;

impl UnlockedKey {
    /// Signs a hash as it stands.
    pub fn sign_hash(&self, hash: &B256) -> Signature {
        let signed = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), self.secret());
        let (recovery, bytes) = signed.serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(recovery) & 1 == 1)
    }

    /// Signs a message as `eth_sign` and `personal_sign` do: behind a prefix that keeps it from being a transaction (EIP-191).
    pub fn sign_message(&self, message: &[u8]) -> Signature {
        self.sign_hash(&eip191_hash_message(message))
    }

    /// Signs a transaction of any type. A legacy one with a chain id is bound to it (EIP-155).
    pub fn sign_transaction(&self, transaction: TypedTransaction) -> TxEnvelope {
        let signature = self.sign_hash(&transaction.signature_hash());
        transaction.into_envelope(signature)
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{
        TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxLegacy, transaction::SignerRecoverable as _,
    };
    use alloy_eips::{eip2718::Encodable2718 as _, eip7702::Authorization};
    use alloy_primitives::{TxKind, U256, address, bytes, hex};
    use proptest::prelude::*;

    use super::*;

    /// The example of EIP-155 itself.
    #[test]
    fn eip_155() {
        let key = UnlockedKey::from_bytes(&[0x46; 32]).unwrap();
        let tx = TxLegacy {
            chain_id: Some(1),
            nonce: 9,
            gas_price: 20_000_000_000,
            gas_limit: 21_000,
            to: TxKind::Call(address!("3535353535353535353535353535353535353535")),
            value: U256::from(10_u64.pow(18)),
            input: Default::default(),
        };
        let signed = key.sign_transaction(tx.into());
        assert_eq!(
            signed.encoded_2718(),
            hex!(
                "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
            )
        );
    }

    /// The example in ethers' and web3.js' documentation of message signing.
    #[test]
    fn eip_191() {
        let key =
            UnlockedKey::from_bytes(&hex!("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")).unwrap();
        let signature = key.sign_message(b"Some data");
        assert_eq!(
            hex::encode(signature.as_bytes()),
            "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
        );
        assert_eq!(signature.recover_address_from_msg(b"Some data").unwrap(), key.address());
    }

    /// Equal to go-ethereum's `crypto.Sign`, whose tests give key, message and address.
    #[test]
    fn hashes() {
        let key =
            UnlockedKey::from_bytes(&hex!("289c2857d4598e37fb9647507e47a309d6133539bf21a8b9cb6df88fd5232032")).unwrap();
        assert_eq!(key.address(), address!("970e8128ab834e8eac17ab8e3812f010678cf791"));
        let hash = alloy_primitives::keccak256("foo");
        let signature = key.sign_hash(&hash);
        assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), key.address());
        assert_eq!(key.sign_hash(&hash), signature, "the same every time");
    }

    proptest! {
        #[test]
        fn every_type_recovers_to_its_sender(seed in 1..u64::MAX, nonce in 0..u64::MAX, value: u128, chain in 1_u64..1 << 40) {
            let key = UnlockedKey::new(secp256k1::SecretKey::from_byte_array(U256::from(seed).to_be_bytes()).unwrap());
            let to = TxKind::Call(key.address());
            let (value, input) = (U256::from(value), bytes!("c0de"));
            let authorization = Authorization { chain_id: U256::from(chain), address: key.address(), nonce };
            let signature = key.sign_hash(&authorization.signature_hash());
            let transactions: [TypedTransaction; 6] = [
                TxLegacy { chain_id: None, nonce, to, value, input: input.clone(), ..Default::default() }.into(),
                TxLegacy { chain_id: Some(chain), nonce, to: TxKind::Create, value, ..Default::default() }.into(),
                TxEip2930 { chain_id: chain, nonce, to, value, input: input.clone(), ..Default::default() }.into(),
                TxEip1559 { chain_id: chain, nonce, to, value, input: input.clone(), ..Default::default() }.into(),
                TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844(TxEip4844 {
                    chain_id: chain, nonce, to: key.address(), value, blob_versioned_hashes: vec![B256::repeat_byte(1)],
                    ..Default::default()
                })),
                TxEip7702 {
                    chain_id: chain, nonce, to: key.address(), value, input,
                    authorization_list: vec![authorization.into_signed(signature)], ..Default::default()
                }.into(),
            ];
            for transaction in transactions {
                let kind = transaction.tx_type();
                let signed = key.sign_transaction(transaction);
                prop_assert_eq!(signed.tx_type(), kind);
                prop_assert_eq!(signed.recover_signer().unwrap(), key.address());
                prop_assert!(signed.signature().normalize_s().is_none(), "the lower s");
            }
        }
    }
}
