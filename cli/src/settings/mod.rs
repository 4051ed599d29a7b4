//! Settings in layers: flags over environment over `$LOTA_HOME/config.toml` over defaults.

mod clients;
mod directories;
mod fil_plus;
mod keys;
mod layers;
mod notary;
mod secrets;
mod user;
pub(crate) mod variables;

use lota_api::TermsRequest;
use lota_market::asset::{Asset, ParseAssetError};
use lota_node::config::defaults;
use serde::{Deserialize, Serialize};

pub(crate) use clients::Clients;
pub(crate) use directories::Directories;
pub(crate) use fil_plus::FilPlus;
pub(crate) use keys::{KEYS, Key, left_to_daemon};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilecoinPay {
    /// The contract, beside the market; none: it takes no orders.
    pub(crate) contract: Option<String>,
    /// What one of the contract's token is worth in the market's asset; none: 1, where they are the same.
    pub(crate) rate: Option<String>,
    /// Whether it collects what is due to it.
    pub(crate) collect: bool,
    /// How long what is due waits for more at most, to be collected for the same gas.
    pub(crate) collect_within: Seconds,
}

impl Default for FilecoinPay {
    fn default() -> Self {
        Self { contract: None, rate: None, collect: true, collect_within: Seconds(defaults::COLLECT_WITHIN) }
    }
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
