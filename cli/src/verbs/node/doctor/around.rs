//! What is asked of others: the running node, the market's chain, and whoever reaches what the node serves.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lota_api::{NodeInfo, ProblemCode};
use lota_bridge::{
    evm::{Network, chain::At},
    ws::MockClient,
};
use lota_market::{Address, AttoFil};
use reqwest::Url;

use super::findings::Finding;
use crate::{
    api::ApiFailure,
    chain::{ChainMarket, Endpoint},
    context::Context,
    failure,
    settings::Node,
    terminal::{plural, span},
    verbs::node::run::{Place, place},
};

/// How far this machine's clock may be from the newest block, in seconds, beside the time of a block.
const CLOCK: u64 = 120;
/// Transactions that an account should be able to pay for.
const TRANSACTIONS: u64 = 20;
/// Gas of one of them, where the chain is not asked: a batch on Ethereum, an opening on Filecoin.
const GAS: (u128, u128) = (300_000, 60_000_000);
/// How long others may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the running node says.
pub(super) struct Daemon {
    /// `None`: none runs.
    pub(super) node: Option<NodeInfo>,
    pub(super) findings: Vec<Finding>,
}

/// Asks the running node.
pub(super) async fn daemon(context: &Context) -> Daemon {
    const SUBJECT: &str = "node";
    let answer = async { context.api()?.node().await };
    match answer.await {
        Ok(node) => {
            let mut findings: Vec<_> = node
                .problems
                .iter()
                .map(|problem| {
                    let mended_by = match problem.code {
                        ProblemCode::KeyShared | ProblemCode::Slashed => "lota node resume, when the cause is gone",
                        ProblemCode::Engine => "start it, as with `systemctl start docker`",
                        _ => "see what is said of it below, and docs/chain.md",
                    };
                    Finding::bad(SUBJECT, problem.message.clone(), mended_by)
                })
                .collect();
            if findings.is_empty() {
                findings.push(Finding::good(
                    SUBJECT,
                    format!("{} runs (version {}), and nothing keeps it from its work", node.name, node.version),
                ));
            }
            Daemon { node: Some(node), findings }
        }
        Err(error) => {
            let gone = error.downcast_ref::<ApiFailure>().is_some_and(ApiFailure::is_gone);
            let finding = if gone {
                Finding::notable(SUBJECT, "none runs in this home")
                    .mended_by("lota node run, or `systemctl start lota`")
            } else {
                Finding::bad(SUBJECT, failure::line(&error), "lota node show")
            };
            Daemon { node: None, findings: vec![finding] }
        }
    }
}

/// Asks the mock whether it is there.
async fn mock(url: &str) -> Finding {
    match MockClient::connect(url).await {
        Ok(client) => Finding::good("mock", format!("{url}, chain {}", client.info().market.chain_id)),
        Err(error) => {
            Finding::bad("mock", error.to_string(), "start it (lota mock-market), or mend setting `node.mock`")
        }
    }
}

/// Asks the market's chain: whether it answers, which one it is, what the clock says, what is deployed, and what the account has.
pub(super) async fn chain(node: &Node, account: Option<Address>) -> Vec<Finding> {
    let Place { url, contract, network, .. } = match place(node) {
        Ok(Some(place)) => place,
        Ok(None) if node.mock.is_some() => return vec![mock(node.mock.as_deref().unwrap_or_default()).await],
        Ok(None) => {
            return vec![
                Finding::notable("chain", "none is named: the node has a market of its own, with play money")
                    .mended_by("--rpc URL --contract ADDRESS"),
            ];
        }
        // A key that is missing was found already.
        Err(error) if node.key.is_none() && node.contract.is_some() => {
            return vec![Finding::unknown("chain", error.to_string())];
        }
        Err(error) => return vec![Finding::bad("chain", error.to_string(), "lota config show")],
    };
    let endpoint = match Endpoint::connect(url, network).await {
        Ok(endpoint) => endpoint,
        Err(error) => {
            return vec![Finding::bad(
                "chain",
                failure::line(&error),
                "check the URL (setting `node.rpc`), or name another node",
            )];
        }
    };
    let network = *endpoint.network();
    let head = match endpoint.chain().newest().await {
        Ok(head) => head,
        Err(error) => {
            return vec![Finding::bad("chain", endpoint.failed(error).to_string(), "name another node with --rpc URL")];
        }
    };
    let mut findings = vec![Finding::good(
        "chain",
        format!("{} (chain {}), newest block {}", network.name, network.chain_id, head.number()),
    )];
    if !network.block_time.is_zero() {
        findings.push(clock(head.time().0, network.block_time.as_secs()));
    }
    let market = match ChainMarket::find(endpoint.clone(), contract, node.from_block.0).await {
        Ok(market) => market,
        Err(error) => {
            findings.push(Finding::bad(
                "market",
                failure::line(&error),
                "name the address that `lota chain deploy` printed (setting `node.contract`)",
            ));
            return findings;
        }
    };
    findings.push(Finding::good(
        "market",
        format!("{contract}, windows from {}", span(market.settings().min_window.into())),
    ));
    match account {
        Some(account) => findings.push(purse(&endpoint, account).await),
        None => findings.push(Finding::unknown("purse", "whose it is, is not known without a key")),
    }
    findings
}

/// Compares the newest block's time with this machine's clock. A block that is old tells of a node that is behind.
fn clock(block_time: u64, epoch: u64) -> Finding {
    const SUBJECT: &str = "clock";
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return Finding::bad(SUBJECT, "it is set before 1970", "timedatectl set-ntp true");
    };
    judge_clock(now.as_secs(), block_time, epoch, SUBJECT)
}

fn judge_clock(now: u64, block_time: u64, epoch: u64, subject: &'static str) -> Finding {
    let limit = CLOCK + 3 * epoch;
    if block_time > now + epoch + CLOCK {
        let found = format!("the newest block is {} ahead of this machine's clock", span(block_time - now));
        return Finding::bad(subject, found, "timedatectl set-ntp true");
    }
    if now > block_time + limit {
        let found = format!(
            "the newest block is {} old: the chain's node is behind, or this machine's clock is ahead",
            span(now - block_time)
        );
        return Finding::bad(
            subject,
            found,
            "timedatectl status; if the clock is right, name another node with --rpc URL",
        );
    }
    Finding::good(subject, "agrees with the newest block")
}

/// Whether the account can pay for gas.
async fn purse(endpoint: &Endpoint, account: Address) -> Finding {
    const SUBJECT: &str = "purse";
    let money = match endpoint.money(account, At::Latest).await {
        Ok(money) => money,
        Err(error) => return Finding::unknown(SUBJECT, error.to_string()),
    };
    let price = match endpoint.chain().gas_price().await {
        Ok(price) => price,
        Err(error) => return Finding::unknown(SUBJECT, endpoint.failed(error).to_string()),
    };
    let gas = if Network::is_filecoin_id(endpoint.network().chain_id) { GAS.1 } else { GAS.0 };
    let one = AttoFil(u128::try_from(price).unwrap_or(u128::MAX).saturating_mul(gas));
    let found = format!("{account} has {money} for gas; a transaction costs about {one} now");
    let affordable = money.0.checked_div(one.0).unwrap_or(u128::MAX);
    if affordable < 1 {
        return Finding::bad(SUBJECT, found, format!("send some to {account}"));
    }
    if affordable < TRANSACTIONS.into() {
        let few = u64::try_from(affordable).unwrap_or(u64::MAX);
        return Finding::notable(SUBJECT, format!("{found}: enough for {}", plural(few, "transaction")))
            .mended_by(format!("send more to {account}"));
    }
    Finding::good(SUBJECT, found)
}

/// Asks for what the node serves at the URL that others are told.
pub(super) async fn reachability(node: &Node, running: Option<&NodeInfo>) -> Finding {
    const SUBJECT: &str = "reachable";
    let Some(running) = running else {
        return Finding::unknown(SUBJECT, "no node runs that could be asked");
    };
    let Ok(url) = running.gateway.parse::<Url>() else {
        return Finding::bad(
            SUBJECT,
            format!("{} is no URL", running.gateway),
            "--gateway-url URL (setting `node.gateway_url`)",
        );
    };
    let host = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().ok();
    if address.is_some_and(|address| address.is_unspecified()) {
        let found = format!("others are told {url}, which is no address that anybody can reach");
        return Finding::bad(SUBJECT, found, "--gateway-url http://YOUR-ADDRESS:PORT (setting `node.gateway_url`)");
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    if loopback && node.rpc.is_some() {
        let found = format!("others are told {url}, which is their own machine");
        return Finding::notable(SUBJECT, found).mended_by(
            "--gateway 0.0.0.0:4001 --gateway-url http://YOUR-ADDRESS:4001, and let the port through the firewall",
        );
    }
    match asked(&url).await {
        Ok(()) if loopback => Finding::good(SUBJECT, format!("{url} answers (on this machine alone)")),
        Ok(()) => Finding::notable(
            SUBJECT,
            format!(
                "{url} answers from here; that it does from elsewhere, another machine can tell: curl {}",
                about(&url)
            ),
        ),
        Err(problem) => Finding::bad(
            SUBJECT,
            format!("{url}, which others are told, does not answer: {problem}"),
            "let the port through firewall and router, or name the right URL with --gateway-url",
        ),
    }
}

/// What every node with this URL answers, whether it runs jobs or not.
fn about(gateway: &Url) -> String {
    format!("{}/lota/v1/offer", gateway.as_str().trim_end_matches('/'))
}

async fn asked(gateway: &Url) -> Result<(), String> {
    let client = lota_http::builder().timeout(PATIENCE).no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(about(gateway)).send().await;
    // A node that runs no jobs says that there is no offer: that is an answer, too.
    answer.map(|_| ()).map_err(|error| lota_bridge::failure::causes(&error))
}

#[cfg(test)]
mod tests {
    use super::{super::findings::Verdict, *};

    #[test]
    fn a_clock_is_judged_by_the_newest_block() {
        let judge = |now, block| judge_clock(now, block, 30, "clock").verdict;
        assert_eq!(judge(10_000, 9_990), Verdict::Good);
        assert_eq!(judge(10_000, 10_029), Verdict::Good);
        assert_eq!(judge(10_000, 9_700), Verdict::Bad);
        assert_eq!(judge(10_000, 10_200), Verdict::Bad);
    }
}
