//! What the server answers to each method.

use std::sync::Arc;

use lota_market::{Address, AttoFil};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    protocol::{
        AccountHoldings, AccountParams, AdvanceParams, BidderParams, ErrorObject, FaucetParams, HoldingsPage,
        HoldingsParams, INVALID_PARAMS, Info, JobParams, KeyParams, LaneParams, MAX_PAGE, MovementsParams, NoParams,
        PROTOCOL, SaltParams, UNKNOWN_METHOD, method,
    },
    server::ServerOptions,
};
use crate::{
    eip712::SignedCommand,
    memory::{Chain, CheckedCommand, MovementPage},
    transport::{Landed, SubmitError, TransportError},
};

/// The most commands that are written at once.
const MAX_BATCH: usize = 256;
/// How many commands may wait to be written.
const QUEUE: usize = 1_024;
/// The most bytes of requests that wait for their answers, of all connections together.
const REQUEST_BYTES: usize = 64 << 20;
/// The furthest that virtual time passes at once, in seconds: a hundred years.
const MAX_ADVANCE: u64 = 100 * 365 * 86_400;

type Answer = Result<Value, ErrorObject>;

/// A command on its way into the log.
struct Work {
    command: CheckedCommand,
    answer: oneshot::Sender<Result<Landed, SubmitError>>,
}

/// What all connections share.
pub(super) struct Market {
    pub(super) chain: Chain,
    options: ServerOptions,
    work: mpsc::Sender<Work>,
    request_bytes: Arc<Semaphore>,
    /// One for each processor: so many signatures are checked at once, however many come.
    checks: Arc<Semaphore>,
    /// So many look through the log for movements at once: it may take them long, and commands need a processor, too.
    scans: Arc<Semaphore>,
    /// Held while a block is made that is no command's: each is written by itself, and commands get their turn.
    making: Arc<Mutex<()>>,
}

pub(super) fn params<T: DeserializeOwned>(raw: Option<&RawValue>) -> Result<T, ErrorObject> {
    serde_json::from_str(raw.map_or("{}", RawValue::get))
        .map_err(|error| ErrorObject::unreadable(INVALID_PARAMS, "the params are not what this takes", &error))
}

fn told(value: impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| SubmitError::Failed(format!("the answer is not JSON: {error}")).into())
}

/// Executes commands as they come, all that are there at once.
async fn write(chain: Chain, mut work: mpsc::Receiver<Work>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while work.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (commands, answers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Work { command, answer }| (command, answer)).unzip();
        let chain = chain.clone();
        let outcomes = tokio::task::spawn_blocking(move || chain.execute_all(commands)).await;
        match outcomes {
            Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| {
                // Whoever went away asks again under the same key.
                let _ = answer.send(outcome);
            }),
            Err(error) => tracing::error!(%error, "executing commands broke"),
        }
    }
}

impl Market {
    pub(super) fn new(chain: Chain, options: ServerOptions) -> Arc<Self> {
        let (work, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write(chain.clone(), queue));
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            chain,
            options,
            work,
            request_bytes: Arc::new(Semaphore::new(REQUEST_BYTES)),
            checks: Arc::new(Semaphore::new(processors)),
            scans: Arc::new(Semaphore::new(processors)),
            making: Arc::default(),
        })
    }

    /// Waits until there is room for a request of so many bytes beside those that all others wait for; `None` when the server ends.
    pub(super) async fn admit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(REQUEST_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.request_bytes).acquire_many_owned(bytes).await.ok()
    }

    /// Makes a block that is no command's, when its turn comes; to the end, also when nobody waits for it any more.
    async fn make(
        &self,
        make: impl FnOnce(&Chain) -> Result<Landed, SubmitError> + Send + 'static,
    ) -> Result<Landed, ErrorObject> {
        let turn = Arc::clone(&self.making).lock_owned().await;
        let made = self.ask(move |chain| {
            let _held = turn;
            make(chain)
        });
        Ok(made.await??)
    }

    /// Asks the chain, which may wait for the disk.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Chain) -> T + Send + 'static) -> Result<T, ErrorObject> {
        let chain = self.chain.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&chain)).await;
        answer.map_err(|error| SubmitError::Failed(format!("the market's task broke: {error}")).into())
    }

    async fn submit(&self, signed: SignedCommand) -> Result<Landed, SubmitError> {
        let broken = || SubmitError::from(TransportError::Unavailable("the server is ending".to_owned()));
        let command = {
            let place = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| broken())?;
            let chain = self.chain.clone();
            let checked = tokio::task::spawn_blocking(move || {
                let _held = place;
                chain.check(signed)
            });
            checked.await.map_err(|_| broken())??
        };
        let (answer, outcome) = oneshot::channel();
        self.work.send(Work { command, answer }).await.map_err(|_| broken())?;
        outcome.await.map_err(|_| broken())?
    }

    pub(super) fn info(&self) -> Info {
        Info {
            protocol: PROTOCOL,
            market: self.chain.market(),
            auction: self.chain.auction(),
            beginning: self.chain.beginning(),
            virtual_time: self.options.virtual_clock.is_some(),
            faucet: self.options.faucet,
        }
    }

    async fn give(&self, account: Address, amount: AttoFil) -> Result<Landed, ErrorObject> {
        let Some(most) = self.options.faucet else {
            return Err(ErrorObject::not_allowed("this market has no faucet; start it with --faucet"));
        };
        if amount > most {
            return Err(ErrorObject::not_allowed(&format!("the faucet gives {most} at once at most, not {amount}")));
        }
        self.make(move |chain| chain.fund(account, amount)).await
    }

    async fn advance(&self, seconds: u64) -> Result<Landed, ErrorObject> {
        let Some(clock) = self.options.virtual_clock.clone() else {
            return Err(ErrorObject::not_allowed("time is real here; start the market with --virtual-time"));
        };
        if seconds > MAX_ADVANCE {
            return Err(ErrorObject::plain(INVALID_PARAMS, format!("{seconds} s are too many; {MAX_ADVANCE} at most")));
        }
        self.make(move |chain| {
            // In the log first: nobody sees a time that a restart does not know.
            let landed = chain.mark_time(chain.head().time.after(seconds))?;
            clock.move_to(landed.time);
            Ok(landed)
        })
        .await
    }

    /// At most `limit` movements from a place on.
    pub(super) async fn movements(
        &self,
        from: (u64, u32),
        limit: usize,
        account: Option<Address>,
    ) -> Result<MovementPage, ErrorObject> {
        let ending = |_| TransportError::Unavailable("the server is ending".to_owned());
        let place = Arc::clone(&self.scans).acquire_owned().await.map_err(ending)?;
        let page = self.ask(move |chain| {
            let _held = place;
            chain.movements(from, limit, account)
        });
        Ok(page.await??)
    }

    async fn holdings(&self, HoldingsParams { account, from }: HoldingsParams) -> Result<HoldingsPage, ErrorObject> {
        self.ask(move |chain| {
            if let Some(account) = account {
                return HoldingsPage {
                    accounts: vec![AccountHoldings { account, holdings: chain.holdings(account) }],
                    next: None,
                };
            }
            let mut all = chain.all_holdings(from.unwrap_or_default(), MAX_PAGE + 1);
            let next = (all.len() > MAX_PAGE).then(|| all.pop()).flatten().map(|(account, _)| account);
            let accounts = all.into_iter().map(|(account, holdings)| AccountHoldings { account, holdings }).collect();
            HoldingsPage { accounts, next }
        })
        .await
    }

    /// The answer to a method that subscribes to nothing.
    pub(super) async fn answer(&self, method: &str, raw: Option<&RawValue>) -> Answer {
        match method {
            method::INFO => {
                let NoParams {} = params(raw)?;
                told(self.info())
            }
            method::SUBMIT => told(self.submit(params(raw)?).await?),
            method::LANDED => {
                let KeyParams { party, key } = params(raw)?;
                told(self.ask(move |chain| chain.has_landed(party, &key)).await?)
            }
            method::HEAD => {
                let NoParams {} = params(raw)?;
                told(self.chain.head())
            }
            method::BALANCE => {
                let AccountParams { account } = params(raw)?;
                told(self.ask(move |chain| chain.balance(account)).await?)
            }
            method::WALLET => {
                let AccountParams { account } = params(raw)?;
                told(self.ask(move |chain| chain.wallet(account)).await?)
            }
            method::DEAL => {
                let JobParams { job } = params(raw)?;
                told(self.ask(move |chain| chain.deal(job)).await?)
            }
            method::IS_SPENT => {
                let SaltParams { client, salt } = params(raw)?;
                told(self.ask(move |chain| chain.is_spent(client, salt)).await?)
            }
            method::NEXT_SALT => {
                let LaneParams { client, lane } = params(raw)?;
                told(self.ask(move |chain| chain.next_salt(client, lane)).await?)
            }
            method::AUCTION_BALANCE => {
                let AccountParams { account } = params(raw)?;
                told(self.ask(move |chain| chain.ask_auction(|auction| auction.balance(account))).await??)
            }
            method::AUCTION_OF => {
                let JobParams { job } = params(raw)?;
                told(self.ask(move |chain| chain.ask_auction(|auction| auction.auction(job))).await??)
            }
            method::SEALED_ORDER => {
                let BidderParams { job, bidder } = params(raw)?;
                told(self.ask(move |chain| chain.ask_auction(|auction| auction.commitment(job, bidder))).await??)
            }
            method::HOLDINGS => told(self.holdings(params(raw)?).await?),
            method::MOVEMENTS => {
                let MovementsParams { from, account } = params(raw)?;
                told(self.movements(from, MAX_PAGE, account).await?)
            }
            method::FAUCET => {
                let FaucetParams { account, amount } = params(raw)?;
                told(self.give(account, amount).await?)
            }
            method::ADVANCE => {
                let AdvanceParams { seconds } = params(raw)?;
                told(self.advance(seconds).await?)
            }
            other => {
                let shown: String = other.chars().take(64).collect();
                Err(ErrorObject::plain(UNKNOWN_METHOD, format!("there is no method `{shown}`")))
            }
        }
    }
}
