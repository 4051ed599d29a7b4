//! Mistakes put in on purpose: the comparison is worth something because it finds them.

use lota_bridge::{StoredDeal, eip712};
use lota_market::{
    AttoFil,
    model::{Command, Event, MAX_INLINE_DATA, Market, Reason, Receipt, Rejection, SALT_WINDOW, Status, lane_of},
    world::{Conduct, End, Script},
};

use crate::{oracle::Ids, step::Step};

/// The upper bytes of half the order of secp256k1, by which they are found in the code.
const HALF_ORDER: [u8; 20] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e,
    0x73,
];
/// The same of almost all numbers of 256 bits.
const HIGHER_ORDER: [u8; 20] = {
    let mut bytes = HALF_ORDER;
    bytes[0] = 0xff;
    bytes
};

/// A mistake in the contract's code, or in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The contract lets jobs be locked a second longer ahead than 365 days.
    LockAhead,
    /// The contract's longest window is a second longer than 90 days.
    Window,
    /// The contract takes signatures with the higher s.
    HighS,
    /// The contract's largest spec is a byte larger.
    SpecSize,
    /// The contract wants another answer of ERC-1271 wallets.
    WalletAnswer,
    /// The model gives a slashed deal's client an attoFIL more.
    SlashRounding,
    /// The model cancels for another reason.
    CancelReason,
    /// The model checks the time of a dispute before its sender.
    DisputeOrder,
    /// The model checks the size of a result before its sender.
    InlineOrder,
    /// The model checks an award's provider before its time.
    AwardOrder,
    /// The model checks a receipt before whether it may be settled already.
    SettleOrder,
    /// The world keeps what a script did that reverted.
    KeptScript,
    /// The world goes on after a call that must not fail.
    LenientScript,
    /// The world lets nobody in during a callback.
    ClosedGuard,
    /// The model keeps how all deals ended.
    KeptRecord,
    /// The model's window of salts is one number shorter.
    LaneWindow,
    /// The model does not settle what is submitted without an arbiter.
    UnsettledSubmission,
    /// The model's receipts are of no job in particular.
    UnboundReceipt,
    /// The model says that providers bring all collateral.
    PayerOfCollateral,
    /// The world gives a callback that is tried again no more gas than the first time.
    RetryGas,
    /// The world's token always moves what it is asked to.
    TrustedToken,
    /// The world's token takes no permit.
    IgnoredPermit,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::LockAhead,
        Self::Window,
        Self::HighS,
        Self::SpecSize,
        Self::WalletAnswer,
        Self::SlashRounding,
        Self::CancelReason,
        Self::DisputeOrder,
        Self::InlineOrder,
        Self::AwardOrder,
        Self::SettleOrder,
        Self::KeptScript,
        Self::LenientScript,
        Self::ClosedGuard,
        Self::KeptRecord,
        Self::LaneWindow,
        Self::UnsettledSubmission,
        Self::UnboundReceipt,
        Self::PayerOfCollateral,
        Self::RetryGas,
        Self::TrustedToken,
        Self::IgnoredPermit,
    ];

    /// Changes a constant of the contract.
    pub(crate) fn alter_code(self, code: &mut [u8]) {
        let (from, to): (&[u8], &[u8]) = match self {
            // PUSH4 365 days
            Self::LockAhead => (&[0x63, 0x01, 0xe1, 0x33, 0x80], &[0x63, 0x01, 0xe1, 0x33, 0x81]),
            // PUSH3 90 days
            Self::Window => (&[0x62, 0x76, 0xa7, 0x00], &[0x62, 0x76, 0xa7, 0x01]),
            Self::HighS => (&HALF_ORDER, &HIGHER_ORDER),
            // PUSH2 7168
            Self::SpecSize => (&[0x61, 0x1c, 0x00], &[0x61, 0x1c, 0x01]),
            // PUSH32 of the magic value
            Self::WalletAnswer => (&[0x7f, 0x16, 0x26, 0xba, 0x7e], &[0x7f, 0x16, 0x26, 0xba, 0x7f]),
            _ => return,
        };
        let mut found = false;
        for start in 0..code.len().saturating_sub(from.len()) {
            if code.get(start..start + from.len()) == Some(from)
                && let Some(constant) = code.get_mut(start..start + from.len())
            {
                constant.copy_from_slice(to);
                found = true;
            }
        }
        assert!(found, "the contract's code no longer has the constant of {self:?}: find where it went");
    }

    /// Refuses where the model does not, or not yet.
    pub(crate) fn refuse(self, step: &Step, market: &Market, ids: &Ids) -> Option<Rejection> {
        match (self, &step.command) {
            (Self::DisputeOrder, Command::Dispute { terms }) => {
                let deal = market.deal(ids.of(terms));
                let until = terms.review_by(deal.since);
                (deal.status == Status::Submitted && step.at > until)
                    .then_some(Rejection::TooLate { time: step.at, until })
            }
            (Self::InlineOrder, Command::SubmitResult { terms, result }) => {
                let size = result.inline_data.len();
                (market.deal(ids.of(terms)).status == Status::Locked && size > MAX_INLINE_DATA)
                    .then_some(Rejection::InlineTooLarge(size as u64))
            }
            (Self::AwardOrder, Command::Award { terms, provider, .. }) => {
                let fits = market.deal(ids.of(terms)).status == Status::Open && step.sender == terms.matcher;
                (fits && provider.is_zero()).then_some(Rejection::InvalidProvider)
            }
            (Self::LaneWindow, Command::Open { terms, .. }) => {
                let (client, salt) = (terms.client, terms.salt);
                let (lane, number) = lane_of(salt);
                let next = market.next_salt(client, lane);
                let is_last = number.checked_sub(lane_of(next).1) == Some(SALT_WINDOW - 1);
                let opens = terms.fault(&market.settings(), step.sender).is_none() && !market.is_spent(client, salt);
                (is_last && opens && step.value == AttoFil::ZERO).then_some(Rejection::SaltTooFar {
                    client,
                    salt,
                    next,
                })
            }
            (Self::SettleOrder, Command::Settle { terms, receipt }) => {
                let job = ids.of(terms);
                let deal = market.deal(job);
                (deal.status == Status::Submitted && deal.receipt != Some(receipt))
                    .then_some(Rejection::ReceiptMismatch(job))
            }
            _ => None,
        }
    }

    /// Makes of a script what the world would if it had the mistake.
    pub(crate) fn alter_script(self, mut script: Script) -> Script {
        match self {
            Self::KeptScript if script.end == End::Revert => script.end = End::Return,
            Self::LenientScript => script.calls.iter_mut().for_each(|scripted| scripted.may_fail = true),
            Self::ClosedGuard if script.calls.iter().any(|scripted| !scripted.may_fail) => {
                script = Script::ending(End::Revert);
            }
            Self::ClosedGuard => script.calls.clear(),
            _ => {}
        }
        script
    }

    /// Makes of what the token does what the world would if it had the mistake.
    pub(crate) fn alter_conduct(self, mut conduct: Conduct) -> Conduct {
        if self == Self::TrustedToken {
            (conduct.taken, conduct.given) = (None, None);
        }
        conduct
    }

    /// Says something else is stored.
    pub(crate) fn alter_deal(self, deal: &mut StoredDeal, receipt: Option<&Receipt>, ended: Option<(Status, Reason)>) {
        match (self, receipt, ended) {
            (Self::KeptRecord, _, Some((status, reason))) if deal.status == Status::None => {
                (deal.status, deal.reason) = (status, reason);
            }
            (Self::UnboundReceipt, Some(receipt), _) => {
                deal.receipt.copy_from_slice(&eip712::receipt_hash(receipt)[..26]);
            }
            _ => {}
        }
    }

    /// Says something else happened.
    pub(crate) fn alter_events(self, events: &mut Vec<Event>) {
        events.iter_mut().for_each(|event| self.alter_event(event));
        if self == Self::UnsettledSubmission {
            events.retain(|event| !matches!(event, Event::JobSettled { reason: Reason::Unreviewed, .. }));
        }
    }

    const fn alter_event(self, event: &mut Event) {
        match (self, event) {
            (Self::PayerOfCollateral, Event::JobLocked { provider, payer, .. }) => *payer = *provider,
            (Self::SlashRounding, Event::JobSlashed { to_client, .. }) => *to_client = AttoFil(to_client.0 + 1),
            (Self::CancelReason, Event::JobCancelled { reason, .. }) => *reason = Reason::NotLocked,
            _ => {}
        }
    }
}
