//! Blocks, logs and receipts, read field by field: nodes differ in what else they send.

use alloy::primitives::U64;
use lota_market::{Address, AttoFil, B256, Bytes, Time, U256};
use serde::Deserialize;
use serde_json::{Value, json};

/// A block, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    number: U64,
    pub hash: B256,
    /// Its parent's hash; zeros where the node does not say.
    #[serde(default)]
    pub parent_hash: B256,
    timestamp: U64,
    /// What a unit of gas costs in it at least, in attoFIL.
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
}

impl Header {
    #[cfg(test)]
    pub(super) fn of(number: u64, hash: B256, parent_hash: B256) -> Self {
        let (number, timestamp) = (U64::from(number), U64::from(number));
        Self { number, hash, parent_hash, timestamp, base_fee_per_gas: None }
    }

    /// Its number; on Filecoin its epoch.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number.to()
    }

    /// Its timestamp.
    #[must_use]
    pub fn time(&self) -> Time {
        Time(self.timestamp.to())
    }
}

/// What a node has at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Height {
    /// A block.
    Block(Header),
    /// Never a block: a Filecoin epoch without any.
    Empty,
    /// Nothing yet: this node's chain ends before it.
    Beyond,
}

/// On which block's state something is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest one.
    #[default]
    Latest,
    /// The one with this number.
    Block(u64),
}

impl At {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Latest => "latest".into(),
            Self::Block(number) => quantity(number).into(),
        }
    }
}

/// A contract's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Whose it is.
    pub address: Address,
    /// The event's signature, and its indexed fields.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
    block_number: U64,
    /// Hash of its block.
    pub block_hash: B256,
    #[serde(default)]
    block_timestamp: Option<U64>,
    /// Hash of its transaction.
    pub transaction_hash: B256,
    log_index: U64,
    #[serde(default)]
    pub(super) removed: bool,
}

impl Log {
    /// Number of its block.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.block_number.to()
    }

    /// Its place among all logs of its block, whoever's they are.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.log_index.saturating_to()
    }

    /// The timestamp of its block, where the node says so.
    #[must_use]
    pub fn time(&self) -> Option<Time> {
        self.block_timestamp.map(|time| Time(time.to()))
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    status: U64,
    block_number: U64,
    /// Hash of its block.
    pub block_hash: B256,
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// Who sent it.
    pub from: Address,
    /// The contract that it created.
    #[serde(default)]
    pub contract_address: Option<Address>,
    #[serde(default)]
    gas_used: U64,
    #[serde(default)]
    effective_gas_price: U256,
    /// What happened, in order.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// Whether it was carried out.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.status.is_zero()
    }

    /// Number of its block.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.block_number.to()
    }

    /// Whether another node's receipt says the same, as far as it matters: nodes differ in what they add.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let logs = |receipt: &Self| {
            let logs = receipt.logs.iter().map(|log| (log.address, log.topics.clone(), log.data.clone(), log.index()));
            logs.collect::<Vec<_>>()
        };
        self.transaction_hash == other.transaction_hash
            && self.block_hash == other.block_hash
            && self.block() == other.block()
            && self.succeeded() == other.succeeded()
            && self.contract_address == other.contract_address
            && logs(self) == logs(other)
    }

    /// The gas that it used, in the chain's units.
    #[must_use]
    pub fn gas_used(&self) -> u64 {
        self.gas_used.to()
    }

    /// What its gas cost.
    #[must_use]
    pub fn fee(&self) -> AttoFil {
        AttoFil(U256::from(self.gas_used()).saturating_mul(self.effective_gas_price).saturating_to())
    }
}

/// A call that is tried out, estimated or read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls.
    pub from: Option<Address>,
    /// The contract; `None` creates one.
    pub to: Option<Address>,
    /// Money that goes with it.
    pub value: AttoFil,
    /// Call data, or the code that creates a contract.
    pub data: Bytes,
}

impl CallRequest {
    pub(super) fn json(&self) -> Value {
        let mut call = json!({ "value": U256::from(self.value.0), "data": self.data });
        if let Some(from) = self.from {
            call["from"] = json!(from);
        }
        if let Some(to) = self.to {
            call["to"] = json!(to);
        }
        call
    }
}

/// Which logs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Contracts.
    pub addresses: Vec<Address>,
    /// For each place among the topics, what may stand there: anything, where the list is empty.
    pub topics: Vec<Vec<B256>>,
}

impl Filter {
    pub(super) fn json(&self) -> Value {
        let mut filter = match self.addresses.as_slice() {
            // Some nodes take no list of one.
            [address] => json!({ "address": address }),
            addresses => json!({ "address": addresses }),
        };
        if self.topics.iter().any(|topics| !topics.is_empty()) {
            let places = self.topics.iter().map(|any| if any.is_empty() { Value::Null } else { json!(any) });
            filter["topics"] = places.collect();
        }
        filter
    }

    /// Whether a log is wanted.
    #[must_use]
    pub fn matches(&self, log: &Log) -> bool {
        let places = self.topics.iter().enumerate();
        self.addresses.contains(&log.address)
            && places
                .into_iter()
                .all(|(place, any)| any.is_empty() || log.topics.get(place).is_some_and(|topic| any.contains(topic)))
    }
}

pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_written_as_nodes_read_it() {
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let topic = B256::repeat_byte(3);
        let any = Filter { addresses: vec![one], topics: vec![] };
        assert_eq!(any.json(), json!({ "address": one }));
        let second = Filter { addresses: vec![one, two], topics: vec![vec![], vec![topic]] };
        assert_eq!(second.json(), json!({ "address": [one, two], "topics": [null, [topic]] }));
    }
}
