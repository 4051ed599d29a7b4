//! Settings in layers: flags over environment over `$LOTA_HOME/config.toml` over defaults.

mod clients;
mod directories;
mod fil_plus;
mod layers;
mod notary;
mod secrets;
mod user;
pub(crate) mod variables;

use lota_api::TermsRequest;
use lota_market::{
    AttoFil,
    agent::{Pace, Pricing},
    asset::{Asset, ParseAssetError},
};
use lota_node::config::defaults;
use serde::{Deserialize, Serialize};

pub(crate) use clients::Clients;
pub(crate) use directories::Directories;
pub(crate) use fil_plus::FilPlus;
pub(crate) use layers::{Layers, Origin};
pub(crate) use notary::Notary;
pub(crate) use secrets::shown;
pub(crate) use user::ContainerUser;

use crate::{
    log::LogFormat,
    units::{Amount, ByteSize, Count, Seconds},
};

/// Everything that can be set. What is `None` is left to the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// What is logged, as `tracing` filters.
    pub(crate) log: String,
    /// How its lines look.
    pub(crate) log_format: LogFormat,
    /// How the daemon is reached.
    pub(crate) api: Api,
    /// Defaults of the jobs one asks for.
    pub(crate) job: Job,
    /// The node that `lota node run` runs.
    pub(crate) node: Node,
    /// The devnet.
    pub(crate) devnet: Devnet,
    /// The FIL+ registry.
    pub(crate) fil_plus: FilPlus,
    /// A notary's service.
    pub(crate) notary: Notary,
}

/// How the daemon is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Api {
    /// Its URL, if it is not the one in `$LOTA_HOME/api.json`.
    pub(crate) url: Option<String>,
    /// What proves that one may speak to it.
    pub(crate) token: Option<String>,
}

/// Defaults of the jobs one asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Job {
    /// Price at the start of the ramp.
    pub(crate) min_price: Option<Amount>,
    /// Price at its end.
    pub(crate) max_price: Option<Amount>,
    /// How long the price rises.
    pub(crate) ramp_period: Option<Seconds>,
    /// How long providers may lock the job.
    pub(crate) lock_for: Option<Seconds>,
    /// How long the provider may take.
    pub(crate) run_for: Option<Seconds>,
    /// How long the result may be reviewed.
    pub(crate) review_for: Option<Seconds>,
    /// The collateral that the provider puts up.
    pub(crate) collateral: Option<Amount>,
    /// Whether providers bid for the job in sealed bids.
    pub(crate) auction: Option<bool>,
    /// How long a provider may say nothing about a job before the refusals of all others count.
    pub(crate) silence: Seconds,
    /// Fuel of `lota wasm run`.
    pub(crate) fuel: Count,
    /// Memory of `lota wasm run`.
    pub(crate) memory: ByteSize,
    /// Bytes that a job of `lota wasm run` may write.
    pub(crate) output_size: ByteSize,
    /// Files and folders that a job of `lota wasm run` may make.
    pub(crate) entries: Count,
    /// Time that a job of `lota wasm run` may run.
    pub(crate) wall_time: Seconds,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            min_price: None,
            max_price: None,
            ramp_period: None,
            lock_for: None,
            run_for: None,
            review_for: None,
            collateral: None,
            auction: None,
            silence: Seconds(defaults::SILENCE),
            // What a provider's machine burns within the wall time even if it is slow: see `Refusal::Fuel`.
            fuel: Count(10_000_000_000),
            memory: ByteSize(256 << 20),
            output_size: ByteSize(64 << 20),
            entries: Count(10_000),
            wall_time: Seconds(300),
        }
    }
}

impl Job {
    /// The terms among these settings.
    pub(crate) fn terms(&self, asset: &Asset) -> Result<TermsRequest, BadTerms> {
        let window = |name, window: Option<Seconds>| {
            window.map(|w| u32::try_from(w.0).map_err(|_| BadTerms::TooLong { name, seconds: w })).transpose()
        };
        if let Some(seconds) = self.review_for.filter(|window| window.0 > 0) {
            return Err(BadTerms::Unreviewed { seconds });
        }
        let amount = |amount: &Option<Amount>| amount.as_ref().map(|amount| amount.in_asset(asset)).transpose();
        Ok(TermsRequest {
            min_price: amount(&self.min_price)?,
            max_price: amount(&self.max_price)?,
            ramp_period: self.ramp_period.map(|period| period.0),
            lock_for: self.lock_for.map(|period| period.0),
            run_for: window("job.run_for", self.run_for)?,
            review_for: window("job.review_for", self.review_for)?,
            collateral: amount(&self.collateral)?,
            provider: None,
            auction: self.auction,
            bless: None,
        })
    }
}

/// Terms that this market does not allow, or none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTerms {
    #[error(transparent)]
    Amount(#[from] ParseAssetError),
    #[error("{name} is {seconds}, which is longer than any market allows; name at most 90 days")]
    TooLong { name: &'static str, seconds: Seconds },
    #[error(
        "job.review_for is {seconds}, but these jobs have no arbiter, and without one nobody could refuse the result; leave it out"
    )]
    Unreviewed { seconds: Seconds },
}

/// The node that `lota node run` runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    /// Its name: the folder under `$LOTA_HOME/nodes/`.
    pub(crate) name: String,
    /// The key in the keystore that it acts with; none: a key of its own, made at its first start.
    pub(crate) key: Option<String>,
    /// Where the market's chain is read: URL of a chain node's JSON-RPC, or several with commas between.
    pub(crate) rpc: Option<String>,
    /// The market's contract there.
    pub(crate) contract: Option<String>,
    /// The auction's contract beside it; none: it uses none.
    pub(crate) auction_contract: Option<String>,
    /// The network that the chain must be.
    pub(crate) network: Option<String>,
    /// The block that reading begins at.
    pub(crate) from_block: Count,
    /// Whether it runs jobs for others.
    pub(crate) provider: bool,
    /// Where it listens for the command line.
    pub(crate) listen: String,
    /// Where it serves content.
    pub(crate) gateway: String,
    /// Where it serves metrics and tells of its health; none: nowhere.
    pub(crate) monitoring: Option<String>,
    /// The most it keeps in its block store.
    pub(crate) store_capacity: ByteSize,
    /// The least it asks for a job; of this and the next ones, none: what the benchmark says, or the default.
    pub(crate) min_price: Option<Amount>,
    /// What it asks for 10^9 units of fuel.
    pub(crate) per_gigafuel: Option<Amount>,
    /// What it asks for a processor for an hour, where no fuel is counted.
    pub(crate) per_cpu_hour: Option<Amount>,
    /// What it asks for a GiB of memory for an hour.
    pub(crate) per_gib_hour: Option<Amount>,
    /// What it asks for a GiB of output.
    pub(crate) per_gib_output: Option<Amount>,
    /// What it asks for a graphics processor for an hour.
    pub(crate) per_gpu_hour: Option<Amount>,
    /// What it asks for 10^6 units of gas of bids and callbacks, where `callback_margin` does not say it; none: nothing.
    pub(crate) per_megagas: Option<Amount>,
    /// What it adds to all of this, in percent.
    pub(crate) margin: Option<u32>,
    /// How many jobs it runs at once; none: one for each processor.
    pub(crate) slots: Option<u32>,
    /// The processors that its jobs may take together; none: all, and no fewer than one for each slot.
    pub(crate) cpus: Option<Count>,
    /// The memory that they may take together; none: three quarters of what there is.
    pub(crate) memory: Option<ByteSize>,
    /// The disk space that they may fill together; none: what is free beside the block store.
    pub(crate) disk: Option<ByteSize>,
    /// The graphics processors that they may have together; none: those that are found, if an engine can give them to jobs.
    pub(crate) gpus: Option<u32>,
    /// The most gas of a client's callback that it accepts; none: what its network's default is.
    pub(crate) max_callback_gas: Option<Count>,
    /// The most gas that it sends with the retry of a callback; none: twice what the market lets a callback be promised.
    pub(crate) max_retry_gas: Option<Count>,
    /// The longest windows of a job that it accepts: so long its collateral may lie.
    pub(crate) max_window: Seconds,
    /// Within how many blocks it expects a block to be final; none: what its network's default is.
    pub(crate) final_blocks: Option<Count>,
    /// How long it finishes jobs when it is told to end.
    pub(crate) drain_for: Seconds,
    /// How many times as much as gas costs now it asks for that of callbacks; 0: nothing.
    pub(crate) callback_margin: u32,
    /// Whether it takes jobs that ask for no collateral.
    pub(crate) accept_no_collateral: bool,
    /// Whether it cancels jobs that are directed to it and that it refuses.
    pub(crate) cancel_refused: bool,
    /// Whether it bids in the auction beside its market.
    pub(crate) bids: bool,
    /// For how long the money that it bids with stays in the auction when no bid needs it.
    pub(crate) keep_bid_money: Seconds,
    /// The mock of the contracts that its market is, instead of a chain.
    pub(crate) mock: Option<String>,
    /// The URL at which others reach what it serves; none: where it listens.
    pub(crate) gateway_url: Option<String>,
    /// Whether it fetches from private addresses too; none: only if its market's chain is on this machine.
    pub(crate) private_addresses: Option<bool>,
    /// Contracts whose jobs it looks after.
    pub(crate) look_after: Clients,
    /// Gateways that it asks beside those that the parties announced: URLs with commas between.
    pub(crate) gateways: String,
    /// The most bytes of a job's module and inputs together.
    pub(crate) max_fetch: ByteSize,
    /// Whether it fetches inputs from `http` URLs, too.
    pub(crate) http_urls: bool,
    /// Directories of this machine that any job may name as an input.
    pub(crate) directories: Directories,
    /// The RPC of a Kubo node that outputs are sent to.
    pub(crate) kubo: Option<String>,
    /// A pinning service that is asked to keep outputs.
    pub(crate) pinning_service: Option<String>,
    /// What proves that one may speak to it.
    pub(crate) pinning_token: Option<String>,
    /// The PDP service of a Filecoin storage provider that stores outputs; the others of these say how it is paid.
    pub(crate) filecoin: Option<String>,
    pub(crate) filecoin_rpc: Option<String>,
    pub(crate) filecoin_service: Option<String>,
    pub(crate) filecoin_payer: Option<String>,
    pub(crate) filecoin_payee: Option<String>,
    pub(crate) filecoin_session_key: Option<String>,
    /// The Curio of a Filecoin storage provider that seals outputs; the others of these say with which deals.
    pub(crate) curio: Option<String>,
    pub(crate) curio_provider: Option<String>,
    pub(crate) curio_rpc: Option<String>,
    pub(crate) curio_market: Option<String>,
    pub(crate) curio_key: Option<String>,
    /// How long it remembers jobs after they ended, and keeps their outputs.
    pub(crate) keep_for: Seconds,
    /// How it runs containers.
    pub(crate) docker: Docker,
    /// Orders that are paid over Filecoin Pay.
    pub(crate) filecoin_pay: FilecoinPay,
}

/// How a provider runs containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Docker {
    /// Whether it does, where there is an engine.
    pub(crate) on: bool,
    /// The engine's socket; none: what `DOCKER_HOST` says, or the usual one.
    pub(crate) host: Option<String>,
    /// Whom programs run as: numbers of a user and a group.
    pub(crate) user: ContainerUser,
    /// The runtime, such as gVisor's `runsc`; none: the engine's default.
    pub(crate) runtime: Option<String>,
    /// Whether the engine must have user namespaces.
    pub(crate) user_namespaces: bool,
    /// Whether images are pulled from registries.
    pub(crate) pull: bool,
    /// The most that one image may take.
    pub(crate) image_size: ByteSize,
    /// The most that images may take that are kept for later jobs.
    pub(crate) cache_size: ByteSize,
}

impl Default for Docker {
    fn default() -> Self {
        Self {
            on: true,
            host: None,
            user: ContainerUser::default(),
            runtime: None,
            user_namespaces: false,
            pull: true,
            image_size: ByteSize(8 << 30),
            cache_size: ByteSize(20 << 30),
        }
    }
}

/// Orders of a `FilecoinPayDeals`, which its node takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilecoinPay {
    /// The contract, beside the market; none: it takes no orders.
    pub(crate) contract: Option<String>,
    /// What one of the contract's token is worth in the market's asset; none: 1, where they are the same.
    pub(crate) rate: Option<String>,
}

/// 30 days.
const KEEP_FOR: Seconds = Seconds(30 * 86_400);

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "main".to_owned(),
            key: None,
            rpc: None,
            mock: None,
            contract: None,
            auction_contract: None,
            network: None,
            from_block: Count(0),
            provider: true,
            listen: "127.0.0.1:0".to_owned(),
            gateway: "127.0.0.1:0".to_owned(),
            monitoring: None,
            store_capacity: ByteSize(10 << 30),
            min_price: None,
            per_gigafuel: None,
            per_cpu_hour: None,
            per_gib_hour: None,
            per_gib_output: None,
            per_gpu_hour: None,
            per_megagas: None,
            margin: None,
            slots: None,
            cpus: None,
            memory: None,
            disk: None,
            gpus: None,
            max_callback_gas: None,
            max_retry_gas: None,
            max_window: Seconds(86_400),
            final_blocks: None,
            drain_for: Seconds(600),
            callback_margin: defaults::CALLBACK_MARGIN,
            accept_no_collateral: false,
            cancel_refused: true,
            bids: true,
            keep_bid_money: Seconds(defaults::KEEP_BID_MONEY),
            gateway_url: None,
            private_addresses: None,
            look_after: Clients::default(),
            gateways: String::new(),
            max_fetch: ByteSize(4 << 30),
            http_urls: false,
            directories: Directories::default(),
            kubo: None,
            pinning_service: None,
            pinning_token: None,
            filecoin: None,
            filecoin_rpc: None,
            filecoin_service: None,
            filecoin_payer: None,
            filecoin_payee: None,
            filecoin_session_key: None,
            curio: None,
            curio_provider: None,
            curio_rpc: None,
            curio_market: None,
            curio_key: None,
            docker: Docker::default(),
            filecoin_pay: FilecoinPay::default(),
            keep_for: KEEP_FOR,
        }
    }
}

/// The devnet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Devnet {
    /// How many providers it has.
    pub(crate) providers: u32,
    /// The most that each of its nodes keeps in its block store.
    pub(crate) store_capacity: ByteSize,
    /// How long its nodes remember jobs after they ended, and keep their outputs.
    pub(crate) keep_for: Seconds,
}

impl Default for Devnet {
    fn default() -> Self {
        Self { providers: 3, store_capacity: ByteSize(1 << 30), keep_for: KEEP_FOR }
    }
}

/// One thing that can be set.
pub(crate) struct Key {
    /// Its name in the settings file: `table.name`.
    pub(crate) name: &'static str,
    /// What it is, for `lota config show`.
    pub(crate) about: &'static str,
}

impl Key {
    /// The environment variable that sets it: `job.max_price` is `LOTA_JOB_MAX_PRICE`.
    pub(crate) fn variable(&self) -> String {
        format!("LOTA_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }
}

/// What is asked unless somebody says something else.
fn usual(rate: fn(Pricing) -> AttoFil) -> String {
    format!("{}, or as benchmarked", rate(Pricing::default()))
}

/// What the daemon does about a key that is left to it, unless its own settings say otherwise.
pub(crate) fn left_to_daemon(key: &str) -> Option<String> {
    Some(match key {
        "job.min_price" => "the lowest ask".to_owned(),
        "job.max_price" => defaults::MAX_PRICE.to_string(),
        "job.ramp_period" => "3/4 of job.lock_for".to_owned(),
        "job.lock_for" => Seconds(Pace::INSTANT.lock_for(1)).to_string(),
        "job.run_for" => format!("job.wall_time + {}", Seconds(Pace::INSTANT.run_margin())),
        "job.review_for" => Seconds(0).to_string(),
        "job.collateral" => defaults::COLLATERAL.to_string(),
        "node.min_price" => usual(|pricing| pricing.base),
        "node.per_gigafuel" => usual(|pricing| pricing.per_gigafuel),
        "node.per_cpu_hour" => usual(|pricing| pricing.per_cpu_hour),
        "node.per_gib_hour" => usual(|pricing| pricing.per_gib_hour),
        "node.per_gib_output" => usual(|pricing| pricing.per_gib_output),
        "node.per_gpu_hour" => usual(|pricing| pricing.per_gpu_hour),
        "node.per_megagas" => "nothing; in the chain's coin, by node.callback_margin".to_owned(),
        "node.margin" => "0, or as benchmarked".to_owned(),
        "node.slots" => "one for each processor".to_owned(),
        "node.gpus" => "those that are found, for engines that give them to jobs".to_owned(),
        "node.cpus" => "all, and one for each slot".to_owned(),
        "node.memory" => "3/4 of the machine's".to_owned(),
        "node.max_retry_gas" => "twice what the market lets a callback be promised".to_owned(),
        "node.final_blocks" => Pace::FILECOIN.final_blocks.to_string(),
        "node.docker.host" => "DOCKER_HOST, or unix:///var/run/docker.sock".to_owned(),
        "node.docker.runtime" => "the engine's default".to_owned(),
        "node.disk" => "what is free beside the block store".to_owned(),
        "fil_plus.server" => "the one at fil_plus.listen".to_owned(),
        "fil_plus.data" => "fil-plus in the home".to_owned(),
        "fil_plus.from_epoch" => "a day before what is final at first".to_owned(),
        "fil_plus.final_epochs" => "what the chain's node calls final, or 900".to_owned(),
        "notary.data" => "notary in the home".to_owned(),
        "notary.origin" => "http:// and notary.listen".to_owned(),
        "notary.granter" => "nothing is nominated".to_owned(),
        _ => return None,
    })
}

/// All that can be set.
pub(crate) const KEYS: &[Key] = &[
    Key { name: "log", about: "what is logged on stderr (tracing filters, e.g. lota_node=debug)" },
    Key { name: "log_format", about: "text, or json: one object for each line" },
    Key { name: "api.url", about: "the daemon's URL, if not the one in api.json" },
    Key { name: "api.token", about: "the daemon's token, with api.url" },
    Key { name: "job.min_price", about: "price at first" },
    Key { name: "job.max_price", about: "the most to be paid; a limit, no bid" },
    Key { name: "job.ramp_period", about: "how long the price rises; if it is set, up to job.max_price" },
    Key { name: "job.lock_for", about: "how long providers may lock a job" },
    Key { name: "job.run_for", about: "how long a provider may take" },
    Key { name: "job.review_for", about: "how long an arbiter may dispute a result; jobs have none yet" },
    Key { name: "job.collateral", about: "the collateral that a provider puts up" },
    Key { name: "job.auction", about: "whether providers bid for the job in sealed bids" },
    Key { name: "job.silence", about: "how long a provider may be silent before the refusals of all others count" },
    Key { name: "job.fuel", about: "fuel of `lota wasm run`" },
    Key { name: "job.memory", about: "memory of `lota wasm run`" },
    Key { name: "job.output_size", about: "bytes of files that `lota wasm run` may write" },
    Key { name: "job.entries", about: "files and folders that `lota wasm run` may make" },
    Key { name: "job.wall_time", about: "time that `lota wasm run` may take" },
    Key { name: "node.name", about: "folder under nodes/ of `lota node run`" },
    Key { name: "node.key", about: "key in the keystore that it acts with" },
    Key { name: "node.rpc", about: "URL of a node of the market's chain (JSON-RPC), or several with commas between" },
    Key { name: "node.mock", about: "URL of a mock of the contracts (`lota mock-market`), instead of a chain" },
    Key { name: "node.contract", about: "address of the market's contract there" },
    Key { name: "node.auction_contract", about: "address of the auction's contract beside the market there" },
    Key { name: "node.network", about: "the network that the chain must be" },
    Key { name: "node.from_block", about: "the block to read the chain from: that of the contract's deployment" },
    Key { name: "node.provider", about: "whether it runs jobs for others" },
    Key { name: "node.listen", about: "where it listens for this command line" },
    Key { name: "node.gateway", about: "where it serves content" },
    Key { name: "node.monitoring", about: "where it serves metrics and tells of its health" },
    Key { name: "node.gateway_url", about: "URL at which others reach what it serves" },
    Key { name: "node.private_addresses", about: "whether it fetches from private addresses, too" },
    Key {
        name: "node.look_after",
        about: "contracts whose overdue jobs it ends, and whose failed callbacks it retries",
    },
    Key { name: "node.gateways", about: "gateways that it asks beside those of the parties: URLs, commas between" },
    Key { name: "node.max_fetch", about: "the most bytes of a job's module and inputs together" },
    Key { name: "node.http_urls", about: "whether it fetches inputs from http:// URLs, too" },
    Key { name: "node.directories", about: "directories that any job may read, as LABEL=PATH, commas between" },
    Key { name: "node.kubo", about: "URL of the RPC of a Kubo node that keeps outputs, too" },
    Key { name: "node.pinning_service", about: "URL of a pinning service that keeps outputs, too" },
    Key { name: "node.pinning_token", about: "the access token for node.pinning_service" },
    Key {
        name: "node.filecoin",
        about: "URL of the PDP service of a storage provider that keeps outputs on Filecoin, too",
    },
    Key { name: "node.filecoin_rpc", about: "URL of a node of Filecoin's, for node.filecoin" },
    Key { name: "node.filecoin_service", about: "address of the warm storage service's contract there" },
    Key { name: "node.filecoin_payer", about: "address whose account on Filecoin Pay pays for the storage" },
    Key { name: "node.filecoin_payee", about: "address at which the storage provider is paid" },
    Key { name: "node.filecoin_session_key", about: "the session key that signs for the payer, in hex" },
    Key { name: "node.curio", about: "URL of the Curio of a storage provider that seals outputs on Filecoin, too" },
    Key { name: "node.curio_provider", about: "that provider's miner, such as f01234" },
    Key { name: "node.curio_rpc", about: "URL of a node of Filecoin's, for node.curio" },
    Key { name: "node.curio_market", about: "address of Lota's market contract for Curio there" },
    Key { name: "node.curio_key", about: "the private key of the client of deals with Curio, in hex" },
    Key { name: "node.store_capacity", about: "the most it keeps in its block store" },
    Key { name: "node.keep_for", about: "how long it remembers jobs after they ended, and keeps their outputs" },
    Key { name: "node.min_price", about: "the least it asks for a job" },
    Key { name: "node.per_gigafuel", about: "what it asks for 10^9 units of fuel" },
    Key { name: "node.per_cpu_hour", about: "what it asks for a processor for an hour, where no fuel is counted" },
    Key { name: "node.per_gib_hour", about: "what it asks for a GiB of memory for an hour" },
    Key { name: "node.per_gib_output", about: "what it asks for a GiB of output" },
    Key { name: "node.per_gpu_hour", about: "what it asks for a graphics processor for an hour" },
    Key { name: "node.per_megagas", about: "what it asks for 10^6 gas of bids and callbacks in a token's market" },
    Key { name: "node.margin", about: "what it adds to all of this, in percent" },
    Key { name: "node.slots", about: "how many jobs it runs at once" },
    Key { name: "node.cpus", about: "processors that its jobs may take together" },
    Key { name: "node.memory", about: "memory that its jobs may take together" },
    Key { name: "node.disk", about: "disk space that its jobs may fill together" },
    Key { name: "node.gpus", about: "graphics processors that its jobs may have together" },
    Key { name: "node.max_callback_gas", about: "the most gas of a client's callback that it accepts" },
    Key { name: "node.max_retry_gas", about: "the most gas that it sends with the retry of a failed callback" },
    Key { name: "node.max_window", about: "the longest windows of a job that it accepts" },
    Key { name: "node.final_blocks", about: "within how many blocks it expects a block to be final" },
    Key {
        name: "node.callback_margin",
        about: "how many times as much as gas costs now it asks for that of callbacks",
    },
    Key { name: "node.drain_for", about: "how long it finishes jobs that it has locked when it is told to end" },
    Key { name: "node.accept_no_collateral", about: "whether it takes jobs that ask for no collateral" },
    Key {
        name: "node.cancel_refused",
        about: "whether it cancels jobs directed to it that it refuses; it pays the gas",
    },
    Key { name: "node.bids", about: "whether it bids in the auction beside its market, where there is one" },
    Key {
        name: "node.keep_bid_money",
        about: "for how long the money that it bids with stays in the auction when no bid needs it",
    },
    Key {
        name: "node.filecoin_pay.contract",
        about: "address of the FilecoinPayDeals beside the market whose orders it takes",
    },
    Key {
        name: "node.filecoin_pay.rate",
        about: "what one of that contract's token is worth in the market's asset, such as 0.25",
    },
    Key { name: "node.docker.on", about: "whether it runs containers, where there is an engine" },
    Key { name: "node.docker.host", about: "the container engine's socket (unix://...)" },
    Key { name: "node.docker.user", about: "whom containers run as: numbers of a user and a group" },
    Key { name: "node.docker.runtime", about: "the runtime of containers, such as gVisor's runsc" },
    Key { name: "node.docker.user_namespaces", about: "whether the engine must have user namespaces" },
    Key { name: "node.docker.pull", about: "whether images are pulled from registries" },
    Key { name: "node.docker.image_size", about: "the most that one image may take" },
    Key { name: "node.docker.cache_size", about: "the most that images may take that are kept for later jobs" },
    Key { name: "devnet.providers", about: "how many providers the devnet has" },
    Key { name: "devnet.store_capacity", about: "the most each of its nodes keeps in its block store" },
    Key { name: "devnet.keep_for", about: "how long its nodes remember jobs after they ended" },
    Key { name: "fil_plus.server", about: "URL of the registry that `lota fil-plus check` asks" },
    Key {
        name: "fil_plus.max_age",
        about: "how old the chain's word may be that `lota fil-plus check` takes something for verified by",
    },
    Key { name: "fil_plus.listen", about: "where the FIL+ registry listens" },
    Key { name: "fil_plus.data", about: "folder of its database" },
    Key { name: "fil_plus.max_size", about: "the most that its database takes" },
    Key { name: "fil_plus.rpc", about: "URLs of Lotus or Forest nodes whose claims it reads, commas between" },
    Key { name: "fil_plus.providers", about: "providers whose claims it reads: all, or f01234, commas between" },
    Key { name: "fil_plus.clients", about: "clients whose allocations it reads: all, or f05678, commas between" },
    Key { name: "fil_plus.refresh", about: "how long after all of it was read it is read again" },
    Key { name: "fil_plus.events", about: "whether it reads the events of claims in between" },
    Key { name: "fil_plus.from_epoch", about: "the epoch that it reads events from" },
    Key { name: "fil_plus.final_epochs", about: "after how many epochs it takes a tipset for final" },
    Key { name: "fil_plus.ipni", about: "URLs of indexes (IPNI) that it asks about payloads, commas between" },
    Key { name: "fil_plus.lists", about: "paths or URLs of signed lists, commas between" },
    Key { name: "fil_plus.list_keys", about: "Ed25519 public keys that may sign them (hex or base64), commas between" },
    Key { name: "notary.listen", about: "where a notary's page is served" },
    Key { name: "notary.origin", about: "where browsers reach it: https://notary.example" },
    Key { name: "notary.data", about: "folder of the service's databases, outputs and audit log" },
    Key { name: "notary.rpc", about: "URLs of nodes of the market's chain, commas between" },
    Key { name: "notary.network", about: "that chain, if its id is shared: filecoin, calibration, ..." },
    Key { name: "notary.contract", about: "the market's address" },
    Key { name: "notary.blessing", about: "the address of its blessing" },
    Key { name: "notary.from_block", about: "the block that both are read from" },
    Key { name: "notary.key", about: "the key in the keystore that nominates, relays votes and has granted" },
    Key { name: "notary.registry", about: "URL of the FIL+ registry that is asked about inputs" },
    Key { name: "notary.gateways", about: "URLs of gateways that have outputs, commas between" },
    Key { name: "notary.run_again", about: "whether WASM jobs are run again here, to compare" },
    Key { name: "notary.possession_record", about: "the address of a PossessionRecord that is asked about proofs" },
    Key { name: "notary.warm_storage", about: "the address of Filecoin's warm storage service, asked about proofs" },
    Key { name: "notary.storage_payers", about: "whose data sets there are looked at: addresses, commas between" },
    Key { name: "notary.granters", about: "names and units of granters: 0x...=DataCap/bytes/0, commas between" },
    Key { name: "notary.granter", about: "the granter that jobs are nominated for" },
    Key { name: "notary.amount", about: "for how much, in the granter's smallest unit" },
    Key { name: "notary.amount_per_byte", about: "instead of that: for each byte of the output's piece" },
    Key { name: "notary.bounty", about: "what is added to the client's share" },
    Key { name: "notary.most_risk", about: "the highest risk that is nominated: low, medium or high" },
    Key { name: "notary.per_day", about: "the most jobs that are nominated in 24 hours" },
    Key {
        name: "notary.two_approvals_from",
        about: "from this amount on, approvals are held until two notaries signed",
    },
    Key { name: "notary.other_notary", about: "URL of another notary's server, which is asked for what was granted" },
    Key { name: "notary.other_notary_keys", about: "whose answers count: did:key, commas between" },
    Key { name: "notary.other_notary_for", about: "the granters whose grants it is asked for, commas between" },
    Key { name: "notary.other_notary_within", about: "how long it has for its answer" },
    Key { name: "notary.readers", about: "who reads the page: notaries, everybody, or accounts, commas between" },
    Key { name: "notary.serve_api", about: "whether all of it is served as JSON, without a sign-in" },
    Key { name: "notary.webhook", about: "URL that alerts are posted to" },
    Key { name: "notary.webhook_secrets", about: "file with the secrets that they are signed with" },
    Key { name: "notary.smtp", about: "mail server for alerts: smtps://host:465, smtp://host:587" },
    Key { name: "notary.smtp_user", about: "the account there" },
    Key { name: "notary.smtp_password", about: "file with its password" },
    Key { name: "notary.mail_from", about: "who alerts are from" },
    Key { name: "notary.mail_to", about: "whom they go to, commas between" },
];
