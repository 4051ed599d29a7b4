//! Colours, on terminals only (and never under `NO_COLOR`).

use console::style;
use lota_api::JobSummary;
use lota_market::model::Status;

/// Something that stands out.
pub(crate) fn bold(text: &str) -> String {
    style(text).bold().to_string()
}

/// Something that stands back.
pub(crate) fn dim(text: &str) -> String {
    style(text).dim().to_string()
}

/// Something that went well.
pub(crate) fn good(text: &str) -> String {
    style(text).green().to_string()
}

/// Something that did not.
pub(crate) fn bad(text: &str) -> String {
    style(text).red().to_string()
}

/// A job's state, in lower case.
pub(crate) fn status(status: Status) -> String {
    let name = super::words::status_name(status);
    match status {
        Status::Settled => style(name).green(),
        Status::Slashed | Status::Void | Status::Disputed => style(name).red(),
        Status::Cancelled | Status::None => style(name).dim(),
        Status::Open | Status::Locked | Status::Submitted => style(name).cyan(),
    }
    .to_string()
}

/// The state of a job; of one whose program failed, in the colour of failure, whatever the market says.
pub(crate) fn job_status(job: &JobSummary) -> String {
    match job.exit_code {
        None | Some(0) => status(job.status),
        Some(_) => bad(super::words::status_name(job.status)),
    }
}
