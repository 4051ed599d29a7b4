//! An account on a local market: its key, and play money to begin with.

use std::{fs, io, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use lota_bridge::{
    Journal, PrivateKeySigner, SubmitError, Transport, TransportError,
    evm::{self, Blessing, Chain, EvmBlessing, EvmTransport},
    ws::MockClient,
};
use lota_market::{Address, AttoFil, agent::EffectKey};
use lota_node::store::NodeJournal;

use super::LocalMarket;
use crate::{chain::ChainMarket, home};

/// What an account begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Funds {
    /// In the market.
    pub(crate) market: AttoFil,
    /// Outside.
    pub(crate) wallet: AttoFil,
}

/// An account on a local market.
#[derive(Clone)]
pub(crate) struct Account {
    transport: Arc<dyn Transport>,
    address: Address,
    /// On a chain: for what is beside the market. One key has one sequence of nonces.
    on_chain: Option<(Chain, evm::Account, Arc<dyn Journal>)>,
}

impl Funds {
    /// Both.
    ///
    /// # Errors
    /// When it is more than there can be.
    pub(crate) fn sum(self) -> anyhow::Result<AttoFil> {
        self.market.checked_add(self.wallet).context("the play money is more than fits in 128 bits")
    }
}

impl Account {
    /// The account whose key is in this file, or a new one, whose key is written there, readable by its owner only.
    /// The key is not encrypted: it is for play money.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is no key.
    pub(crate) fn play_key(file: &Path) -> anyhow::Result<PrivateKeySigner> {
        match fs::read_to_string(file) {
            Ok(text) => match text.trim().parse() {
                Ok(signer) => Ok(signer),
                Err(_) => bail!("{} is no key (32 bytes in hex)", file.display()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let signer = PrivateKeySigner::random();
                if let Some(folder) = file.parent() {
                    home::create_private(folder)?;
                }
                home::write_private(file, format!("{:x}\n", signer.to_bytes()).as_bytes())?;
                Ok(signer)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// The account of this key.
    pub(crate) fn of(market: &LocalMarket, signer: PrivateKeySigner) -> Self {
        Self::new(Arc::new(market.chain.connect(signer)))
    }

    /// The account of this key at a mock.
    pub(crate) fn at_mock(client: &MockClient, signer: PrivateKeySigner) -> Self {
        Self::new(Arc::new(client.party(signer)))
    }

    /// As [`fund`](Self::fund), from the mock's faucet; without one it gets nothing.
    ///
    /// # Errors
    /// When the mock cannot be reached, or its faucet does not give so much.
    pub(crate) async fn fund_at_mock(&self, client: &MockClient, funds: Funds) -> anyhow::Result<()> {
        if client.info().faucet.is_none() {
            return Ok(());
        }
        let sum = funds.sum()?;
        let mut block = None;
        if self.transport.wallet(self.address).await? == AttoFil::ZERO
            && self.transport.balance(self.address).await? == AttoFil::ZERO
        {
            block = Some(client.give(self.address, sum).await.context("the faucet failed")?.cursor.block);
        }
        self.deposit_at_first(sum, block, funds.market).await
    }

    /// The account of this key on a chain. What it sends is remembered in its node's folder.
    ///
    /// # Errors
    /// When the folder cannot be written, or the chain not be reached.
    pub(crate) async fn on_chain(
        market: &ChainMarket,
        signer: PrivateKeySigner,
        dir: &Path,
        max_retry_gas: Option<u64>,
    ) -> anyhow::Result<Self> {
        home::create_private(dir)?;
        let journal: Arc<dyn Journal> = Arc::new(NodeJournal::open(dir).await?);
        // A connection for each: what one node waits for keeps no other from asking.
        let chain = Chain::connect(market.endpoint().chain().config().clone()).await.map_err(TransportError::from)?;
        let account = evm::Account::open(&chain, signer.clone(), Arc::clone(&journal));
        let auction = market.auction().map(|auction| auction.reached_by(&chain));
        let on_chain = Some((chain.clone(), account.clone(), Arc::clone(&journal)));
        let transport = EvmTransport::new(market.market().reached_by(&chain), account, signer, journal);
        let transport = match auction {
            Some(auction) => transport.with_auction(auction),
            None => transport,
        };
        let transport = match market.filecoin_pay_deals() {
            Some(deals) => transport.with_filecoin_pay_deals(deals.reached_by(&chain)),
            None => transport,
        };
        let transport = Arc::new(match max_retry_gas {
            Some(most) => transport.with_max_retry_gas(most),
            None => transport,
        });
        Ok(Self { on_chain, ..Self::new(transport) })
    }

    /// Its way to a blessing on its chain; none without a chain.
    pub(crate) fn at_blessing(&self, blessing: &Blessing) -> Option<EvmBlessing> {
        let (chain, account, journal) = self.on_chain.as_ref()?;
        Some(EvmBlessing::new(blessing.reached_by(chain), account.clone(), Arc::clone(journal)))
    }

    /// The account that acts through this transport.
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        let address = transport.party();
        Self { transport, address, on_chain: None }
    }

    /// Gives play money to an account that has none at all (and so only once, as long as it keeps some).
    ///
    /// # Errors
    /// When the market's log cannot be written.
    pub(crate) async fn fund(&self, market: &LocalMarket, funds: Funds) -> anyhow::Result<()> {
        let (chain, account) = (market.chain.clone(), self.address);
        let sum = funds.sum()?;
        let block = tokio::task::spawn_blocking(move || {
            if chain.wallet(account) != AttoFil::ZERO || chain.balance(account) != AttoFil::ZERO {
                return Ok(None);
            }
            let landed = chain.fund(account, sum)?;
            anyhow::Ok(Some(landed.cursor.block))
        })
        .await?
        .context("the faucet failed")?;
        self.deposit_at_first(sum, block, funds.market).await
    }

    /// Moves some of what was just given (in this block, if it was) into the market.
    async fn deposit_at_first(&self, given: AttoFil, block: Option<u64>, amount: AttoFil) -> anyhow::Result<()> {
        // Without a deposit in the meantime all of it is outside: also after a crash right here.
        let outside = self.transport.wallet(self.address).await?;
        if block.is_some() || outside == given {
            self.deposit(&format!("play-deposit/{}", block.unwrap_or_default()), amount).await?;
        }
        Ok(())
    }

    /// Moves money into the market, once for each key.
    ///
    /// # Errors
    /// When the market refuses.
    pub(crate) async fn deposit(&self, key: &str, amount: AttoFil) -> anyhow::Result<()> {
        let refused =
            |error: SubmitError| anyhow::anyhow!("the first deposit failed: {}", error.words(&self.transport.asset()));
        self.transport.deposit(&EffectKey::named(key), amount).await.map_err(refused)?;
        Ok(())
    }

    /// Its address.
    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    /// Its way to the market.
    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Sync;

    #[tokio::test]
    async fn play_money_is_given_once_and_survives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let funds = Funds { market: AttoFil(60), wallet: AttoFil(40) };
        let file = folder.path().join("keys/a");
        for _ in 0..2 {
            let market = LocalMarket::open(folder.path(), Sync::Never).expect("opens");
            let account = Account::of(&market, Account::play_key(&file).expect("a key"));
            for _ in 0..2 {
                account.fund(&market, funds).await.expect("funded");
                assert_eq!(market.chain.balance(account.address()), funds.market);
                assert_eq!(market.chain.wallet(account.address()), funds.wallet);
            }
        }
    }

    #[test]
    fn a_market_is_for_one_process_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = LocalMarket::open(folder.path(), Sync::Never).expect("opens");
        assert!(LocalMarket::open(folder.path(), Sync::Never).is_err());
    }

    #[test]
    fn a_damaged_key_is_said_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        fs::write(&file, "hello").expect("written");
        assert!(Account::play_key(&file).expect_err("no key").to_string().contains("is no key"));
    }
}
