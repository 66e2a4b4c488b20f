//! Accounts of the node: which there are, and what they sign. Without `--unlock` there are none, and what asks for one is
//! answered as geth answers for an account that it does not know.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, Bytes, Signature, eip191_hash_message};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rushlight_keystore::{KeystoreError, Password, TypedData, UnlockedKey, Wallet, WalletError};
use tokio::sync::{Mutex, MutexGuard, Semaphore};

use crate::{
    api::{Answer, Api, nothing},
    error::{internal_error, invalid_params, server_error},
    params::{Args, Argument},
};

/// Key files that are opened at once for a `personal_sign` with a password: each takes 256 MiB.
const OPENING: usize = 1;

/// The accounts that a node signs for.
#[derive(Debug)]
pub struct Accounts {
    wallet: Arc<Wallet>,
    opening: Semaphore,
    /// One lock an unlocked account: nonces are given out one after the other.
    turns: BTreeMap<Address, Mutex<()>>,
}

impl Accounts {
    /// Those of a wallet.
    pub fn new(wallet: Wallet) -> Self {
        let turns = wallet.unlocked().map(|address| (address, Mutex::new(()))).collect();
        Self { wallet: Arc::new(wallet), opening: Semaphore::new(OPENING), turns }
    }

    /// Waits until nobody else is giving out a nonce of this account; nothing to wait for where it is locked.
    pub(crate) async fn turn(&self, address: Address) -> Option<MutexGuard<'_, ()>> {
        Some(self.turns.get(&address)?.lock().await)
    }

    /// Its addresses, locked ones too.
    async fn list(&self) -> Answer<Vec<Address>> {
        let wallet = self.wallet.clone();
        let listed = tokio::task::spawn_blocking(move || wallet.accounts()).await;
        listed.map_err(|_| internal_error())?.map_err(from_keystore)
    }

    /// The key of a locked account, for who knows its password.
    async fn open(&self, address: Address, password: Password) -> Answer<UnlockedKey> {
        let _one = self.opening.acquire().await.map_err(|_| internal_error())?;
        let wallet = self.wallet.clone();
        let opened = tokio::task::spawn_blocking(move || wallet.open(address, &password)).await;
        opened.map_err(|_| internal_error())?.map_err(from_wallet)
    }
}

pub(crate) fn register(module: &mut RpcModule<Api>) -> Result<(), RegisterMethodError> {
    module.register_async_method("eth_accounts", |params, api, _| accounts(params, api))?;
    module.register_async_method("eth_sign", |params, api, _| sign(params, api))?;
    module.register_async_method("eth_signTypedData_v4", |params, api, _| sign_typed_data(params, api))?;
    module.register_async_method("personal_listAccounts", |params, api, _| accounts(params, api))?;
    module.register_async_method("personal_sign", |params, api, _| personal_sign(params, api))?;
    module.register_async_method("personal_ecRecover", |params, _, _| recover(params))?;
    Ok(())
}

async fn accounts(params: Params<'static>, api: Arc<Api>) -> Answer<Vec<Address>> {
    nothing(&params)?;
    match &api.accounts {
        Some(accounts) => accounts.list().await,
        None => Ok(Vec::new()),
    }
}

/// The key of an unlocked account.
pub(crate) fn key(api: &Api, address: Address) -> Answer<&UnlockedKey> {
    let accounts = api.accounts.as_ref().ok_or_else(|| from_wallet(WalletError::Unknown))?;
    accounts.wallet.key(address).map_err(from_wallet)
}

/// A signature with its v as 27 or 28, as every method gives it that signs no transaction.
fn bytes(signature: &Signature) -> Bytes {
    signature.as_bytes().into()
}

async fn sign(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let args = Args::parse(&params, 2)?;
    let (address, message): (Address, Bytes) = (args.required(0)?, args.required(1)?);
    Ok(bytes(&key(&api, address)?.sign_message(&message)))
}

impl Argument for TypedData {
    fn read(json: &str) -> Result<Self, String> {
        Self::parse(json).map_err(|error| error.to_string())
    }
}

/// Account and typed data (EIP-712), an object or a string that holds one.
async fn sign_typed_data(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let args = Args::parse(&params, 2)?;
    let (address, data): (Address, TypedData) = (args.required(0)?, args.required(1)?);
    let hash = data.signing_hash().map_err(|error| invalid_params(format!("invalid argument 1: {error}")))?;
    Ok(bytes(&key(&api, address)?.sign_hash(&hash)))
}

/// Message, account, and the account's password where it is not unlocked.
async fn personal_sign(params: Params<'static>, api: Arc<Api>) -> Answer<Bytes> {
    let args = Args::parse(&params, 3)?;
    let (message, address): (Bytes, Address) = (args.required(0)?, args.required(1)?);
    let (Some(password), Some(accounts)) = (args.optional::<String>(2)?, &api.accounts) else {
        return Ok(bytes(&key(&api, address)?.sign_message(&message)));
    };
    Ok(bytes(&accounts.open(address, password.into()).await?.sign_message(&message)))
}

/// Who signed a message: message and signature.
async fn recover(params: Params<'static>) -> Answer<Address> {
    let args = Args::parse(&params, 2)?;
    let (message, signature): (Bytes, Bytes) = (args.required(0)?, args.required(1)?);
    let &[ref rs @ .., v] = signature.as_ref() else { return Err(length(0)) };
    let rs: &[u8; 64] = rs.try_into().map_err(|_| length(signature.len()))?;
    if v != 27 && v != 28 {
        return Err(server_error("invalid Ethereum signature (V is not 27 or 28)"));
    }
    let signature = Signature::from_bytes_and_parity(rs, v == 28);
    signature
        .recover_address_from_prehash(&eip191_hash_message(&message))
        .map_err(|error| invalid_params(format!("invalid argument 1: {error}")))
}

fn length(got: usize) -> jsonrpsee::types::ErrorObjectOwned {
    invalid_params(format!("invalid argument 1: signature must be 65 bytes long, got {got}"))
}

fn from_wallet(error: WalletError) -> jsonrpsee::types::ErrorObjectOwned {
    match error {
        WalletError::Keystore(error) => from_keystore(error),
        other => server_error(other.to_string()),
    }
}

/// What is wrong with the node's own files is not the caller's to read in full.
fn from_keystore(error: KeystoreError) -> jsonrpsee::types::ErrorObjectOwned {
    match error {
        KeystoreError::Ambiguous { .. } => server_error("multiple keys match address"),
        KeystoreError::NoMatch | KeystoreError::Open(_) => server_error(error.to_string()),
        other => {
            tracing::warn!(%other, "The keystore cannot be read");
            server_error("the keystore cannot be read")
        }
    }
}
