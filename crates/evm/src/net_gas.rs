//! Storage writes between Constantinople and Petersburg: net gas by EIP-1283. Mainnet never had it, as both forks came
//! with one block there; test networks that had the one before the other did, and revm does not.
//!
//! EIP-2200, which revm does have, took its accounting over with another price for a slot that was written before, and
//! with a gas stipend that must be left.

use alloy_evm::precompiles::PrecompilesMap;
use alloy_evm::{Database, EthEvm};
use revm::bytecode::opcode::SSTORE;
use revm::context::CfgEnv;
use revm::context_interface::cfg::{GasId, gas};
use revm::interpreter::instructions::host::sstore_with_gas_accounting;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult};

/// What a write costs that changes nothing, or a slot that the transaction has changed before.
const DIRTY: u64 = 200;

/// The prices, in the place of the fork's own.
pub(crate) fn price(config: &mut CfgEnv) {
    let (set, reset) = (gas::SSTORE_SET - DIRTY, gas::SSTORE_RESET - DIRTY);
    config.gas_params.override_gas([
        (GasId::sstore_static(), DIRTY),
        (GasId::sstore_set_without_load_cost(), set),
        (GasId::sstore_reset_without_cold_load_cost(), reset),
        (GasId::sstore_set_refund(), set),
        (GasId::sstore_reset_refund(), reset),
    ]);
}

/// The same EVM with the instruction that takes them. `inspect`: whether its inspector is on.
pub fn meter<DB: Database, I>(evm: EthEvm<DB, I, PrecompilesMap>, inspect: bool) -> EthEvm<DB, I, PrecompilesMap> {
    let mut evm = evm.into_inner();
    evm.instruction.insert_instruction(SSTORE, Instruction::new(sstore), 0);
    EthEvm::new(evm, inspect)
}

fn sstore<H: Host + ?Sized>(context: InstructionContext<'_, H, EthInterpreter>) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, change| {
        let prices = context.host.gas_params();
        let cost = prices.sstore_dynamic_gas(true, &change.data, change.is_cold);
        let refund = prices.sstore_refund(true, &change.data);
        if !context.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use alloy_evm::{EthEvmFactory, Evm, EvmEnv, EvmFactory};
    use alloy_primitives::{Address, TxKind, U256, hex};
    use revm::context::{BlockEnv, TxEnv};
    use revm::database::InMemoryDB;
    use revm::primitives::hardfork::SpecId;
    use revm::state::{AccountInfo, Bytecode};

    use super::*;

    /// The table of the EIP: code, the slot's value before it, gas and refund.
    const CASES: [(&str, u64, u64, u64); 17] = [
        ("60006000556000600055", 0, 412, 0),
        ("60006000556001600055", 0, 20_212, 0),
        ("60016000556000600055", 0, 20_212, 19_800),
        ("60016000556002600055", 0, 20_212, 0),
        ("60016000556001600055", 0, 20_212, 0),
        ("60006000556000600055", 1, 5_212, 15_000),
        ("60006000556001600055", 1, 5_212, 4_800),
        ("60006000556002600055", 1, 5_212, 0),
        ("60026000556000600055", 1, 5_212, 15_000),
        ("60026000556003600055", 1, 5_212, 0),
        ("60026000556001600055", 1, 5_212, 4_800),
        ("60026000556002600055", 1, 5_212, 0),
        ("60016000556000600055", 1, 5_212, 15_000),
        ("60016000556002600055", 1, 5_212, 0),
        ("60016000556001600055", 1, 412, 0),
        ("600160005560006000556001600055", 0, 40_218, 19_800),
        ("600060005560016000556000600055", 1, 10_218, 19_800),
    ];

    #[test]
    fn what_the_eip_counts() {
        for (code, before, gas, refund) in CASES {
            let to = Address::repeat_byte(7);
            let mut db = InMemoryDB::default();
            db.insert_account_info(
                to,
                AccountInfo::from_bytecode(Bytecode::new_raw(hex::decode(code).unwrap().into())),
            );
            db.insert_account_storage(to, U256::ZERO, U256::from(before)).unwrap();
            let mut config = CfgEnv::new_with_spec(SpecId::PETERSBURG);
            price(&mut config);
            let evm = EthEvmFactory::default().create_evm(db, EvmEnv::new(config, BlockEnv::default()));
            let transaction = TxEnv { kind: TxKind::Call(to), gas_limit: 21_000 + gas, ..TxEnv::default() };
            let result = meter(evm, false).transact_raw(transaction).unwrap().result;
            assert!(result.is_success(), "{code}: {result:?}");
            // At most half of what was spent comes back.
            let spent = 21_000 + gas;
            assert_eq!(result.tx_gas_used(), spent - refund.min(spent / 2), "{code} after {before}");
        }
    }
}
