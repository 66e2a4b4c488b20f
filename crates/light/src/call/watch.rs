//! What stops the EVM: its time, its memory, or that nobody waits for it any more.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use alloy_evm::eth::EthEvmContext;
use revm::{
    Database, Inspector,
    bytecode::opcode::{OpCode, RETURN},
    context_interface::context::ContextError,
    interpreter::{CallInputs, CallOutcome, Interpreter, interpreter_types::Jumps},
};

use super::limits::{MOST_MEMORY, SPECULATION};

/// Instructions between two looks at the clock: some microseconds.
const LOOK_EVERY: u32 = 1024;

/// Why a run was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the EVM was stopped")]
pub(crate) enum Halted {
    /// Nobody waits for the answer.
    Abandoned,
    /// The EVM's time is up.
    Time,
    /// The call's memory is used up.
    Memory,
    /// Enough is missing for now.
    Enough,
}

/// Tells a run when to stop. Shared with whoever waits for it.
#[derive(Debug)]
pub(crate) struct Watch {
    abandoned: Arc<AtomicBool>,
    deadline: Cell<Option<Instant>>,
    speculating: Cell<bool>,
    halted: Cell<Option<Halted>>,
}

impl Watch {
    pub(crate) fn new(abandoned: Arc<AtomicBool>, deadline: Option<Instant>) -> Self {
        Self { abandoned, deadline: Cell::new(deadline), speculating: Cell::new(false), halted: Cell::new(None) }
    }

    /// Why the run was stopped, if it was.
    pub(crate) fn halted(&self) -> Option<Halted> {
        self.halted.get()
    }

    /// From now on the run rests on a guess, and is to end soon.
    pub(crate) fn speculate(&self) {
        if !self.speculating.replace(true) {
            let soon = Instant::now() + SPECULATION;
            self.deadline.set(Some(self.deadline.get().map_or(soon, |deadline| deadline.min(soon))));
        }
    }

    pub(crate) fn halt(&self, why: Halted) -> Halted {
        self.halted.set(Some(self.halted.get().unwrap_or(why)));
        why
    }

    /// Fails once the run is to stop.
    pub(crate) fn look(&self) -> Result<(), Halted> {
        if let Some(why) = self.halted.get() {
            return Err(why);
        }
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(self.halt(Halted::Abandoned));
        }
        match self.deadline.get() {
            Some(deadline) if Instant::now() >= deadline => Err(self.halt(Halted::Time)),
            _ => Ok(()),
        }
    }
}

/// The last instruction of the outermost frame: what geth's errors tell of where it failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trail {
    pub(crate) opcode: u8,
    pub(crate) stack: usize,
    /// What RETURN was to return, in bytes.
    pub(crate) returned: usize,
}

impl Trail {
    /// How many items the instruction takes, and how many may lie on the stack before it.
    pub(crate) fn stack_bounds(&self) -> (usize, usize) {
        let (takes, gives) = OpCode::new(self.opcode)
            .map_or((0, 0), |opcode| (usize::from(opcode.inputs()), usize::from(opcode.outputs())));
        (takes, (1024 + takes).saturating_sub(gives))
    }
}

/// Looks at a [`Watch`] while the EVM runs, adds up its memory, and keeps the [`Trail`].
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    watch: &'a Watch,
    steps: u32,
    /// Memory of each frame, outermost first, and of all but the last together.
    frames: Vec<usize>,
    below: usize,
    pub(crate) trail: Trail,
}

impl<'a> Guard<'a> {
    pub(crate) const fn new(watch: &'a Watch) -> Self {
        Self { watch, steps: 0, frames: Vec::new(), below: 0, trail: Trail { opcode: 0, stack: 0, returned: 0 } }
    }

    fn check(&mut self, depth: usize, memory: usize) -> Result<(), Halted> {
        while self.frames.len() > depth + 1 {
            self.frames.pop();
            self.below -= self.frames.last().copied().unwrap_or_default();
        }
        while self.frames.len() <= depth {
            self.below += self.frames.last().copied().unwrap_or_default();
            self.frames.push(0);
        }
        if let Some(last) = self.frames.last_mut() {
            *last = memory;
        }
        if self.below + memory > MOST_MEMORY {
            return Err(self.watch.halt(Halted::Memory));
        }
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(LOOK_EVERY) { self.watch.look() } else { Ok(()) }
    }
}

impl<DB: Database<Error = Halted>> Inspector<EthEvmContext<DB>> for Guard<'_> {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut EthEvmContext<DB>) {
        let depth = interpreter.input.depth;
        if depth == 0 {
            let opcode = interpreter.bytecode.opcode();
            self.trail = Trail { opcode, stack: interpreter.stack.len(), returned: 0 };
            if opcode == RETURN {
                self.trail.returned = interpreter.stack.peek(1).map_or(0, |size| size.saturating_to());
            }
        }
        if let Err(why) = self.check(depth, interpreter.memory.len()) {
            context.error = Err(ContextError::Db(why));
            interpreter.halt_fatal();
        }
    }

    fn call(&mut self, _: &mut EthEvmContext<DB>, _: &mut CallInputs) -> Option<CallOutcome> {
        // A precompile may take as long as many thousand instructions.
        self.steps = LOOK_EVERY - 1;
        None
    }
}
