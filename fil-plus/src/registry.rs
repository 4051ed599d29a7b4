//! The registry: what is kept, the sources it comes from, and how questions are answered.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use cid::Cid;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    answer::{Answer, Checked, REPEATED, SourceState, timestamp},
    judge::{Known, Witness, judge},
    source::Source,
    step::{Report, SourceError},
    store::{ClaimRow, ListedRow, Registered, ReportRow, Standing, Store, StoreError},
    subject::{Subject, SubjectError},
};
use lota_content::piece::{PieceCid, PieceRoot};

/// How many payloads indexes are asked about for one question.
pub const MAX_ASKED: usize = 64;
/// How many at once, for all questions together.
const ASKING: usize = 16;
/// How long one question waits for indexes.
const PATIENCE: Duration = Duration::from_secs(15);
/// For how long an index's answer is taken for what it would say now: if it knew something, and if not. In seconds.
const KNOWN_FOR: u64 = 86_400;
const UNKNOWN_FOR: u64 = 3_600;

/// A source, and what the database calls it.
pub struct Attached {
    pub source: Arc<dyn Source>,
    pub registered: Registered,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether indexes are asked about payloads of which nothing is known, or not lately.
    pub ask: bool,
    /// The most claims, pieces, reports, lists and contradictions of a CID that are shown.
    pub shown: usize,
}

/// The registry.
pub struct Registry {
    store: Store,
    sources: Vec<Attached>,
    asking: Semaphore,
}

impl Registry {
    /// The registry of a database and these sources. What sources said that are not among them any more does not count, and lists
    /// whose signer is not named any more are forgotten; without any sources, everything in the database counts but for lists, whose
    /// signers nobody names then.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(store: Store, sources: Vec<Arc<dyn Source>>) -> Result<Self, StoreError> {
        let mut attached = Vec::with_capacity(sources.len());
        for source in sources {
            let registered =
                store.register(source.name(), source.kind(), source.origin(), source.stale_after()).await?;
            if let Some(keys) = source.signers()
                && store.forget_list_unless_signed_by(&registered, &keys).await?
            {
                tracing::warn!(
                    source = registered.name,
                    "what it listed bears the signature of no key that is named: it is forgotten"
                );
            }
            attached.push(Attached { source, registered });
        }
        Ok(Self { store, sources: attached, asking: Semaphore::new(ASKING) })
    }

    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    #[must_use]
    pub fn sources(&self) -> &[Attached] {
        &self.sources
    }

    /// The standings that count.
    async fn standings(&self) -> Result<Vec<Standing>, StoreError> {
        let mut standings = self.store.standings().await?;
        if !self.sources.is_empty() {
            let named: HashMap<&str, &Attached> =
                self.sources.iter().map(|attached| (attached.registered.name.as_str(), attached)).collect();
            standings.retain(|standing| named.contains_key(standing.name.as_str()));
            // Another process, with other settings, may have read a list since this one began.
            for standing in standings.iter_mut().filter(|standing| standing.signed_by.is_some()) {
                let signers = named.get(standing.name.as_str()).and_then(|attached| attached.source.signers());
                let is_named = |signer: &Vec<u8>| signers.iter().flatten().any(|key| key[..] == **signer);
                standing.signed_by = standing.signed_by.take().filter(is_named);
            }
        } else {
            standings.retain(|standing| standing.kind != "list");
        }
        Ok(standings)
    }

    /// How far all sources are; `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn source_states(&self, now: u64) -> Result<Vec<SourceState>, StoreError> {
        Ok(self.standings().await?.iter().map(|standing| state(standing, now)).collect())
    }

    /// Answers about these CIDs, each for itself, in their order; `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn check(&self, texts: &[String], manner: Manner, now: u64) -> Result<Vec<Checked>, StoreError> {
        let subjects: Vec<_> = texts.iter().map(|text| Subject::parse(text)).collect();
        let standings = self.standings().await?;
        let witnesses = self.witnesses(&standings, now).await?;
        let mut payloads: Vec<(Vec<u8>, Cid)> = Vec::new();
        let mut pieces: BTreeSet<PieceRoot> = BTreeSet::new();
        for subject in subjects.iter().flatten() {
            match subject {
                Subject::Piece(piece) => drop(pieces.insert(piece.root())),
                Subject::Payload { cid, key } => payloads.push((key.clone(), *cid)),
            }
        }
        payloads.sort();
        payloads.dedup_by(|one, other| one.0 == other.0);
        let unanswered = if manner.ask { self.ask(&payloads, now).await? } else { HashMap::new() };
        let keys: Vec<Vec<u8>> = payloads.into_iter().map(|(key, _)| key).collect();
        let sources = names(&standings);
        let counts = |report: &ReportRow| sources.contains(report.source.as_str());
        let of_payloads = self.store.reports(&keys).await?;
        let asked_pieces: Vec<PieceRoot> = pieces.iter().copied().collect();
        let of_pieces = self.store.reports_of_pieces(&asked_pieces).await?;
        pieces.extend(of_payloads.values().flatten().filter(|report| counts(report)).map(|report| report.piece));
        let pieces: Vec<PieceRoot> = pieces.into_iter().collect();
        let claims = self.store.claims(&pieces).await?;
        let subject_keys: Vec<Vec<u8>> = subjects.iter().flatten().map(Subject::key).collect();
        let listed = self.store.listed(&subject_keys).await?;
        let has_index = self.sources.is_empty() || standings.iter().any(|standing| standing.kind == "index");
        let looked_up =
            LookedUp { standings, witnesses, claims, of_pieces, of_payloads, listed, unanswered, has_index };
        let texts = texts.to_vec();
        // Thousands of answers are nothing to put together between two other tasks.
        let judging = tokio::task::spawn_blocking(move || looked_up.answers(&texts, &subjects, manner.shown, now));
        match judging.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(answers) => Ok(answers),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// The chain nodes whose word counts.
    async fn witnesses(&self, standings: &[Standing], now: u64) -> Result<HashMap<i64, Witness>, StoreError> {
        let mut origins: HashMap<i64, _> =
            self.store.origins().await?.into_iter().map(|origin| (origin.number, origin)).collect();
        let mut witnesses: HashMap<i64, Witness> = HashMap::new();
        for standing in standings.iter().filter(|standing| matches!(standing.kind.as_str(), "claims" | "events")) {
            if let Some(origin) = origins.remove(&standing.origin) {
                let witness = Witness { name: origin.name, genesis_time: origin.genesis_time, ..Witness::default() };
                witnesses.insert(standing.origin, witness);
            }
            let Some(witness) = witnesses.get_mut(&standing.origin) else { continue };
            witness.complete = witness.complete.max(standing.complete);
            witness.followed = witness.followed.or(standing.since.zip(standing.epoch));
            witness.stale = staleness(standing, now).or(witness.stale.take());
        }
        Ok(witnesses)
    }

    /// Asks indexes about payloads of which nothing is known, or not lately, and keeps what they say. Gives what could not be asked.
    async fn ask(&self, payloads: &[(Vec<u8>, Cid)], now: u64) -> Result<HashMap<Vec<u8>, String>, StoreError> {
        let keys: Vec<Vec<u8>> = payloads.iter().map(|(key, _)| key.clone()).collect();
        let asked = self.store.asked(&keys).await?;
        let indexes: Vec<&Attached> =
            self.sources.iter().filter(|attached| attached.source.kind() == "index").collect();
        let is_due = |key: &Vec<u8>, index: &Attached| match asked.get(&(key.clone(), index.registered.name.clone())) {
            // The clock was ahead when it was asked: nobody knows how long ago that is.
            Some((when, _)) if *when > now => true,
            Some((when, found)) => now - when >= if *found > 0 { KNOWN_FOR } else { UNKNOWN_FOR },
            None => true,
        };
        let mut due: Vec<(&Vec<u8>, &Cid, Vec<&Attached>)> = Vec::new();
        for (key, cid) in payloads {
            let of: Vec<&Attached> = indexes.iter().copied().filter(|index| is_due(key, index)).collect();
            if !of.is_empty() {
                due.push((key, cid, of));
            }
        }
        if due.is_empty() {
            return Ok(HashMap::new());
        }
        let late = |index: &Attached| format!("{} was not asked: too much at once; ask again", index.registered.name);
        let mut unanswered: HashMap<Vec<u8>, String> =
            due.iter().skip(MAX_ASKED).map(|(key, _, of)| ((*key).clone(), late(of[0]))).collect();
        let deadline = Instant::now() + PATIENCE;
        let mut answers = FuturesUnordered::new();
        let asked = due.into_iter().take(MAX_ASKED);
        for (key, cid, index) in asked.flat_map(|(key, cid, of)| of.into_iter().map(move |index| (key, cid, index))) {
            answers.push(async move {
                let answer = tokio::time::timeout_at(deadline, self.ask_one(index, cid)).await;
                (key, index, answer.ok().flatten())
            });
        }
        while let Some((key, index, answer)) = answers.next().await {
            match answer {
                Some(Ok(Some(reports))) => {
                    self.store.keep_reports(&index.registered, key, &reports, now).await?;
                }
                Some(Ok(None)) => {}
                Some(Err(error)) => {
                    self.store.note_problem(&index.registered.name, &error, now).await?;
                    unanswered.insert(key.clone(), error.to_string());
                }
                None => drop(unanswered.insert(key.clone(), late(index))),
            }
        }
        drop(answers);
        self.store.prune_reports().await?;
        Ok(unanswered)
    }

    async fn ask_one(&self, index: &Attached, cid: &Cid) -> Option<Result<Option<Vec<Report>>, SourceError>> {
        let _place = self.asking.acquire().await.ok()?;
        Some(index.source.ask(cid).await)
    }

    /// Takes one step of a source; `now` in Unix seconds. Gives when to take the next one (none: never) and what to tell a person.
    ///
    /// # Errors
    /// [`StepError`]; what the source said wrong is noted in its standing.
    pub async fn step(&self, attached: &Attached, now: u64) -> Result<Option<Taken>, StepError> {
        let Attached { source, registered } = attached;
        let from = self.store.position(registered).await?;
        let step = match source.next(from.cursor.as_deref(), now).await {
            Ok(Some(step)) => step,
            Ok(None) => return Ok(None),
            Err(error) => {
                if let SourceError::Rewritten { .. } = &error {
                    self.store.forget(registered.origin).await?;
                }
                self.store.note_problem(&registered.name, &error, now).await?;
                return Err(error.into());
            }
        };
        let (facts, rest, progress) = (step.facts.len(), step.rest, step.progress.clone());
        match self.store.commit_from(registered, &from, &step, now).await {
            Ok(true) => Ok(Some(Taken { facts, rest, progress })),
            Ok(false) => {
                let progress = "what it was read from was forgotten meanwhile; it goes on from there".to_owned();
                Ok(Some(Taken { facts: 0, rest: None, progress }))
            }
            Err(StoreError::OtherChain { found, known }) => {
                let place = source.origin().to_owned();
                let error = SourceError::OtherChain { place, found, known };
                self.store.note_problem(&registered.name, &error, now).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// All that is known about some CIDs.
struct LookedUp {
    standings: Vec<Standing>,
    witnesses: HashMap<i64, Witness>,
    claims: HashMap<PieceRoot, Vec<ClaimRow>>,
    of_pieces: HashMap<PieceRoot, Vec<ReportRow>>,
    of_payloads: HashMap<Vec<u8>, Vec<ReportRow>>,
    listed: HashMap<Vec<u8>, Vec<ListedRow>>,
    /// Why indexes did not answer, by payload.
    unanswered: HashMap<Vec<u8>, String>,
    has_index: bool,
}

impl LookedUp {
    /// One answer for each text, in their order. What is asked about twice is judged once.
    fn answers(
        &self,
        texts: &[String],
        subjects: &[Result<Subject, SubjectError>],
        shown: usize,
        now: u64,
    ) -> Vec<Checked> {
        let sources = names(&self.standings);
        let lists = self.standings.iter().filter(|standing| standing.signed_by.is_some());
        let lists: HashMap<&str, Option<String>> =
            lists.map(|standing| (standing.name.as_str(), staleness(standing, now))).collect();
        let mut judged: HashMap<(Vec<u8>, Option<PieceCid>), Answer> = HashMap::new();
        let answer = |(text, subject): (&String, &Result<Subject, SubjectError>)| {
            let subject = match subject {
                Ok(subject) => subject,
                Err(error) => {
                    let cid = text.chars().take(REPEATED).collect();
                    return Checked::Malformed { cid, error: ToString::to_string(error) };
                }
            };
            let is = match subject {
                Subject::Piece(piece) => (subject.key(), Some(*piece)),
                Subject::Payload { key, .. } => (key.clone(), None),
            };
            let answer = judged.entry(is).or_insert_with(|| self.answer(subject, &sources, &lists, shown, now)).clone();
            Checked::Answer(Box::new(Answer { cid: text.clone(), ..answer }))
        };
        texts.iter().zip(subjects).map(answer).collect()
    }

    /// `lists` are those that count, and why their word is old, if it is.
    fn answer(
        &self,
        subject: &Subject,
        sources: &HashSet<&str>,
        lists: &HashMap<&str, Option<String>>,
        shown: usize,
        now: u64,
    ) -> Answer {
        let key = subject.key();
        let mut caveats = Vec::new();
        let reports = match subject {
            Subject::Piece(piece) => self.of_pieces.get(&piece.root()),
            Subject::Payload { .. } => {
                caveats.extend(self.unanswered.get(&key).cloned());
                if !self.has_index {
                    caveats.push("no index is asked: in which pieces it is is unknown".to_owned());
                }
                self.of_payloads.get(&key)
            }
        };
        let listed = self.listed.get(&key).into_iter().flatten();
        let listed: Vec<&ListedRow> = listed.filter(|row| lists.contains_key(row.source.as_str())).collect();
        caveats.extend(listed.iter().filter_map(|row| lists.get(row.source.as_str())?.clone()));
        let known = Known {
            witnesses: &self.witnesses,
            claims: &self.claims,
            reports: reports.into_iter().flatten().filter(|row| sources.contains(row.source.as_str())).collect(),
            listed,
            caveats,
            shown,
            now,
        };
        judge("", subject, &known)
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub facts: usize,
    /// None: the next one at once.
    pub rest: Option<Duration>,
    pub progress: String,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn names(standings: &[Standing]) -> HashSet<&str> {
    standings.iter().map(|standing| standing.name.as_str()).collect()
}

/// Why a source's word is old, if it is.
fn staleness(standing: &Standing, now: u64) -> Option<String> {
    let state = state(standing, now);
    let age = state.age.map_or_else(|| "never gave anything".to_owned(), |age| format!("is {age} s behind"));
    let why = state.problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
    state.stale.then(|| format!("the source `{}` {age}{why}", state.name))
}

fn state(standing: &Standing, now: u64) -> SourceState {
    let age = standing.as_of.map(|as_of| now.saturating_sub(as_of));
    // An index is asked when somebody asks: before, nothing is wrong with it.
    let unasked = standing.kind == "index" && standing.as_of.is_none() && standing.problem.is_none();
    SourceState {
        name: standing.name.clone(),
        kind: standing.kind.clone(),
        epoch: standing.epoch,
        as_of: standing.as_of.map(timestamp),
        age,
        stale: !unasked && age.is_none_or(|age| age > standing.stale_after),
        complete_as_of_epoch: standing.complete,
        refused: standing.refused,
        refusal: standing.refusal.clone(),
        problem: standing.problem.clone(),
        problem_since: standing.problem_since.map(timestamp),
    }
}
