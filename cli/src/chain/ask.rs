//! A contract as client: `AskComputer`, the example of contracts/src/examples.

use alloy::{
    network::TransactionBuilder as _,
    primitives::{Bytes as Data, U256 as Word},
    providers::Provider as _,
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolConstructor as _, SolEvent as _},
};
use anyhow::{Context as _, bail};
use lota_bridge::PrivateKeySigner;
use lota_market::{Address, AttoFil, B256, Bytes, U256, model::JobId};
use serde_json::json;

use super::{
    ChainMarket, Endpoint,
    deploy::{Receipt, landed},
};

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
    /// How long a result may be looked at before it is paid for; the contract never accepts by itself.
    pub(crate) review_for: u32,
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
    endpoint: Endpoint,
    market: Address,
    account: Address,
    contract: Address,
}

impl Asker {
    /// Somebody with this key, who has sent nothing yet.
    ///
    /// # Errors
    /// When the chain cannot be reached.
    pub(crate) async fn connect(market: &ChainMarket, signer: PrivateKeySigner) -> anyhow::Result<Self> {
        let account = signer.address();
        let endpoint =
            Endpoint::connect(market.endpoint().url(), Some(*market.endpoint().network()), Some(signer)).await?;
        Ok(Self { endpoint, market: market.contract(), account, contract: account.create(0) })
    }

    /// The account that pays.
    pub(crate) const fn account(&self) -> Address {
        self.account
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
            reviewFor: habits.review_for,
            ruleFor: 0,
            collateral: Word::from(habits.collateral.0),
            arbiter: Address::ZERO,
            callbackGas: habits.callback_gas,
        };
        let mut code = AskComputer::BYTECODE.to_vec();
        let arguments = AskComputer::constructorCall {
            market: self.market,
            common,
            before: head.to_owned(),
            behind: tail.to_owned(),
        };
        code.extend(arguments.abi_encode());
        let receipt = self.send(TransactionRequest::default().with_deploy_code(Data::from(code))).await?;
        if receipt.contract_address != Some(self.contract) {
            bail!("{} was used before: its contract is not at {}", self.account, self.contract);
        }
        Ok(())
    }

    /// Asks, at this price.
    ///
    /// # Errors
    /// When the contract or the market refuses.
    pub(crate) async fn ask(&self, question: &str, price: AttoFil) -> anyhow::Result<JobId> {
        let call = AskComputer::askCall { question: question.to_owned() };
        let request = TransactionRequest::default()
            .with_to(self.contract)
            .with_input(call.abi_encode())
            .with_value(Word::from(price.0));
        let receipt = self.send(request).await?;
        let asked = receipt.logs.iter().filter(|log| log.address() == self.contract);
        let asked = asked.filter_map(|log| AskComputer::Asked::decode_log_data(log.data()).ok()).next();
        asked.map(|asked| JobId(asked.jobId)).context("the contract did not say which job it opened")
    }

    /// What has become of a question.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub(crate) async fn question(&self, job: JobId) -> anyhow::Result<Question> {
        let call = Data::from(AskComputer::questionOfCall { jobId: job.0 }.abi_encode());
        let request = json!([{ "to": self.contract, "data": call }, "latest"]);
        let data: Bytes = self.endpoint.call("eth_call", request).await?;
        let question = AskComputer::questionOfCall::abi_decode_returns(&data)
            .with_context(|| format!("{} is no AskComputer", self.contract))?;
        let answered = question.state == ANSWERED;
        Ok(Question { answered, exit_code: question.exitCode, answer: question.answer })
    }

    async fn send(&self, request: TransactionRequest) -> anyhow::Result<Receipt> {
        let request = request.with_from(self.account);
        let sending = self.endpoint.provider().send_transaction(request);
        let hash: B256 = *self.endpoint.within("eth_sendRawTransaction", sending).await?.tx_hash();
        let receipt = landed(&self.endpoint, hash).await?;
        if receipt.status != U256::from(1) {
            bail!("the transaction {hash} failed");
        }
        Ok(receipt)
    }
}

/// `AskComputer.State.Answered`.
const ANSWERED: u8 = 2;
