//! `lota completions`.

use std::time::Duration;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use lota_api::{JobQuery, JobSummary};

use crate::{
    api::Api,
    flags::Global,
    home::Home,
    settings::Layers,
    terminal::{self, short_id},
    verbs::arguments::Arguments,
};

/// How long a shell that completes a job's id waits for the daemon, at most: somebody has pressed a key.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many of the latest jobs are offered.
const OFFERED: u32 = 100;
/// Stands in the generated scripts where ids belong.
const IDS: &str = "LOTA_JOB_IDS";
/// What a script runs to get them.
const ASK: &str = "completions --job-ids 2>/dev/null";

/// Print a script that completes this command in a shell. In bash, zsh and fish it offers the ids of your latest jobs, too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota completions bash > ~/.local/share/bash-completion/completions/lota
  lota completions fish > ~/.config/fish/completions/lota.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(required_unless_present = "job_ids")]
    shell: Option<Shell>,
    /// Print the ids of the latest jobs, for the script; nothing if no daemon answers at once
    #[arg(long, hide = true, conflicts_with = "shell")]
    job_ids: bool,
}

impl Completions {
    /// Whether a shell asks, which wants candidates or silence.
    pub(crate) const fn is_asked_by_a_shell(&self) -> bool {
        self.job_ids
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self.shell {
            Some(shell) => terminal::print(&script(shell)),
            None => Ok(()),
        }
    }
}

/// Prints the ids that a job may be named by, as `lota job list` does; nothing when they cannot be had at once.
pub(crate) fn offer_ids(global: &Global) {
    if let Some(jobs) = latest(global) {
        // A shell that does not listen any more needs none.
        let _ = terminal::print(&jobs.iter().map(|job| format!("{}\n", short_id(job.id))).collect::<String>());
    }
}

fn latest(global: &Global) -> Option<Vec<JobSummary>> {
    let home = Home::find(global.home.clone()).ok()?;
    let layers = Layers::load(&home.config_file(), |name| std::env::var_os(name)).ok()?;
    let settings = layers.flag("--api", "api.url", global.api.as_ref()).settings().ok()?;
    let api = Api::find(&home, &settings.api).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let jobs = async {
        let query = |all| JobQuery { all, limit: Some(OFFERED), ..JobQuery::default() };
        let mine = api.jobs(&query(false)).await?.jobs;
        if mine.is_empty() { Ok(api.jobs(&query(true)).await?.jobs) } else { anyhow::Ok(mine) }
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, jobs).await }).ok()?.ok()
}

/// The script for a shell.
fn script(shell: Shell) -> String {
    let mut command = Arguments::command();
    let verbs = verbs_with_a_job(&command);
    for verb in &verbs {
        command = command.mut_subcommand("job", |job| {
            job.mut_subcommand(verb, |verb| verb.mut_arg("job", |arg| arg.value_parser([IDS])))
        });
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "lota", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script.replace(IDS, &format!("$(\"$1\" {ASK})")),
        Shell::Zsh => {
            let offer = format!("\n_lota_job_ids() {{\n    compadd -- ${{(f)\"$(lota {ASK})\"}}\n}}\n\n_lota() {{");
            script.replacen("\n_lota() {", &offer, 1).replace(&format!("({IDS})"), "_lota_job_ids")
        }
        Shell::Fish => ["job", "jobs"].iter().fold(script, |script, job| {
            let verbs = verbs.join(" ");
            let when = format!("__fish_lota_using_subcommand {job}; and __fish_seen_subcommand_from {verbs}");
            format!("{script}complete -c lota -n \"{when}\" -f -a \"(lota {ASK})\"\n")
        }),
        _ => script,
    }
}

/// The verbs of `lota job` that take the id of a job.
fn verbs_with_a_job(command: &Command) -> Vec<String> {
    let verbs = command.find_subcommand("job").into_iter().flat_map(Command::get_subcommands);
    verbs
        .filter(|verb| verb.get_positionals().any(|arg| arg.get_id() == "job"))
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_verb_that_takes_a_job_offers_ids() {
        let verbs = verbs_with_a_job(&Arguments::command());
        assert_eq!(verbs, ["describe", "get", "cat", "logs", "cancel", "publish", "wait"]);
        let bash = script(Shell::Bash);
        assert_eq!(bash.matches("$(\"$1\" completions --job-ids 2>/dev/null)").count(), verbs.len());
        let zsh = script(Shell::Zsh);
        assert!(zsh.matches(":_lota_job_ids'").count() >= verbs.len() && zsh.contains("\n_lota_job_ids() {"), "{zsh}");
        let fish = script(Shell::Fish);
        assert!(
            fish.contains("__fish_seen_subcommand_from describe get cat logs cancel publish wait\" -f -a \"(lota"),
            "{fish}"
        );
    }

    #[test]
    fn no_script_holds_what_was_to_be_replaced() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            assert!(!script.contains(IDS), "{shell}");
        }
    }
}
