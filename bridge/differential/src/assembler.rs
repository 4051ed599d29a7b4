//! Assembling code for the EVM: just enough for the contracts of this test.

use alloy::primitives::U256;
use lota_bridge::evm::{auction, bindings, blessing, filecoin_pay_deals, granters};
use lota_market::world::{Call, ContractCommand, End, ScriptedCall};

use crate::filecoin_pay;

pub(crate) const STOP: u8 = 0x00;
pub(crate) const ADD: u8 = 0x01;
pub(crate) const SUB: u8 = 0x03;
pub(crate) const LT: u8 = 0x10;
pub(crate) const GT: u8 = 0x11;
pub(crate) const EQ: u8 = 0x14;
pub(crate) const ISZERO: u8 = 0x15;
pub(crate) const OR: u8 = 0x17;
pub(crate) const SHL: u8 = 0x1b;
pub(crate) const SHR: u8 = 0x1c;
pub(crate) const ADDRESS: u8 = 0x30;
pub(crate) const CALLER: u8 = 0x33;
pub(crate) const CALLDATALOAD: u8 = 0x35;
pub(crate) const CALLDATASIZE: u8 = 0x36;
pub(crate) const CALLDATACOPY: u8 = 0x37;
const CODECOPY: u8 = 0x39;
pub(crate) const TIMESTAMP: u8 = 0x42;
pub(crate) const POP: u8 = 0x50;
pub(crate) const MLOAD: u8 = 0x51;
pub(crate) const MSTORE: u8 = 0x52;
pub(crate) const SLOAD: u8 = 0x54;
pub(crate) const SSTORE: u8 = 0x55;
pub(crate) const JUMP: u8 = 0x56;
pub(crate) const JUMPI: u8 = 0x57;
pub(crate) const GAS: u8 = 0x5a;
const JUMPDEST: u8 = 0x5b;
pub(crate) const TLOAD: u8 = 0x5c;
pub(crate) const TSTORE: u8 = 0x5d;
pub(crate) const PUSH0: u8 = 0x5f;
const PUSH4: u8 = 0x63;
pub(crate) const DUP1: u8 = 0x80;
pub(crate) const DUP2: u8 = 0x81;
pub(crate) const SWAP1: u8 = 0x90;
pub(crate) const LOG0: u8 = 0xa0;
const CALL: u8 = 0xf1;
pub(crate) const RETURN: u8 = 0xf3;
pub(crate) const REVERT: u8 = 0xfd;
const INVALID: u8 = 0xfe;

/// A place in the code that is not known yet.
#[derive(Clone, Copy)]
pub(crate) struct Label(usize);

/// Code that grows, with the places that it refers to.
#[derive(Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    places: Vec<usize>,
    /// Where four bytes are to become the place of a label.
    references: Vec<(usize, Label)>,
    /// What is put behind the code.
    data: Vec<(Label, Vec<u8>)>,
}

impl Assembler {
    pub(crate) fn label(&mut self) -> Label {
        self.places.push(0);
        Label(self.places.len() - 1)
    }

    /// The label is here.
    pub(crate) fn place(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
        self.code.push(JUMPDEST);
    }

    pub(crate) fn ops(&mut self, ops: &[u8]) {
        self.code.extend(ops);
    }

    pub(crate) fn push(&mut self, number: U256) {
        let bytes = number.to_be_bytes_trimmed_vec();
        self.code.push(PUSH0 + bytes.len() as u8);
        self.code.extend(bytes);
    }

    fn push_place(&mut self, label: Label) {
        self.code.push(PUSH4);
        self.references.push((self.code.len(), label));
        self.code.extend([0; 4]);
    }

    pub(crate) fn jump(&mut self, label: Label) {
        self.push_place(label);
        self.code.push(JUMP);
    }

    /// Jumps when the top of the stack is not zero.
    pub(crate) fn jump_if(&mut self, label: Label) {
        self.push_place(label);
        self.code.push(JUMPI);
    }

    /// Reverts when the top of the stack is zero.
    pub(crate) fn require(&mut self) {
        let fine = self.label();
        self.jump_if(fine);
        self.revert();
        self.place(fine);
    }

    pub(crate) fn revert(&mut self) {
        self.ops(&[PUSH0, PUSH0, REVERT]);
    }

    pub(crate) fn run_out(&mut self) {
        self.ops(&[INVALID]);
    }

    /// The word of the call's arguments with this number.
    pub(crate) fn argument(&mut self, number: usize) {
        self.push(U256::from(4 + 32 * number));
        self.ops(&[CALLDATALOAD]);
    }

    /// Returns or reverts with data.
    pub(crate) fn give(&mut self, data: &[u8], op: u8) {
        let size = U256::from(data.len());
        self.copy(data.to_vec());
        self.push(size);
        self.ops(&[PUSH0, op]);
    }

    /// Puts data at the beginning of memory.
    fn copy(&mut self, data: Vec<u8>) {
        let (size, at) = (U256::from(data.len()), self.label());
        self.data.push((at, data));
        self.push(size);
        self.push_place(at);
        self.ops(&[PUSH0, CODECOPY]);
    }

    /// Calls the market as a script says, over whatever is in memory; the code goes on unless the script ends it.
    pub(crate) fn script(&mut self, calls: &[ScriptedCall], end: End) {
        for ScriptedCall { call: Call { contract, value, command, .. }, may_fail } in calls {
            let data = match command {
                ContractCommand::Market(command) => bindings::call_data(command),
                ContractCommand::Auction(command) => auction::call_data(command),
                ContractCommand::Blessing(command) => blessing::call_data(command),
                ContractCommand::FilecoinPay(command) => filecoin_pay::call_data(command),
                ContractCommand::FilecoinPayDeals(command) => filecoin_pay_deals::call_data(command),
                ContractCommand::Granter(command) => granters::bindings::call_data(command),
            };
            let data = data.to_vec();
            let size = U256::from(data.len());
            self.copy(data);
            // retSize, retOffset, argsSize, argsOffset, value, market, gas
            self.ops(&[PUSH0, PUSH0]);
            self.push(size);
            self.ops(&[PUSH0]);
            self.push(U256::from(value.0));
            self.push(U256::from_be_slice(contract.as_slice()));
            self.ops(&[GAS, CALL]);
            if *may_fail {
                self.ops(&[POP]);
            } else {
                self.require();
            }
        }
        match end {
            End::Return => {}
            End::Revert => self.revert(),
            End::OutOfGas => self.run_out(),
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (label, data) in std::mem::take(&mut self.data) {
            self.places[label.0] = self.code.len();
            self.code.extend(data);
        }
        for (at, label) in self.references {
            let place = self.places[label.0] as u32;
            self.code[at..at + 4].copy_from_slice(&place.to_be_bytes());
        }
        self.code
    }
}
