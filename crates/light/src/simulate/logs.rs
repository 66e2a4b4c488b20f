//! The logs of simulated calls, numbered as geth's tracer numbers them, with transfers of ether among them where that is
//! wanted ([ERC-7528](https://eips.ethereum.org/EIPS/eip-7528) names the address that ether has in such logs).

use alloy_evm::eth::EthEvmContext;
use alloy_primitives::{Address, B256, Log, U256, address, b256};
use revm::{
    Database, Inspector,
    context::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome},
};

/// Whose the logs of transfers are.
const ETHER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `keccak256("Transfer(address,address,uint256)")`
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A log with its number in the block.
pub(super) type Numbered = (u64, Log);

/// Collects the logs of a block's calls, one call after the other.
#[derive(Debug)]
pub(super) struct Tracer {
    transfers: bool,
    /// Logs of the frames that are open, outermost first. What a frame that fails logged is dropped with it.
    frames: Vec<Vec<Numbered>>,
    /// Logs so far, those that were dropped as well: their numbers are not given again, as in geth.
    count: u64,
    done: Vec<Numbered>,
}

impl Tracer {
    /// `transfers`: whether transfers of ether are logged.
    pub(super) const fn new(transfers: bool) -> Self {
        Self { transfers, frames: Vec::new(), count: 0, done: Vec::new() }
    }

    /// The logs of the call that has ended.
    pub(super) fn take(&mut self) -> Vec<Numbered> {
        self.frames.clear();
        std::mem::take(&mut self.done)
    }

    fn open(&mut self) {
        self.frames.push(Vec::new());
    }

    fn close(&mut self, succeeded: bool) {
        let logs = self.frames.pop().unwrap_or_default();
        if !succeeded {
            return;
        }
        match self.frames.last_mut() {
            Some(outer) => outer.extend(logs),
            None => self.done = logs,
        }
    }

    fn capture(&mut self, log: Log) {
        let number = self.count;
        self.count += 1;
        if let Some(frame) = self.frames.last_mut() {
            frame.push((number, log));
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if self.transfers && !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            self.capture(Log::new_unchecked(ETHER, topics, B256::from(value).into()));
        }
    }
}

impl<DB: Database> Inspector<EthEvmContext<DB>> for Tracer {
    fn log(&mut self, _: &mut EthEvmContext<DB>, log: Log) {
        self.capture(log);
    }

    fn call(&mut self, _: &mut EthEvmContext<DB>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.open();
        if inputs.scheme.is_call() {
            self.transfer(inputs.caller, inputs.target_address, inputs.transfer_value().unwrap_or_default());
        }
        None
    }

    fn call_end(&mut self, _: &mut EthEvmContext<DB>, _: &CallInputs, outcome: &mut CallOutcome) {
        self.close(outcome.instruction_result().is_ok());
    }

    fn create(&mut self, context: &mut EthEvmContext<DB>, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.open();
        if self.transfers && !inputs.value().is_zero() {
            // Where the nonce cannot be read, the creation fails as well.
            let nonce = context.journal_mut().load_account(inputs.caller()).map_or(0, |account| account.info.nonce);
            self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut EthEvmContext<DB>, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.close(outcome.instruction_result().is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(byte: u8) -> Log {
        Log::new_unchecked(Address::repeat_byte(byte), vec![], Default::default())
    }

    fn numbers(logs: &[Numbered]) -> Vec<(u64, u8)> {
        logs.iter().map(|(number, log)| (*number, log.address[0])).collect()
    }

    #[test]
    fn what_failed_logged_nothing_but_keeps_its_numbers() {
        let mut tracer = Tracer::new(true);
        tracer.open();
        tracer.capture(log(1));
        tracer.open();
        tracer.capture(log(2));
        tracer.close(false);
        tracer.open();
        tracer.transfer(Address::ZERO, Address::ZERO, U256::from(1));
        tracer.close(true);
        tracer.close(true);
        assert_eq!(numbers(&tracer.take()), [(0, 1), (2, 0xee)]);
        tracer.open();
        tracer.capture(log(3));
        tracer.close(false);
        assert!(tracer.take().is_empty());
        tracer.open();
        tracer.transfer(Address::ZERO, Address::ZERO, U256::ZERO);
        tracer.capture(log(4));
        tracer.close(true);
        assert_eq!(numbers(&tracer.take()), [(4, 4)]);
    }

    #[test]
    fn transfers_look_like_those_of_a_token() {
        assert_eq!(alloy_primitives::keccak256("Transfer(address,address,uint256)"), TRANSFER);
        let (from, to) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut tracer = Tracer::new(true);
        tracer.open();
        tracer.transfer(from, to, U256::from(5));
        tracer.close(true);
        let (_, log) = tracer.take().remove(0);
        assert_eq!(log.topics(), [TRANSFER, from.into_word(), to.into_word()]);
        assert_eq!(log.data.data[..], U256::from(5).to_be_bytes::<32>());
    }
}
