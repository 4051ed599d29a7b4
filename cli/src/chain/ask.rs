//! A contract as client: `AskComputer`, the example of contracts/src/examples.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy::{
    primitives::U256 as Word,
    sol_types::{SolCall, SolConstructor as _, SolEvent as _},
};
use anyhow::{Context as _, bail};
use lota_bridge::{
    PrivateKeySigner,
    evm::{self, Call, Chain, chain::At},
    journal::MemoryJournal,
};
use lota_market::{Address, AttoFil, Bytes, agent::EffectKey, model::JobId};

use super::ChainMarket;

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(AskComputer, "../contracts/abi/AskComputer.json");
}

use abi::AskComputer;

/// What all jobs of the contract have in common. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How long a job waits for a provider.
    pub(crate) lock_for: u64,
    /// How long a provider has for a result.
    pub(crate) run_for: u32,
    /// The collateral that a provider puts up.
    pub(crate) collateral: AttoFil,
    /// Gas for being called back.
    pub(crate) callback_gas: u32,
}

/// What the contract knows of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Whether it was answered; it is not while the job is under way, nor if it failed.
    pub(crate) answered: bool,
    /// The program's exit code.
    pub(crate) exit_code: u32,
    /// What the program printed.
    pub(crate) answer: Bytes,
}

/// Somebody on a chain who asks through a contract.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    chain: Chain,
    market: Address,
    account: evm::Account,
    contract: Address,
    questions: Arc<AtomicU64>,
}

impl Asker {
    /// Somebody with this key, who has sent nothing yet.
    pub(crate) fn new(market: &ChainMarket, signer: PrivateKeySigner) -> Self {
        let chain = market.endpoint().chain().clone();
        // The key is thrown away with what it sent.
        let account = evm::Account::open(&chain, signer, Arc::new(MemoryJournal::default()));
        let (market, contract) = (market.contract(), account.address().create(0));
        Self { chain, market, account, contract, questions: Arc::default() }
    }

    /// The account that pays.
    pub(crate) const fn account(&self) -> Address {
        self.account.address()
    }

    /// Where the contract is, or will be.
    pub(crate) const fn contract(&self) -> Address {
        self.contract
    }

    /// Deploys the contract. A question is put between `head` and `tail` as a JSON string, which
    /// makes the job's spec.
    ///
    /// # Errors
    /// When the chain refuses.
    pub(crate) async fn deploy(&self, habits: Habits, head: &str, tail: &str) -> anyhow::Result<()> {
        let common = AskComputer::Offer {
            lockFor: habits.lock_for,
            runFor: habits.run_for,
            callbackGas: habits.callback_gas,
            collateral: Word::from(habits.collateral.0),
        };
        let mut code = AskComputer::BYTECODE.to_vec();
        let arguments = AskComputer::constructorCall {
            market: self.market,
            common,
            before: head.to_owned(),
            behind: tail.to_owned(),
        };
        code.extend(arguments.abi_encode());
        let landed = self.account.send(&EffectKey::named("deploy"), Call::create(code.into())).await?;
        if landed.created != Some(self.contract) {
            bail!("{} was used before: its contract is not at {}", self.account(), self.contract);
        }
        Ok(())
    }

    /// Asks, at this price.
    ///
    /// # Errors
    /// When the contract or the market refuses.
    pub(crate) async fn ask(&self, question: &str, price: AttoFil) -> anyhow::Result<JobId> {
        let data = AskComputer::askCall { question: question.to_owned() }.abi_encode();
        let key = EffectKey::named(&format!("ask/{}", self.questions.fetch_add(1, Ordering::Relaxed)));
        let call = Call { value: price, ..Call::new(self.contract, data.into()) };
        let landed = self.account.send(&key, call).await?;
        let asked = landed.logs.iter().filter(|log| log.address == self.contract);
        let asked = asked.filter_map(|log| AskComputer::Asked::decode_raw_log(&log.topics, &log.data).ok()).next();
        asked.map(|asked| JobId(asked.jobId)).context("the contract did not say which job it opened")
    }

    /// What has become of a question.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub(crate) async fn question(&self, job: JobId) -> anyhow::Result<Question> {
        let call = Bytes::from(AskComputer::questionOfCall { jobId: job.0 }.abi_encode());
        let data = self.chain.view(self.contract, &call, At::Latest).await?;
        let question = AskComputer::questionOfCall::abi_decode_returns(&data)
            .with_context(|| format!("{} is no AskComputer", self.contract))?;
        let answered = question.state == ANSWERED;
        Ok(Question { answered, exit_code: question.exitCode, answer: question.answer })
    }
}

/// `AskComputer.State.Answered`.
const ANSWERED: u8 = 2;
