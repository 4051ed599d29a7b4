//! The settings of storage providers on Filecoin that keep outputs.

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
    Ok(CurioOptions {
        url: url.to_owned(),
        provider: id,
        rpc: beside.text("curio_rpc", &node.curio_rpc)?.to_owned(),
        market: beside.address("curio_market", &node.curio_market)?,
        signer,
    })
}
