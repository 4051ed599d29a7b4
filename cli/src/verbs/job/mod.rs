//! `lota job`.

pub(crate) mod awaited;
mod cancel;
mod cat;
pub(crate) mod decisions;
pub(crate) mod describe;
pub(crate) mod document;
pub(crate) mod ending;
pub(crate) mod follow;
mod get;
mod list;
pub(crate) mod offer;
mod publish;
mod since;
mod submit;
pub(crate) mod terms;
mod validate;
mod wait;

use clap::Subcommand;

use crate::context::Context;

/// Ask for jobs and see what became of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Ask for a job that a JSON file describes
    #[command(visible_alias = "create")]
    Submit(submit::Submit),
    /// Find every problem of a job's description, without asking for the job
    Validate(validate::Validate),
    /// List jobs, newest first: yours, or with --all everybody's
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show everything about a job: who took or refused it and why, what happened, where the money went
    Describe(describe::Describe),
    /// Save a job's output in a folder
    Get(get::Get),
    /// Print one file of a job's output
    Cat(cat::Cat),
    /// Print what a job wrote to stdout and stderr
    Logs(cat::Logs),
    /// Withdraw a job that nobody has locked yet
    Cancel(cancel::Cancel),
    /// Have a job's output published again where that failed
    Publish(publish::Publish),
    /// Wait until a job has ended
    Wait(wait::Wait),
}

impl Job {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Submit(verb) => verb.run(context).await,
            Self::Validate(verb) => verb.run(context),
            Self::List(verb) => verb.run(context).await,
            Self::Describe(verb) => verb.run(context).await,
            Self::Get(verb) => verb.run(context).await,
            Self::Cat(verb) => verb.run(context).await,
            Self::Logs(verb) => verb.run(context).await,
            Self::Cancel(verb) => verb.run(context).await,
            Self::Publish(verb) => verb.run(context).await,
            Self::Wait(verb) => verb.run(context).await,
        }
    }
}
