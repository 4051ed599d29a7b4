//! A service that runs in this process, and its page.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use ed25519_dalek::VerifyingKey;
use lota_bridge::PrivateKeySigner;
use lota_content::serve::{ServeLimits, serve};
use lota_market::Address;
use lota_notary::{
    desk::Desk,
    http,
    service::{Service, ServiceError},
};
use lota_notary_dashboard::{self as dashboard, Readers};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::service::{self, Opened};
use crate::{chain::ChainMarket, failure::Usage, home, settings::Notary, terminal::printable};

/// How often another notary is looked at for answers.
const ASKING: Duration = Duration::from_secs(60);

/// A service at work.
pub(crate) struct RunningNotary {
    service: Arc<Service>,
    /// Where browsers reach its page.
    pub(crate) page: String,
    /// Whose money pays.
    pub(crate) account: Address,
    /// Which key attests decisions.
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
        let listen: SocketAddr = settings.listen.parse().map_err(|_| {
            Usage(format!("`{}` is not an address; write for example 127.0.0.1:8649", printable(&settings.listen)))
        })?;
        let readers = readers(settings)?;
        home::create_private(folder)?;
        let attests_with = service::attestation_key(folder)?.verifying_key();
        let Opened { service, market, asking } = service::open(settings, folder, market, signer).await?;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen at {listen}"))?;
        let page = settings.origin.clone().unwrap_or(format!("http://{}", listener.local_addr()?));
        let mut of_page = dashboard::Settings::new(&page)?;
        of_page.readers = readers;
        let stop = CancellationToken::new();
        of_page.stop = stop.clone();
        let desk = Arc::clone(&service) as Arc<dyn Desk>;
        let mut router = dashboard::router(Arc::clone(&desk), of_page);
        if settings.serve_api {
            router = router.merge(http::router(desk));
        }
        if let Some(asking) = &asking {
            router = router.merge(Arc::clone(&asking.notary).routes());
        }
        let serving = tokio::spawn(serve(listener, router, ServeLimits::default(), stop.clone()));
        let (account, at_work) = (market.party(), Arc::clone(&service));
        let working = tokio::spawn(async move {
            let asks = async {
                match &asking {
                    Some(asking) => asking.notary.keep_asking(ASKING).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = at_work.run(&*market) => ended,
                never = asks => match never {},
            };
            match ended {
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

/// Who may read the page.
fn readers(settings: &Notary) -> Result<Readers, Usage> {
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
