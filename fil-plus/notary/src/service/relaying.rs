//! Signed votes on their way to the chain.

use std::convert::Infallible;

use futures::StreamExt as _;
use lota_bridge::blessing::{BlessingLanded, BlessingSubmitError};
use lota_market::{
    AttoFil,
    agent::EffectKey,
    blessing::{Phase, Rejection},
};

use super::{Service, ServiceError, VOTE, voting::relayed};
use crate::{
    course::CastVote,
    desk::Change,
    store::{HeldVote, SignedState},
};

/// So many votes are under way at once.
const AT_ONCE: usize = 8;

impl Service {
    pub(super) async fn keep_voting(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.votes_due().await;
            self.after_turn("votes", VOTE, turn).await;
        }
    }

    /// Sends what is to be sent and is not in a block, and gives up what has become void.
    pub(super) async fn votes_due(&self) -> Result<(), ServiceError> {
        let open = self.store.open_votes().await?;
        if open.is_empty() {
            return Ok(());
        }
        let version = match self.parts.blessing.notaries().await {
            Ok(notaries) => notaries.version,
            Err(error) => {
                self.problem("the chain", Some(error.to_string()));
                return Ok(());
            }
        };
        let turns = futures::stream::iter(open.into_iter().map(|held| self.vote_further(held, version)));
        let outcomes: Vec<_> = turns.buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }

    async fn vote_further(&self, held: HeldVote, version: u32) -> Result<(), ServiceError> {
        let course = self.store.course(held.job).await?;
        let cast = course.votes.iter().find(|cast| is_of(cast, &held));
        if let Some(cast) = cast {
            if cast.is_final {
                self.store.keep_vote_state(&held, &SignedState::Done).await?;
            }
            return Ok(());
        }
        if let Some(other) = course.counted_vote(held.notary).filter(|_| course.round == held.round) {
            // Its notary voted otherwise, by itself: that may still be undone.
            if other.is_final {
                let why = Rejection::AlreadyVoted { job: held.job, notary: held.notary }.words(&self.parts.asset);
                self.store.keep_vote_state(&held, &SignedState::Refused { why }).await?;
                self.changed(Change::Job(held.job));
            }
            return Ok(());
        }
        if held.state == SignedState::Held {
            let why = if course.running().is_none_or(|nomination| nomination.round != held.round) {
                "the nomination ended before a second notary signed"
            } else if course.phase() != Phase::Nominated {
                "the nomination was decided before a second notary signed"
            } else if held.version != version {
                "the set of notaries changed after it was signed: sign again"
            } else {
                return Ok(());
            };
            self.store.keep_vote_state(&held, &SignedState::Refused { why: why.into() }).await?;
            self.changed(Change::Job(held.job));
            return Ok(());
        }
        let name = format!("the vote of {} on {}", held.notary, held.job);
        if self.may_try(&name) {
            self.send(&held).await?;
        }
        Ok(())
    }

    /// Sends a vote, whatever happened to it before.
    pub(super) async fn send(&self, held: &HeldVote) -> Result<Option<BlessingLanded>, ServiceError> {
        let course = self.store.course(held.job).await?;
        let Some(nomination) = course.nomination.filter(|nomination| nomination.round == held.round) else {
            // Its nomination was undone; it may come again.
            return Ok(None);
        };
        let command = relayed(&nomination, held.choice, held.reasons, held.notary, held.signature.clone());
        let name = format!("the vote of {} on {}", held.notary, held.job);
        let key = vote_key(held);
        let outcome = self.parts.blessing.submit(&key, &command, AttoFil::ZERO).await;
        self.problem(&name, None);
        match outcome {
            Ok(landed) => Ok(Some(landed)),
            // Somebody else has sent it, too, or its notary has voted; which of them, its event tells, and whether it stays.
            Err(BlessingSubmitError::Rejected(Rejection::UnknownNomination(_) | Rejection::AlreadyVoted { .. })) => {
                Ok(None)
            }
            Err(BlessingSubmitError::Rejected(rejection)) => {
                let there = self.store.course(held.job).await?.votes.iter().any(|cast| is_of(cast, held));
                if !there {
                    let why = rejection.words(&self.parts.asset);
                    self.store.keep_vote_state(held, &SignedState::Refused { why }).await?;
                    self.changed(Change::Job(held.job));
                }
                Ok(None)
            }
            Err(error) => {
                self.problem(&name, Some(error.to_string()));
                Ok(None)
            }
        }
    }
}

/// Whether a vote in a block is this one.
fn is_of(cast: &CastVote, held: &HeldVote) -> bool {
    (cast.round, cast.notary, cast.choice, cast.reasons) == (held.round, held.notary, held.choice, held.reasons)
}

/// One vote of a notary; one that was signed anew is another.
fn vote_key(held: &HeldVote) -> EffectKey {
    let what: String = held.reasons.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let notary: String = held.notary.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let HeldVote { job, round, choice, version, .. } = held;
    EffectKey::named(&format!("{job}/vote/{round}/{notary}/{}{version}/{what}", choice.number()))
}
