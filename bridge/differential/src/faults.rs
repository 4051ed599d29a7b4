//! What can be wrong with a command. Two of these at once show which one is checked first.

use lota_bridge::{MarketRef, eip712};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    model::{Command, MAX_BATCH, MAX_INLINE_DATA, MAX_SPEC, MAX_URL, Status, TRANSFER_GAS, Terms},
    money::GWEI,
};
use rand::Rng;

use crate::{
    chain::{CHAIN_ID, SETTINGS},
    comparison::Comparison,
    generator::{Generator, parse_signature},
    oracle::REFERENCE,
    party::masked,
    step::{Step, receipt_of, signature_of, spec_of, terms_of},
};

/// An actor that sends commands, and one that never does.
const MASKED: [Address; 2] = [masked(100), masked(u64::MAX)];

/// Half the order of secp256k1 and the order itself: of a signature (r, s), (r, order - s) is the other one (EIP-2).
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

impl Generator {
    /// Makes something about a step wrong. A few of the mistakes happen to be none.
    pub(crate) fn spoil(&mut self, step: &mut Step, both: &Comparison<'_>) {
        // Not every mistake fits every command.
        for _ in 0..20 {
            let done = match self.rng.random_range(0..18) {
                0..3 => {
                    step.sender = self.party(both).address;
                    true
                }
                3..5 => terms_of(&mut step.command).is_some_and(|terms| {
                    self.spoil_terms(terms, both);
                    true
                }),
                5..7 => self.spoil_receipt(&mut step.command),
                7 => self.spoil_spec(&mut step.command),
                8 => self.spoil_signature(&mut step.command, both),
                9..11 => self.spoil_amount(step, both),
                11..13 => self.spoil_time(step, both),
                13 => {
                    let others = [1, 0, u64::MAX, CHAIN_ID + 1];
                    self.chance(30) && {
                        step.foreign_chain = Some(self.pick(&others));
                        true
                    }
                }
                14 => self.spoil_party(&mut step.command),
                15 => self.spoil_size(&mut step.command),
                16 => self.swap_job(&mut step.command, both),
                _ => {
                    let other = !step.command.is_payable() && self.chance(20);
                    if other {
                        step.value = AttoFil(self.rng.random_range(1..1_000));
                    }
                    other
                }
            };
            if done {
                return;
            }
        }
    }

    fn spoil_terms(&mut self, terms: &mut Terms, both: &Comparison<'_>) {
        let huge = AttoFil((1 << 48) * u128::from(both.currency.settings().quantum));
        match self.rng.random_range(0..31) {
            0 => terms.client = Address::ZERO,
            1 => terms.client = self.party(both).address,
            2 => terms.salt = terms.salt.wrapping_add(U256::ONE),
            3 => terms.salt = self.odd_salt(both, terms.client),
            4 => terms.spec = B256::repeat_byte(9),
            5 => terms.spec_codec = self.pick(&[0, 0x70, 0x72, 0x54, 0x56, u16::MAX]),
            6 => terms.min_price.0 = terms.min_price.0.saturating_add(1),
            7 => terms.max_price.0 = terms.max_price.0.saturating_add(1),
            8 => terms.collateral.0 = terms.collateral.0.saturating_add(GWEI / 2_048),
            9 => terms.min_price = self.pick(&[huge, AttoFil(u128::MAX)]),
            10 => {
                terms.max_price = self.pick(&[
                    huge,
                    AttoFil(huge.0 - u128::from(both.currency.settings().quantum)),
                    AttoFil(u128::MAX),
                ])
            }
            11 => {
                terms.collateral = self.pick(&[
                    huge,
                    AttoFil(huge.0 - u128::from(both.currency.settings().quantum)),
                    AttoFil(u128::MAX),
                ])
            }
            12 => terms.min_price = AttoFil(terms.max_price.0.saturating_add(GWEI)),
            13 => terms.ramp_period = 0,
            14 => terms.ramp_start = self.pick(&[Time(0), Time(u64::MAX), both.now.after(1)]),
            15 => terms.run_for = self.window(),
            16 => terms.review_for = self.window(),
            17 => terms.rule_for = self.window(),
            18 => terms.callback_gas = self.pick(&[SETTINGS.max_callback_gas + 1, u32::MAX, TRANSFER_GAS]),
            19 => terms.lock_by = self.pick(&[Time(0), Time(both.now.0 - 1), Time(u64::MAX)]),
            20 => terms.lock_by = both.now.after(lota_market::model::MAX_LOCK_AHEAD + self.rng.random_range(0..3)),
            21 => terms.matcher = self.party(both).address,
            22 => terms.arbiter = self.party(both).address,
            23 => terms.arbiter = Address::ZERO,
            24 => terms.matcher = Address::ZERO,
            25 => terms.matcher = self.pick(&MASKED),
            26 => terms.arbiter = self.pick(&MASKED),
            27 => terms.client = self.pick(&MASKED),
            28 => terms.ramp_start = terms.lock_by.after(self.rng.random_range(0..3)),
            29 => terms.keep_record = !terms.keep_record,
            _ => {
                terms.run_for = 0;
                terms.ramp_period = 0;
                terms.spec_codec = 1;
            }
        }
    }

    fn window(&mut self) -> u32 {
        self.pick(&[0, 1, SETTINGS.min_window - 1, 90 * 86_400 + 1, 90 * 86_400, u32::MAX])
    }

    fn spoil_receipt(&mut self, command: &mut Command) -> bool {
        let Some(receipt) = receipt_of(command) else { return false };
        match self.rng.random_range(0..7) {
            0 => receipt.provider = Address::ZERO,
            1 => receipt.provider = Address::repeat_byte(8),
            2 => receipt.price.0 = receipt.price.0.wrapping_add(1),
            3 => receipt.result.output = B256::ZERO,
            4 => receipt.result.exit_code ^= 1,
            5 => receipt.result.fuel_used ^= 1,
            _ => receipt.result.inline_data = [&receipt.result.inline_data, &[0u8][..]].concat().into(),
        }
        true
    }

    fn spoil_spec(&mut self, command: &mut Command) -> bool {
        let size = self.pick(&[1, 32, 40, MAX_SPEC, MAX_SPEC + 1]);
        spec_of(command).is_some_and(|spec| {
            *spec = vec![3; size].into();
            true
        })
    }

    fn spoil_signature(&mut self, command: &mut Command, both: &Comparison<'_>) -> bool {
        let terms = terms_of(command).cloned();
        let Some(signature) = signature_of(command) else { return false };
        let mut bytes = signature.to_vec();
        match self.rng.random_range(0..9) {
            // For another market.
            8 => {
                let Some(terms) = terms else { return false };
                let elsewhere = MarketRef { contract: Address::repeat_byte(0x4e), ..REFERENCE };
                bytes = both.cast.sign(terms.client, &eip712::job_id(&elsewhere, &terms).0).to_vec();
            }
            0 => bytes.clear(),
            1 => bytes.push(0),
            2 => {
                bytes.pop();
            }
            3 => {
                if let Some(byte) = bytes.get_mut(usize::from(self.rng.random::<u8>() % 65)) {
                    *byte ^= 1;
                }
            }
            // v as a bare parity
            4 => {
                if let Some(v) = bytes.get_mut(64) {
                    *v = v.wrapping_sub(27);
                }
            }
            5 => bytes.fill(0),
            // zero r and s, but a proper v
            6 => bytes = [[0; 64].as_slice(), &[27]].concat(),
            // the other s, which curves allow and EIP-2 does not
            _ => {
                let Some(parsed) = parse_signature(&bytes) else { return false };
                let other = alloy::primitives::Signature::new(parsed.r(), ORDER.wrapping_sub(parsed.s()), !parsed.v());
                bytes = other.as_bytes().to_vec();
            }
        }
        *signature = bytes.into();
        true
    }

    fn spoil_amount(&mut self, step: &mut Step, both: &Comparison<'_>) -> bool {
        let balance = both.market().balance(step.sender);
        match &mut step.command {
            Command::Withdraw { amount, .. } => {
                *amount = self.pick(&[AttoFil(balance.0.saturating_add(1)), AttoFil(u128::MAX), balance]);
            }
            Command::DepositToken { amount, .. }
            | Command::DepositTokenWithPermit { amount, .. }
            | Command::DepositTokenWithAuthorization { amount, .. } => {
                *amount = self.pick(&[AttoFil(u128::MAX), AttoFil(1 << 100), AttoFil(1)]);
            }
            Command::Award { terms, price, .. } => {
                *price = self.pick(&[
                    AttoFil(terms.min_price.0.saturating_sub(GWEI)),
                    AttoFil(terms.max_price.0.saturating_add(GWEI)),
                    AttoFil(price.0.saturating_add(1)),
                    AttoFil(u128::MAX),
                    terms.max_price,
                    terms.min_price,
                ]);
            }
            Command::SettleBatch { entries } => {
                let Some(entry) = entries.last_mut() else { return false };
                if self.chance(40) {
                    entry.until = Time(step.at.0.saturating_sub(1));
                    return true;
                }
                entry.receipt.price = AttoFil(entry.terms.max_price.0.saturating_add(GWEI));
            }
            Command::Open { terms, .. } => {
                // Just not enough, with what is sent along.
                let missing = terms.max_price.saturating_sub(balance);
                step.value = AttoFil(missing.0.saturating_sub(1).min(1 << 90));
            }
            _ => return false,
        }
        true
    }

    /// Later than it may be, or just at the end.
    fn spoil_time(&mut self, step: &mut Step, both: &Comparison<'_>) -> bool {
        let Some(terms) = terms_of(&mut step.command) else { return false };
        let deal = both.market().deal(both.ids.of(terms));
        let moment = match deal.status {
            Status::Locked => terms.run_by(deal.since),
            Status::Submitted => terms.review_by(deal.since),
            Status::Disputed => terms.rule_by(deal.since),
            _ => terms.lock_by,
        };
        let ahead = moment.since(step.at);
        if moment < step.at || ahead > 100_000 {
            return false;
        }
        step.at = self.pick(&[moment, moment.after(1), moment.after(1)]);
        true
    }

    fn spoil_party(&mut self, command: &mut Command) -> bool {
        let nobody = self.pick(&[Address::ZERO, Address::ZERO, MASKED[0], MASKED[1]]);
        match command {
            Command::Award { provider: party, .. }
            | Command::Withdraw { to: party, .. }
            | Command::Deposit { account: party }
            | Command::DepositToken { account: party, .. }
            | Command::DepositTokenWithPermit { account: party, .. }
            | Command::DepositTokenWithAuthorization { from: party, .. } => *party = nobody,
            Command::SettleBatch { entries } => {
                let Some(entry) = entries.last_mut() else { return false };
                entry.receipt.provider = nobody;
            }
            _ => return false,
        }
        true
    }

    fn spoil_size(&mut self, command: &mut Command) -> bool {
        match command {
            Command::SubmitResult { result, .. } => result.inline_data = vec![1; MAX_INLINE_DATA + 1].into(),
            // Seldom: the lane is of no use any more.
            Command::Revoke { up_to, .. } if self.chance(20) => {
                *up_to = self.pick(&[u64::MAX, u64::MAX - 1, u64::MAX - 2])
            }
            Command::Announce { url } => *url = "é".repeat(MAX_URL / 2 + 1),
            Command::PublishSpec { spec } => *spec = vec![2; MAX_SPEC + 1].into(),
            Command::Multicall { calls } => {
                let count = if self.chance(50) { MAX_BATCH } else { MAX_BATCH + 1 };
                *calls = vec![Command::Announce { url: String::new() }; count];
            }
            Command::SettleBatch { entries } => {
                let Some(mut entry) = entries.pop() else { return false };
                if self.chance(70) {
                    entry.receipt.result.inline_data = vec![1; MAX_INLINE_DATA + 1].into();
                    entries.push(entry);
                } else {
                    entry.receipt.result.inline_data = Bytes::new();
                    entry.signature = Bytes::new();
                    let count = if self.chance(30) { MAX_BATCH } else { MAX_BATCH + 1 };
                    *entries = vec![entry; count];
                }
            }
            _ => return false,
        }
        true
    }

    /// The same command on another job, in another state.
    fn swap_job(&mut self, command: &mut Command, both: &Comparison<'_>) -> bool {
        if matches!(command, Command::SettleBatch { .. }) {
            return false;
        }
        let Some(other) = self.job(both) else { return false };
        terms_of(command).is_some_and(|terms| {
            *terms = other;
            true
        })
    }
}
