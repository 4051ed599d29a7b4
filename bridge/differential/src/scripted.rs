//! The client that opens jobs from within its callbacks: its code is written anew for each step.

use lota_bridge::evm::bindings;
use lota_market::{
    AttoFil, Bytes, Time,
    model::Command,
    world::{Call, ContractCommand, End, Occasion, Script, ScriptedCall},
};
use rand::Rng;

use crate::{
    comparison::Comparison,
    generator::{Draft, Generator, gwei},
    party::{MARKET, Party},
    step::Step,
};

/// With less gas than this the code ends at once, as if it had run out: what part of a script some amount of gas is enough
/// for is nothing that the model knows. No job promises an amount near it.
const ENOUGH_GAS: u32 = 1_500_000;

/// What the client does when it is called on an occasion.
pub(crate) fn run(script: &Script, occasion: &Occasion<'_>) -> Script {
    match occasion {
        Occasion::Callback { gas, .. } if *gas < ENOUGH_GAS && *script != Script::default() => {
            Script::ending(End::OutOfGas)
        }
        _ => script.clone(),
    }
}

/// The code of a client that does what a script says.
pub(crate) fn code(script: &Script) -> Vec<u8> {
    if *script == Script::default() {
        return vec![STOP];
    }
    let calls: Vec<(Vec<u8>, &ScriptedCall)> = script
        .calls
        .iter()
        .map(|scripted| {
            let ContractCommand::Market(command) = &scripted.call.command;
            (bindings::call_data(command).to_vec(), scripted)
        })
        .collect();
    // Every number that depends on the code's length takes four bytes: so the length depends on no number.
    let draft = assemble(&calls, script.end, 0);
    assemble(&calls, script.end, draft.len())
}

const STOP: u8 = 0x00;
const LT: u8 = 0x10;
const ISZERO: u8 = 0x15;
const CODECOPY: u8 = 0x39;
const POP: u8 = 0x50;
const JUMPI: u8 = 0x57;
const GAS: u8 = 0x5a;
const JUMPDEST: u8 = 0x5b;
const PUSH0: u8 = 0x5f;
const PUSH4: u8 = 0x63;
const PUSH16: u8 = 0x6f;
const PUSH20: u8 = 0x73;
const CALL: u8 = 0xf1;
const REVERT: u8 = 0xfd;
const INVALID: u8 = 0xfe;

fn push(code: &mut Vec<u8>, number: usize) {
    code.push(PUSH4);
    code.extend((number as u32).to_be_bytes());
}

/// The code, followed by the calls' data. `length` is that of the whole.
fn assemble(calls: &[(Vec<u8>, &ScriptedCall)], end: End, length: usize) -> Vec<u8> {
    let all_data: usize = calls.iter().map(|(data, _)| data.len()).sum();
    // The code ends with: JUMPDEST INVALID JUMPDEST PUSH0 PUSH0 REVERT.
    let data_at = length.saturating_sub(all_data);
    let (reverts, runs_out) = (data_at.saturating_sub(4), data_at.saturating_sub(6));
    let mut code = Vec::new();
    push(&mut code, ENOUGH_GAS as usize);
    code.extend([GAS, LT]);
    push(&mut code, runs_out);
    code.push(JUMPI);
    let mut at = data_at;
    for (data, ScriptedCall { call: Call { value, .. }, may_fail }) in calls {
        push(&mut code, data.len());
        push(&mut code, at);
        code.extend([PUSH0, CODECOPY]);
        at += data.len();
        // retSize, retOffset, argsSize, argsOffset, value, market, gas
        code.extend([PUSH0, PUSH0]);
        push(&mut code, data.len());
        code.extend([PUSH0, PUSH16]);
        code.extend(value.0.to_be_bytes());
        code.push(PUSH20);
        code.extend(MARKET);
        code.extend([GAS, CALL]);
        if *may_fail {
            code.push(POP);
        } else {
            code.push(ISZERO);
            push(&mut code, reverts);
            code.push(JUMPI);
        }
    }
    match end {
        End::Return => code.push(STOP),
        End::Revert => code.extend([PUSH0, PUSH0, REVERT]),
        End::OutOfGas => code.push(INVALID),
    }
    code.extend([JUMPDEST, INVALID, JUMPDEST, PUSH0, PUSH0, REVERT]);
    calls.iter().for_each(|(data, _)| code.extend(data));
    code
}

impl Generator {
    /// What the scripted client does if it is called: mostly what is allowed in a callback.
    pub(crate) fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let scripted = both.cast.scripted();
        let calls = (0..self.rng.random_range(0..4)).map(|_| self.scripted_call(both, at, scripted)).collect();
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
                let value = if self.chance(70) { terms.max_price } else { AttoFil::ZERO };
                self.known.push(terms.clone());
                let spec = if self.chance(30) { Bytes::from_static(self.spec_bytes()) } else { Bytes::new() };
                (value, Command::Open { terms, spec })
            }
            5..8 => {
                let value = gwei(self.rng.random_range(0..2_000));
                (value, Command::Deposit { account: self.party(both).address })
            }
            _ => {
                let Draft { value, command, .. } = self.draft(both, at);
                (value, command)
            }
        };
        let sender = scripted.address;
        let mut step = Step { at, foreign_chain: None, sender, value, command, script: Script::default() };
        if self.chance(15) {
            self.spoil(&mut step, both);
        }
        let call = Call { sender, contract: MARKET, value: step.value, command: step.command.into() };
        ScriptedCall { call, may_fail: self.chance(40) }
    }
}
