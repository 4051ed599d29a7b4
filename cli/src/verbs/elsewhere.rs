//! What commands of Bacalhau and Lilypad are called here: the tips for those who type them, and the tables of docs/bacalhau.md.

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::arguments::Arguments;

/// The page with all of it.
const PAGE: &str = "docs/bacalhau.md";

/// A command of another program.
struct Command {
    /// Whose: `bacalhau`, `lilypad`, or both.
    program: &'static str,
    /// How it begins.
    words: &'static str,
    /// What does the same here; empty: nothing.
    here: &'static str,
    /// What is different.
    note: &'static str,
}

/// A flag of another program, or one of ours with another verb.
struct Flag {
    /// Our verb that it was given to.
    verb: &'static str,
    /// The flag.
    flag: &'static str,
    /// What to write instead, or why there is no such flag.
    tip: &'static str,
}

const fn command(program: &'static str, words: &'static str, here: &'static str, note: &'static str) -> Command {
    Command { program, words, here, note }
}

const BACALHAU: &str = "bacalhau";
const LILYPAD: &str = "lilypad";
const BOTH: &str = "bacalhau, lilypad";

const COMMANDS: &[Command] = &[
    command(
        BACALHAU,
        "exec",
        "lota wasm run MODULE",
        "jobs are WebAssembly modules, or images: `lota docker run IMAGE`",
    ),
    command(
        BACALHAU,
        "wasm validate",
        "lota job validate FILE",
        "a module is checked by providers before they lock the job",
    ),
    command(
        BACALHAU,
        "job run",
        "lota job submit FILE",
        "FILE is JSON in a format of its own (docs/spec.md); YAML is not read",
    ),
    command(BACALHAU, "job stop", "lota job cancel ID", "only until a provider has locked the job"),
    command(BACALHAU, "job executions", "lota job describe ID", "a job runs once, at the provider that locked it"),
    command(BACALHAU, "job history", "lota job describe ID", "it lists the job's events"),
    command(
        BACALHAU,
        "job rerun",
        "lota job describe ID --spec | lota job submit -",
        "that is a new job, and is paid for",
    ),
    command(BACALHAU, "job versions", "lota job describe ID", "a job never changes, so there is one version"),
    command(
        BACALHAU,
        "create",
        "lota job submit FILE",
        "FILE is JSON in a format of its own (docs/spec.md); YAML is not read",
    ),
    command(BACALHAU, "validate", "lota job validate FILE", "--schema prints the format as a JSON schema"),
    command(BACALHAU, "list", "lota job list", "your jobs; --all lists everybody's"),
    command(BACALHAU, "describe", "lota job describe ID", ""),
    command(BACALHAU, "get", "lota job get ID", "the output is verified by its CID as it comes"),
    command(BACALHAU, "logs", "lota job logs ID", "once the job has ended; a running job cannot be followed"),
    command(BACALHAU, "cancel", "lota job cancel ID", "only until a provider has locked the job"),
    command(BOTH, "serve", "lota node run", "--rpc URL --contract ADDRESS joins a market on a chain"),
    command(BACALHAU, "devstack", "lota devnet", "a market with three providers on this machine"),
    command(BACALHAU, "node list", "lota node show", "lists those who announced a gateway on the market"),
    command(BACALHAU, "node describe", "lota node show", ""),
    command(BACALHAU, "node approve", "", "nobody is approved: whoever puts up the collateral may run jobs"),
    command(BACALHAU, "node reject", "", "nobody is approved: whoever puts up the collateral may run jobs"),
    command(BACALHAU, "node delete", "", "nobody is approved: whoever puts up the collateral may run jobs"),
    command(BACALHAU, "nodes", "lota node show", ""),
    command(BACALHAU, "id", "lota node show", "a node's identity is its account on the market"),
    command(BACALHAU, "agent", "lota node show", ""),
    command(BACALHAU, "config list", "lota config show", ""),
    command(BACALHAU, "config default", "lota config show", ""),
    command(
        BACALHAU,
        "config set",
        "lota config path",
        "prints the path of the settings file, which you edit; a LOTA_* variable works, too",
    ),
    command(BACALHAU, "auth", "lota wallet new NAME", "there is nothing to log in to: a key is your account"),
    command(BACALHAU, "profile", "lota --home DIR", "each home has its own settings, keys and daemon"),
    command(BACALHAU, "license", "", "there are no licence keys"),
    command(BACALHAU, "completion", "lota completions SHELL", ""),
    command(BOTH, "version", "lota --version", ""),
    command(
        LILYPAD,
        "run",
        "lota wasm run MODULE",
        "a module is a WebAssembly file or its CID; `lota docker run IMAGE` runs a Docker image",
    ),
    command(LILYPAD, "resource-provider", "lota node run", "with --rpc, --contract and --key"),
    command(
        LILYPAD,
        "jobcreator",
        "lota node run --look-after CONTRACTS",
        "contracts ask the market themselves; this node ends their overdue jobs",
    ),
    command(
        LILYPAD,
        "solver",
        "",
        "there is no solver: the contract is the market, and providers compete for its jobs",
    ),
    command(LILYPAD, "mediator", "", "no node of its own: the arbiter that a job's terms name rules on disputes"),
    command(LILYPAD, "pow-signal", "", "providers give no proof of work; they put up collateral for each job"),
];

const WASM_RUN: &str = "wasm run";
const DOCKER_RUN: &str = "docker run";

const FLAGS: &[Flag] = &[
    Flag { verb: "node run", flag: "--chain", tip: "`--rpc URL` says where the market's chain is" },
    Flag {
        verb: "job submit",
        flag: "--key",
        tip: "`--idempotency-key NAME` is meant, if the same job must not be opened twice",
    },
    Flag { verb: WASM_RUN, flag: "--wait", tip: "it waits anyway, unless you give `--detach`" },
    Flag {
        verb: WASM_RUN,
        flag: "--follow",
        tip: "it waits and prints the output at the end; a running job cannot be followed",
    },
    Flag {
        verb: WASM_RUN,
        flag: "--download",
        tip: "stdout and stderr are printed; `--output-dir DIR` saves the output files",
    },
    Flag { verb: WASM_RUN, flag: "--id-only", tip: "`--detach` prints the job's id and nothing else" },
    Flag { verb: WASM_RUN, flag: "--timeout", tip: "`--wall-time TIME` limits how long the program may run" },
    Flag { verb: WASM_RUN, flag: "--cpu", tip: "`--fuel COUNT` limits the work; a job has one thread" },
    Flag { verb: WASM_RUN, flag: "--gpu", tip: "WASM jobs cannot use GPUs; `lota docker run --gpus COUNT` can" },
    Flag { verb: WASM_RUN, flag: "--network", tip: "jobs have no network, so that every run gives the same result" },
    Flag { verb: WASM_RUN, flag: "--count", tip: "a job runs once; run the command again for another" },
    Flag {
        verb: WASM_RUN,
        flag: "--publisher",
        tip: "the provider publishes the output by itself, and your node fetches it",
    },
    Flag { verb: WASM_RUN, flag: "--result-path", tip: "`--outputs GUEST_PATH` names the folder that is the output" },
    Flag { verb: DOCKER_RUN, flag: "--gpu", tip: "`--gpus COUNT` gives the job so many for itself" },
    Flag { verb: DOCKER_RUN, flag: "--cpu", tip: "`--cpus COUNT` limits how many it uses at a time, 0.5 for example" },
    Flag { verb: DOCKER_RUN, flag: "--network", tip: "jobs have no network" },
    Flag { verb: DOCKER_RUN, flag: "--rm", tip: "nothing of a container stays anyway" },
    Flag { verb: DOCKER_RUN, flag: "--volume", tip: "`-i SOURCE:GUEST_PATH` gives it a file, folder or CID to read" },
    Flag { verb: DOCKER_RUN, flag: "--timeout", tip: "`--wall-time TIME` limits how long the program may run" },
    Flag { verb: WASM_RUN, flag: "--entry", tip: "`--entry-point NAME` names the function to call" },
    Flag {
        verb: "job logs",
        flag: "--follow",
        tip: "a running job cannot be followed; `lota job wait ID` waits for its end",
    },
];

/// The error, with what a person may have meant.
pub(crate) fn with_tip(mut error: clap::Error, typed: impl IntoIterator<Item = String>) -> clap::Error {
    let context = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return error,
    };
    let Some(ContextValue::String(bad)) = error.get(context).cloned() else { return error };
    let (verb, rest) = walk(&bad, typed);
    let tip = if context == ContextKind::InvalidSubcommand { command_tip(&verb, &rest) } else { flag_tip(&verb, &bad) };
    match tip {
        Some(tip) => {
            // What looks alike is not what was meant.
            error.remove(ContextKind::SuggestedSubcommand);
            error.remove(ContextKind::SuggestedArg);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        None if context == ContextKind::InvalidArg && [WASM_RUN, DOCKER_RUN].contains(&verb.join(" ").as_str()) => {
            let tip = format!("if {bad} is for the program, put `--` before the program's arguments");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        None => {}
    }
    error
}

/// The verb that was understood, and the words from `bad` on.
fn walk(bad: &str, typed: impl IntoIterator<Item = String>) -> (Vec<String>, Vec<String>) {
    let mut verb = Vec::new();
    let mut level = Arguments::command();
    let mut typed = typed.into_iter();
    for word in typed.by_ref() {
        if word == bad {
            break;
        }
        // Flags and their values are no verbs.
        if let Some(next) = level.find_subcommand(&word).cloned() {
            verb.push(next.get_name().to_owned());
            level = next;
        }
    }
    let rest = std::iter::once(bad.to_owned()).chain(typed.take_while(|word| !word.starts_with('-')));
    (verb, rest.collect())
}

/// What a command of another program is called here.
fn command_tip(verb: &[String], rest: &[String]) -> Option<String> {
    if let (true, Some(module)) = (verb.is_empty(), rest.first().filter(|word| word.ends_with(".wasm"))) {
        return Some(format!("`lota wasm run {}` runs a module", crate::terminal::printable(module)));
    }
    let typed: Vec<&str> = verb.iter().chain(rest).map(String::as_str).collect();
    let words = |command: &Command| command.words.split(' ').collect::<Vec<_>>();
    let found = COMMANDS
        .iter()
        .filter(|command| typed.starts_with(&words(command)))
        .max_by_key(|command| words(command).len())
        // `lota docker` alone.
        .or_else(|| COMMANDS.iter().find(|command| words(command).starts_with(&typed)))?;
    let note = if found.note.is_empty() { String::new() } else { format!(": {}", found.note) };
    Some(match (found.here, found.program) {
        ("", program) => format!("there is no `{}` of {program} here{note}; see {PAGE}", found.words),
        (here, BOTH) => format!("`{}` is `{here}` here{note}; see {PAGE}", found.words),
        (here, program) => format!("`{program} {}` is `{here}` here{note}; see {PAGE}", found.words),
    })
}

/// What to write instead of a flag.
fn flag_tip(verb: &[String], flag: &str) -> Option<String> {
    let verb = verb.join(" ");
    FLAGS.iter().find(|known| known.verb == verb && known.flag == flag).map(|known| known.tip.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    const PAGE_TEXT: &str = include_str!("../../../docs/bacalhau.md");

    fn tip(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = Arguments::try_parse_from(&words).expect_err(line);
        with_tip(error, words.into_iter().skip(1)).to_string()
    }

    #[test]
    fn the_page_holds_the_tables() {
        let commands: String = COMMANDS
            .iter()
            .map(|command| {
                let here = if command.here.is_empty() { String::new() } else { format!("`{}`", command.here) };
                format!(
                    "| {} | `{}` | {} | {} |\n",
                    command.program,
                    command.words,
                    here.replace('|', "\\|"),
                    command.note
                )
            })
            .collect();
        let flags: String =
            FLAGS.iter().map(|flag| format!("| `lota {}` | `{}` | {} |\n", flag.verb, flag.flag, flag.tip)).collect();
        for (name, table) in [("commands", commands), ("flags", flags)] {
            let (begin, end) = (format!("<!-- {name}: cli/src/verbs/elsewhere.rs -->\n"), format!("<!-- /{name} -->"));
            let (_, after) = PAGE_TEXT.split_once(&begin).expect("the page has the place");
            let (found, _) = after.split_once(&end).expect("the place ends");
            let rows = found.splitn(3, '\n').nth(2).expect("a heading of two lines");
            assert_eq!(rows, table, "docs/bacalhau.md must hold the {name} as they are in elsewhere.rs");
        }
    }

    #[test]
    fn whoever_types_another_programs_command_is_told_ours() {
        for command in COMMANDS {
            let text = tip(&format!("lota {} x", command.words));
            let expected = if command.here.is_empty() { command.note } else { command.here };
            assert!(text.contains("tip: ") && text.contains(expected), "{}: {text}", command.words);
            assert_eq!(text.matches("tip: ").count(), 1, "{text}");
        }
        assert!(tip("lota --home /tmp job run x.yaml").contains("lota job submit FILE"));
        assert!(tip("lota agent alive").contains("lota node show"));
        assert!(tip("lota hello.wasm world").contains("lota wasm run hello.wasm"));
        assert!(!tip("lota nothing-like-it").contains("tip: "));
        assert!(tip("lota devnt").contains("'devnet'"), "what is misspelt is still found");
    }

    #[test]
    fn whoever_gives_another_programs_flag_is_told_ours() {
        for flag in FLAGS {
            let text = tip(&format!("lota {} {} x", flag.verb, flag.flag));
            assert!(text.contains(&format!("tip: {}", flag.tip)), "{} {}: {text}", flag.verb, flag.flag);
        }
    }

    #[test]
    fn what_is_named_here_exists_here() {
        for command in COMMANDS.iter().filter(|command| !command.here.is_empty()) {
            let words: Vec<&str> = command.here.split(' ').skip(1).take_while(|word| *word != "|").collect();
            let (verb, _) = walk("", words.iter().map(|word| (*word).to_owned()));
            let names = words.iter().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).count();
            assert_eq!(verb.len(), names, "{}", command.here);
        }
    }
}
