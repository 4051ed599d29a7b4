//! `lota chain deploy-granter`.

use clap::{Args, ValueEnum};
use lota_bridge::evm::{Granter, Network, granters, granters::Bounds};
use lota_market::{Address, Time, blessing::Limits};
use serde::Serialize;

use super::deploy_blessing::told;
use crate::{
    chain::{
        ChainBlessing, DeployedContract, Endpoint, check_filecoin_pay, deploy_granter, known_filecoin_pay,
        parse_network,
    },
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Progress, Table},
    units::Seconds,
    verbs::blessing::{GranterAmount, KeyFlags},
};

/// What is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Pays by a Filecoin Pay rail, from a sponsor's account
    FilecoinPay,
    /// Pays bonuses from a pool
    Bonus,
    /// Gives DataCap, while there is FIL+; must be made a verifier
    Verifreg,
    /// Gives DataCap from a MetaAllocator
    MetaAllocator,
    /// Gives nothing: says in an event what another notary is asked for
    RequestOnly,
}

/// Deploy a granter, which rewards providers for jobs that a blessing's notaries blessed.
///
/// It obeys that blessing alone, and for ever. The notaries then admit it with limits (lota blessing ballot set-granter). What each
/// gives, and who makes it possible, is in docs/granters.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain deploy-granter --rpc https://node.example/rpc/v1 --network calibration --key trading --blessing 0x9fE4... --sponsor 0x7099...
  lota chain deploy-granter request-only --rpc http://127.0.0.1:8545 --key trading --blessing 0x9fE4...
  lota chain deploy-granter bonus --rpc http://127.0.0.1:8545 --key trading --blessing 0x9fE4... --per-job '1 FIL' --per-provider '10 FIL' --per-period '100 FIL' --period 28d --open-until 1830000000 --remainder-to 0x7099...
  lota chain deploy-granter --rpc http://127.0.0.1:8545 --key trading --blessing 0x9fE4... --filecoin-pay 0x5FC8... --sponsor 0x7099...")]
pub(crate) struct DeployGranter {
    /// Which one: unless you say, the one that the notaries' grants are meant for
    #[arg(default_value = "filecoin-pay", value_enum)]
    kind: Kind,
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    #[command(flatten)]
    key: KeyFlags,
    /// The blessing that it obeys
    #[arg(long, value_name = "ADDRESS")]
    blessing: Address,
    /// filecoin-pay, bonus: the ERC-20 that is paid [default: the chain's own coin]
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// filecoin-pay: the contract FilecoinPayV1 [default: the published one on filecoin and calibration]
    #[arg(long, value_name = "ADDRESS")]
    filecoin_pay: Option<Address>,
    /// filecoin-pay: whose account there pays
    #[arg(long, value_name = "ADDRESS")]
    sponsor: Option<Address>,
    /// filecoin-pay: the shortest time between two blocks [default: 30s on Filecoin, else 1s]
    #[arg(long, value_name = "TIME")]
    epoch: Option<Seconds>,
    /// filecoin-pay: how long money stays payable if the sponsor ends a rail
    #[arg(long, value_name = "TIME", default_value = "30d")]
    grace: Seconds,
    /// meta-allocator: its contract
    #[arg(long, value_name = "ADDRESS")]
    allocator: Option<Address>,
    /// bonus: the most for a job
    #[arg(long, value_name = "AMOUNT")]
    per_job: Option<GranterAmount>,
    /// bonus: the most for a provider in a period
    #[arg(long, value_name = "AMOUNT")]
    per_provider: Option<GranterAmount>,
    /// bonus: the most for all in a period
    #[arg(long, value_name = "AMOUNT")]
    per_period: Option<GranterAmount>,
    /// bonus: length of a period
    #[arg(long, value_name = "TIME", default_value = "28d")]
    period: Seconds,
    /// bonus: until when it pays, in Unix seconds
    #[arg(long, value_name = "SECONDS")]
    open_until: Option<u64>,
    /// bonus: who gets what is left then
    #[arg(long, value_name = "ADDRESS")]
    remainder_to: Option<Address>,
    #[command(flatten)]
    format: Format,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    deployed: &'a DeployedContract,
    kind: &'static str,
    blessing: Address,
    network: &'static str,
    chain_id: u64,
    /// For how many epochs the sponsor must let it lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    lockup_period: Option<String>,
}

impl DeployGranter {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        // What is missing is said before anybody types a password.
        self.granter(self.network.as_ref().unwrap_or(&Network::FILECOIN))?;
        let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
        let granter = self.granter(endpoint.network())?;
        let signer = self.key.open(context).await?;
        if let Granter::FilecoinPay { filecoin_pay, token, sponsor, .. } = granter {
            check_filecoin_pay(&endpoint, filecoin_pay, token, sponsor).await?;
        }
        let blessing = ChainBlessing::find(endpoint, self.blessing, 0).await?;
        let progress = Progress::start(self.format.json);
        progress.say("deploying the granter");
        let sent = |transaction| {
            progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
        };
        let deployed = deploy_granter(&blessing, signer, &granter, sent).await?;
        progress.finish();
        let lockup_period = match granter {
            Granter::FilecoinPay { .. } => {
                let endpoint = blessing.endpoint();
                let epochs = endpoint.view(deployed.contract, &granters::lockup_period(), Default::default()).await?;
                Some(epochs.to_string())
            }
            _ => None,
        };
        let network = blessing.endpoint().network();
        if self.format.json {
            return terminal::print_json(&Told {
                deployed: &deployed,
                kind: granter.name(),
                blessing: self.blessing,
                network: network.name,
                chain_id: network.chain_id,
                lockup_period,
            });
        }
        let mut table = Table::pairs();
        table.row(["granter", &format!("{} ({})", deployed.contract, granter.name())]);
        table.row(["blessing", &self.blessing.to_string()]);
        told(&mut table, network, &deployed);
        if let Some(epochs) = lockup_period {
            table.row(["lockup period", &format!("{epochs} epochs, which the sponsor approves (docs/granters.md)")]);
        }
        terminal::print(&table.render())?;
        terminal::tell(&format!(
            "Next, each of a quorum of notaries signs that it is admitted:\n  lota blessing ballot set-granter --rpc URL --blessing {} --key KEY --granter {} --per-job N --per-provider N --per-period N",
            self.blessing, deployed.contract
        ));
        Ok(())
    }

    /// What was asked for.
    fn granter(&self, network: &Network) -> Result<Granter, Usage> {
        let kind = self.kind;
        let needed = |flag: &str| {
            let name = kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            Usage(format!("a granter of kind {name} needs {flag}"))
        };
        let bound = |flag: &str, given: Option<GranterAmount>| given.map(|given| given.0).ok_or_else(|| needed(flag));
        Ok(match kind {
            Kind::RequestOnly => Granter::RequestOnly,
            Kind::Verifreg => Granter::Verifreg,
            Kind::MetaAllocator => {
                Granter::MetaAllocator { allocator: self.allocator.ok_or_else(|| needed("--allocator"))? }
            }
            Kind::Bonus => Granter::Bonus {
                asset: self.token.unwrap_or_default(),
                bounds: Bounds {
                    limits: Limits {
                        per_job: bound("--per-job", self.per_job)?,
                        per_provider: bound("--per-provider", self.per_provider)?,
                        per_period: bound("--per-period", self.per_period)?,
                    },
                    period: self.period.0,
                },
                remainder_to: self.remainder_to.ok_or_else(|| needed("--remainder-to"))?,
                open_until: Time(self.open_until.ok_or_else(|| needed("--open-until"))?),
            },
            Kind::FilecoinPay => Granter::FilecoinPay {
                filecoin_pay: self.filecoin_pay.or_else(|| known_filecoin_pay(network)).ok_or_else(|| {
                    Usage(format!(
                        "no Filecoin Pay is known on {} (chain {}): name its address with --filecoin-pay, or deploy another kind (bonus, verifreg, meta-allocator, request-only)",
                        network.name, network.chain_id
                    ))
                })?,
                token: self.token.unwrap_or_default(),
                sponsor: self.sponsor.ok_or_else(|| needed("--sponsor"))?,
                epoch_seconds: self.epoch.map_or_else(
                    || if Network::is_filecoin_id(network.chain_id) { 30 } else { 1 },
                    |Seconds(epoch)| epoch,
                ),
                grace: self.grace.0,
            },
        })
    }
}
