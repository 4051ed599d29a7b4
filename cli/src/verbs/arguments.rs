//! The command line's form. Each verb's own arguments are with the verb.

use clap::{Parser, Subcommand};

use crate::{flags::Global, verbs};

const EXAMPLES: &str = "\
Examples:
  lota demo                                   see jobs go from request to payment
  lota devnet                                 a market with three providers, left running
  lota wasm run hello.wasm world              run a module on it, from another terminal
  lota wasm run wc.wasm -i texts -- --top 10  give it a folder to read
  lota job list                               what became of your jobs
  lota job describe 0x3f21                    who took or refused a job, where its money went

Exit codes: 0 done, 1 it failed, 2 the command line or a setting is wrong, 130 interrupted;
`lota wasm run` and `lota docker run` end with the exit code of their job.
Settings: flags, LOTA_* variables, $LOTA_HOME/config.toml, defaults (`lota config show`).";

/// A compute marketplace that settles on chain.
#[derive(Debug, Parser)]
#[command(name = "lota", version, after_help = EXAMPLES, max_term_width = 110, propagate_version = false)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See jobs go from request to payment: a whole market for some six seconds
    Demo(verbs::demo::Demo),
    /// Run a market with several providers on this machine, until Ctrl-C
    Devnet(verbs::devnet::Devnet),
    /// WebAssembly jobs
    #[command(subcommand)]
    Wasm(verbs::wasm::Wasm),
    /// Jobs in containers
    #[command(subcommand)]
    Docker(verbs::docker::Docker),
    /// Ask for jobs and see what became of them
    #[command(subcommand, visible_alias = "jobs")]
    Job(verbs::job::Job),
    /// Add and fetch content by CID
    #[command(subcommand)]
    Content(verbs::content::Content),
    /// Keys and money
    #[command(subcommand)]
    Wallet(verbs::wallet::Wallet),
    /// Run a provider's or a client's node, or show the running one
    #[command(subcommand)]
    Node(verbs::node::Node),
    /// Keep a small job going through the whole way, and measure it
    Canary(verbs::canary::Canary),
    /// Deploy the market on a chain, or look at one
    #[command(subcommand)]
    Chain(verbs::chain::Chain),
    /// Simulate markets in virtual time: scenarios, and those who cheat
    #[command(subcommand)]
    Sim(verbs::sim::Sim),
    /// Serve a market without a chain to nodes in other processes, or look at one
    MockMarket(verbs::mock_market::MockMarket),
    /// Find out what is FIL+ data, and what to know of jobs on it
    #[command(subcommand)]
    FilPlus(verbs::fil_plus::FilPlus),
    /// Run a notary's service and its page
    #[command(subcommand)]
    Notary(verbs::notary::Notary),
    /// Nominate settled jobs, vote on them as a notary, and have providers rewarded
    #[command(subcommand)]
    Blessing(Box<verbs::blessing::Blessing>),
    /// Have jobs run that are paid from your Filecoin Pay account, and see to its money
    #[command(subcommand)]
    FilecoinPay(Box<verbs::filecoin_pay::FilecoinPay>),
    /// Show the settings and where they come from
    #[command(subcommand)]
    Config(verbs::config::Config),
    /// Print a script that completes this command in a shell
    Completions(verbs::completions::Completions),
}

impl Command {
    /// Whether the verb ends by itself when it is told to, as daemons do; another is stopped.
    pub(crate) const fn sees_to_signals(&self) -> bool {
        match self {
            Self::MockMarket(verb) => verb.is_server(),
            Self::FilPlus(verb) => verb.is_server(),
            Self::Notary(_) => true,
            _ => matches!(
                self,
                Self::Demo(_) | Self::Devnet(_) | Self::Canary(_) | Self::Node(verbs::node::Node::Run(_))
            ),
        }
    }

    /// Whether stderr is for what the job writes there.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Wasm(verbs::wasm::Wasm::Run(verb)) => verb.is_quiet(),
            Self::Docker(verb) => verb.is_quiet(),
            Self::Job(verbs::job::Job::Submit(verb)) => verb.is_quiet(),
            _ => false,
        }
    }

    /// Whether it tells by itself that a provider of its own was slashed.
    pub(crate) const fn tells_of_slashes(&self) -> bool {
        matches!(self, Self::Demo(_))
    }

    /// Whether a shell asks for candidates, and wants nothing else.
    pub(crate) const fn is_asked_by_a_shell(&self) -> bool {
        matches!(self, Self::Completions(verb) if verb.is_asked_by_a_shell())
    }
}
