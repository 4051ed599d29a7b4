//! What a world is told from outside: the time, hashes, signatures, and what other code does when it is called.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use serde::{Deserialize, Serialize};

use super::{Call, Conduct, TokenTransfer};
use crate::{
    AttoFil, Time,
    auction::Bid,
    blessing::{self, Grant, Nomination},
    filecoin_pay_deals::Order,
    granter::{ActorAnswer, ActorRequest},
    model::{Authorization, JobId, JobResult, Permit, Reason, Signed, Terms},
};

/// The environment of one call: everything that the world does not decide itself. On a chain it is the chain; in the memory
/// transport hashes and signatures are real; in the simulator and in tests they are made up.
pub trait Env {
    /// The block's timestamp.
    fn now(&self) -> Time;
    /// The block's number: what Filecoin Pay calls an epoch. Where there is no Filecoin Pay nobody asks.
    fn block_number(&self) -> u64 {
        0
    }
    /// The EIP-712 digest of terms in the domain of the market at an address.
    fn job_id(&self, market: Address, terms: &Terms) -> JobId;
    /// sha2-256 of a spec's bytes.
    fn spec_digest(&self, spec: &Bytes) -> B256;
    /// The chain id when it is *not* the one that the contracts were deployed on (signatures fail then); `None` when it is.
    fn foreign_chain(&self) -> Option<u64> {
        None
    }
    /// Whether `signature` is `client`'s over `what` (ECDSA first, then ERC-1271).
    fn signature_valid(&self, market: Address, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool;
    /// Whether an account has code: then it is called back. Not asked of the contracts of this world, which have.
    fn has_code(&self, account: Address) -> bool;
    /// What the code at an address does when a contract calls it; where there is no code: nothing, which succeeds. Not asked
    /// of the contracts of this world. What this changes in the environment is not undone by a later failure.
    fn script(&mut self, call: &ExternalCall<'_>) -> Script;

    /// Whether a commitment that an auction was given is that to a bid: see [`Bid`]. Where it cannot be computed, nothing is
    /// revealed.
    fn seals(&self, auction: Address, commitment: B256, bid: &Bid) -> bool {
        let _ = (auction, commitment, bid);
        false
    }

    // What follows is asked by blessings only.

    /// Whether `signature` is `notary`'s over `what` (ECDSA first, then ERC-1271), in the domain of the blessing at an address.
    fn notary_signed(
        &self,
        blessing: Address,
        notary: Address,
        what: &blessing::Signed<'_>,
        signature: &Bytes,
    ) -> bool {
        let _ = (blessing, notary, what, signature);
        false
    }

    /// Whether a granter outside of this world could grant this, as things are; if not, the selector of its error. Asked of accounts with
    /// code only.
    ///
    /// # Errors
    /// When it could not.
    fn check_grant(&self, granter: Address, nomination: &Nomination) -> Result<(), FixedBytes<4>> {
        let _ = (granter, nomination);
        Ok(())
    }

    /// The selector of the error that the code of a granter outside of this world has just failed with; zeros when it said nothing.
    fn grant_failure(&self, granter: Address) -> FixedBytes<4> {
        let _ = granter;
        FixedBytes::ZERO
    }

    /// Whether `signature` is the payer's over an order (ECDSA first, then ERC-1271), in the domain of the `FilecoinPayDeals` at an
    /// address, beside a market. Asked by it only.
    fn order_signed(&self, market: Address, deals: Address, order: &Order, signature: &Bytes) -> bool {
        let _ = (market, deals, order, signature);
        false
    }

    // What follows is asked by granters only.

    /// How many bytes of DataCap a MetaAllocator still lets a granter give. Asked of accounts with code only.
    ///
    /// # Errors
    /// What it reverts with; nothing when it returns no number.
    fn datacap_allowance(&self, allocator: Address, granter: Address) -> Result<U256, Bytes> {
        let _ = (allocator, granter);
        Ok(U256::ZERO)
    }

    /// What the code of a MetaAllocator has just reverted with.
    fn allocator_refusal(&self, allocator: Address) -> Bytes {
        let _ = allocator;
        Bytes::new()
    }

    /// What a built-in actor of Filecoin answers a granter; `None` where there are none. What this changes in the environment is not
    /// undone by a later failure.
    fn ask_actor(&mut self, granter: Address, request: &ActorRequest<'_>) -> Option<ActorAnswer> {
        let _ = (granter, request);
        None
    }

    // What follows is asked about tokens only.

    /// Whether a token takes `permit` for `owner`'s, who lets `spender` take `amount` of it: signed so, in time, and not used before.
    fn permit_valid(&self, token: Address, owner: Address, spender: Address, amount: AttoFil, permit: &Permit) -> bool {
        let _ = (token, owner, spender, amount, permit);
        false
    }

    /// Whether a token takes `authorization` for `from`'s, who lets `to` take `amount` of it: signed so, in time, and not used before.
    fn authorization_valid(
        &self,
        token: Address,
        from: Address,
        to: Address,
        amount: AttoFil,
        authorization: &Authorization,
    ) -> bool {
        let _ = (token, from, to, amount, authorization);
        false
    }

    /// What a token does when a market asks it to move an amount. What this changes in the environment is not undone by a later
    /// failure.
    fn conduct(&mut self, transfer: &TokenTransfer) -> Conduct {
        let _ = transfer;
        Conduct::default()
    }
}

/// A contract calls code outside of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalCall<'a> {
    /// The contract that calls.
    pub caller: Address,
    /// Whom it calls.
    pub callee: Address,
    pub occasion: Occasion<'a>,
}

/// Why a contract calls code outside of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A client's job has ended (`ILotaClient`).
    Callback {
        /// Which.
        job: JobId,
        /// The most gas it may use, in the chain's own; when it is tried again, it may be given more.
        gas: u32,
        /// The result of a settled job, or the reason of another end.
        outcome: Result<&'a JobResult, Reason>,
    },
    /// It is to grant something for a blessed job (`IGranter`).
    Grant { grant: &'a Grant },
    /// A MetaAllocator is to give a client DataCap (`addVerifiedClient`).
    AddVerifiedClient {
        /// The bytes of a Filecoin address.
        client: &'a [u8],
        /// In bytes.
        amount: U256,
    },
    /// It is paid; the money is in its wallet already.
    Payout {
        /// How much.
        amount: AttoFil,
    },
}

/// What code does when it is called: calls of contracts, one after the other, and how it ends. The default: nothing, which
/// succeeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Script {
    /// What it calls.
    pub calls: Vec<ScriptedCall>,
    /// How it ends after that.
    pub end: End,
}

/// One call of a [`Script`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScriptedCall {
    /// The call; its sender is the code that runs, or other code that is called by it.
    pub call: Call,
    /// When the call fails and may not, the script reverts there.
    pub may_fail: bool,
}

/// How code ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It returns: what it did stays.
    #[default]
    Return,
    /// It reverts: nothing of what it did stays.
    Revert,
    /// It uses up its gas: nothing of what it did stays.
    OutOfGas,
}

impl Script {
    /// Code that calls nobody.
    #[must_use]
    pub const fn ending(end: End) -> Self {
        Self { calls: Vec::new(), end }
    }

    /// Code that calls nobody, and returns or reverts.
    #[must_use]
    pub const fn accepting(accepts: bool) -> Self {
        Self::ending(if accepts { End::Return } else { End::Revert })
    }
}
