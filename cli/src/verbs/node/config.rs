//! From settings to what a node is told.

use std::{net::SocketAddr, sync::Arc};

use lota_market::{
    agent::{Offer, Pricing, Resources},
    asset::Asset,
};
use lota_node::{
    NodeConfig,
    benchmark::Machine,
    publisher::{Curio, Filecoin, Kubo, PinningService, Publisher, PublisherError},
};

use super::{amounts, run::check_name, storage};
use crate::{
    context::Context,
    failure::Usage,
    settings::{self, Settings},
    units::Count,
};

/// What keeps outputs beside the node's own gateway.
pub(super) fn publishers(node: &settings::Node) -> Result<Vec<Arc<dyn Publisher>>, Usage> {
    let bad = |key: &str| {
        let key = key.to_owned();
        move |error: PublisherError| Usage(format!("setting `node.{key}`: {error}"))
    };
    let mut publishers: Vec<Arc<dyn Publisher>> = Vec::new();
    if let Some(rpc) = &node.kubo {
        publishers.push(Arc::new(Kubo::new(rpc).map_err(bad("kubo"))?));
    }
    match (&node.pinning_service, &node.pinning_token) {
        (Some(endpoint), Some(token)) => {
            let service = PinningService::new(endpoint, token).map_err(bad("pinning_service"))?;
            publishers.push(Arc::new(service));
        }
        (Some(_), None) => {
            return Err(Usage(
                "setting `node.pinning_service` needs an access token: node.pinning_token, best as LOTA_NODE_PINNING_TOKEN"
                    .to_owned(),
            ));
        }
        (None, _) => {}
    }
    if let Some(provider) = &node.filecoin {
        publishers.push(Arc::new(Filecoin::new(storage::filecoin(node, provider)?).map_err(bad("filecoin"))?));
    }
    if let Some(url) = &node.curio {
        publishers.push(Arc::new(Curio::new(storage::curio(node, url)?).map_err(bad("curio"))?));
    }
    Ok(publishers)
}

/// The node's configuration.
pub(super) fn config(context: &Context, settings: &Settings) -> anyhow::Result<NodeConfig> {
    let node = &settings.node;
    check_name(&node.name)?;
    amounts::check(node)?;
    let processors = u32::try_from(Machine::here().processors).unwrap_or(u32::MAX);
    let slots = node.slots.unwrap_or(processors);
    let mut offer = Offer { slots, resources: named_resources(node), ..Offer::default() };
    if let Some(Count(gas)) = node.max_callback_gas {
        offer.max_callback_gas = gas.try_into().map_err(|_| {
            Usage(format!("setting `node.max_callback_gas`: {gas} is more than any callback may use ({})", u32::MAX))
        })?;
    }
    // What is longer no market allows.
    offer.max_window = node.max_window.0.try_into().unwrap_or(u32::MAX);
    (offer.accept_no_collateral, offer.cancel_refused) = (node.accept_no_collateral, node.cancel_refused);
    Ok(NodeConfig {
        callback_margin: node.callback_margin,
        bids: node.bids,
        keep_bid_money: node.keep_bid_money.0,
        filecoin_pay_rate: node.filecoin_pay.rate.clone(),
        collect_within: node.filecoin_pay.collect.then_some(node.filecoin_pay.collect_within.0),
        provider: node.provider.then_some(offer),
        gateway: address("node.gateway", &node.gateway)?,
        api: address("node.listen", &node.listen)?,
        monitoring: node.monitoring.as_deref().map(|text| address("node.monitoring", text)).transpose()?,
        store_capacity: node.store_capacity.0,
        keep_for: node.keep_for.0,
        gateway_url: node.gateway_url.clone(),
        look_after: node.look_after.0.clone(),
        gateways: node.gateways.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect(),
        max_fetch_bytes: node.max_fetch.0,
        http_urls: node.http_urls,
        directories: node.directories.0.clone(),
        ..NodeConfig::new(node.name.clone(), context.home.node(&node.name))
    })
}

/// What the settings say that jobs may take together; what they leave out the node measures.
pub(super) fn named_resources(node: &settings::Node) -> Resources {
    let most = Resources::UNLIMITED;
    Resources {
        cpu_millis: node.cpus.map_or(most.cpu_millis, |cpus| cpus.0.saturating_mul(1_000)),
        memory_bytes: node.memory.map_or(most.memory_bytes, |memory| memory.0),
        disk_bytes: node.disk.map_or(most.disk_bytes, |disk| disk.0),
        gpus: node.gpus.unwrap_or(most.gpus),
    }
}

/// The prices that the settings name, in the market's asset; what they leave out is as in `pricing`.
pub(super) fn prices(node: &settings::Node, mut pricing: Pricing, asset: &Asset) -> Result<Pricing, Usage> {
    for (key, named, rate) in [
        ("min_price", &node.min_price, &mut pricing.base),
        ("per_gigafuel", &node.per_gigafuel, &mut pricing.per_gigafuel),
        ("per_cpu_hour", &node.per_cpu_hour, &mut pricing.per_cpu_hour),
        ("per_gib_hour", &node.per_gib_hour, &mut pricing.per_gib_hour),
        ("per_gib_output", &node.per_gib_output, &mut pricing.per_gib_output),
        ("per_gpu_hour", &node.per_gpu_hour, &mut pricing.per_gpu_hour),
        ("per_megagas", &node.per_megagas, &mut pricing.per_megagas),
    ] {
        if let Some(named) = named {
            *rate = named.in_asset(asset).map_err(|error| Usage(format!("setting `node.{key}`: {error}")))?;
        }
    }
    pricing.margin = node.margin.unwrap_or(pricing.margin);
    Ok(pricing)
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().map_err(|_| {
        Usage(format!("setting `{key}`: `{text}` is not an address; write for example 127.0.0.1:4001")).into()
    })
}

#[cfg(test)]
mod tests {
    use lota_market::AttoFil;

    use super::*;

    #[test]
    fn gas_has_a_price_in_a_tokens_market_if_one_is_set() {
        let dollar = Asset::token("USD", 6);
        let free = Pricing { per_megagas: AttoFil::ZERO, ..Pricing::default() };
        let named = |per_megagas: Option<&str>| {
            let per_megagas = per_megagas.map(|text| text.parse().expect("an amount"));
            let node = settings::Node { per_megagas, ..settings::Node::default() };
            prices(&node, free, &dollar).map(|pricing| pricing.per_megagas).map_err(|Usage(text)| text)
        };
        assert_eq!(named(None), Ok(AttoFil::ZERO));
        assert_eq!(named(Some("0.02")), Ok(AttoFil(20_000)));
        assert!(named(Some("0.02 FIL")).is_err_and(|text| text.contains("node.per_megagas")));
    }
}
