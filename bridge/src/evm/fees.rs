//! What a command costs on the chain: gas and fees.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::TxKind;
use alloy::signers::SignerSync;
use lota_market::{
    Address, AttoFil, Bytes, U256,
    model::{Command, Terms},
};

use super::{
    bindings::Deployment,
    rpc::{Header, Trouble},
    shared::Shared,
};
use crate::{
    PrivateKeySigner,
    journal::Attempt,
    transport::{Reserve, TransportError},
};

/// The most clients of a batch that are looked up; of more, some are taken to be wallets.
const MAX_CLIENTS: usize = 16;

/// Fees per unit of gas, in attoFIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub max_fee: u128,
    pub max_tip: u128,
}

impl Price {
    /// What the chain asks now, with room for the base fee to double.
    pub(super) async fn now(shared: &Shared) -> Result<Self, TransportError> {
        Ok(Self::after(shared, &shared.latest().await?).await?)
    }

    /// What the chain asks after a block, with room for the base fee to double.
    pub(super) async fn after(shared: &Shared, latest: &Header) -> Result<Self, Trouble> {
        let tip = shared.tip().await?;
        let fee = match latest.base_fee_per_gas {
            Some(base) => base.saturating_mul(U256::from(2)).saturating_add(tip),
            None => shared.rpc.gas_price().await?,
        };
        let max_fee = fee.saturating_to::<u128>();
        Ok(Self { max_fee, max_tip: tip.saturating_to::<u128>().min(max_fee) })
    }

    /// Enough to replace a transaction that offers this: nodes ask for a quarter more (Lotus) or a tenth (Ethereum's).
    const fn raised(self) -> Self {
        const fn raise(fee: u128) -> u128 {
            fee.saturating_add(fee / 4).saturating_add(1)
        }
        Self { max_fee: raise(self.max_fee), max_tip: raise(self.max_tip) }
    }

    /// What replaces a transaction that offers `before`: what the chain asks now, but enough more.
    pub(super) fn replacing(self, before: &Attempt) -> Self {
        let least = Self { max_fee: before.max_fee, max_tip: before.max_tip }.raised();
        let max_fee = self.max_fee.max(least.max_fee);
        Self { max_fee, max_tip: self.max_tip.max(least.max_tip).min(max_fee) }
    }
}

/// A quarter more.
const fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas / 4)
}

/// What must be left to pass on `gas` to a callee (EIP-150 passes on at most 63/64), and `reserve` beside it.
const fn to_pass_on(gas: u32, reserve: u32) -> u64 {
    gas as u64 + gas as u64 / 63 + 1 + reserve as u64
}

/// Terms whose client may be called back by a command.
fn ends_with_callback(command: &Command) -> Option<&Terms> {
    match command {
        Command::Cancel { terms }
        | Command::Expire { terms }
        | Command::Accept { terms, .. }
        | Command::Settle { terms, .. }
        | Command::Rule { terms, .. }
        | Command::Lapse { terms, .. }
        | Command::RetryCallback { terms, .. } => (terms.callback_gas > 0).then_some(terms),
        _ => None,
    }
}

/// Clients whose signatures a command carries.
fn signers(command: &Command) -> Vec<Address> {
    match command {
        Command::OpenSigned { terms, .. } | Command::OpenSignedAndLock { terms, .. } => vec![terms.client],
        Command::SettleBatch { entries } => entries.iter().map(|entry| entry.terms.client).collect(),
        _ => Vec::new(),
    }
}

/// A command and, if it is a multicall, those within it.
fn steps(command: &Command) -> Vec<&Command> {
    let mut steps = vec![command];
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        if let Command::Multicall { calls } = step {
            steps.extend(calls);
        }
        index += 1;
    }
    steps
}

/// The gas limit of a command whose estimate is known: a quarter more, and what the market must have left to call others.
/// Estimates contain what a callee used, not what it was promised, and FEVM's do not search past a guard that reverts.
pub(super) async fn limit(shared: &Shared, command: &Command, estimate: u64) -> Result<u64, Trouble> {
    let deployment = &shared.deployment;
    let steps = steps(command);
    let callbacks = steps.iter().filter_map(|step| ends_with_callback(step));
    let mut promised = callbacks.map(|terms| to_pass_on(terms.callback_gas, deployment.callback_reserve)).max();
    let mut clients: Vec<_> = steps.iter().flat_map(|step| signers(step)).collect();
    clients.sort_unstable();
    clients.dedup();
    let mut is_wallet = clients.len() > MAX_CLIENTS;
    for client in clients.into_iter().take(MAX_CLIENTS) {
        // Accounts sign by themselves; a wallet is asked, with gas.
        is_wallet = is_wallet || !shared.rpc.code(client).await?.is_empty();
    }
    if is_wallet {
        promised = promised.max(Some(to_pass_on(deployment.signature_gas, deployment.callback_reserve)));
    }
    Ok(with_margin(estimate).saturating_add(promised.unwrap_or_default()))
}

/// The gas that is reserved, where the lock of a job may use `lock`. A result of the greatest size and a settlement together
/// take less than three locks (`contracts/snapshots`).
pub(super) fn reserved(deployment: &Deployment, reserve: Reserve, lock: u64) -> u128 {
    let commands = u128::from(reserve.commands);
    let gas = commands * u128::from(lock) * 3 / 2;
    if reserve.callback_gas == 0 {
        return gas;
    }
    let callbacks = u128::from(reserve.callback_gas) * 64 / 63;
    gas.saturating_add(callbacks).saturating_add(commands * (u128::from(deployment.callback_reserve) + 1))
}

/// A transaction that is to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub chain_id: u64,
    pub nonce: u64,
    pub gas: u64,
    pub to: Address,
    pub value: U256,
    pub data: Bytes,
}

impl Draft {
    /// Signs it with fees.
    pub(super) fn sign(&self, signer: &PrivateKeySigner, price: Price) -> Result<Attempt, alloy::signers::Error> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: price.max_fee,
            max_priority_fee_per_gas: price.max_tip,
            to: TxKind::Call(self.to),
            value: self.value,
            access_list: Default::default(),
            input: self.data.clone(),
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash())?;
        let signed = transaction.into_signed(signature);
        let raw = TxEnvelope::from(signed.clone()).encoded_2718();
        Ok(Attempt { hash: *signed.hash(), raw: raw.into(), max_fee: price.max_fee, max_tip: price.max_tip })
    }

    /// Reads a signed version back; `None` when it is none of ours.
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
        let envelope = TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).ok()?;
        let transaction = envelope.as_eip1559()?.tx();
        Some(Self {
            chain_id: transaction.chain_id,
            nonce: transaction.nonce,
            gas: transaction.gas_limit,
            to: *transaction.to.to()?,
            value: transaction.value,
            data: transaction.input.clone(),
        })
    }

    /// The most it can cost.
    pub(super) fn cost(&self, max_fee: u128) -> AttoFil {
        let fees = u128::from(self.gas).saturating_mul(max_fee);
        AttoFil(self.value.saturating_to::<u128>().saturating_add(fees))
    }
}

#[cfg(test)]
mod tests {
    use lota_market::B256;

    use super::*;

    fn draft() -> Draft {
        Draft {
            chain_id: 314,
            nonce: 7,
            gas: 1_000_000,
            to: Address::repeat_byte(1),
            value: U256::from(5),
            data: Bytes::from_static(b"data"),
        }
    }

    #[test]
    fn signed_bytes_are_read_back() {
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).expect("a valid key");
        let attempt = draft().sign(&signer, Price { max_fee: 100, max_tip: 3 }).expect("it signs");
        assert_eq!(Draft::of(&attempt), Some(draft()));
        let envelope = TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).expect("a transaction");
        assert_eq!(*envelope.tx_hash(), attempt.hash);
        assert_eq!(draft().cost(100), AttoFil(100_000_005));
        assert_eq!(Draft::of(&Attempt { raw: Bytes::new(), ..attempt }), None);
    }

    #[test]
    fn what_is_reserved_covers_results_settlements_and_callbacks() {
        let settings = lota_market::model::Settings { min_window: 1, max_callback_gas: 5_000_000 };
        let deployment = Deployment { settings, callback_reserve: 20_000, signature_gas: 200_000 };
        assert_eq!(reserved(&deployment, Reserve::default(), 50_000), 0);
        // Of docs/contracts.md: lock, submitResult with 1024 bytes, settle; with the margin that locks are sent with.
        let lock = with_margin(42_938);
        assert!(reserved(&deployment, Reserve { commands: 2, callback_gas: 0 }, lock) > 72_880 + 40_547);
        let called_back = reserved(&deployment, Reserve { commands: 4, callback_gas: 700_000 }, lock);
        assert!(called_back > 2 * (72_880 + 40_547) + u128::from(to_pass_on(700_000, 20_000)), "{called_back}");
        let most = Reserve { commands: u32::MAX, callback_gas: u64::MAX };
        assert!(reserved(&deployment, most, u64::MAX) > u128::from(u64::MAX));
    }

    #[test]
    fn a_replacement_offers_a_quarter_more_and_what_the_chain_asks() {
        let before = Attempt { hash: B256::ZERO, raw: Bytes::new(), max_fee: 100, max_tip: 8 };
        let cheap = Price { max_fee: 50, max_tip: 1 }.replacing(&before);
        assert_eq!(cheap, Price { max_fee: 126, max_tip: 11 });
        let dear = Price { max_fee: 900, max_tip: 20 }.replacing(&before);
        assert_eq!(dear, Price { max_fee: 900, max_tip: 20 });
        let none = Attempt { max_fee: u128::MAX, max_tip: u128::MAX, ..before };
        assert_eq!(Price { max_fee: 1, max_tip: 1 }.replacing(&none).max_fee, u128::MAX);
    }

    #[test]
    fn what_is_promised_is_what_63_of_64_parts_leave() {
        for gas in [0u32, 1, 63, 64, 900_000, u32::MAX] {
            let needed = to_pass_on(gas, 0);
            assert!(needed - needed / 64 >= u64::from(gas), "{gas}");
        }
        assert_eq!(with_margin(1_000), 1_250);
        assert_eq!(with_margin(u64::MAX), u64::MAX);
    }
}
