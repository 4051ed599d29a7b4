//! A market in this process that nodes reach as others would: by a websocket.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::Context as _;
use lota_bridge::{
    PrivateKeySigner,
    mock::{Server, ServerOptions},
    ws::MockClient,
};
use lota_market::AttoFil;

use super::{Account, Funds, LocalMarket, Sync};

/// Where a mock listens unless somebody says something else.
pub(crate) const MOCK_PORT: u16 = 8646;

/// The market, and its server.
#[derive(Debug)]
pub(crate) struct MockVenue {
    market: LocalMarket,
    server: Server,
}

impl MockVenue {
    /// Serves the market in this folder at a port of this machine if that is free, else at any.
    ///
    /// # Errors
    /// When the market is in use or damaged, or nobody can listen.
    pub(crate) async fn open(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let folder = folder.to_owned();
        let market = tokio::task::spawn_blocking(move || LocalMarket::open(&folder, Sync::Never)).await??;
        let start = |port| {
            let options = ServerOptions { faucet: Some(AttoFil(u128::MAX)), ..ServerOptions::default() };
            Server::start(market.chain.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)), options)
        };
        let server = match start(port).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => start(0).await,
            other => other,
        };
        let server = server.context("the mock cannot listen")?;
        Ok(Self { market, server })
    }

    /// An account with money, over a connection of its own.
    ///
    /// # Errors
    /// When the mock cannot be reached.
    pub(crate) async fn join(&self, signer: PrivateKeySigner, funds: Funds) -> anyhow::Result<Account> {
        let client = MockClient::connect(&self.url()).await?;
        let account = Account::at_mock(&client, signer);
        account.fund_at_mock(&client, funds).await?;
        Ok(account)
    }

    pub(crate) const fn market(&self) -> &LocalMarket {
        &self.market
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Ends it, with a snapshot for the next start.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.server.stop().await;
        let chain = self.market.chain;
        tokio::task::spawn_blocking(move || chain.keep_snapshot()).await??;
        Ok(())
    }
}
