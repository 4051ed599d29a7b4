//! What a registry of FIL+ data says of inputs (docs/fil-plus.md, "The HTTP API").

use std::{collections::BTreeMap, time::Duration};

use lota_fil_plus::{
    answer::{
        Answer, Certainty, CheckAnswer, CheckRequest, Checked, ClaimEvidence, ListEvidence, MAX_AGE, ReportEvidence,
        SourceState,
    },
    keeper, reply,
};
use url::Url;

use crate::{
    outgoing::{self, Secrecy, UrlError, shown},
    review::InputEvidence,
};

/// The most CIDs that are asked about in one request; the registry takes more, and answers longer.
const AT_ONCE: usize = 256;
/// The most inputs that are looked up: a spec has fewer.
const MAX_INPUTS: usize = 4_096;
/// The longest CID that is asked about: what is longer is none.
const MAX_CID: usize = 300;
/// The longest answer to one request, in bytes.
const MAX_ANSWER: usize = 8 << 20;
/// The most time for one request.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of each kind of evidence so much is told of an input.
const TOLD: usize = 3;

/// A registry's server.
#[derive(Clone, Debug)]
pub struct Registry {
    url: Url,
    client: reqwest::Client,
}

/// Why there is no registry to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("{0}")]
    Client(String),
}

impl Registry {
    /// The registry at this URL.
    ///
    /// # Errors
    /// [`RegistryError`] if it is no URL of a server.
    pub fn at(url: &str) -> Result<Self, RegistryError> {
        Self::with_patience(url, PATIENCE)
    }

    fn with_patience(url: &str, patience: Duration) -> Result<Self, RegistryError> {
        let mut url = outgoing::parse(url, Secrecy::Open)?;
        let path = format!("{}/v1/check", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url, client: outgoing::client(patience).map_err(RegistryError::Client)? })
    }

    /// Asks about inputs. Each keeps its place. An input without a CID is unknown; one that could not be asked about has no certainty,
    /// and a reason.
    pub async fn look_up(&self, mut inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        let mut cids: Vec<String> = Vec::new();
        let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, input) in inputs.iter_mut().enumerate() {
            if input.cid.is_empty() {
                input.certainty = Some(Certainty::Unknown);
                input.because.push("it has no CID by which anybody could know it".to_owned());
            } else if input.cid.len() > MAX_CID {
                input.because.push(format!("its CID has more than {MAX_CID} bytes, which no CID has"));
            } else if place >= MAX_INPUTS {
                input.because.push(format!("the job has more than {MAX_INPUTS} inputs: it was not looked up"));
            } else {
                let places = wanted.entry(input.cid.clone()).or_default();
                if places.is_empty() {
                    cids.push(input.cid.clone());
                }
                places.push(place);
            }
        }
        let mut down: Option<String> = None;
        for chunk in cids.chunks(AT_ONCE) {
            // A registry that failed is not waited for again by the same job.
            let asked = match &down {
                Some(why) => Err(why.clone()),
                None => self.ask(chunk).await,
            };
            match asked {
                Ok(answer) => {
                    let stale = staleness(&answer.sources);
                    for (cid, checked) in chunk.iter().zip(answer.answers) {
                        let (certainty, because) = reading(checked, keeper::now());
                        for place in wanted.get(cid).into_iter().flatten() {
                            let input = &mut inputs[*place];
                            input.certainty = certainty;
                            input.because.extend(because.iter().chain(&stale).cloned());
                        }
                    }
                }
                Err(why) => {
                    for place in chunk.iter().filter_map(|cid| wanted.get(cid)).flatten() {
                        inputs[*place].because.push(why.clone());
                    }
                    down = Some(why);
                }
            }
        }
        inputs
    }

    async fn ask(&self, cids: &[String]) -> Result<CheckAnswer, String> {
        let place = outgoing::place(&self.url);
        let request = CheckRequest { cids: cids.to_vec(), ask: true };
        let request = self.client.post(self.url.clone()).json(&request);
        let answered =
            outgoing::ask(request, &self.url, MAX_ANSWER).await.map_err(|error| format!("the registry at {error}"))?;
        if answered.status != 200 {
            let said = serde_json::from_slice::<lota_api::ApiError>(&answered.body).map(|error| error.message);
            let said = said.map_or_else(|_| String::new(), |message| format!(": {}", shown(&message)));
            return Err(format!("the registry at {place} answered HTTP {}{said}", answered.status));
        }
        let answer: CheckAnswer = serde_json::from_slice(&answered.body)
            .map_err(|error| format!("the registry at {place} does not answer as a registry does: {error}"))?;
        reply::check(cids, answer, keeper::now())
            .map_err(|error| shown(&format!("the registry at {place} is not believed: {error}")))
    }
}

/// What an answer comes to, and what it rests on.
fn reading(checked: Checked, now: u64) -> (Option<Certainty>, Vec<String>) {
    let answer = match checked {
        Checked::Answer(answer) => *answer,
        Checked::Malformed { error, .. } => {
            // Nobody knows it under what is no CID.
            return (Some(Certainty::Unknown), vec![shown(&error)]);
        }
    };
    let is_old = answer.rests_on_old_word(MAX_AGE, now);
    let Answer { certainty, reason, as_of, claims, more_claims, reports, lists, contradictions, caveats, .. } = answer;
    let mut certainty = Some(certainty);
    let mut because = vec![shown(&reason)];
    let some = |because: &mut Vec<String>, of: Vec<String>, what: &str, more: bool| {
        let count = of.len();
        because.extend(of.into_iter().take(TOLD));
        if count > TOLD || more {
            let more = if more {
                format!("{} {what} or more", count - TOLD.min(count) + 1)
            } else {
                format!("{} {what}", count - TOLD)
            };
            because.push(format!("and {more}"));
        }
    };
    if certainty == Some(Certainty::Verified) && !contradictions.is_empty() {
        certainty = Some(Certainty::Contradicted);
    } else if is_old {
        certainty = None;
        let when = as_of.map_or_else(|| "of nobody knows when".to_owned(), |as_of| format!("of {as_of}"));
        because
            .push(format!("the chain's word is {when}, and what is older than {} does not count", duration(MAX_AGE)));
    }
    some(&mut because, claims.iter().map(claim).collect(), "claims", more_claims);
    some(&mut because, reports.iter().map(report).collect(), "reports", false);
    some(&mut because, lists.iter().map(list).collect(), "lists", false);
    let prefixed = |prefix: &str, of: &[String]| of.iter().map(|text| format!("{prefix}: {}", shown(text))).collect();
    some(&mut because, prefixed("contradiction", &contradictions), "contradictions", false);
    some(&mut because, prefixed("caveat", &caveats), "caveats", false);
    (certainty, because)
}

fn claim(claim: &ClaimEvidence) -> String {
    let ClaimEvidence { kind, id, state, provider, client, size, over_at, over_at_time, as_of_epoch, sources, .. } =
        claim;
    let over = over_at_time.map_or_else(|| format!("epoch {over_at}"), |time| time.to_string());
    let sources = sources.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    shown(&format!(
        "{kind} {id}: {}, provider {provider}, client {client}, {size} bytes, its term is over at {over}; as of epoch {as_of_epoch} by {sources}",
        state.name()
    ))
}

fn report(report: &ReportEvidence) -> String {
    let ReportEvidence { source, peer, piece, verified_deal, seen } = report;
    let deal = if *verified_deal { "a verified deal" } else { "a deal that is not verified" };
    shown(&format!("{source}: {peer} says that it is in the piece {piece}, of {deal} (seen {seen})"))
}

fn list(list: &ListEvidence) -> String {
    shown(&format!("the list {} ({}) of {} names it", list.list, list.source, list.issued))
}

/// Which sources' words are old, each in a line.
fn staleness(sources: &[SourceState]) -> Vec<String> {
    let stale = sources.iter().filter(|source| source.stale).take(TOLD);
    stale
        .map(|source| {
            let age =
                source.age.map_or_else(|| "nothing yet".to_owned(), |age| format!("its word is {} old", duration(age)));
            let problem = source.problem.as_ref().map(|problem| format!("; {problem}")).unwrap_or_default();
            shown(&format!("stale: {} {}: {age}{problem}", source.kind, source.name))
        })
        .collect()
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
