//! Notaries' votes: what they sign, checked and kept.

use std::{collections::BTreeSet, time::Duration};

use lota_bridge::{
    blessing::{BlessingSubmitError, signed_digest},
    eip712,
};
use lota_market::{
    Address, B256, Time,
    blessing::{Choice, Command, Nomination, Notaries, Phase, Rejection, Signed},
    model::{self, JobId},
};
use serde_json::json;

use super::{Service, VOTE, refusal, unknown};
use crate::{
    alerts::AlertKind,
    ballot,
    course::Course,
    desk::{BallotPaper, Change, DeskError, MAX_REASON, SignedVote, Vote, VoteState},
    review::Evidence,
    store::{HeldVote, SignedState},
};

/// How long a notary's page waits for its vote to be in a block.
const WAIT: Duration = Duration::from_secs(45);
/// The longest signature: of a contract (ERC-1271) with many owners.
const MAX_SIGNATURE: usize = 8 << 10;
/// How many signatures are asked of the chain at once, of those that are not known to be a notary's, and how long one waits for its turn.
pub(super) const DOUBTFUL: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// What a vote was checked against.
struct Checked {
    nomination: Nomination,
    course: Course,
    notaries: Notaries,
}

impl Service {
    pub(super) async fn ballot_paper(
        &self,
        job: JobId,
        choice: Choice,
        text: &str,
        notary: Address,
    ) -> Result<BallotPaper, DeskError> {
        check_text(text)?;
        let notaries = self.notaries().await?;
        let (nomination, course) = self.running(job, None).await?;
        self.check_vote(&nomination, &course, choice, notary, &notaries)?;
        let reasons = ballot::reasons_digest(text);
        self.check_replaced((job, nomination.round, notary), (choice, notaries.version, reasons)).await?;
        // The same as the notary's own transaction: all that the contract refuses but the signature.
        let command = Command::Vote { nomination: Box::new(nomination.clone()), choice, reasons };
        let tried = self.try_out(notary, &command).await?;
        tried.map_err(|error| refusal(&error, &self.parts.asset))?;
        let blessing = self.parts.blessing.blessing();
        let version = notaries.version;
        let typed_data = ballot::typed_data(&blessing, &nomination, choice, reasons, version);
        let digest = signed_digest(&blessing, &Signed::Vote { nomination: &nomination, choice, reasons, version });
        let decoded = self.decoded(&nomination, choice, notary, reasons);
        Ok(BallotPaper { choice, nomination, reasons, version, typed_data, digest, decoded })
    }

    pub(super) async fn take_vote(&self, vote: &SignedVote) -> Result<Vote, DeskError> {
        check_text(&vote.text)?;
        if vote.signature.is_empty() || vote.signature.len() > MAX_SIGNATURE {
            let size = vote.signature.len();
            return Err(DeskError::Invalid(format!("the signature has {size} bytes; 65 are expected of a wallet")));
        }
        if let Some(known) = self.same_vote(vote).await? {
            // The loop sends what is to be sent.
            return self.shown(&known).await;
        }
        // Whatever asks the chain comes before the turn of one: garbage holds up nobody.
        let checked = self.check_signed(vote).await?;
        let (held, is_new) = {
            let _one_by_one = self.voting.lock().await;
            match self.same_vote(vote).await? {
                Some(known) => (known, false),
                None => (self.accept(vote, checked).await?, true),
            }
        };
        self.wake(VOTE);
        self.wake(super::TELL);
        self.changed(Change::Job(vote.job));
        if !is_new || held.state != SignedState::ToSend {
            return self.shown(&held).await;
        }
        // The others that it releases are sent by the loop; who hangs up here stops nothing.
        let landed = match tokio::time::timeout(WAIT, self.send(&held)).await {
            Ok(outcome) => outcome?,
            Err(_) => None,
        };
        let mut shown = self.shown(&held).await?;
        if let (VoteState::Sending, Some(landed)) = (&shown.state, landed) {
            // Its event is read in a moment.
            shown.state = VoteState::Landed { transaction: Some(landed.transaction), is_final: false };
        }
        Ok(shown)
    }

    /// This very vote, if it was taken before, however it was signed.
    ///
    /// # Errors
    /// When its notary voted otherwise, and that is being sent or in a block; or replaced it by another.
    async fn same_vote(&self, vote: &SignedVote) -> Result<Option<HeldVote>, DeskError> {
        let SignedVote { job, round, choice, notary, version, .. } = *vote;
        let reasons = ballot::reasons_digest(&vote.text);
        let known = self.store.votes(job).await?.into_iter().find(|known| {
            let same_slot = (known.choice == Choice::Revoke) == (choice == Choice::Revoke);
            (known.round, known.notary) == (round, notary) && same_slot
        });
        if let Some(known) = known {
            let same = (known.choice, known.reasons, known.version) == (choice, reasons, version);
            match known.state {
                SignedState::Held | SignedState::ToSend | SignedState::Done if same => return Ok(Some(known)),
                SignedState::ToSend | SignedState::Done => {
                    return Err(DeskError::Refused(Rejection::AlreadyVoted { job, notary }.to_string()));
                }
                SignedState::Held | SignedState::Refused { .. } => {}
            }
        }
        self.check_replaced((job, round, notary), (choice, version, reasons)).await?;
        Ok(None)
    }

    /// Who signs the same thing again has the same signature as somebody who kept the first one: so it counts no more.
    async fn check_replaced(&self, of: (JobId, u32, Address), what: (Choice, u32, B256)) -> Result<(), DeskError> {
        if self.store.was_replaced(of, what).await? {
            let (job, _, notary) = of;
            return Err(DeskError::Refused(format!(
                "{notary} replaced this vote on job {job} by a later one, and it is not taken again: to return to it, write another reason"
            )));
        }
        Ok(())
    }

    /// The notaries now.
    async fn notaries(&self) -> Result<Notaries, DeskError> {
        let patience = self.parts.settings.chain_patience.decision;
        let notaries = self.of_chain(patience, self.parts.blessing.notaries()).await?;
        self.standing().notaries.clone_from(&notaries.list);
        Ok(notaries)
    }

    /// Checks a signed vote without keeping it.
    async fn check_signed(&self, vote: &SignedVote) -> Result<Checked, DeskError> {
        let SignedVote { job, round, choice, notary, version, ref signature, .. } = *vote;
        let reasons = ballot::reasons_digest(&vote.text);
        let (nomination, course) = self.running(job, Some(round)).await?;
        let blessing = self.parts.blessing.blessing();
        let digest = signed_digest(&blessing, &Signed::Vote { nomination: &nomination, choice, reasons, version });
        let by_key = eip712::recover(&digest, signature) == Some(notary);
        // Anybody may send what no wallet of a notary signed, and a contract's signature is a question to the chain: of these a few at a
        // time, and the others wait for no notary's.
        let _place = if by_key && self.standing().notaries.contains(&notary) {
            None
        } else {
            let place = tokio::time::timeout(PATIENCE, self.doubtful.acquire()).await;
            let Ok(Ok(place)) = place else {
                let text = "too many signatures are asked of the chain at once; try again soon";
                return Err(DeskError::Unavailable(text.into()));
            };
            Some(place)
        };
        let notaries = self.notaries().await?;
        if version != notaries.version {
            return Err(DeskError::Refused(format!(
                "this was signed for version {version} of the set of notaries, and now it is {}: sign again",
                notaries.version
            )));
        }
        self.check_vote(&nomination, &course, choice, notary, &notaries)?;
        // Whoever sees a signature can have it counted, a chain's node, too: one that may be held is not shown to any. That the notary itself
        // may vote, and signed this, is the same question.
        let (sender, command) = if by_key && self.needs_two(&nomination, choice) {
            (notary, Command::Vote { nomination: Box::new(nomination.clone()), choice, reasons })
        } else {
            (self.parts.blessing.party(), relayed(&nomination, choice, reasons, notary, signature.clone()))
        };
        let tried = self.try_out(sender, &command).await?;
        if let Err(error) = &tried {
            let is_signature =
                matches!(error, BlessingSubmitError::Rejected(Rejection::Market(model::Rejection::BadSignature(_))));
            return Err(if is_signature && !by_key {
                DeskError::Refused(format!(
                    "the signature is not {notary}'s over this vote; it may be of another chain, contract, reason or round"
                ))
            } else {
                refusal(error, &self.parts.asset)
            });
        }
        Ok(Checked { nomination, course, notaries })
    }

    /// Whether two notaries must have signed before one's vote is sent.
    fn needs_two(&self, nomination: &Nomination, choice: Choice) -> bool {
        let threshold = self.parts.settings.two_approvals_from(nomination.granter);
        choice == Choice::Approve && threshold.is_some_and(|from| nomination.amount >= from)
    }

    /// Keeps a vote that was checked, with what follows for others that are held.
    ///
    /// No signature of a held vote is noted: whoever has it can have it counted.
    async fn accept(&self, vote: &SignedVote, checked: Checked) -> Result<HeldVote, DeskError> {
        let SignedVote { job, round, choice, notary, version, ref text, ref signature } = *vote;
        let reasons = ballot::reasons_digest(text);
        let release = self.released(&checked, choice, notary).await?;
        let state = if release.is_some() { SignedState::ToSend } else { SignedState::Held };
        let held = HeldVote {
            job,
            round,
            notary,
            choice,
            version,
            reasons,
            signature: signature.clone(),
            at: self.clock(),
            state,
        };
        let mut details = json!({
            "round": round, "choice": choice, "version": version, "reasons": reasons, "text": text,
            "held": release.is_none(), "signatureSha256": B256::from(lota_content::sha2_256(signature)),
        });
        let mut alerts = Vec::new();
        match &release {
            Some(_) => details["signature"] = json!(signature),
            None => {
                let text = format!("A second notary's approval of job {job} is missing: {notary} has signed.");
                let id = format!("{job}/{round}/second/{reasons}");
                let details = json!({ "notary": notary });
                alerts.push(self.alert(id, self.clock(), AlertKind::NeedsVote, Some(job), text, details));
            }
        }
        let note = self.note_of(notary.to_string(), "signed", job, details);
        let release = release.unwrap_or_default().into_iter().map(|other| {
            let details = json!({
                "round": other.round, "notary": other.notary, "reasons": other.reasons, "signature": other.signature,
                "with": notary,
            });
            (other.notary, self.note_of("service", "released", job, details))
        });
        let alerts = (&alerts[..], &self.destinations[..]);
        self.store.keep_vote(&held, text, release.collect(), note, alerts).await?;
        self.write_audit_log().await?;
        Ok(held)
    }

    /// Whose held approvals go out with this vote; `None`: it is held itself.
    async fn released(
        &self,
        Checked { nomination, course, notaries }: &Checked,
        choice: Choice,
        notary: Address,
    ) -> Result<Option<Vec<HeldVote>>, DeskError> {
        if !self.needs_two(nomination, choice) {
            return Ok(Some(Vec::new()));
        }
        let others: Vec<HeldVote> = self
            .store
            .votes(nomination.job)
            .await?
            .into_iter()
            .filter(|held| {
                let counts = (held.round, held.version, held.choice) == (nomination.round, notaries.version, choice);
                counts && matches!(held.state, SignedState::Held | SignedState::ToSend) && held.notary != notary
            })
            .filter(|other| notaries.list.contains(&other.notary))
            .collect();
        let landed = course.approvers().any(|other| other != notary && notaries.list.contains(&other));
        Ok((landed || !others.is_empty()).then_some(others))
    }

    /// The nomination of a job that runs, as far as is known; of this round, if one is named.
    async fn running(&self, job: JobId, round: Option<u32>) -> Result<(Nomination, Course), DeskError> {
        if self.store.gathered::<super::gathering::Gathered>(job).await?.is_none() {
            return Err(unknown(job));
        }
        let course = self.store.course(job).await?;
        let Some(nomination) = course.running().cloned() else {
            let phase = course.phase();
            let why = if phase == Phase::Granted { "it was granted" } else { "it is not nominated now" };
            return Err(DeskError::Refused(format!("job {job} cannot be voted on: {why}")));
        };
        if let Some(round) = round.filter(|round| *round != nomination.round) {
            return Err(DeskError::Refused(format!(
                "this vote is on round {round} of job {job}, and round {} is voted on now",
                nomination.round
            )));
        }
        Ok((nomination, course))
    }

    /// What the contract would refuse, in its order, without asking it.
    fn check_vote(
        &self,
        nomination: &Nomination,
        course: &Course,
        choice: Choice,
        notary: Address,
        notaries: &Notaries,
    ) -> Result<(), DeskError> {
        let job = nomination.job;
        let refused = |rejection: Rejection| Err(DeskError::Refused(rejection.words(&self.parts.asset)));
        let found = course.phase();
        let until = match (found, choice, course.blessed) {
            (Phase::Nominated, Choice::Approve | Choice::Reject, _) => nomination.expires,
            (Phase::Blessed, Choice::Revoke, Some(blessed)) => blessed.revoke_until,
            _ => return refused(Rejection::WrongPhase { job, found }),
        };
        if !notaries.list.contains(&notary) {
            return refused(Rejection::NotNotary(notary));
        }
        if nomination.is_party(notary) {
            return refused(Rejection::ConflictOfInterest { job, notary });
        }
        if course.counts(notary) {
            return refused(Rejection::AlreadyVoted { job, notary });
        }
        let time = self.standing().latest.map_or(Time(0), |latest| latest.time);
        if time > until {
            return refused(model::Rejection::TooLate { time, until }.into());
        }
        Ok(())
    }

    fn decoded(&self, nomination: &Nomination, choice: Choice, notary: Address, reasons: B256) -> Vec<Evidence> {
        let asset = &self.parts.asset;
        let line = |label: &str, value: String| Evidence { label: label.into(), value };
        let verb = match choice {
            Choice::Approve => "Approve the grant",
            Choice::Reject => "Reject the nomination; its deposit is burned if enough do",
            Choice::Revoke => "Revoke the blessing; its deposit is burned if enough do",
        };
        vec![
            line("vote", verb.into()),
            line("as", notary.to_string()),
            line("job", nomination.job.to_string()),
            line("round", nomination.round.to_string()),
            line("client", nomination.client.to_string()),
            line("provider", nomination.provider.to_string()),
            line("nominated by", nomination.nominator.to_string()),
            line("amount", self.amount(nomination.granter, nomination.amount)),
            line("granter", nomination.granter.to_string()),
            line("recipient", nomination.recipient.to_string()),
            line("piece", format!("{} of {} bytes", nomination.piece, nomination.piece_size)),
            line("client's share", asset.show(nomination.share)),
            line("bounty", asset.show(nomination.bounty)),
            line("voted on until", lota_api::rfc3339(nomination.expires).to_string()),
            line("digest of the reason", reasons.to_string()),
            line(
                "contract",
                format!(
                    "{} on chain {}",
                    self.parts.blessing.blessing().contract,
                    self.parts.blessing.blessing().chain_id
                ),
            ),
        ]
    }

    /// A vote as it is now.
    async fn shown(&self, held: &HeldVote) -> Result<Vote, DeskError> {
        let votes = self.votes_of(held.job, &self.store.course(held.job).await?).await?;
        let found = votes.into_iter().find(|vote| {
            (vote.round, vote.notary, vote.choice, vote.reasons) == (held.round, held.notary, held.choice, held.reasons)
        });
        found.ok_or_else(|| DeskError::Unavailable("the vote was replaced by another meanwhile".into()))
    }

    /// All votes on a job: those in blocks, and those that were signed.
    pub(super) async fn votes_of(&self, job: JobId, course: &Course) -> Result<Vec<Vote>, DeskError> {
        let mut votes = Vec::new();
        let mut cast = BTreeSet::new();
        for vote in &course.votes {
            let text = self.store.reasons(vote.reasons).await?;
            let state = VoteState::Landed { transaction: Some(vote.transaction), is_final: vote.is_final };
            let &crate::course::CastVote { round, notary, choice, reasons, at, .. } = vote;
            cast.insert((round, notary, choice == Choice::Revoke));
            votes.push(Vote { round, notary, choice, reasons, text, at, state });
        }
        for held in self.store.votes(job).await? {
            let HeldVote { round, notary, choice, reasons, at, .. } = held;
            if cast.contains(&(round, notary, choice == Choice::Revoke)) {
                continue;
            }
            let state = match held.state {
                SignedState::Held => VoteState::Held,
                SignedState::ToSend | SignedState::Done => VoteState::Sending,
                SignedState::Refused { why } => VoteState::Refused { why },
            };
            let text = self.store.reasons(reasons).await?;
            votes.push(Vote { round, notary, choice, reasons, text, at, state });
        }
        Ok(votes)
    }
}

fn check_text(text: &str) -> Result<(), DeskError> {
    if text.trim().is_empty() {
        return Err(DeskError::Invalid("the written reason is missing; say why in a sentence".into()));
    }
    if text.len() > MAX_REASON {
        return Err(DeskError::Invalid(format!(
            "the written reason has {} bytes; at most {MAX_REASON} are kept",
            text.len()
        )));
    }
    Ok(())
}

pub(super) fn relayed(
    nomination: &Nomination,
    choice: Choice,
    reasons: B256,
    notary: Address,
    signature: lota_market::Bytes,
) -> Command {
    Command::VoteSigned { nomination: Box::new(nomination.clone()), choice, reasons, notary, signature }
}
