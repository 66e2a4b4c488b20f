use std::sync::{Arc, atomic::AtomicBool};

use rushlight_chain::ChainAccess;
use tokio::sync::mpsc;

use crate::SessionEvent;

/// What an [`EthProtocol`](crate::EthProtocol) needs.
#[derive(Clone)]
pub struct EthConfig {
    /// `networkId` in Status. Default 0, as the protocol has it ("should be 0"); the operator's `--networkid` where given.
    pub network_id: u64,
    /// The network id that `node_info` tells: the operator's, else the chain id. Default: `network_id`.
    pub info_network: Option<u64>,
    /// The chain's configuration as `node_info` tells it (geth's `config`). Default none.
    pub info_config: Option<serde_json::Value>,
    /// What Status tells and what requests are answered from.
    pub access: Arc<dyn ChainAccess>,
    /// Where sessions tell what peers do. Bounded: a session whose event finds no room reads nothing more until it does,
    /// and no other session is held up. Where the receiver is gone, events are dropped and sessions go on.
    pub events: mpsc::Sender<SessionEvent>,
    /// Whether this node takes part in transactions, which it does only once it has synced. While false nothing is sent,
    /// and what comes in is checked, remembered and not told. Default false.
    pub accept_transactions: Arc<AtomicBool>,
}

impl EthConfig {
    /// A configuration with every default.
    pub fn new(access: Arc<dyn ChainAccess>, events: mpsc::Sender<SessionEvent>) -> Self {
        Self {
            network_id: 0,
            info_network: None,
            info_config: None,
            access,
            events,
            accept_transactions: Arc::default(),
        }
    }
}
