//! A desk without a chain, for tests, and for looking at the page: a few jobs, whose votes are counted.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code, of which each user needs a part"
)]

pub mod jobs;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use lota_bridge::{BlessingRef, PrivateKeySigner, blessing::signed_digest, eip712::recover};
use lota_market::{
    Address, B256, Time, U256,
    asset::Asset,
    blessing::{Choice, End, Limits, Nomination, Phase, Signed},
    model::JobId,
};
use lota_notary::{
    attestation::{self, Envelope, Statement, Subject, SubjectDigest},
    audit_file::Export,
    audit_log::{self, Entry, Head},
    desk::{
        About, BallotPaper, Change, Counts, Desk, DeskError, Dossier, Granter, Happened, OutputFile, OutputNode, Queue,
        QueueEntry, QueueFilter, Runs, SignedVote, Stage, Vote, VoteState, Waiting,
    },
    review::{Evidence, Outcome},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;

/// The market's time.
pub const NOW: Time = Time(1_795_348_800);
pub const CHAIN: u64 = 31_337;

/// A notary's key.
pub fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[number; 32]).expect("a key")
}

pub fn evidence(label: &str, value: impl ToString) -> Evidence {
    Evidence { label: label.into(), value: value.to_string() }
}

/// What the fake knows; tests change it.
pub struct State {
    pub about: About,
    pub jobs: BTreeMap<JobId, Dossier>,
    pub outputs: BTreeMap<String, OutputNode>,
    pub log: Vec<String>,
    pub head: Head,
    /// Votes that came in.
    pub votes: Vec<SignedVote>,
    /// What everything fails with.
    pub fails: Option<DeskError>,
    /// How often anything was asked.
    pub asked: u64,
    /// What is changed in each ballot paper.
    pub forge: Option<fn(&mut BallotPaper)>,
}

pub struct FakeDesk {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

impl FakeDesk {
    /// Jobs as they may be.
    pub fn new() -> Self {
        Self::of(jobs::plain())
    }

    /// Jobs of which each text that a stranger may write is an attack.
    pub fn hostile() -> Self {
        let desk = Self::of(jobs::plain().into_iter().map(jobs::hostile).collect());
        {
            let mut state = desk.state();
            state.outputs = jobs::hostile_output();
            state.about.problems = vec![jobs::HOSTILE.into()];
            for granter in &mut state.about.granters {
                granter.name = jobs::HOSTILE.into();
                granter.unit = jobs::HOSTILE.into();
            }
            write(&mut state, jobs::HOSTILE, jobs::HOSTILE, jobs::HOSTILE, json!({ jobs::HOSTILE: jobs::HOSTILE }));
        }
        desk
    }

    fn of(dossiers: Vec<Dossier>) -> Self {
        let gib = |number: u64| U256::from(number) << 30;
        let fil = |number: u64| U256::from(number) * U256::from(1_000_000_000_000_000_000_u64);
        let granters = vec![
            Granter {
                granter: jobs::DATACAP,
                name: "DataCap".into(),
                unit: "bytes".into(),
                decimals: 0,
                two_approvals_from: Some(U256::from(32_u64) << 30),
                limits: Limits { per_job: gib(64), per_provider: gib(512), per_period: gib(2_048) },
                granted: gib(700),
                period_ends: Time(NOW.0 + 5 * 86_400),
            },
            Granter {
                granter: jobs::FILECOIN_PAY,
                name: "Filecoin Pay".into(),
                unit: "FIL".into(),
                decimals: 18,
                two_approvals_from: None,
                limits: Limits { per_job: fil(10), per_provider: fil(100), per_period: fil(400) },
                granted: fil(392),
                period_ends: Time(NOW.0 + 5 * 86_400),
            },
        ];
        let about = About {
            blessing: BlessingRef { chain_id: CHAIN, contract: Address::repeat_byte(0xb1) },
            market: Address::repeat_byte(0x3a),
            asset: Asset::coin(),
            notaries: (1..=3).map(|number| key(number).address()).collect(),
            quorum: 2,
            version: 4,
            granters,
            two_approvals_from: Some(U256::from(32_u64) << 30),
            signs_as: "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".into(),
            now: NOW,
            block: 4_812_377,
            finalized: 4_811_477,
            problems: vec![],
        };
        let mut state = State {
            about,
            jobs: dossiers.into_iter().map(|dossier| (dossier.job.job, dossier)).collect(),
            outputs: jobs::output(),
            log: vec![],
            head: Head::EMPTY,
            votes: vec![],
            fails: None,
            asked: 0,
            forge: None,
        };
        let nominated: Vec<_> = state.jobs.values().filter(|dossier| dossier.nomination.is_some()).cloned().collect();
        for dossier in nominated {
            let details = json!({ "round": 1, "risk": dossier.risk });
            write(&mut state, "service", "nominated", &dossier.job.job.to_string(), details);
            for vote in &dossier.votes {
                let details = json!({ "choice": vote.choice, "reason": vote.text });
                write(&mut state, &vote.notary.to_string(), "voted", &dossier.job.job.to_string(), details);
            }
        }
        Self { state: Mutex::new(state), changes: broadcast::channel(16).0 }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked")
    }

    /// Tells the pages.
    pub fn changed(&self, change: Change) {
        let _ = self.changes.send(change);
    }

    /// A job of this stage.
    pub fn job(&self, stage: Stage) -> JobId {
        self.state().jobs.values().find(|dossier| dossier.stage == stage).expect("such a job").job.job
    }

    /// A new job in the queue.
    pub fn settle_another(&self) -> JobId {
        let mut dossier = jobs::plain().remove(0);
        let id = {
            let mut state = self.state();
            let id = JobId(B256::from(U256::from(state.jobs.len() as u64 + 1) << 240));
            dossier.job.job = id;
            dossier.votes.clear();
            dossier.voters.clear();
            dossier.approvals = 0;
            if let Some(nomination) = &mut dossier.nomination {
                nomination.job = id;
            }
            state.jobs.insert(id, dossier);
            id
        };
        self.changed(Change::Job(id));
        id
    }

    fn asked(&self) -> Result<MutexGuard<'_, State>, DeskError> {
        let mut state = self.state();
        state.asked += 1;
        match &state.fails {
            Some(error) => Err(error.clone()),
            None => Ok(state),
        }
    }
}

fn write(state: &mut State, actor: &str, action: &str, subject: &str, details: Value) {
    let at = NOW.0 - 3_600 + state.head.entries * 60;
    let (line, head) = audit_log::append(state.head, Time(at), actor, action, subject, details).expect("short");
    state.log.push(line);
    state.head = head;
}

fn entry(dossier: &Dossier) -> QueueEntry {
    let with = |outcome| dossier.checks.iter().filter(|check| check.outcome == outcome).count();
    let named = |outcome, one: &str| match with(outcome) {
        0 => None,
        1 => Some(format!("1 {one}")),
        many => Some(format!("{many} {one}s")),
    };
    let worries: Vec<_> =
        [named(Outcome::Failed, "failure"), named(Outcome::Warning, "warning"), named(Outcome::Unknown, "unknown")]
            .into_iter()
            .flatten()
            .collect();
    let own =
        dossier.checks.iter().find(|check| check.answer.contains(jobs::HOSTILE)).map(|_| jobs::HOSTILE.to_owned());
    let nomination = dossier.nomination.as_ref();
    QueueEntry {
        job: dossier.job.job,
        client: dossier.job.client,
        provider: dossier.job.provider,
        settled_at: dossier.job.settled_at,
        price: dossier.job.price,
        runs: Some(Runs {
            engine: "wasm".into(),
            program: own
                .clone()
                .unwrap_or_else(|| "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".into()),
            inputs: 2,
            labels: vec![own.clone().unwrap_or_else(|| "project=corpus".into())],
        }),
        stage: dossier.stage,
        risk: dossier.risk,
        worries: own.unwrap_or_else(|| worries.join(", ")),
        amount: nomination.map(|nomination| nomination.amount),
        granter: nomination.map(|nomination| nomination.granter),
        approvals: dossier.approvals,
        against: dossier.against,
        revocations: dossier.revocations,
        until: nomination.map(|nomination| nomination.expires),
        voted: dossier.votes.iter().map(|vote| vote.notary).collect(),
    }
}

/// The typed data of a vote, as wallets take it.
fn typed_data(blessing: &BlessingRef, nomination: &Nomination, choice: Choice, reasons: B256, version: u32) -> Value {
    let field = |(name, kind): (&str, &str)| json!({ "name": name, "type": kind });
    let fields = |list: &[(&str, &str)]| list.iter().copied().map(field).collect::<Vec<_>>();
    let primary = match choice {
        Choice::Approve => "Approval",
        Choice::Reject => "Rejection",
        Choice::Revoke => "Revocation",
    };
    json!({
        "types": {
            "EIP712Domain": fields(&[("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]),
            primary: fields(&[("nomination", "Nomination"), ("reasons", "bytes32"), ("version", "uint32")]),
            "Nomination": fields(&[
                ("jobId", "bytes32"), ("round", "uint32"), ("client", "address"), ("provider", "address"), ("matcher", "address"),
                ("arbiter", "address"), ("nominator", "address"), ("granter", "address"), ("recipient", "bytes"),
                ("amount", "uint256"), ("piece", "bytes32"), ("pieceSize", "uint64"), ("share", "uint256"),
                ("bounty", "uint256"), ("expires", "uint64"),
            ]),
        },
        "domain": { "name": "LotaBlessing", "version": "1", "chainId": blessing.chain_id, "verifyingContract": blessing.contract },
        "primaryType": primary,
        "message": {
            "nomination": {
                "jobId": nomination.job, "round": nomination.round, "client": nomination.client, "provider": nomination.provider,
                "matcher": nomination.matcher, "arbiter": nomination.arbiter, "nominator": nomination.nominator,
                "granter": nomination.granter, "recipient": nomination.recipient, "amount": nomination.amount.to_string(),
                "piece": nomination.piece, "pieceSize": nomination.piece_size.to_string(), "share": nomination.share.0.to_string(),
                "bounty": nomination.bounty.0.to_string(), "expires": nomination.expires.0.to_string(),
            },
            "reasons": reasons,
            "version": version,
        },
    })
}

#[async_trait]
impl Desk for FakeDesk {
    async fn about(&self) -> Result<About, DeskError> {
        Ok(self.asked()?.about.clone())
    }

    async fn queue(&self, filter: &QueueFilter) -> Result<Queue, DeskError> {
        let state = self.asked()?;
        let is_over = |stage| matches!(stage, Stage::Granted | Stage::Ended(_));
        let parties = |dossier: &Dossier| {
            let job = &dossier.job;
            format!("{} {:#x} {:#x}", job.job, job.client, job.provider)
        };
        let open = |open: bool| {
            let search = filter.search.to_ascii_lowercase();
            let is_asked_for =
                move |dossier: &&Dossier| is_over(dossier.stage) != open && parties(dossier).contains(&search);
            state.jobs.values().filter(is_asked_for)
        };
        let voted = |dossier: &Dossier| dossier.votes.iter().any(|vote| Some(vote.notary) == filter.voter);
        let decidable = |dossier: &Dossier| matches!(dossier.stage, Stage::Voting | Stage::Blessed);
        let waits = |dossier: &Dossier, waiting: Waiting| match waiting {
            Waiting::ToDecide => decidable(dossier) && !voted(dossier),
            Waiting::Voted => decidable(dossier) && voted(dossier),
            Waiting::NotNominated => dossier.stage == Stage::NotNominated,
            Waiting::Gathering => dossier.stage == Stage::Gathering,
        };
        let count = |waiting| open(true).filter(|dossier| waits(dossier, waiting)).count() as u64;
        let counts = Counts {
            to_decide: count(Waiting::ToDecide),
            voted: count(Waiting::Voted),
            not_nominated: count(Waiting::NotNominated),
            gathering: count(Waiting::Gathering),
            all: open(true).count() as u64,
        };
        let is_asked_for = |dossier: &&Dossier| filter.waiting.is_none_or(|waiting| waits(dossier, waiting));
        let mut entries: Vec<_> = open(filter.open).filter(is_asked_for).map(entry).collect();
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.risk), entry.settled_at, entry.job));
        let total = entries.len() as u64;
        if let Some(after) = filter.after {
            let at = entries.iter().position(|entry| entry.job == after);
            let at = at.ok_or_else(|| DeskError::NotFound("that job is in the list no more".into()))?;
            entries.drain(..=at);
        }
        let more = entries.len() > filter.limit as usize;
        entries.truncate(filter.limit as usize);
        Ok(Queue { entries, more, total, counts })
    }

    async fn dossier(&self, job: JobId) -> Result<Dossier, DeskError> {
        let found = self.asked()?.jobs.get(&job).cloned();
        found.ok_or_else(|| DeskError::NotFound(format!("no settled job {job} is known")))
    }

    async fn output(&self, _job: JobId, path: &str, after: Option<&str>) -> Result<OutputNode, DeskError> {
        let found = self.asked()?.outputs.get(path).cloned();
        let found = found.ok_or_else(|| DeskError::NotFound(format!("nothing is at {path:?} in the output")))?;
        Ok(match (found, after) {
            (OutputNode::Directory { mut entries, .. }, Some(after)) => {
                let at = entries.iter().position(|entry| entry.name == after).map_or(entries.len(), |at| at + 1);
                entries.drain(..at);
                OutputNode::Directory { entries, more: false }
            }
            (found, _) => found,
        })
    }

    async fn file(&self, job: JobId, path: &str, most: u64) -> Result<OutputFile, DeskError> {
        match self.output(job, path, None).await? {
            OutputNode::Directory { .. } => Err(DeskError::NotFound("that is a directory".into())),
            OutputNode::File { size, cid, .. } if size > most => Err(DeskError::TooLarge { size, most, cid }),
            OutputNode::File { size, begin, .. } => {
                let whole = if begin.len() as u64 == size { begin.to_vec() } else { jobs::large_png() };
                if whole.len() as u64 != size {
                    return Err(DeskError::Unavailable("nobody serves it".into()));
                }
                let pieces: Vec<_> = whole.chunks(100).map(|piece| Ok(piece.to_vec().into())).collect();
                Ok(OutputFile { size, bytes: futures::stream::iter(pieces).boxed() })
            }
        }
    }

    async fn ballot_paper(
        &self,
        job: JobId,
        choice: Choice,
        text: &str,
        notary: Address,
    ) -> Result<BallotPaper, DeskError> {
        let state = self.asked()?;
        let dossier = state.jobs.get(&job).ok_or_else(|| DeskError::NotFound("no such job".into()))?;
        let nomination = dossier.nomination.clone().ok_or_else(|| DeskError::Refused("it is not nominated".into()))?;
        if nomination.is_party(notary) {
            return Err(DeskError::Refused(format!("{notary} is a party of the job")));
        }
        if !matches!(
            (dossier.stage, choice),
            (Stage::Voting, Choice::Approve | Choice::Reject) | (Stage::Blessed, Choice::Revoke)
        ) {
            return Err(DeskError::Refused("that cannot be decided of it now".into()));
        }
        if dossier.voters.contains(&notary) {
            return Err(DeskError::Refused(format!("{notary} has voted on this nomination already")));
        }
        let reasons = B256::from_slice(&Sha256::digest(text.as_bytes()));
        let version = state.about.version;
        let signed = Signed::Vote { nomination: &nomination, choice, reasons, version };
        let digest = signed_digest(&state.about.blessing, &signed);
        let typed_data = typed_data(&state.about.blessing, &nomination, choice, reasons, version);
        let decoded = vec![
            evidence("contract", state.about.blessing.contract),
            evidence("function", "voteSigned(Nomination,Choice,bytes32,Signature[])"),
            evidence("reasons", reasons),
        ];
        let mut paper = BallotPaper { choice, nomination, reasons, version, typed_data, digest, decoded };
        if let Some(forge) = state.forge {
            forge(&mut paper);
        }
        Ok(paper)
    }

    async fn vote(&self, vote: &SignedVote) -> Result<Vote, DeskError> {
        let paper = self.ballot_paper(vote.job, vote.choice, &vote.text, vote.notary).await?;
        if recover(&paper.digest, &vote.signature) != Some(vote.notary) {
            return Err(DeskError::Invalid("the signature is another's".into()));
        }
        let cast = {
            let mut state = self.asked()?;
            let details = json!({ "choice": vote.choice, "reason": vote.text, "signature": vote.signature });
            write(&mut state, &vote.notary.to_string(), "voted", &vote.job.to_string(), details);
            state.votes.push(vote.clone());
            let quorum = state.about.quorum;
            let notaries = u32::try_from(state.about.notaries.len()).expect("few");
            let dossier = state.jobs.get_mut(&vote.job).expect("it is there");
            let landed = VoteState::Landed { transaction: Some(B256::repeat_byte(0x7a)), is_final: false };
            let cast = Vote {
                round: vote.round,
                notary: vote.notary,
                choice: vote.choice,
                reasons: paper.reasons,
                text: Some(vote.text.clone()),
                at: NOW,
                state: landed,
            };
            dossier.votes.push(cast.clone());
            dossier.voters.push(vote.notary);
            match vote.choice {
                Choice::Approve => dossier.approvals += 1,
                Choice::Reject => dossier.against += 1,
                Choice::Revoke => dossier.revocations += 1,
            }
            let what = format!("{} voted", vote.notary);
            dossier.happened.push(Happened { at: NOW, what, transaction: None, is_final: false });
            let decided = match dossier.stage {
                Stage::Voting if dossier.approvals >= quorum => Some((Stage::Blessed, Phase::Blessed)),
                Stage::Voting if notaries - dossier.against < quorum => Some((Stage::Ended(End::Refused), Phase::None)),
                Stage::Blessed if dossier.revocations >= quorum => Some((Stage::Ended(End::Revoked), Phase::None)),
                _ => None,
            };
            if let Some(decided) = decided {
                (dossier.stage, dossier.phase) = decided;
                // For the next decision all may vote again.
                dossier.voters.clear();
            }
            cast
        };
        self.changed(Change::Job(vote.job));
        Ok(cast)
    }

    async fn note(&self, actor: &str, action: &str, subject: &str) -> Result<(), DeskError> {
        write(&mut *self.asked()?, actor, action, subject, Value::Null);
        Ok(())
    }

    async fn audit_log(&self, from: u64, limit: u32) -> Result<(Vec<Entry>, Head), DeskError> {
        let state = self.asked()?;
        let lines = state.log.iter().skip(usize::try_from(from - 1).expect("small")).take(limit as usize);
        Ok((lines.map(|line| serde_json::from_str(line).expect("ours")).collect(), state.head))
    }

    async fn export_audit_log(&self) -> Result<Export, DeskError> {
        let state = self.asked()?;
        let lines = state.log.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes();
        Ok(Export::new(state.head, lines.len() as u64, std::io::Cursor::new(lines)))
    }

    async fn attestation(&self, job: JobId) -> Result<Envelope, DeskError> {
        let state = self.asked()?;
        let dossier = state.jobs.get(&job).ok_or_else(|| DeskError::NotFound("no such job".into()))?;
        if !matches!(dossier.stage, Stage::Granted | Stage::Ended(_)) {
            return Err(DeskError::Unavailable("the decision is not final yet".into()));
        }
        let digest = SubjectDigest { sha256: job.0.to_string()[2..].to_owned() };
        let subject = Subject { name: job.to_string(), digest };
        let statement =
            Statement::new(vec![subject], "https://example.org/blessing/v1", json!({ "stage": dossier.stage }));
        Ok(attestation::sign(&statement, &SigningKey::from_bytes(&[7; 32])).expect("JSON"))
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
