//! The client that opens jobs from within its callbacks: its code is written anew for each step.

use lota_market::{
    AttoFil, Bytes, Time, U256,
    model::Command,
    world::{Call, End, Occasion, Script, ScriptedCall},
};
use rand::Rng;

use crate::{
    assembler::{Assembler, GAS, LT, STOP},
    chain::Currency,
    comparison::Comparison,
    generator::{Draft, Generator, gwei},
    party::{MARKET, Party},
    step::Step,
};

/// With less gas than this the code ends at once, as if it had run out: what part of a script some amount of gas is enough
/// for is nothing that the model knows. No job promises an amount near it.
const ENOUGH_GAS: u32 = 1_500_000;

/// What the client does when it is called on an occasion, with this much gas if it is a callback.
pub(crate) fn run(script: &Script, occasion: &Occasion<'_>, gas: u32) -> Script {
    match occasion {
        Occasion::Callback { .. } if gas < ENOUGH_GAS && *script != Script::default() => Script::ending(End::OutOfGas),
        _ => script.clone(),
    }
}

/// The code of a client that does what a script says.
pub(crate) fn code(script: &Script) -> Vec<u8> {
    if *script == Script::default() {
        return vec![STOP];
    }
    let mut asm = Assembler::default();
    let runs_out = asm.label();
    asm.push(U256::from(ENOUGH_GAS));
    asm.ops(&[GAS, LT]);
    asm.jump_if(runs_out);
    asm.script(&script.calls, script.end);
    asm.ops(&[STOP]);
    asm.place(runs_out);
    asm.run_out();
    asm.finish()
}

impl Generator {
    /// What the scripted client does if it is called: mostly what is allowed in a callback.
    pub(crate) fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let scripted = both.cast.scripted();
        let calls = (0..self.rng.random_range(0..5)).map(|_| self.scripted_call(both, at, scripted)).collect();
        let end = match self.rng.random_range(0..8) {
            0 => End::Revert,
            1 => End::OutOfGas,
            _ => End::Return,
        };
        Script { calls, end }
    }

    fn scripted_call(&mut self, both: &Comparison<'_>, at: Time, scripted: &Party) -> ScriptedCall {
        let (value, command) = match self.rng.random_range(0..10) {
            0..5 => {
                let terms = self.terms(both, at, scripted);
                let paid = both.currency == Currency::Coin && self.chance(70);
                let value = if paid { terms.max_price } else { AttoFil::ZERO };
                self.known.push(terms.clone());
                let spec = if self.chance(30) { Bytes::from_static(self.spec_bytes()) } else { Bytes::new() };
                (value, Command::Open { terms, spec })
            }
            5..8 => {
                let amount = gwei(self.rng.random_range(0..2_000));
                self.deposit(both, scripted.address, amount)
            }
            _ => {
                let Draft { value, command, .. } = self.draft(both, at);
                (value, command)
            }
        };
        let sender = scripted.address;
        let mut step = Step::of(at, sender, value, command);
        if self.chance(15) {
            self.spoil(&mut step, both);
        }
        let call = Call { sender, contract: MARKET, value: step.value, command: step.command.into() };
        ScriptedCall { call, may_fail: self.chance(40) }
    }
}
