//! Whether anybody is left who may take an open job.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lota_api::{Decision, Verdict};
use lota_market::{
    Address,
    model::{JobId, Status},
};
use tokio::time::Instant;

use crate::{
    decisions::Decisions,
    http_error::HttpError,
    store::{MAX_PARTIES, Store},
};

/// How often providers are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What was heard of a job so far.
#[derive(Debug)]
struct Hearing {
    /// How long a provider may say nothing.
    silence: Duration,
    /// Since when nothing was heard of whom.
    silent: BTreeMap<Address, Instant>,
    /// Whether all who answered had refused the last time.
    refused: bool,
}

impl Hearing {
    const fn new(silence: Duration) -> Self {
        Self { silence, silent: BTreeMap::new(), refused: false }
    }

    /// Takes in what was said to a question of `asked`, until `now`; says whether nobody is left: everybody who answers has
    /// refused, twice in a row (who has not seen the job yet gets its time), and the rest has been silent for too long.
    fn hear(&mut self, decisions: &[Decision], asked: Instant, now: Instant) -> bool {
        let quiet: BTreeSet<Address> =
            decisions.iter().filter(|decision| is_silent(decision)).map(|decision| decision.provider).collect();
        self.silent.retain(|who, _| quiet.contains(who));
        for who in quiet {
            self.silent.entry(who).or_insert(asked);
        }
        let mut answers = decisions.iter().filter(|decision| !is_silent(decision)).peekable();
        let refused = answers.peek().is_some() && answers.all(|decision| decision.decision == Verdict::Refused);
        let before = std::mem::replace(&mut self.refused, refused);
        refused && before && self.silent.values().all(|since| now.duration_since(*since) >= self.silence)
    }
}

fn is_silent(decision: &Decision) -> bool {
    decision.decision == Verdict::Silent
}

/// Ends when nobody is left who may take the job, with what everybody said; does not end if it is not open any more.
pub(super) async fn refused_by_all(
    store: &Store,
    decisions: &Decisions,
    id: JobId,
    silence: Duration,
) -> Result<Vec<Decision>, HttpError> {
    let mut hearing = Hearing::new(silence);
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        let Some(listed) = store.listed(id).await? else { return std::future::pending().await };
        match listed.job.view.status {
            // A reorganisation may open it again.
            Status::Open => {}
            status if status.is_final() => return std::future::pending().await,
            _ => {
                hearing = Hearing::new(silence);
                continue;
            }
        }
        let parties = store.announcements(MAX_PARTIES).await?;
        let asked = Instant::now();
        let said = decisions.of_all(&listed.job, &parties).await;
        if hearing.hear(&said, asked, Instant::now()) {
            return Ok(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(10);

    fn said(number: u8, decision: &str) -> Decision {
        let provider = Address::repeat_byte(number);
        let json = serde_json::json!({ "provider": provider, "decision": decision, "reason": "" });
        serde_json::from_value(json).expect("a decision")
    }

    /// What providers 1, 2, … say, a second later each time; after which time nobody is left.
    fn heard(times: &[&[&str]]) -> Option<usize> {
        let (mut hearing, begun) = (Hearing::new(SILENCE), Instant::now());
        times.iter().zip(0u32..).position(|(said_now, second)| {
            let now = begun + Duration::from_secs(second.into());
            let decisions: Vec<_> = said_now.iter().zip(1..).map(|(text, number)| said(number, text)).collect();
            hearing.hear(&decisions, now, now)
        })
    }

    #[test]
    fn refusals_count_when_they_are_heard_twice() {
        assert_eq!(heard(&[&["refused", "refused"], &["refused", "refused"]]), Some(1));
        assert_eq!(heard(&[&["refused"], &["refused", "considering"], &["refused", "refused"]]), None);
        assert_eq!(heard(&[&["refused", "waiting"][..]; 60]), None, "one still may");
        assert_eq!(heard(&[&["refused", "a word of the future"][..]; 60]), None);
        assert_eq!(heard(&[&[][..]; 60]), None, "nobody is known: somebody may come");
    }

    #[test]
    fn silence_has_a_limit() {
        assert_eq!(heard(&[&["refused", "silent"][..]; 60]), Some(10));
        assert_eq!(heard(&[&["silent", "silent"][..]; 60]), None, "nobody refused");
        // Whoever speaks once in a while may still take it.
        let mut times = vec![&["refused", "silent"][..]; 60];
        for second in [8, 16, 24] {
            times[second] = &["refused", "considering"];
        }
        assert_eq!(heard(&times), Some(35));
        times[32] = &["refused", "waiting"];
        assert_eq!(heard(&times[..40]), None);
    }
}
