//! A contract that asks, on a chain: whoever sends it a question pays for a job, and the market calls it back.

use std::time::Duration;

use anyhow::{Context as _, bail};
use lota_market::{
    Address, AttoFil,
    model::JobId,
    spec::{Input, JobSpec, Limits, Link},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    material::{self, DECLARATION, TEXTS},
    parties::{ASKER, Parties},
    plan::{Expected, Job, Order},
};
use crate::chain::{Asker, Habits};

/// What is asked: how often this word occurs in the Declaration of Independence.
const WORD: &str = "people";
/// What is paid for the answer.
const PRICE: AttoFil = AttoFil::from_gwei(13_000_000);
/// What all jobs of the contract have in common.
const HABITS: Habits =
    Habits { lock_for: 600, run_for: 60, collateral: AttoFil::from_gwei(50_000_000), callback_gas: 200_000 };
/// How long the client's node may take to see the contract's job.
const PATIENCE: Duration = Duration::from_secs(30);
/// Stands for the question while the spec around it is made.
const PLACE: &str = "QUESTION";

/// A question that a contract was asked, and what it was told.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    /// The contract.
    pub(super) contract: Address,
    /// Who asked it, and paid.
    pub(super) asker: Address,
    /// The job that it opened.
    pub(super) job: JobId,
    /// The question.
    pub(super) question: &'static str,
    /// What the contract was told, which is what the program printed.
    pub(super) answer: String,
    /// What it was told of the program's exit code.
    pub(super) exit_code: u32,
    /// Whether it was called back at all.
    pub(super) answered: bool,
    /// What the answer should be.
    pub(super) expected: String,
}

/// Deploys the contract and asks it. The program and the text are those of `like`, whose client serves them: a contract has no
/// gateway.
pub(super) async fn order(parties: &Parties, asker: &Asker, like: &Order) -> anyhow::Result<Order> {
    let limits =
        Limits { fuel: 400_000_000, memory: 64 << 20, output: 1 << 20, entries: 10, wall: 30, ..Limits::LEAST };
    let mut spec = JobSpec::wasm(Link(like.module), limits);
    spec.inputs = vec![Input::content(Link(like.input), Some(format!("/inputs/{DECLARATION}")))];
    spec.args = vec!["--find".to_owned(), PLACE.to_owned()];
    let text = serde_json::to_string(&spec).context("the spec is not JSON")?;
    let (head, tail) = text.split_once(&format!("\"{PLACE}\"")).context("the spec has no place for the question")?;
    asker.deploy(HABITS, head, tail).await.context("the contract was not deployed")?;
    let job = asker.ask(WORD, PRICE).await.context("the contract was not asked")?;

    let api = &parties.named(like.client)?.api;
    let deadline = Instant::now() + PATIENCE;
    let opened = loop {
        match api.job(&job.to_string()).await {
            Ok(detail) => break detail.summary,
            Err(error) if Instant::now() > deadline => {
                return Err(error).context(format!("{}'s node does not see the contract's job", like.client));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let counts = material::count(TEXTS.iter().filter(|(name, _)| *name == DECLARATION).map(|(_, text)| *text));
    let answer = format!("{}\n", counts.get(WORD).copied().unwrap_or_default());
    Ok(Order {
        client: ASKER,
        seen_by: like.client,
        what: "ask a contract how often `people` occurs",
        expected: Some(Expected {
            counts: material::as_lines(&counts, usize::MAX),
            words: counts.values().sum(),
            answer: Some(answer),
        }),
        module: like.module,
        input: like.input,
        opened,
    })
}

/// What the contract was told.
pub(super) async fn asked(asker: &Asker, jobs: &[Job]) -> anyhow::Result<Asked> {
    let Some((job, expected)) = jobs.iter().find_map(|job| Some((job, job.expected.as_ref()?.answer.as_ref()?))) else {
        bail!("the contract was asked nothing");
    };
    let id = job.detail.summary.id;
    let question = asker.question(id).await?;
    Ok(Asked {
        contract: asker.contract(),
        asker: asker.account(),
        job: id,
        question: WORD,
        answer: String::from_utf8_lossy(&question.answer).into_owned(),
        exit_code: question.exit_code,
        answered: question.answered,
        expected: expected.clone(),
    })
}
