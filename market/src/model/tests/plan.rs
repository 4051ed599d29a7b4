//! A deal brought to where a command is to be tried, and the command, both of which a test may spoil.

use alloy_primitives::{Address, Bytes, U256};

use super::script::*;
use crate::{
    model::{Command, JobResult, Receipt, Status, Terms, Verdict, lane_of},
    money::AttoFil,
    time::Time,
};

/// When the deals of a [`Plan`] are opened, locked, submitted and disputed.
pub(super) const LOCKED: Time = Time(START.0 + 50);
pub(super) const SUBMITTED: Time = Time(START.0 + 100);
pub(super) const DISPUTED: Time = Time(START.0 + 150);

/// How a command is tried. Everything may be changed before [`Plan::scene`] builds the market.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The terms of the deal.
    pub(super) terms: Terms,
    /// How far the deal was brought before.
    pub(super) reach: Status,
    /// The command speaks of a deal that there is not.
    pub(super) unknown: bool,
    /// The salt was revoked before.
    pub(super) revoked: bool,
    /// Whose free balances were withdrawn before.
    pub(super) poor: Vec<Address>,
    pub(super) sender: Address,
    pub(super) now: Time,
    pub(super) value: AttoFil,
    pub(super) spec: Bytes,
    /// The signature is not the client's.
    pub(super) forged: bool,
    pub(super) foreign_chain: Option<u64>,
    pub(super) payouts: bool,
    pub(super) callbacks: bool,
    pub(super) result: JobResult,
    pub(super) receipt: Receipt,
    pub(super) to: Address,
    pub(super) amount: AttoFil,
    pub(super) verdict: Verdict,
    pub(super) count: usize,
    /// Until when an acceptance holds.
    pub(super) until: Time,
}

impl Plan {
    /// A deal that was brought to `reach`; `sender` acts at `now`.
    pub(super) fn new(reach: Status, sender: Address, now: Time) -> Self {
        Self {
            terms: terms(0),
            reach,
            unknown: false,
            revoked: false,
            poor: Vec::new(),
            sender,
            now,
            value: AttoFil::ZERO,
            spec: spec(),
            forged: false,
            foreign_chain: None,
            payouts: true,
            callbacks: true,
            result: result(),
            receipt: Receipt { provider: PROVIDER, price: gwei(150), result: result() },
            to: PROVIDER,
            amount: gwei(150),
            verdict: Verdict::Upheld,
            count: 0,
            until: Time(u64::MAX),
        }
    }

    /// The terms that the command names.
    pub(super) fn asked(&self) -> Terms {
        if self.unknown { Terms { salt: U256::from(999), ..self.terms.clone() } } else { self.terms.clone() }
    }

    /// The market in which the command is tried. Ends are brought about without delivering callbacks.
    pub(super) fn scene(&self) -> Scene {
        let mut scene = Scene::new();
        scene.env.callbacks = false;
        let terms = self.terms.clone();
        let mut act = |now, sender, command: Command| {
            scene.at(now).act(sender, &command).unwrap_or_else(|rejection| panic!("{command:?}: {rejection}"));
        };
        let receipt = || Receipt { provider: PROVIDER, price: gwei(150), result: result() };
        if self.reach != Status::None {
            act(START, CLIENT, Command::Open { terms: terms.clone(), spec: Bytes::new() });
        }
        if matches!(
            self.reach,
            Status::Locked | Status::Submitted | Status::Disputed | Status::Settled | Status::Slashed | Status::Void
        ) {
            if terms.matcher.is_zero() {
                act(LOCKED, PROVIDER, Command::Lock { terms: terms.clone() });
            } else {
                let (provider, price) = (PROVIDER, gwei(150));
                act(LOCKED, terms.matcher, Command::Award { terms: terms.clone(), provider, price });
            }
        }
        if matches!(self.reach, Status::Submitted | Status::Disputed | Status::Settled | Status::Void) {
            act(SUBMITTED, PROVIDER, Command::SubmitResult { terms: terms.clone(), result: result() });
        }
        if matches!(self.reach, Status::Disputed | Status::Void) {
            act(DISPUTED, ARBITER, Command::Dispute { terms: terms.clone() });
        }
        match self.reach {
            Status::Settled => act(SUBMITTED, CLIENT, Command::Accept { terms: terms.clone(), receipt: receipt() }),
            Status::Cancelled => {
                let sender = if terms.matcher.is_zero() { CLIENT } else { terms.matcher };
                act(START, sender, Command::Cancel { terms: terms.clone() });
            }
            Status::Slashed => act(LOCKED.after(101), STRANGER, Command::Expire { terms: terms.clone() }),
            Status::Void => {
                act(DISPUTED.after(301), STRANGER, Command::Lapse { terms: terms.clone(), receipt: receipt() })
            }
            Status::None | Status::Open | Status::Locked | Status::Submitted | Status::Disputed => {}
        }
        if self.revoked {
            let (lane, number) = lane_of(terms.salt);
            act(START, terms.client, Command::Revoke { lane, up_to: number + 1 });
        }
        for account in &self.poor {
            let amount = scene.market().balance(*account);
            scene.act(*account, &Command::Withdraw { to: STRANGER, amount }).expect("withdraws");
        }
        scene.news();
        scene.env.calls.clear();
        scene.env.paid = AttoFil::ZERO;
        scene.env.now = self.now;
        scene.env.value = self.value;
        scene.env.foreign_chain = self.foreign_chain;
        scene.env.payouts = self.payouts;
        scene.env.callbacks = self.callbacks;
        scene
    }

    pub(super) fn signature(&self) -> Bytes {
        if self.forged { Bytes::from_static(b"forged") } else { sign_terms(&self.asked()) }
    }
}

/// Builds the command of a plan.
pub(super) type Build = fn(&Plan) -> Command;

/// The commands about a deal in progress.
pub(super) const LIFE: [(&str, Build); 12] = [
    ("lock", lock),
    ("award", award),
    ("cancel", |plan| Command::Cancel { terms: plan.asked() }),
    ("expire", |plan| Command::Expire { terms: plan.asked() }),
    ("give up", |plan| Command::GiveUp { terms: plan.asked() }),
    ("submit", |plan| Command::SubmitResult { terms: plan.asked(), result: plan.result.clone() }),
    ("accept", |plan| Command::Accept { terms: plan.asked(), receipt: plan.receipt.clone() }),
    ("settle", |plan| Command::Settle { terms: plan.asked(), receipt: plan.receipt.clone() }),
    ("dispute", |plan| Command::Dispute { terms: plan.asked() }),
    ("rule", rule),
    ("lapse", |plan| Command::Lapse { terms: plan.asked(), receipt: plan.receipt.clone() }),
    ("retry", |plan| Command::RetryCallback { terms: plan.asked(), receipt: plan.receipt.clone() }),
];

pub(super) fn life(name: &str) -> Build {
    LIFE.iter().find(|(known, _)| *known == name).map(|(_, build)| *build).expect("a command")
}

fn lock(plan: &Plan) -> Command {
    Command::Lock { terms: plan.asked() }
}

fn award(plan: &Plan) -> Command {
    Command::Award { terms: plan.asked(), provider: plan.to, price: plan.amount }
}

fn rule(plan: &Plan) -> Command {
    Command::Rule { terms: plan.asked(), receipt: plan.receipt.clone(), verdict: plan.verdict }
}
