//! The settings of storage providers on Filecoin that keep outputs.

use std::net::SocketAddr;

use lota_bridge::PrivateKeySigner;
use lota_market::Address;
use lota_node::publisher::{CurioOptions, FilecoinOptions};

use crate::{failure::Usage, settings, terminal};

/// Settings that go with one that names a provider.
struct Beside(&'static str);

impl Beside {
    fn text<'a>(&self, key: &str, value: &'a Option<String>) -> Result<&'a str, Usage> {
        let Self(first) = self;
        value
            .as_deref()
            .ok_or_else(|| Usage(format!("setting `node.{first}` needs node.{key}, too (docs/publishing.md)")))
    }

    fn address(&self, key: &str, value: &Option<String>) -> Result<Address, Usage> {
        let text = self.text(key, value)?;
        text.parse().map_err(|_| {
            Usage(format!(
                "setting `node.{key}`: `{}` is not an address, 0x and 40 hex digits",
                terminal::printable(text)
            ))
        })
    }

    fn key(&self, key: &str, value: &Option<String>) -> Result<PrivateKeySigner, Usage> {
        self.text(key, value)?
            .parse()
            .map_err(|_| Usage(format!("setting `node.{key}` is not a private key: 64 hex digits (it is not shown)")))
    }
}

/// How outputs are stored under the warm storage service.
pub(super) fn filecoin(node: &settings::Node, provider: &str) -> Result<FilecoinOptions, Usage> {
    let beside = Beside("filecoin");
    let signer = beside.key("filecoin_session_key", &node.filecoin_session_key)?;
    Ok(FilecoinOptions {
        provider: provider.to_owned(),
        payee: beside.address("filecoin_payee", &node.filecoin_payee)?,
        rpc: beside.text("filecoin_rpc", &node.filecoin_rpc)?.to_owned(),
        service: beside.address("filecoin_service", &node.filecoin_service)?,
        payer: beside.address("filecoin_payer", &node.filecoin_payer)?,
        signer,
    })
}

/// How outputs are sealed by a provider with Curio.
pub(super) fn curio(node: &settings::Node, url: &str) -> Result<CurioOptions, Usage> {
    let beside = Beside("curio");
    let signer = beside.key("curio_key", &node.curio_key)?;
    let provider = beside.text("curio_provider", &node.curio_provider)?;
    let id = provider.strip_prefix("f0").or_else(|| provider.strip_prefix("t0"));
    let id = id.and_then(|id| id.parse().ok()).filter(|id| *id != 0).ok_or_else(|| {
        Usage(format!(
            "setting `node.curio_provider`: `{}` is not a miner's address by id, such as f01234",
            terminal::printable(provider)
        ))
    })?;
    let options = CurioOptions {
        url: url.to_owned(),
        provider: id,
        rpc: beside.text("curio_rpc", &node.curio_rpc)?.to_owned(),
        market: beside.address("curio_market", &node.curio_market)?,
        signer,
    };
    if node.provider && !is_reachable(node) && !options.is_on_this_machine() {
        return Err(Usage(
            "setting `node.curio`: that Curio fetches outputs from this node, and nobody else can reach its gateway; name an address \
             with --gateway, and its URL with --gateway-url"
                .to_owned(),
        ));
    }
    Ok(options)
}

/// Whether others may reach the node's gateway, as far as the settings tell.
pub(super) fn is_reachable(node: &settings::Node) -> bool {
    let is_open = |gateway: SocketAddr| !(gateway.ip().is_loopback() || gateway.ip().is_unspecified());
    node.gateway_url.is_some() || node.gateway.parse().is_ok_and(is_open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curio_elsewhere_needs_a_gateway_that_it_reaches() {
        let given = |text: &str| Some(text.to_owned());
        let node = settings::Node {
            provider: true,
            curio_key: given("5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"),
            curio_provider: given("f01234"),
            curio_rpc: given("https://rpc.example"),
            curio_market: given("0x5FbDB2315678afecb367f032d93F642f64180aa3"),
            ..settings::Node::default()
        };
        let elsewhere = "https://curio.example";
        for gateway in [&*node.gateway, "0.0.0.0:4001", "[::1]:4001"] {
            let closed = settings::Node { gateway: gateway.to_owned(), ..node.clone() };
            let Err(Usage(told)) = curio(&closed, elsewhere) else { panic!("{gateway}: nobody can fetch from it") };
            assert!(told.contains("--gateway-url") && told.lines().count() == 1, "{told}");
            for here in ["http://127.0.0.1:12310", "http://localhost:12310", "http://[::1]:12310"] {
                assert!(curio(&closed, here).is_ok(), "{here}");
            }
            assert!(
                curio(&settings::Node { gateway_url: given("https://node.example"), ..closed.clone() }, elsewhere)
                    .is_ok()
            );
            assert!(curio(&settings::Node { provider: false, ..closed }, elsewhere).is_ok(), "it publishes nothing");
        }
        assert!(curio(&settings::Node { gateway: "203.0.113.7:4001".to_owned(), ..node }, elsewhere).is_ok());
    }
}
