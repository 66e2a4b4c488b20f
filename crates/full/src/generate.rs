//! Long clique chains out of nothing, for benchmarks and tests: the same bytes for the same plan.
//!
//! A chain is what stock geth takes for a clique chain at London: each block is signed by the signer whose turn it is,
//! every Nth block carries a call of a contract that writes a slot and logs it, and a transfer. Keys come from the
//! plan's seed and signatures are deterministic (RFC 6979), so nothing here depends on when or where it runs. A block
//! without transactions has its parent's state and costs a signature; one with transactions is executed like any other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope, TxLegacy, proofs};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, bytes, keccak256};
use rushlight_chain::clique::{self, IN_TURN, SEAL_LENGTH, SealingError, VANITY_LENGTH, signer_address};
use rushlight_chain::{ChainSpec, MemoryStore, RawBlock, SealedHeader, SpecError, header};
use rushlight_evm::Rules;
use secp256k1::{Message, SecretKey};

use crate::execute::{ExecuteError, Input, execute};
use crate::nodes::Nodes;
use crate::state::{State, StateError};
use crate::tries::genesis_root;

/// The contract of every generated chain. A call without data writes the block's number to slot (number mod 256) and
/// logs it; a call with 32 bytes of data returns the slot of that key.
pub const GENERATED_CONTRACT: Address = address!("000000000000000000000000000000000000c0de");
const CODE: Bytes = bytes!("36601557438060ff1655436000524360206000a1005b6000355460005260206000f3");
/// Accounts that send; the others only have their balance.
const SENDERS: u64 = 16;
/// Wei of each account in genesis: more than a sender of millions of transactions spends.
const BALANCE: u128 = 1_000_000_000_000_000_000_000_000;
const GAS_LIMIT: u64 = 30_000_000;
const GWEI: u128 = 1_000_000_000;
/// 2020-09-13: ten million blocks a second apart end before today.
const GENESIS_TIME: u64 = 1_600_000_000;

/// What chain to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainPlan {
    /// All keys come from it.
    pub seed: u64,
    /// Blocks after genesis.
    pub blocks: u64,
    /// Every so many blocks one has transactions; 0: none has.
    pub tx_every: u64,
    /// How many sign in turn; at least 1.
    pub signers: u64,
    /// Accounts in genesis beside the contract; at least 16, which send.
    pub accounts: u64,
    /// Blocks between checkpoints, which list the signers.
    pub epoch: u64,
    /// Seconds between blocks.
    pub period: u64,
}

impl Default for ChainPlan {
    /// One signer, a block a second, clique's usual epoch, no transactions.
    fn default() -> Self {
        ChainPlan { seed: 1, blocks: 100_000, tx_every: 0, signers: 1, accounts: 1_000, epoch: 30_000, period: 1 }
    }
}

/// Why a chain is not made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The plan cannot be followed.
    #[error("{what}: expected at least {expected}, got {got}")]
    Plan {
        /// What of it.
        what: &'static str,
        /// The least.
        expected: u64,
        /// The plan's.
        got: u64,
    },
    /// The genesis file that comes of the plan is none.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The state in memory failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A generated block was not executed.
    #[error("block {number}: {why}")]
    Execution {
        /// Which.
        number: u64,
        /// What happened.
        why: String,
    },
    /// A header was not signed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// A file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A chain in the making: an iterator over its blocks from number 1 on. States stay in memory as long as it lives, some
/// 6 kB for each block with transactions.
pub struct GeneratedChain {
    plan: ChainPlan,
    spec: ChainSpec,
    genesis: Genesis,
    /// By ascending address, as clique's turns go.
    signers: Vec<SecretKey>,
    senders: Vec<SecretKey>,
    nodes: Arc<Nodes>,
    parent: SealedHeader,
    sent: u64,
}

impl std::fmt::Debug for GeneratedChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratedChain")
            .field("plan", &self.plan)
            .field("at", &self.parent.number)
            .finish_non_exhaustive()
    }
}

impl GeneratedChain {
    /// Makes the genesis block of a plan.
    pub fn new(plan: ChainPlan) -> Result<GeneratedChain, GenerateError> {
        let least = [
            ("signers", plan.signers, 1),
            ("accounts", plan.accounts, SENDERS),
            ("epoch", plan.epoch, 1),
            ("period", plan.period, 1),
        ];
        if let Some((what, got, expected)) = least.into_iter().find(|(_, got, least)| got < least) {
            return Err(GenerateError::Plan { what, expected, got });
        }
        let mut signers: Vec<_> = (0..plan.signers).map(|index| key(plan.seed, b"signer", index)).collect();
        signers.sort_by_key(signer_address);
        let json = genesis(&plan, &signers);
        let (spec, genesis) = ChainSpec::from_genesis(json.as_bytes())?;
        let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
        genesis_root(&nodes, &genesis).map_err(StateError::from)?;
        nodes.keep_block();
        let senders = (0..SENDERS).map(|index| key(plan.seed, b"account", index)).collect();
        let parent = spec.genesis.clone();
        Ok(GeneratedChain { plan, spec, genesis, signers, senders, nodes, parent, sent: 0 })
    }

    /// The chain's specification.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The chain's genesis file.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Where the chain is now: genesis, or the block given last.
    pub fn head(&self) -> &SealedHeader {
        &self.parent
    }

    /// Writes `genesis.json` and `chain.rlp` (as `geth export` does, genesis left out) into a folder.
    pub fn write(mut self, folder: &Path) -> Result<SealedHeader, GenerateError> {
        std::fs::create_dir_all(folder)?;
        let json = serde_json::to_vec_pretty(&self.genesis).map_err(std::io::Error::from)?;
        std::fs::write(folder.join("genesis.json"), json)?;
        let mut file = BufWriter::with_capacity(1 << 20, File::create(folder.join("chain.rlp"))?);
        for block in self.by_ref() {
            file.write_all(&block?.encode())?;
        }
        file.flush()?;
        Ok(self.parent)
    }

    fn block(&mut self) -> Result<RawBlock, GenerateError> {
        let number = self.parent.number + 1;
        let mut extra = vec![0; VANITY_LENGTH];
        if number.is_multiple_of(self.plan.epoch) {
            self.signers.iter().for_each(|key| extra.extend_from_slice(signer_address(key).as_slice()));
        }
        extra.resize(extra.len() + SEAL_LENGTH, 0);
        let mut header = Header {
            parent_hash: self.parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root: self.parent.state_root,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            difficulty: U256::from(IN_TURN),
            number,
            gas_limit: GAS_LIMIT,
            timestamp: self.parent.timestamp + self.plan.period,
            extra_data: extra.into(),
            base_fee_per_gas: self.parent.next_block_base_fee(BaseFeeParams::ethereum()),
            ..Header::default()
        };
        let transactions = match self.plan.tx_every {
            0 => Vec::new(),
            every if !number.is_multiple_of(every) => Vec::new(),
            _ => self.transact(&mut header)?,
        };
        // The signer whose turn it is (EIP-225): by the block's number, in the order of their addresses.
        let signer = &self.signers[(number % self.plan.signers) as usize];
        let sealed = clique::seal(header, signer)?;
        let block = RawBlock { header: header::encode(&sealed), transactions, ..RawBlock::default() };
        self.parent = sealed;
        Ok(block)
    }

    /// Puts a call and a transfer into the block, and what they come to into its header.
    fn transact(&mut self, header: &mut Header) -> Result<Vec<Bytes>, GenerateError> {
        let number = header.number;
        let failed = |why: String| GenerateError::Execution { number, why };
        let (sender, nonce) = (&self.senders[(self.sent % SENDERS) as usize], self.sent / SENDERS * 2);
        let receiver = signer_address(&key(self.plan.seed, b"account", self.sent % self.plan.accounts));
        let transactions = [self.call(sender, nonce), self.transfer(sender, nonce + 1, receiver)];
        self.sent += 1;
        let rules = Rules::at(&self.spec, header).map_err(failed)?;
        let beneficiary = signer_address(&self.signers[(number % self.plan.signers) as usize]);
        // No transaction here asks for the hash of a block.
        let ancestors = |_| None;
        let mut state = State::new(self.nodes.clone(), header.state_root, false, &ancestors);
        let input = Input { header, uncles: &[], withdrawals: &[], beneficiary };
        let outcome = execute(&rules, &input, &mut transactions.iter(), &mut state).map_err(|error| match error {
            ExecuteError::Local(error) => GenerateError::State(error),
            ExecuteError::Bad(refusal) => failed(format!("{refusal:?}")),
        })?;
        self.nodes.keep_block();
        header.state_root = outcome.state_root;
        header.gas_used = outcome.gas_used;
        header.logs_bloom = outcome.bloom;
        header.receipts_root = proofs::calculate_receipt_root(&outcome.receipts);
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        Ok(transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect())
    }

    fn call(&self, sender: &SecretKey, nonce: u64) -> TxEnvelope {
        let transaction = TxEip1559 {
            chain_id: self.spec.chain_id,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: 2 * GWEI,
            max_priority_fee_per_gas: GWEI / 10,
            to: TxKind::Call(GENERATED_CONTRACT),
            ..TxEip1559::default()
        };
        let signature = sign(sender, transaction.signature_hash());
        TxEnvelope::Eip1559(transaction.into_signed(signature))
    }

    fn transfer(&self, sender: &SecretKey, nonce: u64, to: Address) -> TxEnvelope {
        let transaction = TxLegacy {
            chain_id: Some(self.spec.chain_id),
            nonce,
            gas_price: 2 * GWEI,
            gas_limit: 21_000,
            to: TxKind::Call(to),
            value: U256::from(1),
            input: Bytes::new(),
        };
        let signature = sign(sender, transaction.signature_hash());
        TxEnvelope::Legacy(transaction.into_signed(signature))
    }
}

impl Iterator for GeneratedChain {
    type Item = Result<RawBlock, GenerateError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.parent.number < self.plan.blocks).then(|| self.block())
    }
}

fn genesis(plan: &ChainPlan, signers: &[SecretKey]) -> String {
    let mut extra = vec![0; VANITY_LENGTH];
    signers.iter().for_each(|key| extra.extend_from_slice(signer_address(key).as_slice()));
    extra.resize(extra.len() + SEAL_LENGTH, 0);
    let rich = GenesisAccount::default().with_balance(U256::from(BALANCE));
    let mut alloc: BTreeMap<_, _> =
        (0..plan.accounts).map(|index| (signer_address(&key(plan.seed, b"account", index)), rich.clone())).collect();
    alloc.insert(GENERATED_CONTRACT, GenesisAccount::default().with_code(Some(CODE)));
    serde_json::json!({
        "config": {
            "chainId": 7331, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0,
            "clique": { "period": plan.period, "epoch": plan.epoch }
        },
        "nonce": "0x0",
        "timestamp": format!("{GENESIS_TIME:#x}"),
        "extraData": Bytes::from(extra),
        "gasLimit": format!("{GAS_LIMIT:#x}"),
        "difficulty": "0x1",
        "baseFeePerGas": format!("{GWEI:#x}"),
        "mixHash": B256::ZERO,
        "coinbase": Address::ZERO,
        "alloc": alloc,
    })
    .to_string()
}

/// The key of this number for this purpose.
fn key(seed: u64, purpose: &[u8], index: u64) -> SecretKey {
    let mut hash = keccak256([b"rushlight", purpose, &seed.to_be_bytes(), &index.to_be_bytes()].concat());
    loop {
        // All but one in 2^128 hashes are keys.
        match SecretKey::from_byte_array(hash.0) {
            Ok(key) => return key,
            Err(_) => hash = keccak256(hash),
        }
    }
}

fn sign(key: &SecretKey, hash: B256) -> Signature {
    let message = Message::from_digest(hash.0);
    let (recovery, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1)
}
