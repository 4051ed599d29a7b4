//! The token that some markets are paid in: it does what a token should, or what the step says instead.

use alloy::primitives::{U256, keccak256};
use lota_market::{
    Address, AttoFil, Time,
    model::{Authorization, Command, Permit},
    world::{Answer, Call, Conduct, End, Script, ScriptedCall},
};
use rand::Rng;

use crate::{
    assembler::{
        ADD, ADDRESS, Assembler, CALLDATALOAD, CALLER, DUP1, DUP2, EQ, GT, ISZERO, LT, Label, MLOAD, MSTORE, OR, POP,
        PUSH0, RETURN, SHL, SHR, SLOAD, SSTORE, STOP, SUB, SWAP1, TIMESTAMP,
    },
    chain::Currency,
    comparison::Comparison,
    generator::Generator,
    party::MARKET,
    step::amount_of,
};

/// Where the token is; where it is no market is paid in it, nobody is there.
pub(crate) const TOKEN: Address = Address::repeat_byte(0x70);
/// An allowance that does not shrink.
pub(crate) const UNLIMITED: AttoFil = AttoFil(u128::MAX);

/// `owner` lets `spender` take `amount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Approval {
    pub(crate) owner: Address,
    pub(crate) spender: Address,
    pub(crate) amount: AttoFil,
}

/// What the token does in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenStep {
    /// What somebody lets a contract take, before the command is sent.
    pub(crate) approval: Option<Approval>,
    pub(crate) conduct: Conduct,
    /// How it says that it refuses: `false`, a word that is no `bool`, or less than a word.
    pub(crate) untruth: u8,
}

/// Where an account's balance is stored.
pub(crate) fn balance_slot(account: Address) -> U256 {
    U256::from_be_slice(account.as_slice())
}

/// Where it is stored how much `spender` may take from an account: of its address the lowest 95 bits are above the owner's.
pub(crate) fn allowance_slot(owner: Address, spender: Address) -> U256 {
    balance_slot(owner) | ALLOWANCE | (balance_slot(spender) << SPENDER_SHIFT)
}

const ALLOWANCE: U256 = U256::from_limbs([0, 0, 1 << 32, 0]);
const SPENDER_SHIFT: usize = 161;

/// Puts the slot of an allowance on the stack, above what the two put there.
fn allowance(asm: &mut Assembler, owner: impl FnOnce(&mut Assembler), spender: impl FnOnce(&mut Assembler)) {
    spender(asm);
    asm.push(U256::from(SPENDER_SHIFT));
    asm.ops(&[SHL]);
    asm.push(ALLOWANCE);
    asm.ops(&[OR]);
    owner(asm);
    asm.ops(&[OR]);
}

/// Whether the token takes a permit: it bears the owner's address in the place of a signature.
pub(crate) fn takes_permit(owner: Address, permit: &Permit, now: Time) -> bool {
    permit.r == owner.into_word() && U256::from(now.0) <= permit.deadline
}

/// The same for authorizations.
pub(crate) fn takes_authorization(from: Address, authorization: &Authorization, now: Time) -> bool {
    let now = U256::from(now.0);
    authorization.r == from.into_word() && authorization.valid_after < now && now < authorization.valid_before
}

fn selector(signature: &str) -> U256 {
    U256::from_be_slice(&keccak256(signature)[..4])
}

/// Memory: whose money is moved, to whom, how much.
const FROM: u8 = 0x00;
const TO: u8 = 0x20;
const AMOUNT: u8 = 0x40;

/// The code of a token that does as a step says.
pub(crate) fn code(step: &TokenStep) -> Vec<u8> {
    let mut asm = Assembler::default();
    let [balance, approve, transfer, transfer_from, permit, authorized, moves] = [(); 7].map(|()| asm.label());
    asm.ops(&[PUSH0, CALLDATALOAD]);
    asm.push(U256::from(0xe0));
    asm.ops(&[SHR]);
    for (signature, label) in [
        ("balanceOf(address)", balance),
        ("approve(address,uint256)", approve),
        ("transfer(address,uint256)", transfer),
        ("transferFrom(address,address,uint256)", transfer_from),
        ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", permit),
        ("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", authorized),
    ] {
        asm.ops(&[DUP1]);
        asm.push(selector(signature));
        asm.ops(&[EQ]);
        asm.jump_if(label);
    }
    asm.revert();

    asm.place(balance);
    asm.argument(0);
    asm.ops(&[SLOAD, PUSH0, MSTORE]);
    return_word(&mut asm, 32);

    asm.place(approve);
    asm.argument(1);
    allowance(&mut asm, |asm| asm.ops(&[CALLER]), |asm| asm.argument(0));
    asm.ops(&[SSTORE]);
    answer(&mut asm, 1, 32);

    asm.place(permit);
    asm.argument(5);
    asm.argument(0);
    asm.ops(&[EQ]);
    asm.require();
    asm.argument(3);
    asm.ops(&[TIMESTAMP, GT, ISZERO]);
    asm.require();
    asm.argument(2);
    allowance(&mut asm, |asm| asm.argument(0), |asm| asm.argument(1));
    asm.ops(&[SSTORE, STOP]);

    asm.place(transfer);
    asm.ops(&[CALLER]);
    store(&mut asm, FROM);
    remember(&mut asm, [(0, TO), (1, AMOUNT)]);
    asm.jump(moves);

    asm.place(authorized);
    asm.argument(7);
    asm.argument(0);
    asm.ops(&[EQ]);
    asm.require();
    asm.argument(3);
    asm.ops(&[TIMESTAMP, GT]);
    asm.require();
    asm.argument(4);
    asm.ops(&[TIMESTAMP, LT]);
    asm.require();
    // Nobody else can use it.
    asm.argument(1);
    asm.ops(&[CALLER, EQ]);
    asm.require();
    remember(&mut asm, [(0, FROM), (1, TO), (2, AMOUNT)]);
    asm.jump(moves);

    asm.place(transfer_from);
    remember(&mut asm, [(0, FROM), (1, TO), (2, AMOUNT)]);
    use_allowance(&mut asm);

    asm.place(moves);
    move_money(&mut asm, &step.conduct);
    asm.script(&step.conduct.script.calls, step.conduct.script.end);
    match (step.conduct.answer, step.untruth) {
        (Answer::True, _) => answer(&mut asm, 1, 32),
        (Answer::Nothing, _) => asm.ops(&[STOP]),
        (Answer::NotTrue, 0) => answer(&mut asm, 0, 32),
        (Answer::NotTrue, 1) => answer(&mut asm, 2, 32),
        (Answer::NotTrue, _) => answer(&mut asm, 1, 31),
    }
    asm.finish()
}

fn load(asm: &mut Assembler, place: u8) {
    asm.push(U256::from(place));
    asm.ops(&[MLOAD]);
}

fn store(asm: &mut Assembler, place: u8) {
    asm.push(U256::from(place));
    asm.ops(&[MSTORE]);
}

fn remember<const N: usize>(asm: &mut Assembler, arguments: [(usize, u8); N]) {
    for (number, place) in arguments {
        asm.argument(number);
        store(asm, place);
    }
}

/// Returns the beginning of the first word of memory.
fn return_word(asm: &mut Assembler, size: u8) {
    asm.push(U256::from(size));
    asm.ops(&[PUSH0, RETURN]);
}

fn answer(asm: &mut Assembler, word: u8, size: u8) {
    asm.push(U256::from(word));
    asm.ops(&[PUSH0, MSTORE]);
    return_word(asm, size);
}

/// Takes the amount from the allowance, unless that is unlimited.
fn use_allowance(asm: &mut Assembler) {
    let done: Label = asm.label();
    let slot = |asm: &mut Assembler| allowance(asm, |asm| load(asm, FROM), |asm| asm.ops(&[CALLER]));
    slot(asm);
    asm.ops(&[SLOAD, DUP1]);
    asm.push(U256::from(UNLIMITED.0));
    asm.ops(&[EQ]);
    asm.jump_if(done);
    // Stack: allowance. Reverts when it is less than the amount.
    asm.ops(&[DUP1]);
    load(asm, AMOUNT);
    asm.ops(&[GT, ISZERO]);
    asm.require();
    load(asm, AMOUNT);
    asm.ops(&[SWAP1, SUB]);
    slot(asm);
    asm.ops(&[SSTORE, PUSH0]);
    asm.place(done);
    asm.ops(&[POP]);
}

/// Takes from one account, gives to another, and keeps what is over.
fn move_money(asm: &mut Assembler, conduct: &Conduct) {
    let amount = |asm: &mut Assembler, instead: Option<AttoFil>| match instead {
        Some(amount) => asm.push(U256::from(amount.0)),
        None => load(asm, AMOUNT),
    };
    let taken = |asm: &mut Assembler| amount(asm, conduct.taken);
    let given = |asm: &mut Assembler| amount(asm, conduct.given);
    // The payer must have what is taken.
    load(asm, FROM);
    asm.ops(&[SLOAD, DUP1]);
    taken(asm);
    asm.ops(&[GT, ISZERO]);
    asm.require();
    taken(asm);
    asm.ops(&[SWAP1, SUB]);
    load(asm, FROM);
    asm.ops(&[SSTORE]);
    // The token keeps what is taken and not given.
    let kept = asm.label();
    taken(asm);
    given(asm);
    asm.ops(&[DUP2, DUP2, LT, ISZERO]);
    asm.jump_if(kept);
    // Stack: taken, given.
    asm.ops(&[DUP2, SUB, ADDRESS, SLOAD, ADD, ADDRESS, SSTORE, PUSH0]);
    asm.place(kept);
    asm.ops(&[POP, POP]);
    given(asm);
    load(asm, TO);
    asm.ops(&[SLOAD, ADD]);
    load(asm, TO);
    asm.ops(&[SSTORE]);
}

/// What a token may take and give instead of an amount, by the number of the way.
pub(crate) const fn wrong_amounts(way: u32, amount: AttoFil) -> (Option<AttoFil>, Option<AttoFil>) {
    match way {
        // It takes a fee, from who is paid or from who pays.
        0 => (None, Some(AttoFil(amount.0.saturating_sub(1)))),
        1 => (Some(AttoFil(amount.0.saturating_add(1))), None),
        // It makes money of nothing.
        2 => {
            let more = amount.0.saturating_add(1);
            const MOST: u128 = 1 << 100;
            (None, Some(AttoFil(if more < MOST { more } else { MOST })))
        }
        // It moves nothing, and says that it did.
        3 => (Some(AttoFil::ZERO), Some(AttoFil::ZERO)),
        // It moves something else.
        4 => (Some(AttoFil(7)), Some(AttoFil(7))),
        _ => (None, None),
    }
}

impl Generator {
    /// A deposit of the currency's kind, seldom of the other; and the value that goes with it.
    pub(crate) fn deposit(&mut self, both: &Comparison<'_>, sender: Address, amount: AttoFil) -> (AttoFil, Command) {
        let account = self.party(both).address;
        if (both.currency == Currency::Coin) != self.chance(2) {
            return (amount, Command::Deposit { account });
        }
        let command = match self.rng.random_range(0..5) {
            0 => Command::DepositTokenWithPermit { account, amount, permit: self.permit(both, sender) },
            1 => {
                let from = self.party(both).address;
                Command::DepositTokenWithAuthorization { from, amount, authorization: self.authorization(both, from) }
            }
            _ => Command::DepositToken { account, amount },
        };
        (AttoFil::ZERO, command)
    }

    fn moment(&mut self, both: &Comparison<'_>) -> U256 {
        let now = both.now.0;
        let moments = [now - 1, now, now + 1, now + 1_000, u64::MAX].map(U256::from);
        self.pick(&[moments[0], moments[1], moments[2], moments[3], moments[4], U256::ZERO, U256::MAX])
    }

    fn signer(&mut self, both: &Comparison<'_>, owner: Address) -> Address {
        if self.chance(80) { owner } else { self.party(both).address }
    }

    fn permit(&mut self, both: &Comparison<'_>, owner: Address) -> Permit {
        let deadline = if self.chance(70) { U256::MAX } else { self.moment(both) };
        Permit {
            deadline,
            v: self.rng.random(),
            r: self.signer(both, owner).into_word(),
            s: self.rng.random::<[u8; 32]>().into(),
        }
    }

    fn authorization(&mut self, both: &Comparison<'_>, from: Address) -> Authorization {
        let (valid_after, valid_before) =
            if self.chance(70) { (U256::ZERO, U256::MAX) } else { (self.moment(both), self.moment(both)) };
        let [nonce, s] = [(); 2].map(|()| self.rng.random::<[u8; 32]>().into());
        Authorization {
            valid_after,
            valid_before,
            nonce,
            v: self.rng.random(),
            r: self.signer(both, from).into_word(),
            s,
        }
    }

    /// What the token does: mostly what it should. Who sends a deposit has mostly approved it.
    pub(crate) fn token_step(
        &mut self,
        both: &Comparison<'_>,
        command: &mut Command,
        sender: Address,
        at: Time,
    ) -> TokenStep {
        let mut step = TokenStep::default();
        let Some(amount) = amount_of(command).copied() else { return step };
        if self.chance(60) {
            let owner = if self.chance(80) { sender } else { both.cast.scripted().address };
            let enough = self.pick(&[amount, AttoFil(amount.0.saturating_sub(1)), UNLIMITED, UNLIMITED, AttoFil::ZERO]);
            step.approval = Some(Approval { owner, spender: MARKET, amount: enough });
        }
        if self.chance(75) {
            return step;
        }
        let conduct = &mut step.conduct;
        match self.rng.random_range(0..8) {
            5 => conduct.script.end = self.pick(&[End::Revert, End::OutOfGas]),
            6 => conduct.script = self.token_script(both, at),
            way => (conduct.taken, conduct.given) = wrong_amounts(way, amount),
        }
        step.conduct.answer = self.pick(&[Answer::True, Answer::True, Answer::Nothing, Answer::NotTrue]);
        step.untruth = self.rng.random_range(0..3);
        step
    }

    /// Calls of the market, which lets nobody in meanwhile.
    fn token_script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let calls = (0..self.rng.random_range(1..3)).map(|_| {
            let command = self.draft(both, at).command;
            let call = Call { sender: TOKEN, contract: MARKET, value: AttoFil::ZERO, command: command.into() };
            ScriptedCall { call, may_fail: self.chance(70) }
        });
        Script { calls: calls.collect(), end: End::Return }
    }
}
