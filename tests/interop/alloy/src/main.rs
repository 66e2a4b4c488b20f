//! alloy's provider as a wallet: `rushlight-interop-alloy URL token.json [STEP…]`. One line a step, all of them where
//! none is named; what is not as it should be ends it with 1.

use std::{env, error::Error, fs, time::Duration};

use alloy::{
    consensus::BlobTransactionSidecarVariant,
    eips::{
        BlockId, BlockNumberOrTag,
        eip4844::builder::{SidecarBuilder, SimpleCoder},
        eip7702::Authorization,
    },
    network::{EthereumWallet, TransactionBuilder, TransactionBuilder4844, TransactionBuilder7702},
    primitives::{Address, B256, Bytes, U256, address, keccak256},
    providers::{Provider, ProviderBuilder},
    rpc::types::{
        EIP1186AccountProofResponse, TransactionInput, TransactionReceipt, TransactionRequest,
        simulate::{SimBlock, SimulatePayload},
    },
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolError, SolEvent, SolValue},
};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};

sol! {
    #[sol(rpc)]
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        error InsufficientBalance(address owner, uint256 held, uint256 wanted);
        function symbol() external view returns (string);
        function totalSupply() external view returns (uint256);
        function balanceOf(address) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function transferFrom(address from, address to, uint256 value) external returns (bool);
        function supplyOf() external view returns (address, uint256);
    }
}

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Accounts of `rushlight dev`, whose keys are public knowledge. The first one seals the chain, so it is left alone.
const KEYS: [&str; 2] = [
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];
const CHAIN_ID: u64 = 1337;
/// Nobody has these addresses; ether is sent to the second one.
const ABSENT: Address = address!("0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
const RECIPIENT: Address = address!("0x00000000000000000000000000000000ab5e4711");
const GWEI: u128 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn supply() -> U256 {
    U256::from(10).pow(U256::from(24))
}

fn same<T: PartialEq + std::fmt::Debug>(got: T, want: T, what: &str) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("{what}: expected {want:?}, got {got:?}").into()) }
}

fn holds(condition: bool, what: &str) -> Outcome {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// The slot of an owner's balance.
fn slot_of(owner: Address) -> B256 {
    keccak256((owner, U256::from(1)).abi_encode())
}

struct Client<P> {
    provider: P,
    account: PrivateKeySigner,
    other: PrivateKeySigner,
    bytecode: Bytes,
    deployed: Bytes,
    token: Address,
}

impl<P: Provider> Client<P> {
    /// Sends, waits, and checks the receipt against the transaction and its block.
    async fn sent(&self, request: TransactionRequest, kind: u8) -> Outcome<TransactionReceipt> {
        let pending = self.provider.send_transaction(request).await?;
        let receipt = pending.with_timeout(Some(PATIENCE)).get_receipt().await?;
        same((receipt.status(), receipt.transaction_type() as u8), (true, kind), "the receipt")?;
        same(receipt.from, self.account.address(), "its sender")?;
        let found = self.provider.get_transaction_by_hash(receipt.transaction_hash).await?.ok_or("no transaction")?;
        same(found.block_hash, receipt.block_hash, "the transaction's block")?;
        let block = self.provider.get_block_by_hash(receipt.block_hash.ok_or("no block")?).await?.ok_or("no block")?;
        let place = usize::try_from(receipt.transaction_index.ok_or("no place")?)?;
        same(block.transactions.hashes().nth(place), Some(receipt.transaction_hash), "its place in the block")?;
        Ok(receipt)
    }

    /// What is signed for an account that nobody fills in for.
    fn to(&self, to: Address) -> TransactionRequest {
        TransactionRequest::default().with_from(self.account.address()).with_to(to)
    }

    fn call(&self, data: Vec<u8>) -> TransactionRequest {
        let mut call = self.to(self.token);
        call.input = TransactionInput::new(data.into());
        call
    }

    async fn connects(&self) -> Outcome {
        same(self.provider.get_chain_id().await?, CHAIN_ID, "the chain id")
    }

    async fn reads(&self) -> Outcome {
        let block = self.provider.get_block(BlockId::latest()).full().await?.ok_or("no head")?;
        let again = self.provider.get_block_by_hash(block.header.hash).await?.ok_or("no head")?;
        same(again.header.number, block.header.number, "the block")?;
        holds(
            self.provider.get_balance(self.account.address()).await? > U256::from(9000 * GWEI) * U256::from(GWEI),
            "the balance",
        )?;
        same(self.provider.get_balance(ABSENT).await?, U256::ZERO, "the balance of nobody")?;
        same(self.provider.get_code_at(self.account.address()).await?, Bytes::new(), "the code of an account")
    }

    async fn sends_legacy(&self) -> Outcome {
        let nonce = self.provider.get_transaction_count(self.account.address()).await?;
        let before = self.provider.get_balance(RECIPIENT).await?;
        let price = self.provider.get_gas_price().await?;
        let receipt = self.sent(self.to(RECIPIENT).with_value(U256::from(12345)).with_gas_price(price), 0).await?;
        same(receipt.gas_used, 21_000, "gas")?;
        same(self.provider.get_transaction_count(self.account.address()).await?, nonce + 1, "the nonce")?;
        same(self.provider.get_balance(RECIPIENT).await?, before + U256::from(12345), "the balance sent to")
    }

    async fn deploys(&mut self) -> Outcome {
        let code: Bytes = [self.bytecode.to_vec(), supply().abi_encode()].concat().into();
        let request = TransactionRequest::default().with_from(self.account.address()).with_deploy_code(code);
        let receipt = self.sent(request, 2).await?;
        self.token = receipt.contract_address.ok_or("no contract")?;
        same(self.provider.get_code_at(self.token).await?, self.deployed.clone(), "the code")?;
        let event = Token::Transfer::decode_log(&receipt.logs()[0].inner)?;
        same((event.to, event.value), (self.account.address(), supply()), "the event")
    }

    async fn calls(&self) -> Outcome {
        let token = Token::new(self.token, &self.provider);
        same(token.symbol().call().await?, "RUSH".to_owned(), "a string")?;
        same(token.totalSupply().call().await?, supply(), "a number")?;
        same(self.provider.get_storage_at(self.token, U256::ZERO).await?, supply(), "the slot of the supply")
    }

    async fn estimates(&self) -> Outcome {
        same(self.provider.estimate_gas(self.to(RECIPIENT).with_value(U256::from(1))).await?, 21_000, "a transfer")?;
        let transfer = self.call(Token::transferCall { to: self.other.address(), value: U256::from(7) }.abi_encode());
        let gas = self.provider.estimate_gas(transfer.clone()).await?;
        holds((40_000..60_000).contains(&gas), "a token's transfer")?;
        let receipt = self.sent(transfer.with_gas_limit(gas), 2).await?;
        holds(receipt.gas_used <= gas, "what it used")?;
        let held = Token::new(self.token, &self.provider).balanceOf(self.other.address()).call().await?;
        same(held, U256::from(7), "what came of it")
    }

    async fn revert(&self, call: Vec<u8>, from: Address) -> Outcome<Bytes> {
        let error = self.provider.call(self.call(call).with_from(from)).await.err().ok_or("no revert")?;
        let payload = error.as_error_resp().ok_or_else(|| error.to_string())?;
        same(payload.code, 3, "the code of a revert")?;
        Ok(payload.as_revert_data().ok_or("no data")?)
    }

    async fn reverts(&self) -> Outcome {
        let (account, other) = (self.account.address(), self.other.address());
        let nobody = Token::transferCall { to: Address::ZERO, value: U256::from(1) }.abi_encode();
        let data = self.revert(nobody.clone(), account).await?;
        let reason = alloy::sol_types::decode_revert_reason(&data).ok_or("no reason")?;
        holds(reason.contains("transfer to nobody"), &reason)?;
        let estimate = self.provider.estimate_gas(self.call(nobody)).await.err().ok_or("no revert")?;
        holds(estimate.to_string().contains("execution reverted: transfer to nobody"), &estimate.to_string())?;
        let data = self.revert(Token::transferCall { to: account, value: U256::from(100) }.abi_encode(), other).await?;
        let error = Token::InsufficientBalance::abi_decode(&data)?;
        same((error.owner, error.held, error.wanted), (other, U256::from(7), U256::from(100)), "the error")?;
        let pull = Token::transferFromCall { from: other, to: account, value: U256::from(1) }.abi_encode();
        let panic = alloy::sol_types::Panic::abi_decode(&self.revert(pull, account).await?)?;
        same(panic.code, U256::from(0x11), "the panic")
    }

    async fn lists_accesses(&self) -> Outcome {
        let transfer = self.call(Token::transferCall { to: self.other.address(), value: U256::from(1) }.abi_encode());
        let made = self.provider.create_access_list(&transfer).await?.ensure_ok()?.access_list;
        same(made.0.len(), 1, "addresses")?;
        let mut slots = made.0[0].storage_keys.clone();
        let mut want = [self.account.address(), self.other.address()].map(slot_of).to_vec();
        slots.sort();
        want.sort();
        same(slots, want, "slots")?;
        let price = self.provider.get_gas_price().await?;
        self.sent(transfer.with_access_list(made).with_gas_price(price), 1).await.map(drop)
    }

    async fn reads_fees(&self) -> Outcome {
        let fees = self.provider.estimate_eip1559_fees().await?;
        holds(fees.max_fee_per_gas > fees.max_priority_fee_per_gas, "the fees")?;
        let history = self.provider.get_fee_history(4, BlockNumberOrTag::Latest, &[10.0, 50.0, 90.0]).await?;
        same((history.base_fee_per_gas.len(), history.reward.map(|reward| reward.len())), (5, Some(4)), "the history")?;
        holds(self.provider.get_blob_base_fee().await? >= 1, "the fee of a blob")
    }

    async fn simulates(&self) -> Outcome {
        let transfer = self.call(Token::transferCall { to: ABSENT, value: U256::from(3) }.abi_encode());
        let read = self.call(Token::balanceOfCall(ABSENT).abi_encode());
        let payload = SimulatePayload::default().extend(SimBlock::default().call(transfer).call(read));
        let blocks = self.provider.simulate(&payload).await?;
        let calls = &blocks[0].calls;
        same(calls.iter().map(|call| call.status).collect::<Vec<_>>(), vec![true, true], "the calls")?;
        same(U256::from_be_slice(&calls[1].return_data), U256::from(3), "what came of it")
    }

    async fn sends_blobs(&self, version: u8) -> Outcome {
        let blobs = SidecarBuilder::<SimpleCoder>::from_slice(
            b"a rushlight was the candle of people who could not afford candles",
        );
        let sidecar: BlobTransactionSidecarVariant =
            if version == 0 { blobs.build_4844()?.into() } else { blobs.build_7594()?.into() };
        let request = self.to(RECIPIENT).with_max_fee_per_blob_gas(GWEI).with_blob_sidecar(sidecar);
        let receipt = self.sent(request, 3).await?;
        same(receipt.blob_gas_used, Some(131_072), "the gas of a blob")
    }

    async fn delegates(&self) -> Outcome {
        let authority = &self.other;
        for address in [self.token, Address::ZERO] {
            let nonce = self.provider.get_transaction_count(authority.address()).await?;
            let given = Authorization { chain_id: U256::from(CHAIN_ID), address, nonce };
            let signed = authority.sign_hash_sync(&given.signature_hash())?;
            let given = given.into_signed(signed);
            self.sent(self.to(RECIPIENT).with_authorization_list(vec![given]).with_gas_limit(100_000), 4).await?;
            let code = self.provider.get_code_at(authority.address()).await?;
            if address.is_zero() {
                same(code, Bytes::new(), "no code any more")?;
            } else {
                same(code, [&[0xef, 1, 0][..], address.as_slice()].concat().into(), "the code")?;
                let said = Token::new(authority.address(), &self.provider).supplyOf().call().await?;
                same(said._0, authority.address(), "the token's code over its own storage")?;
            }
        }
        Ok(())
    }

    async fn is_refused(&self) -> Outcome {
        let nonce = self.provider.get_transaction_count(self.account.address()).await?;
        let request =
            self.to(RECIPIENT).with_gas_limit(21_000).with_max_fee_per_gas(10 * GWEI).with_max_priority_fee_per_gas(1);
        let low = request.clone().with_nonce(0);
        let dear = request.clone().with_nonce(nonce).with_value(U256::from(10).pow(U256::from(24)));
        let little = request.with_nonce(nonce).with_gas_limit(20_999);
        let words = ["nonce too low", "insufficient funds for gas * price + value", "intrinsic gas too low"];
        for (request, words) in [low, dear, little].into_iter().zip(words) {
            let error = self.provider.send_transaction(request).await.err().ok_or("not refused")?;
            let payload = error.as_error_resp().ok_or_else(|| error.to_string())?;
            holds(payload.code == -32000 && payload.message.contains(words), &payload.to_string())?;
        }
        Ok(())
    }

    async fn verifies_proofs(&self) -> Outcome {
        let block = self.provider.get_block(BlockId::latest()).await?.ok_or("no head")?;
        let slots = vec![B256::ZERO, slot_of(self.account.address()), slot_of(ABSENT)];
        for address in [self.account.address(), self.token, ABSENT] {
            let answer = self.provider.get_proof(address, slots.clone()).number(block.header.number).await?;
            check_proof(block.header.state_root, &answer)?;
            if address == self.token {
                same(answer.storage_proof[0].value, supply(), "the supply, proved")?;
            }
            let wrong = EIP1186AccountProofResponse { balance: answer.balance + U256::from(1), ..answer };
            holds(check_proof(block.header.state_root, &wrong).is_err(), "a wrong balance is refused")?;
        }
        Ok(())
    }
}

fn check_proof(root: B256, answer: &EIP1186AccountProofResponse) -> Outcome {
    let account = TrieAccount {
        nonce: answer.nonce,
        balance: answer.balance,
        storage_root: answer.storage_hash,
        code_hash: answer.code_hash,
    };
    let absent = answer.nonce == 0 && answer.balance.is_zero() && answer.address == ABSENT;
    let value = (!absent).then(|| alloy_rlp(&account));
    verify_proof(root, Nibbles::unpack(keccak256(answer.address)), value, &answer.account_proof)?;
    for slot in answer.storage_proof.iter().filter(|_| !absent) {
        let key = Nibbles::unpack(keccak256(slot.key.as_b256()));
        verify_proof(answer.storage_hash, key, (!slot.value.is_zero()).then(|| alloy_rlp(&slot.value)), &slot.proof)?;
    }
    Ok(())
}

fn alloy_rlp(value: &impl alloy::rlp::Encodable) -> Vec<u8> {
    alloy::rlp::encode(value)
}

async fn run() -> Outcome {
    let mut args = env::args().skip(1);
    let (url, compiled) = args.next().zip(args.next()).ok_or("usage: URL token.json [STEP…]")?;
    let named: Vec<String> = args.collect();
    let compiled: serde_json::Value = serde_json::from_slice(&fs::read(compiled)?)?;
    let code = |name: &str| -> Outcome<Bytes> { Ok(compiled[name].as_str().ok_or("no code")?.parse()?) };
    let [account, other] = KEYS.map(|key| key.parse::<PrivateKeySigner>());
    let (account, other) = (account?, other?);
    let wallet = EthereumWallet::from(account.clone());
    let provider = ProviderBuilder::new().wallet(wallet).connect_http(url.parse()?);
    provider.client().set_poll_interval(Duration::from_millis(200));
    let mut client = Client {
        provider,
        account,
        other,
        bytecode: code("bytecode")?,
        deployed: code("deployedBytecode")?,
        token: Address::ZERO,
    };
    macro_rules! steps {
        ($($name:literal: $step:expr;)*) => {
            $(if named.is_empty() || named.iter().any(|name| name == $name) {
                $step.await.map_err(|error| format!("{}: {error}", $name))?;
                println!("{}: ok", $name);
            })*
        };
    }
    steps! {
        "connects": client.connects();
        "reads": client.reads();
        "sends a legacy transaction": client.sends_legacy();
        "deploys a contract (1559)": client.deploys();
        "calls it": client.calls();
        "estimates": client.estimates();
        "gets the reasons of reverts": client.reverts();
        "creates an access list and sends it (2930)": client.lists_accesses();
        "reads fees": client.reads_fees();
        "simulates blocks": client.simulates();
        "sends blobs with one proof each (4844, version 0)": client.sends_blobs(0);
        "sends blobs with cell proofs (4844, version 1)": client.sends_blobs(1);
        "delegates an account (7702)": client.delegates();
        "is refused with geth's words": client.is_refused();
        "verifies proofs": client.verifies_proofs();
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
