//! What is told of a run.

use std::{io::IsTerminal as _, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::phases::{Phase, Reached};
use crate::terminal;

/// What a run came to.
#[derive(Clone, Debug)]
pub(super) struct Report {
    number: u64,
    began: Timestamp,
    pub(super) reached: Reached,
    pub(super) took: Duration,
    /// The phase that was not reached, and why.
    pub(super) failed: Option<(Phase, String)>,
}

/// As JSON; times in seconds.
#[derive(Serialize)]
struct Line<'a> {
    run: u64,
    began: Timestamp,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    seconds: f64,
    /// How long each phase took after the one before.
    phases: Map<String, Value>,
}

impl Report {
    /// `reason` is why it failed, if it did. What fails after the last phase is that of the last phase.
    pub(super) fn new(number: u64, began: Timestamp, reached: Reached, reason: Option<String>) -> Self {
        let failed = reason.map(|reason| (reached.missing().unwrap_or(Phase::Fetched), reason));
        Self { number, began, took: reached.elapsed(), reached, failed }
    }

    pub(super) const fn is_ok(&self) -> bool {
        self.failed.is_none()
    }

    /// Prints it: as JSON; or for a person, in a pipe only if it failed.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            let line = serde_json::to_string(&self.line()).context("cannot write JSON")?;
            return terminal::print(&format!("{line}\n"));
        }
        let job = self.reached.job.as_ref().map(|job| format!(" (job {job})")).unwrap_or_default();
        match &self.failed {
            Some((phase, reason)) => terminal::tell(&format!(
                "{} run {} is not {} after {:.1?}: {reason}{job}",
                terminal::bad("failed:"),
                self.number,
                phase.name(),
                self.took
            )),
            None if std::io::stdout().is_terminal() => {
                let phases: Vec<_> =
                    self.reached.durations().map(|(phase, took)| format!("{} {took:.1?}", phase.name())).collect();
                terminal::print(&format!("run {}: ok in {:.1?} ({})\n", self.number, self.took, phases.join(", ")))?;
            }
            None => {}
        }
        Ok(())
    }

    fn line(&self) -> Line<'_> {
        let phases = self.reached.durations().map(|(phase, took)| (phase.name().to_owned(), seconds(took).into()));
        Line {
            run: self.number,
            began: self.began,
            outcome: if self.is_ok() { "ok" } else { "failed" },
            failed: self.failed.as_ref().map(|(phase, _)| *phase),
            reason: self.failed.as_ref().map(|(_, reason)| reason.as_str()),
            job: self.reached.job.as_deref(),
            seconds: seconds(self.took),
            phases: phases.collect(),
        }
    }
}

/// In seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_line_that_says_how_far_it_came() {
        let mut reached = Reached::new();
        reached.job = Some("0x12".to_owned());
        reached.reach(Phase::Opened);
        let failed = Report::new(3, Timestamp::UNIX_EPOCH, reached.clone(), Some("nobody took it".to_owned()));
        let line = serde_json::to_value(failed.line()).expect("JSON");
        assert_eq!((&line["outcome"], &line["failed"]), (&"failed".into(), &"locked".into()));
        assert_eq!((&line["run"], &line["reason"]), (&3.into(), &"nobody took it".into()));
        assert_eq!(line["phases"].as_object().expect("phases").keys().collect::<Vec<_>>(), ["opened"]);
        reached.reach(Phase::Fetched);
        let line = Report::new(4, Timestamp::UNIX_EPOCH, reached, None);
        let line = serde_json::to_value(line.line()).expect("JSON");
        assert_eq!((&line["outcome"], &line["failed"]), (&"ok".into(), &Value::Null));
        assert_eq!(line["phases"].as_object().expect("phases").len(), Phase::ALL.len());
    }
}
