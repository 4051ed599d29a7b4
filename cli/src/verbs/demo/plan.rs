//! What the clients ask for, and the way of their jobs.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use lota_api::{JobDetail, JobRequest, JobSummary, TermsRequest};
use lota_content::Cid;
use lota_market::{
    AttoFil,
    spec::{Input, JobSpec, Limits, Link},
};

use super::{
    auction, files,
    material::{self, DECLARATION, TEXTS},
    parties::{CLIENTS, LARGE_MEMORY, Parties},
};
use crate::{
    terminal::Progress,
    verbs::{
        content::upload::{self, Keep, Links},
        job::follow::{Followed, follow},
    },
};

/// How the price rises: to 0.02 FIL in 16 s. Slowly enough that the providers have fetched and compiled the program before
/// the first of them is reached.
const MAX_PRICE: AttoFil = AttoFil::from_gwei(20_000_000);
const RAMP_PERIOD: u64 = 16;
/// The collateral that a provider puts up.
const COLLATERAL: AttoFil = AttoFil::from_gwei(50_000_000);
/// A job that has not ended by then is told as it is, and the demo fails.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is paid for the large job from the beginning, so that it is taken at once.
const LARGE_PRICE: AttoFil = AttoFil::from_gwei(13_000_000);

/// A job that somebody asked for.
pub(super) struct Order {
    /// Who.
    pub(super) client: &'static str,
    /// Whose node is asked about it.
    pub(super) seen_by: &'static str,
    /// For what, in words.
    pub(super) what: &'static str,
    /// What is to come out of it; `None`: the provider is to fail.
    pub(super) expected: Option<Expected>,
    /// The program.
    pub(super) module: Cid,
    /// What it reads.
    pub(super) input: Cid,
    /// The answer of the client's node.
    pub(super) opened: JobSummary,
}

/// What the program is to write.
#[derive(Clone)]
pub(super) struct Expected {
    /// `outputs/counts.tsv`.
    pub(super) counts: String,
    /// The line of its stdout with the number of words.
    pub(super) words: u64,
    /// All that it writes to stdout instead, if it is asked a question.
    pub(super) answer: Option<String>,
}

/// An order and what became of it.
pub(super) struct Job {
    pub(super) client: &'static str,
    pub(super) what: &'static str,
    pub(super) expected: Option<Expected>,
    pub(super) module: Cid,
    pub(super) input: Cid,
    pub(super) detail: JobDetail,
}

/// What an order asks for.
struct Wish {
    client: &'static str,
    what: &'static str,
    /// Only this text, instead of all.
    text: Option<&'static str>,
    top: Option<usize>,
    fuel: u64,
    memory: u64,
    wall: u64,
    terms: TermsRequest,
    fails: bool,
}

fn wishes() -> [Wish; 3] {
    let terms = TermsRequest {
        max_price: Some(MAX_PRICE),
        ramp_period: Some(RAMP_PERIOD),
        collateral: Some(COLLATERAL),
        ..TermsRequest::default()
    };
    let [alice, bob] = CLIENTS;
    [
        Wish {
            client: alice,
            what: "count the words of four texts",
            text: None,
            top: None,
            fuel: 20_000_000_000,
            memory: 64 << 20,
            // So that the fuel fits on slow machines, too.
            wall: 600,
            terms: terms.clone(),
            fails: false,
        },
        Wish {
            client: bob,
            what: "find the ten commonest words of one text",
            text: Some(DECLARATION),
            top: Some(10),
            fuel: 1_000_000_000,
            memory: 64 << 20,
            wall: 60,
            terms: terms.clone(),
            fails: false,
        },
        Wish {
            client: bob,
            what: "the same with much memory and little time",
            text: Some(DECLARATION),
            top: Some(10),
            fuel: 10_000_000,
            memory: LARGE_MEMORY,
            wall: 1,
            // Nobody can do it within 3 s who begins after 8.
            terms: TermsRequest { min_price: Some(LARGE_PRICE), run_for: Some(3), ..terms },
            fails: true,
        },
    ]
}

/// Sends the material to the clients' nodes and asks for the jobs.
/// `is_auctioned`, `is_blessed`: the first of them is, or may be.
pub(super) async fn orders(
    parties: &Parties,
    is_auctioned: bool,
    is_blessed: bool,
    scratch: &Path,
    progress: &Progress,
) -> anyhow::Result<Vec<Order>> {
    let folder = scratch.join("material");
    files::write(&folder)?;
    let mut orders = Vec::new();
    for (number, wish) in wishes().into_iter().enumerate() {
        let api = &parties.named(wish.client)?.api;
        let input_path = wish.text.map_or_else(|| folder.join("texts"), |name| folder.join("texts").join(name));
        let module =
            upload::path(api, &folder.join("wordcount.wasm"), Links::Refuse, Keep::ForJob, progress).await?.cid;
        let input = upload::path(api, &input_path, Links::Refuse, Keep::ForJob, progress).await?.cid;
        let limits = Limits {
            fuel: wish.fuel,
            memory: wish.memory,
            output: 1 << 20,
            entries: 10,
            wall: wish.wall,
            ..Limits::LEAST
        };
        let mut spec = JobSpec::wasm(Link(module), limits);
        spec.inputs = vec![Input::content(Link(input), wish.text.map(|name| format!("/inputs/{name}")))];
        spec.args = wish.top.map(|top| vec!["--top".to_owned(), top.to_string()]).unwrap_or_default();
        let terms = if is_auctioned && number == 0 { auction::terms(wish.terms) } else { wish.terms };
        let terms = TermsRequest { bless: (is_blessed && number == 0).then_some(true), ..terms };
        let request =
            JobRequest { spec: serde_json::to_value(&spec).context("the spec is not JSON")?, terms, key: None };
        let opened = api.open(&request).await.with_context(|| format!("{}'s job was not opened", wish.client))?.job;
        let texts = TEXTS.iter().filter(|(name, _)| wish.text.is_none_or(|wanted| wanted == *name));
        let counts = material::count(texts.map(|(_, text)| *text));
        let expected = Expected {
            counts: material::as_lines(&counts, wish.top.unwrap_or(usize::MAX)),
            words: counts.values().sum(),
            answer: None,
        };
        orders.push(Order {
            client: wish.client,
            seen_by: wish.client,
            what: wish.what,
            expected: (!wish.fails).then_some(expected),
            module,
            input,
            opened,
        });
    }
    Ok(orders)
}

/// Waits until a job has ended, or for as long as is reasonable.
pub(super) async fn see_through(parties: &Parties, order: &Order, progress: &Progress) -> anyhow::Result<Job> {
    let api = &parties.named(order.seen_by)?.api;
    let id = order.opened.id.to_string();
    let (Followed::Ended(detail) | Followed::TimeOver(detail)) =
        follow(api, &id, progress, Some(PATIENCE), |_| ()).await?;
    Ok(Job {
        client: order.client,
        what: order.what,
        expected: order.expected.clone(),
        module: order.module,
        input: order.input,
        detail: *detail,
    })
}
