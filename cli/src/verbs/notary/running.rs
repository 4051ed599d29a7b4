//! A service that runs in this process, and its page.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use ed25519_dalek::VerifyingKey;
use lota_bridge::PrivateKeySigner;
use lota_content::serve::{ServeLimits, serve};
use lota_market::Address;
use lota_notary::{
    desk::Desk,
    http::{self, Proxies},
    service::{Service, ServiceError},
};
use lota_notary_dashboard::{self as dashboard, Readers};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::service::{self, Opened};
use crate::{chain::ChainMarket, failure::Usage, home, settings::Notary, terminal::printable};

/// A service at work.
pub(crate) struct RunningNotary {
    service: Arc<Service>,
    /// Where browsers reach its page.
    pub(crate) page: String,
    /// Whose money pays.
    pub(crate) account: Address,
    /// Which key signs: how jobs were decided, and what another notary is asked.
    pub(crate) attests_with: VerifyingKey,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    working: JoinHandle<ServiceError>,
}

impl RunningNotary {
    /// Opens what is kept in this folder, serves the page, and goes to work.
    ///
    /// # Errors
    /// When a setting makes no sense, the folder cannot be used, or the blessing or the port cannot be had.
    pub(crate) async fn start(
        settings: &Notary,
        folder: &Path,
        market: &ChainMarket,
        signer: PrivateKeySigner,
    ) -> anyhow::Result<Self> {
        let (listen, readers, proxies) = (listen(settings)?, readers(settings)?, proxies(settings)?);
        home::create_private(folder)?;
        let attests_with = service::attestation_key(folder)?.verifying_key();
        let Opened { service, market, other_notary } = service::open(settings, folder, market, signer).await?;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen at {listen}"))?;
        let page = origin(settings, listener.local_addr()?);
        let mut of_page = dashboard::Settings::new(&page)?;
        of_page.readers = readers;
        let mut limits = ServeLimits::default();
        if !proxies.is_empty() {
            // All connections may be one proxy's, which knows whose they are.
            limits.max_per_address = limits.max_connections;
        }
        of_page.proxies = proxies;
        let stop = CancellationToken::new();
        of_page.listening = Some(listener.local_addr()?);
        of_page.stop = stop.clone();
        let desk = Arc::clone(&service) as Arc<dyn Desk>;
        let mut beside = Vec::new();
        if settings.serve_api {
            beside.push(http::router(Arc::clone(&desk), stop.clone()));
        }
        beside.extend(other_notary.map(|other_notary| other_notary.routes()));
        let router = dashboard::router_beside(desk, of_page, beside);
        let serving = tokio::spawn(serve(listener, router, limits, stop.clone()));
        let (account, at_work) = (market.party(), Arc::clone(&service));
        let working = tokio::spawn(async move {
            match at_work.run(&*market).await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        });
        Ok(Self { service, page, account, attests_with, stop, serving, working })
    }

    /// What its page asks.
    pub(crate) fn desk(&self) -> Arc<dyn Desk> {
        Arc::clone(&self.service) as Arc<dyn Desk>
    }

    /// Ready when it cannot go on: why.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.working).await {
            Ok(error) => error.into(),
            Err(error) => anyhow::Error::new(error).context("the service's task broke off"),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the page's server broke off.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.working.abort();
        self.serving.await.context("the server's task broke off")?;
        self.service.close().await;
        Ok(())
    }
}

/// What of the settings is wrong by itself, whatever a chain says.
///
/// # Errors
/// The first of it.
pub(super) fn check(settings: &Notary) -> anyhow::Result<()> {
    listen(settings)?;
    readers(settings)?;
    proxies(settings)?;
    dashboard::Settings::new(&origin(settings, &settings.listen))?;
    service::check(settings)
}

/// Where the page is served.
pub(super) fn listen(settings: &Notary) -> Result<SocketAddr, Usage> {
    let wrong =
        |_| Usage(format!("`{}` is not an address; write for example 127.0.0.1:8649", printable(&settings.listen)));
    settings.listen.parse().map_err(wrong)
}

/// Where browsers reach the page of a service that listens there.
pub(super) fn origin(settings: &Notary, listening: impl Display) -> String {
    settings.origin.clone().unwrap_or_else(|| format!("http://{listening}"))
}

/// Who may read the page.
pub(super) fn readers(settings: &Notary) -> Result<Readers, Usage> {
    Ok(match settings.readers.trim() {
        "notaries" => Readers::Notaries,
        "everybody" => Readers::Everybody,
        _ => Readers::Accounts(
            service::parts(Some(&settings.readers))
                .map(|text| service::address("readers", text))
                .collect::<Result<_, _>>()?,
        ),
    })
}

/// Which proxies are believed about who asks.
fn proxies(settings: &Notary) -> Result<Proxies, Usage> {
    let address = |text: &str| {
        let wrong =
            |_| Usage(format!("notary.trusted_proxy: `{}` is no address; write 127.0.0.1 or ::1", printable(text)));
        text.parse::<IpAddr>().map_err(wrong)
    };
    let addresses: Vec<IpAddr> =
        service::parts(settings.trusted_proxy.as_ref()).map(address).collect::<Result<_, _>>()?;
    Ok(Proxies::new(addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings in which nothing is wrong, as far as can be told without a chain.
    fn whole() -> Notary {
        let contract = Some(Address::repeat_byte(7).to_string());
        Notary {
            rpc: Some("http://127.0.0.1:8545".to_owned()),
            contract: contract.clone(),
            blessing: contract,
            ..Notary::default()
        }
    }

    #[test]
    fn what_is_wrong_by_itself_is_said_before_anything_is_asked() {
        check(&whole()).expect("nothing is wrong");
        let some = |text: &str| Some(text.to_owned());
        let url = || some("https://hooks.example/");
        let smtp = || some("smtps://mail.example:465");
        let wrong: [(&str, Notary); 19] = [
            ("not an address", Notary { listen: "here".to_owned(), ..whole() }),
            ("notary.trusted_proxy", Notary { trusted_proxy: some("127.0.0.1/8"), ..whole() }),
            ("notary.readers", Notary { readers: "me".to_owned(), ..whole() }),
            ("where a page can be reached", Notary { origin: some("notary.example"), ..whole() }),
            ("without TLS", Notary { origin: some("http://notary.example"), ..whole() }),
            ("without TLS", Notary { listen: "192.168.1.5:8649".to_owned(), ..whole() }),
            ("notary.rpc", Notary { rpc: None, ..whole() }),
            ("notary.contract", Notary { contract: some("0x12"), ..whole() }),
            ("notary.blessing", Notary { blessing: None, ..whole() }),
            ("no such network", Notary { network: some("venus"), ..whole() }),
            ("notary.granters", Notary { granters: some("DataCap"), ..whole() }),
            ("notary.amount", Notary { granter: some(&Address::ZERO.to_string()), ..whole() }),
            ("notary.two_approvals_from", Notary { two_approvals_from: some("many"), ..whole() }),
            ("notary.webhook_secrets", Notary { webhook: url(), ..whole() }),
            ("notary.mail_from", Notary { smtp: smtp(), ..whole() }),
            ("notary.gateways", Notary { gateways: some("gateway"), ..whole() }),
            ("notary.storage_payers", Notary { warm_storage: some(&Address::ZERO.to_string()), ..whole() }),
            ("notary.other_notary_keys", Notary { other_notary: url(), ..whole() }),
            ("notary.other_notary_keys", Notary { other_notary: url(), other_notary_keys: some("did:x"), ..whole() }),
        ];
        for (named, settings) in wrong {
            let error = format!("{:#}", check(&settings).expect_err(named));
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
