//! With `--fil-plus`: two notaries look at the first job, which reads texts that a signed list calls FIL+ data, and bless it. Its
//! provider is paid over Filecoin Pay or gets a bonus, and its client a share of that.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use ed25519_dalek::{SigningKey, VerifyingKey};
use lota_bridge::{PrivateKeySigner, eip712, evm::filecoin_pay};
use lota_fil_plus::answer::Certainty;
use lota_market::{
    Address, AttoFil, B256,
    blessing::{Choice, Nomination},
    filecoin_pay::fee,
    model::JobId,
};
use lota_notary::{
    attestation,
    desk::{Desk, DeskError, Dossier, SignedVote, Stage, VoteState},
    payments::{Payment, PaymentState},
    review::{Check as Finding, Outcome, Question, Risk},
    service::{Decided, Verdict},
};
use serde::Serialize;

use super::{
    accounts::Extra,
    checks::Check,
    parties::{Holder, Parties},
    plan::{Job, Order},
};
use crate::{
    chain::{BONUS, BlessingPlan, DevelopmentBlessing, GranterKind, REVOKE_FOR},
    host::{ListedRegistry, Venue},
    settings,
    terminal::{Column, Progress, Table, bad, bold, dim, good, printable, short_address, short_id},
    verbs::notary::{RunningNotary, on_development_chain},
};

/// Who votes; two of them decide.
const NAMES: [&str; 3] = ["greta", "hugo", "ines"];
const QUORUM: u32 = 2;
/// Whose key nominates, relays votes, and has granted what was blessed.
pub(super) const SERVICE: &str = "notaries' service";
/// Where bonuses come from.
pub(super) const POOL: &str = "pool of bonuses";
/// Whose account at Filecoin Pay pays instead.
pub(super) const SPONSOR: &str = "sponsor";
const REASON: &str = "The texts are on the list, the output is what running it again gives, and the parties are two.";
/// How long each step may take, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);

/// Those who bless jobs.
pub(super) struct Notaries {
    pub(super) blessing: DevelopmentBlessing,
    people: Vec<(&'static str, PrivateKeySigner)>,
    service: PrivateKeySigner,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Blessed {
    job: JobId,
    blessing: Address,
    granter: Address,
    provider: Address,
    client: Address,
    risk: Risk,
    /// What the service found out about the job.
    findings: Vec<Finding>,
    votes: Vec<Vote>,
    /// What the provider was granted, in attoFIL.
    granted: AttoFil,
    /// How it was paid over Filecoin Pay; none: it was a bonus, paid with the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<Paid>,
    /// What the client was paid of it, in attoFIL.
    share: AttoFil,
    /// The key that signed the statement of the decision, as did:key.
    attested_by: String,
    /// Whether that statement verifies, and says what happened.
    is_attested: bool,
    /// From the job's settlement being seen until it was nominated.
    nominated_after_ms: u64,
    /// From the last vote being sent until it was granted; the time to revoke is in it.
    granted_after_ms: u64,
}

/// A payment over Filecoin Pay. Amounts in attoFIL.
#[derive(Clone, Debug, Serialize)]
struct Paid {
    /// What keeps the accounts: a stand-in of ours.
    filecoin_pay: Address,
    is_stand_in: bool,
    sponsor: Address,
    rail: String,
    transaction: B256,
    /// What was burned of it.
    fee: AttoFil,
    /// What arrived.
    net: AttoFil,
    /// What the provider has there now.
    in_account: AttoFil,
    /// From the last vote being sent; the time to revoke is in it.
    paid_after_ms: u64,
}

/// A notary's vote.
#[derive(Clone, Debug, Serialize)]
struct Vote {
    name: &'static str,
    notary: Address,
    choice: Choice,
    reason: String,
}

impl Notaries {
    /// Deploys a blessing beside the market.
    pub(super) async fn begin(venue: &Venue, granter: GranterKind, folder: &Path) -> anyhow::Result<Self> {
        let people: Vec<_> = NAMES.map(|name| (name, PrivateKeySigner::random())).into();
        let signers: Vec<_> = people.iter().map(|(_, signer)| signer.clone()).collect();
        let service = PrivateKeySigner::random();
        let plan = BlessingPlan {
            service: &service,
            notaries: &signers,
            quorum: QUORUM,
            sponsor: &PrivateKeySigner::random(),
            granter: Some(granter),
        };
        let blessing = venue.open_blessing(&folder.join("market"), &plan).await?;
        Ok(Self { blessing, people, service })
    }

    /// Everybody with money for it, beside those who are parties of jobs.
    pub(super) fn holders(&self) -> [Holder; 2] {
        [
            Holder { name: SERVICE, addresses: vec![self.service.address()] },
            match &self.blessing.filecoin_pay {
                Some(stand_in) => Holder { name: SPONSOR, addresses: vec![stand_in.sponsor] },
                None => Holder { name: POOL, addresses: vec![self.blessing.granter] },
            },
        ]
    }

    /// Serves a registry that knows the order's input, has the notaries' service look at the job once it is settled, and two notaries
    /// vote on what it found.
    pub(super) async fn bless(
        &self,
        parties: &Parties,
        order: &Order,
        job: &Job,
        folder: &Path,
        progress: &Progress,
    ) -> anyhow::Result<Blessed> {
        let folder = folder.join("notaries");
        let key = SigningKey::from_bytes(&rand::random());
        let entries = [(order.input.to_string(), "four texts of the demo")];
        let registry = ListedRegistry::start(&folder.join("registry"), "the demo's list", &entries, &key).await?;
        let settings = settings::Notary {
            // Any port.
            listen: "127.0.0.1:0".to_owned(),
            ..on_development_chain(&self.blessing, &registry.url())
        };
        let market = parties.venue.on_chain().context("notaries without a chain")?;
        let mut running =
            RunningNotary::start(&settings, &folder.join("service"), market, self.service.clone()).await?;
        let blessed = {
            let (desk, attests_with) = (running.desk(), running.attests_with);
            tokio::select! {
                blessed = self.vote(&*desk, job, &attests_with, progress) => blessed,
                error = running.ended() => Err(error.context("the notaries' service ended")),
            }
        };
        running.end().await?;
        registry.end().await;
        blessed
    }

    async fn vote(
        &self,
        desk: &dyn Desk,
        job: &Job,
        attests_with: &VerifyingKey,
        progress: &Progress,
    ) -> anyhow::Result<Blessed> {
        let (id, begun) = (job.detail.summary.id, Instant::now());
        progress.say("the notaries' service looks at the first job");
        let nominated = until(desk, id, "nominated", |dossier| dossier.stage == Stage::Voting).await?;
        let nominated_after_ms = millis(begun);
        let nomination = nominated.nomination.context("a nomination that is voted on is known")?;
        let mut votes = Vec::new();
        let mut last = Instant::now();
        for (name, signer) in self.people.iter().take(QUORUM as usize) {
            progress.say(format!("{name} votes"));
            let paper = desk.ballot_paper(id, Choice::Approve, REASON, signer.address()).await?;
            let vote = SignedVote {
                job: id,
                round: nomination.round,
                choice: Choice::Approve,
                notary: signer.address(),
                text: REASON.to_owned(),
                version: paper.version,
                signature: eip712::sign(signer, &paper.digest).context("a notary's key does not sign")?,
            };
            last = Instant::now();
            let cast = desk.vote(&vote).await?;
            if let VoteState::Refused { why } = cast.state {
                bail!("{name}'s vote was refused: {why}");
            }
            votes.push(Vote { name, notary: signer.address(), choice: Choice::Approve, reason: REASON.to_owned() });
        }
        progress.say("the time to revoke passes");
        let granted = until(desk, id, "granted", |dossier| dossier.stage == Stage::Granted).await?;
        let granted_after_ms = millis(last);
        let paid = self.payment(desk, id, &nomination, last).await?;
        let stated = until_attested(desk, id, Verdict::Granted, attests_with).await?;
        let amount = u128::try_from(nomination.amount).context("a bonus is below 2^128")?;
        Ok(Blessed {
            job: id,
            blessing: self.blessing.blessing.blessing().contract(),
            granter: self.blessing.granter,
            provider: nomination.provider,
            client: nomination.client,
            risk: granted.risk,
            findings: granted.checks,
            votes,
            granted: AttoFil(amount),
            paid,
            share: nomination.share,
            attested_by: attestation::did_key(attests_with),
            is_attested: stated.job == id && stated.amount == nomination.amount,
            nominated_after_ms,
            granted_after_ms,
        })
    }
}

impl Notaries {
    /// Waits until what was granted is in the provider's account at Filecoin Pay, if it is paid there.
    async fn payment(
        &self,
        desk: &dyn Desk,
        job: JobId,
        nomination: &Nomination,
        last_vote: Instant,
    ) -> anyhow::Result<Option<Paid>> {
        let Some(stand_in) = self.blessing.filecoin_pay else { return Ok(None) };
        let transaction_of = |dossier: &Dossier| match &dossier.payment {
            Some(Payment { state: PaymentState::Paid { transaction }, .. }) => *transaction,
            _ => None,
        };
        let found = until(desk, job, "paid", |dossier| transaction_of(dossier).is_some()).await?;
        let paid_after_ms = millis(last_vote);
        let rail = found.payment.as_ref().map(|payment| payment.rail.to_string()).unwrap_or_default();
        let account = filecoin_pay::account(Address::ZERO, nomination.provider);
        let endpoint = self.blessing.blessing.endpoint();
        let in_account = endpoint.view(stand_in.contract, &account, Default::default()).await?.funds;
        let gross = u128::try_from(nomination.amount).context("a reward is below 2^128")?;
        let fee = u128::try_from(fee(nomination.amount)).context("a fee is below 2^128")?;
        Ok(Some(Paid {
            filecoin_pay: stand_in.contract,
            is_stand_in: true,
            sponsor: stand_in.sponsor,
            rail,
            transaction: transaction_of(&found).unwrap_or_default(),
            fee: AttoFil(fee),
            net: AttoFil(gross.saturating_sub(fee)),
            in_account: AttoFil(u128::try_from(in_account).context("more money than there is")?),
            paid_after_ms,
        }))
    }
}

/// Waits until a job is so far.
async fn until(desk: &dyn Desk, job: JobId, what: &str, is_so: impl Fn(&Dossier) -> bool) -> anyhow::Result<Dossier> {
    let begun = Instant::now();
    loop {
        let found = desk.dossier(job).await;
        let said = match found {
            Ok(dossier) if is_so(&dossier) => return Ok(dossier),
            Ok(dossier) => dossier.not_nominated.unwrap_or_else(|| format!("it is {:?}", dossier.stage)),
            // It was not heard of yet.
            Err(DeskError::NotFound(what) | DeskError::Unavailable(what)) => what,
            Err(error) => return Err(error.into()),
        };
        if begun.elapsed() > PATIENCE {
            bail!("the job was not {what} within {} s: {said}", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the signed statement says so: it follows the final blocks, later than the stage that is shown. What it says is
/// verified each time.
async fn until_attested(
    desk: &dyn Desk,
    job: JobId,
    verdict: Verdict,
    attests_with: &VerifyingKey,
) -> anyhow::Result<Decided> {
    let begun = Instant::now();
    loop {
        let said = match desk.attestation(job).await {
            Ok(envelope) => {
                let bytes = serde_json::to_vec(&envelope)?;
                let stated = attestation::verify::<Decided>(&bytes, &[*attests_with])?.predicate;
                if stated.verdict == verdict {
                    return Ok(stated);
                }
                format!("the statement says {}", stated.verdict.name())
            }
            // No decision is final yet.
            Err(DeskError::Refused(what) | DeskError::Unavailable(what)) => what,
            Err(error) => return Err(error.into()),
        };
        if begun.elapsed() > PATIENCE {
            bail!("no statement said {} of the job within {} s: {said}", verdict.name(), PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Blessed {
    /// What it brought everybody, beside the jobs.
    pub(super) fn extras(&self) -> Vec<Extra> {
        let (payer, earned) = self.paid.as_ref().map_or((self.granter, self.granted), |paid| (paid.sponsor, paid.net));
        vec![
            Extra { account: self.provider, earned, spent: self.share },
            Extra { account: self.client, earned: self.share, spent: AttoFil::ZERO },
            Extra { account: payer, earned: AttoFil::ZERO, spent: self.granted },
        ]
    }

    /// What was burned of it.
    pub(super) fn burned(&self) -> AttoFil {
        self.paid.as_ref().map(|paid| paid.fee).unwrap_or_default()
    }

    fn outcome(&self, question: Question) -> Option<Outcome> {
        self.findings.iter().find(|finding| finding.question == question).map(|finding| finding.outcome)
    }

    /// Whether the registry found each input on a list, or more.
    fn reads_what_is_listed(&self) -> bool {
        let finding = self.findings.iter().find(|finding| finding.question == Question::FilPlusData);
        let lines = finding.map_or(&[][..], |finding| &finding.evidence);
        let mut found = lines.iter().filter(|line| line.label != "because").map(|line| line.value.as_str()).peekable();
        let enough = [Certainty::Listed, Certainty::Verified].map(Certainty::name);
        found.peek().is_some() && found.all(|certainty| enough.contains(&certainty))
    }

    /// What must be true of it.
    pub(super) fn checks(&self) -> Vec<Check> {
        let check = |what: &str, ok| Check { what: what.to_owned(), ok };
        let tenth = AttoFil(self.granted.0 / 10);
        let mut checks = vec![
            check("what the first job reads is on a list of FIL+ data", self.reads_what_is_listed()),
            check(
                "the notaries' service fetched the first job's output and verified it",
                self.outcome(Question::OutputRetrievable) == Some(Outcome::Passed),
            ),
            check(
                "running the first job again gave the same",
                self.outcome(Question::ReExecution) == Some(Outcome::Passed),
            ),
            check("its provider was granted the reward", self.granted == BONUS),
            check("its client was paid a tenth of it", self.share == tenth),
            check("the signed statement of the decision verifies", self.is_attested),
        ];
        checks.extend(self.paid.as_ref().map(|paid| {
            let is_there = paid.in_account == paid.net && paid.net.checked_add(paid.fee) == Some(self.granted);
            check("the reward, less the fee, is in the provider's account at Filecoin Pay", is_there)
        }));
        checks
    }

    /// Told to a person.
    pub(super) fn told(&self, parties: &Parties) -> String {
        let mut text = format!(
            "\n{}\n\nA service of the notaries saw that the first job was settled, looked its texts up in a registry of FIL+ data, fetched\n\
             and verified its output, and ran it again. Then two notaries signed their votes; the service relayed them.\n\n",
            bold("What the notaries say")
        );
        let mut table = Table::new([Column::Left, Column::Left]).indent(2);
        for finding in &self.findings {
            let outcome = format!("{:?}", finding.outcome).to_lowercase();
            let outcome = match finding.outcome {
                Outcome::Passed => good(&outcome),
                Outcome::Failed => bad(&outcome),
                Outcome::Noted | Outcome::Unknown | Outcome::Warning => outcome,
            };
            table.row([outcome, format!("{} {}", dim(finding.question.text()), printable(&finding.answer))]);
        }
        text.push_str(&table.render());
        for vote in &self.votes {
            let _ =
                writeln!(text, "\n  {} ({}) approves: {}", bold(vote.name), short_address(vote.notary), vote.reason);
        }
        let _ = writeln!(
            text,
            "\n  {} {}\n  Nominated {} ms after the service first looked; granted {} ms after the last vote, {REVOKE_FOR} s of which are for revoking.",
            short_id(self.job),
            good(&format!(
                "was blessed: {} was granted {}, of which {} was paid {}",
                parties.name_of(self.provider),
                self.granted,
                parties.name_of(self.client),
                self.share
            )),
            self.nominated_after_ms,
            self.granted_after_ms,
        );
        if let Some(paid) = &self.paid {
            let _ = writeln!(
                text,
                "  The service had it paid over rail {} of Filecoin Pay (here a stand-in for tests, not the published contract): {} ms after the\n  last vote {} were in the provider's account there, and {}, the fee, were burned.",
                paid.rail, paid.paid_after_ms, paid.net, paid.fee,
            );
        }
        text
    }
}
