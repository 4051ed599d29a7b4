//! `lota node doctor`.

mod around;
mod findings;
mod here;

use clap::Args;
use serde::Serialize;

use self::findings::{Finding, Verdict};
use crate::{
    context::Context,
    failure::{ExitWith, FAILED},
    flags::Format,
    terminal::{self, Progress, Table, printable},
};

/// Look for what could keep a node from its work, and say what mends it.
///
/// Looks at the settings, the home's disk, the key, the engines, the clock, the market's chain, the money for gas, the running node,
/// and whether others reach what it serves. It changes nothing and needs no password. The exit code is 1 if anything is wrong; what is only worth
/// knowing does not count.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lota node doctor\n  lota node doctor --json | jq -r '.findings[] | select(.verdict != \"good\") | .remedy'"
)]
pub(crate) struct Doctor {
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let findings = examine(context).await?;
        let healthy = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
        let report = Report { healthy, findings };
        if self.format.json {
            terminal::print_json(&report)?;
        } else {
            terminal::print(&shown(&report.findings))?;
        }
        if healthy { Ok(()) } else { Err(ExitWith(FAILED).into()) }
    }
}

/// Everything that is found, in the order in which it is best mended.
async fn examine(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let settings = context.settings()?;
    let node = &settings.node;
    let progress = Progress::start(false);
    progress.say("looking at this machine");
    let mut findings = vec![here::disk(&context.home, node), here::descriptors(), here::key(&context.home, node)];
    findings.push(here::wasm(&context.home.node(&node.name)).await);
    findings.push(here::docker(&context.home.node(&node.name), &node.docker).await);
    findings.extend(here::directories(node));
    let daemon = around::daemon(context).await;
    findings.extend(daemon.findings);
    findings.extend(here::addresses(node, daemon.node.is_some()));
    progress.say("asking the market's chain");
    let account = here::account(&context.home, node).or(daemon.node.as_ref().map(|info| info.party));
    findings.extend(around::chain(node, account).await);
    progress.say("asking for what the node serves, as others would");
    findings.push(around::reachability(node, daemon.node.as_ref()).await);
    progress.finish();
    Ok(findings)
}

fn shown(findings: &[Finding]) -> String {
    let mut table = Table::pairs();
    for Finding { subject, verdict, found, remedy } in findings {
        let mark = match verdict {
            Verdict::Good => terminal::good("ok"),
            Verdict::Unknown => terminal::dim("not known"),
            Verdict::Notable => terminal::bold("note"),
            Verdict::Bad => terminal::bad("bad"),
        };
        table.row([*subject, &format!("{mark}: {}", printable(found))]);
        if let Some(remedy) = remedy {
            table.row(["", &format!("→ {}", printable(remedy))]);
        }
    }
    table.render()
}
