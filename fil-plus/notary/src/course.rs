//! How far a job's nomination has come: folded from the blessing's events.
//!
//! A course follows from a list of events and from nothing else. Who forgets events that were undone, and folds again, has undone them.

use std::collections::BTreeSet;

use lota_bridge::evm::granters;
use lota_market::{
    Address, AttoFil, B256, FixedBytes, Time, U256,
    blessing::{Choice, End, Event, Nomination, Phase},
};

use crate::desk::{Happened, Stage};

/// So many things that happened to a job are told, the newest: anybody may let a grant fail again and again.
const MAX_HAPPENED: usize = 200;

/// How that is told that a granter failed.
pub const GRANTER_FAILED: &str = "the granter failed";

/// Something that a blessing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub block: u64,
    /// As in its [cursor](lota_bridge::Cursor).
    pub index: u32,
    pub time: Time,
    pub transaction: B256,
    pub is_final: bool,
    pub event: Event,
}

/// A vote that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastVote {
    pub round: u32,
    pub notary: Address,
    pub choice: Choice,
    pub reasons: B256,
    pub at: Time,
    pub transaction: B256,
    pub is_final: bool,
}

/// That and until when it was blessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlessedUntil {
    pub at: Time,
    pub revoke_until: Time,
    pub grant_until: Time,
    pub is_final: bool,
}

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    pub at: Time,
    pub amount: U256,
    pub to_client: AttoFil,
    pub transaction: B256,
    pub is_final: bool,
}

/// How many voted, and how, in a round: when it is decided this stays, though the votes count for no other decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub approvals: u32,
    pub rejections: u32,
    pub revocations: u32,
}

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Of its last nomination; 0: it was never nominated.
    pub round: u32,
    /// The last nomination, whether it runs or not.
    pub nomination: Option<Nomination>,
    pub blessed: Option<BlessedUntil>,
    pub granted: Option<Granted>,
    /// How the last nomination ended, and whether that is final.
    pub ended: Option<(End, bool)>,
    /// Votes of all rounds.
    pub votes: Vec<CastVote>,
    /// Who voted, and how, as far as it counts for the next decision.
    counted: Vec<(Address, Choice)>,
    /// Of the last nomination; without votes that a new set of notaries made void.
    pub tally: Tally,
    /// How often the granter failed in this round.
    pub failures: u32,
    /// The selector of its last error.
    pub last_failure: Option<FixedBytes<4>>,
    /// The oldest first.
    pub happened: Vec<Happened>,
}

impl Course {
    /// What these events of a job come to, in their order; among them those of the notaries, whose new sets make votes void.
    pub fn of<'a>(said: impl IntoIterator<Item = &'a Said>) -> Self {
        let mut course = Self::default();
        for said in said {
            course.take(said);
        }
        let surplus = course.happened.len().saturating_sub(MAX_HAPPENED);
        course.happened.drain(..surplus);
        course
    }

    fn take(&mut self, said: &Said) {
        let Said { time: at, transaction, is_final, ref event, .. } = *said;
        let what = match event {
            Event::NotariesSet { version, .. } => {
                if self.counted.is_empty() {
                    return;
                }
                self.counted.clear();
                if self.blessed.is_some() {
                    self.tally.revocations = 0;
                } else {
                    self.tally = Tally::default();
                }
                format!("a new set of notaries (version {version}): votes that were cast no longer count")
            }
            Event::JobNominated { nominator, nomination, .. } => {
                self.round = nomination.round;
                self.nomination = Some((**nomination).clone());
                (self.blessed, self.ended, self.failures, self.last_failure) = (None, None, 0, None);
                self.counted.clear();
                self.tally = Tally::default();
                format!("nominated by {nominator} (round {})", nomination.round)
            }
            Event::VoteCast { round, notary, choice, reasons, .. } => {
                let (round, notary, choice, reasons) = (*round, *notary, *choice, *reasons);
                self.votes.push(CastVote { round, notary, choice, reasons, at, transaction, is_final });
                self.counted.push((notary, choice));
                let (sum, verb) = match choice {
                    Choice::Approve => (&mut self.tally.approvals, "approved"),
                    Choice::Reject => (&mut self.tally.rejections, "rejected"),
                    Choice::Revoke => (&mut self.tally.revocations, "voted to revoke"),
                };
                *sum = sum.saturating_add(1);
                format!("{notary} {verb}")
            }
            Event::JobBlessed { revoke_until, grant_until, .. } => {
                let (revoke_until, grant_until) = (*revoke_until, *grant_until);
                self.blessed = Some(BlessedUntil { at, revoke_until, grant_until, is_final });
                self.counted.clear();
                "blessed".to_owned()
            }
            Event::NominationEnded { end, .. } => {
                self.ended = Some((*end, is_final));
                self.counted.clear();
                match end {
                    End::Refused => "refused by the notaries",
                    End::Expired => "not decided in time",
                    End::Revoked => "the blessing was revoked",
                    End::Lapsed => "blessed, and not granted in time",
                }
                .to_owned()
            }
            Event::GrantFailed { why, .. } => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(*why);
                format!("{GRANTER_FAILED}: {}", granters::failure(*why))
            }
            Event::JobGranted { amount, to_client, .. } => {
                let (amount, to_client) = (*amount, *to_client);
                self.counted.clear();
                self.granted = Some(Granted { at, amount, to_client, transaction, is_final });
                format!("granted: {amount} of the granter's unit; {to_client} to the client")
            }
            _ => return,
        };
        self.happened.push(Happened { at, what, transaction: Some(transaction), is_final });
    }

    #[must_use]
    pub const fn phase(&self) -> Phase {
        if self.granted.is_some() {
            Phase::Granted
        } else if self.round == 0 || self.ended.is_some() {
            Phase::None
        } else if self.blessed.is_some() {
            Phase::Blessed
        } else {
            Phase::Nominated
        }
    }

    /// The nomination that runs.
    #[must_use]
    pub fn running(&self) -> Option<&Nomination> {
        self.nomination.as_ref().filter(|_| matches!(self.phase(), Phase::Nominated | Phase::Blessed))
    }

    /// Where it stands at a time, if it was ever nominated.
    #[must_use]
    pub fn stage(&self, now: Time) -> Option<Stage> {
        match self.phase() {
            Phase::Granted => Some(Stage::Granted),
            Phase::Nominated => Some(Stage::Voting),
            Phase::Blessed if self.blessed.is_some_and(|blessed| now > blessed.revoke_until) => Some(Stage::Due),
            Phase::Blessed => Some(Stage::Blessed),
            Phase::None => self.ended.map(|(end, _)| Stage::Ended(end)),
        }
    }

    /// Until when what comes next may be done.
    #[must_use]
    pub fn until(&self, now: Time) -> Option<Time> {
        match self.stage(now)? {
            Stage::Voting => self.nomination.as_ref().map(|nomination| nomination.expires),
            Stage::Blessed => self.blessed.map(|blessed| blessed.revoke_until),
            Stage::Due => self.blessed.map(|blessed| blessed.grant_until),
            _ => None,
        }
    }

    /// Whether a notary's vote counts for the next decision.
    #[must_use]
    pub fn counts(&self, notary: Address) -> bool {
        self.counted.iter().any(|(voter, _)| *voter == notary)
    }

    /// A notary's vote that counts for the next decision.
    #[must_use]
    pub fn counted_vote(&self, notary: Address) -> Option<&CastVote> {
        // Those that count came last.
        self.votes.iter().rev().find(|cast| cast.notary == notary).filter(|_| self.counts(notary))
    }

    /// Who approved, as far as it counts.
    pub fn approvers(&self) -> impl Iterator<Item = Address> + '_ {
        self.counted.iter().filter(|(_, choice)| *choice == Choice::Approve).map(|(notary, _)| *notary)
    }

    /// Who voted on what is voted on; once it is blessed, who voted in its round.
    pub fn voters_so_far(&self) -> BTreeSet<Address> {
        if self.phase() == Phase::Nominated {
            return self.voters().collect();
        }
        self.votes.iter().filter(|vote| vote.round == self.round).map(|vote| vote.notary).collect()
    }

    /// Whose votes count for the next decision.
    pub fn voters(&self) -> impl Iterator<Item = Address> + '_ {
        self.counted.iter().map(|(notary, _)| *notary)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "this is test code")]

    use lota_market::{Bytes, model::JobId};

    use super::*;

    fn nomination(round: u32) -> Nomination {
        let party = Address::with_last_byte;
        Nomination {
            job: JobId(B256::with_last_byte(1)),
            round,
            client: party(1),
            provider: party(2),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            nominator: party(3),
            granter: party(4),
            recipient: Bytes::from_static(b"f0"),
            amount: U256::from(7),
            piece: B256::with_last_byte(9),
            piece_size: 128,
            share: AttoFil(1),
            bounty: AttoFil::ZERO,
            expires: Time(1_000),
        }
    }

    fn said(events: Vec<Event>) -> Vec<Said> {
        (1..)
            .zip(events)
            .map(|(block, event)| Said {
                block,
                index: 1,
                time: Time(100 + block),
                transaction: B256::with_last_byte(5),
                is_final: true,
                event,
            })
            .collect()
    }

    fn nominated(round: u32) -> Event {
        let nomination = nomination(round);
        Event::JobNominated { job: nomination.job, nominator: nomination.nominator, nomination: Box::new(nomination) }
    }

    fn vote(notary: u8, choice: Choice) -> Event {
        let (job, notary) = (nomination(1).job, Address::with_last_byte(notary));
        Event::VoteCast { job, round: 1, notary, choice, reasons: B256::ZERO }
    }

    fn blessed() -> Event {
        let (revoke_until, grant_until) = (Time(200), Time(300));
        Event::JobBlessed { job: nomination(1).job, round: 1, revoke_until, grant_until }
    }

    #[test]
    fn a_job_goes_from_nomination_to_grant() {
        let job = nomination(1).job;
        assert_eq!(Course::default().stage(Time(0)), None);
        let mut events = vec![nominated(1), vote(11, Choice::Approve), vote(12, Choice::Reject)];
        let course = Course::of(&said(events.clone()));
        assert_eq!((course.stage(Time(0)), course.until(Time(0))), (Some(Stage::Voting), Some(Time(1_000))));
        let tally = |approvals, rejections, revocations| Tally { approvals, rejections, revocations };
        assert_eq!(course.tally, tally(1, 1, 0));
        assert!(course.counts(Address::with_last_byte(12)));

        events.extend([vote(13, Choice::Approve), blessed(), vote(12, Choice::Revoke)]);
        let course = Course::of(&said(events.clone()));
        assert_eq!(course.tally, tally(2, 1, 1), "what blessed it is told beside what is counted now");
        assert_eq!(course.voters().collect::<Vec<_>>(), [Address::with_last_byte(12)]);
        assert!(!course.counts(Address::with_last_byte(11)), "who approved may still revoke");
        assert_eq!(course.voters_so_far().len(), 3);
        assert_eq!(course.stage(Time(200)), Some(Stage::Blessed), "until is inclusive");
        assert_eq!((course.stage(Time(201)), course.until(Time(201))), (Some(Stage::Due), Some(Time(300))));

        events.push(Event::GrantFailed { job, round: 1, why: [1, 2, 3, 4].into() });
        events.push(Event::JobGranted {
            job,
            provider: nomination(1).provider,
            granter: nomination(1).granter,
            amount: U256::from(7),
            to_client: AttoFil(1),
        });
        let course = Course::of(&said(events));
        assert_eq!((course.tally, course.voters().count()), (tally(2, 1, 1), 0), "it stays as it was decided");
        assert_eq!((course.phase(), course.failures, course.running()), (Phase::Granted, 1, None));
        assert_eq!(course.last_failure, Some([1, 2, 3, 4].into()));
        assert_eq!(course.happened.len(), 8);
    }

    #[test]
    fn a_new_set_voids_votes_and_a_new_round_begins_anew() {
        let set = Event::NotariesSet { version: 2, notaries: vec![], quorum: 1 };
        let voided = vec![set.clone(), nominated(1), vote(11, Choice::Approve), set.clone()];
        let course = Course::of(&said(voided));
        assert_eq!((course.tally, course.votes.len()), (Tally::default(), 1));
        let revoking = vec![nominated(1), vote(11, Choice::Approve), blessed(), vote(11, Choice::Revoke), set.clone()];
        let course = Course::of(&said(revoking));
        assert_eq!(course.tally, Tally { approvals: 1, ..Tally::default() }, "it stays blessed by whom it was");
        let ended = Event::NominationEnded { job: nomination(1).job, round: 1, end: End::Expired };
        let over = Course::of(&said(vec![nominated(1), vote(11, Choice::Reject), ended.clone(), set]));
        assert_eq!((over.tally.rejections, over.happened.len()), (1, 3), "a new set undoes nothing that is over");
        assert_eq!((over.phase(), over.stage(Time(0))), (Phase::None, Some(Stage::Ended(End::Expired))));
        let again = Course::of(&said(vec![nominated(1), vote(11, Choice::Approve), ended, nominated(2)]));
        assert_eq!((again.round, again.phase(), again.tally), (2, Phase::Nominated, Tally::default()));
    }

    #[test]
    fn a_granter_that_fails_for_ever_fills_no_page() {
        let failed = Event::GrantFailed { job: nomination(1).job, round: 1, why: Default::default() };
        let mut events = vec![nominated(1)];
        events.extend(std::iter::repeat_n(failed, 1_000));
        let course = Course::of(&said(events));
        assert_eq!((course.failures, course.happened.len()), (1_000, MAX_HAPPENED));
    }
}
