//! The contract in an EVM.

use alloy::primitives::keccak256;
use lota_bridge::evm::bindings::{self, View};
use lota_market::{Address, AttoFil, Bytes, Time, U256, model::Settings};
use revm::{
    Context, Database as _, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    handler::{MainnetContext, MainnetEvm},
    primitives::{Log, TxKind, hardfork::SpecId},
    state::AccountInfo,
};

use crate::{
    party::{MARKET, Parties},
    token::{self, TOKEN, TokenStep},
};

/// Where the market was deployed.
pub(crate) const CHAIN_ID: u64 = 31_415_926;
/// The settings it was deployed with, whatever it is paid in.
pub(crate) const SETTINGS: Settings = Settings { max_callback_gas: 2_500_000, ..Settings::COIN };

/// What the market of a sequence is paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Currency {
    Coin,
    Token,
}

impl Currency {
    /// Every third sequence is about a token.
    pub(crate) const fn of(seed: u64) -> Self {
        if seed.is_multiple_of(3) { Self::Token } else { Self::Coin }
    }

    pub(crate) const fn settings(self) -> Settings {
        match self {
            Self::Coin => SETTINGS,
            // A whole number of these quanta is a gwei.
            Self::Token => Settings { asset: TOKEN, quantum: 1_000_000, ..SETTINGS },
        }
    }
}

/// What each party has outside the market at the start, in attoFIL.
pub(crate) const WALLET: AttoFil = AttoFil(1 << 100);
/// More than any transaction here needs.
const GAS: u64 = 60_000_000;

/// The number of the block at a time. An epoch without blocks has a number, too, as on Filecoin.
pub(crate) const fn epoch_at(time: Time) -> u64 {
    time.0 / EPOCH_SECONDS
}

/// Seconds of an epoch.
pub(crate) const EPOCH_SECONDS: u64 = 30;

/// What a transaction came to.
pub(crate) enum CallOutcome {
    Done {
        logs: Vec<Log>,
        output: Bytes,
    },
    Reverted {
        data: Bytes,
        /// Whether, against all rules, something changed.
        changed: bool,
    },
    /// It ran out of gas, or worse.
    Halted(String),
}

pub(crate) struct Chain {
    evm: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

impl Chain {
    /// A chain on which the market and everybody's contracts are deployed. `alter` may change the market's code.
    #[expect(clippy::panic, reason = "a contract that cannot be deployed cannot be compared")]
    pub(crate) fn new(cast: &Parties, currency: Currency, alter: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut db = CacheDB::<EmptyDB>::default();
        for party in &cast.parties {
            if party.address == MARKET {
                continue;
            }
            let info = party.behaviour.map_or_else(AccountInfo::default, |behaviour| {
                AccountInfo::from_bytecode(Bytecode::new_raw(behaviour.code().into()))
            });
            db.insert_account_info(party.address, info.with_balance(U256::from(WALLET.0)).with_nonce(1));
        }
        let mut context = Context::mainnet().with_db(db);
        context.cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
        context.cfg.chain_id = CHAIN_ID;
        context.cfg.tx_chain_id_check = false;
        context.cfg.disable_nonce_check = true;
        context.cfg.disable_eip3607 = true;
        context.cfg.tx_gas_limit_cap = Some(u64::MAX);
        context.block.gas_limit = u64::MAX;
        let mut chain = Self { evm: context.build_mainnet() };
        if currency == Currency::Token {
            chain.put_token(cast);
        }
        if let Err(data) = chain.deploy(&currency.settings(), alter) {
            panic!("the constructor reverts with {:?}", bindings::revert(&data));
        }
        chain
    }

    /// The token, of which everybody has some.
    pub(crate) fn put_token(&mut self, cast: &Parties) {
        self.set_code(TOKEN, token::code(&TokenStep::default()));
        for party in cast.parties.iter().filter(|party| party.address != MARKET) {
            self.store(TOKEN, token::balance_slot(party.address), WALLET);
        }
    }

    /// Deploys a market.
    pub(crate) fn deploy(&mut self, settings: &Settings, alter: impl FnOnce(&mut Vec<u8>)) -> Result<(), Bytes> {
        self.deploy_at(MARKET, bindings::deployment(settings), alter)
    }

    /// Runs the constructor at an address: a market's domain is bound to it.
    #[expect(clippy::expect_used, reason = "a contract that cannot be deployed cannot be compared")]
    pub(crate) fn deploy_at(
        &mut self,
        at: Address,
        creation: Bytes,
        alter: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Bytes> {
        // The address runs its creation code as if it were its code: what that returns becomes its code.
        let info = AccountInfo::from_bytecode(Bytecode::new_raw(creation)).with_nonce(1);
        self.evm.ctx.journaled_state.database.insert_account_info(at, info);
        let transaction = transaction(at, Address::ZERO, AttoFil::ZERO, Bytes::new());
        let done = self.evm.transact(transaction).expect("the constructor runs");
        let output = match done.result {
            ExecutionResult::Success { output, .. } => output.into_data(),
            ExecutionResult::Revert { output, .. } => return Err(output),
            ExecutionResult::Halt { .. } => return Err(Bytes::new()),
        };
        // What the constructor stores stays.
        self.evm.commit(done.state);
        let mut code = output.to_vec();
        alter(&mut code);
        let info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into())).with_nonce(1);
        self.evm.ctx.journaled_state.database.insert_account_info(at, info);
        Ok(())
    }

    /// Executes a call of the market.
    pub(crate) fn execute(
        &mut self,
        sender: Address,
        value: AttoFil,
        data: Bytes,
        now: Time,
        chain_id: u64,
    ) -> CallOutcome {
        self.execute_at(MARKET, sender, value, data, now, chain_id)
    }

    /// Executes a call of any contract.
    pub(crate) fn execute_at(
        &mut self,
        contract: Address,
        sender: Address,
        value: AttoFil,
        data: Bytes,
        now: Time,
        chain_id: u64,
    ) -> CallOutcome {
        self.evm.ctx.block.timestamp = U256::from(now.0);
        self.evm.ctx.block.number = U256::from(epoch_at(now));
        self.evm.ctx.cfg.chain_id = chain_id;
        let done = match self.evm.transact(transaction(contract, sender, value, data)) {
            Ok(done) => done,
            Err(error) => return CallOutcome::Halted(format!("the transaction is invalid: {error:?}")),
        };
        let outcome = match done.result {
            ExecutionResult::Success { logs, output, .. } => CallOutcome::Done {
                logs,
                output: match output {
                    Output::Call(data) | Output::Create(data, _) => data,
                },
            },
            ExecutionResult::Revert { output, .. } => CallOutcome::Reverted {
                data: output,
                changed: done.state.values().any(|account| account.changed_storage_slots().next().is_some()),
            },
            ExecutionResult::Halt { reason, .. } => CallOutcome::Halted(format!("{reason:?}")),
        };
        self.evm.commit(done.state);
        outcome
    }

    /// Gives an account other code; it keeps what it owns.
    pub(crate) fn set_code(&mut self, account: Address, code: Vec<u8>) {
        let balance = self.wallet(account);
        let info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into())).with_balance(balance).with_nonce(1);
        self.evm.ctx.journaled_state.database.insert_account_info(account, info);
    }

    /// What a view says.
    pub(crate) fn view<T>(&mut self, view: &View<T>) -> Result<T, String> {
        self.view_at(MARKET, view)
    }

    /// What a view of any contract says.
    pub(crate) fn view_at<T>(&mut self, contract: Address, view: &View<T>) -> Result<T, String> {
        view.read(&self.call(contract, view.data.clone())?).map_err(|error| error.to_string())
    }

    /// `burned()`.
    pub(crate) fn burned(&mut self) -> Result<U256, String> {
        let returned = self.call(MARKET, Bytes::copy_from_slice(&keccak256("burned()")[..4]))?;
        U256::try_from_be_slice(&returned).ok_or_else(|| format!("burned() returns {returned}"))
    }

    /// Whether a call that changes nothing succeeds, or what it reverts with.
    pub(crate) fn ask(&mut self, contract: Address, data: Bytes) -> Result<(), Bytes> {
        match self.evm.transact(transaction(contract, Address::ZERO, AttoFil::ZERO, data)).map(|done| done.result) {
            Ok(ExecutionResult::Success { .. }) => Ok(()),
            Ok(ExecutionResult::Revert { output, .. }) => Err(output),
            other => Err(format!("{other:?}").into_bytes().into()),
        }
    }

    /// Calls without changing anything.
    fn call(&mut self, contract: Address, data: Bytes) -> Result<Bytes, String> {
        let called = self.evm.transact(transaction(contract, Address::ZERO, AttoFil::ZERO, data));
        match called.map_err(|error| format!("{error:?}"))?.result {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            other => Err(format!("{other:?}")),
        }
    }

    /// Writes an amount where a contract keeps it.
    pub(crate) fn store(&mut self, contract: Address, slot: U256, amount: AttoFil) {
        let database = &mut self.evm.ctx.journaled_state.database;
        database.insert_account_storage(contract, slot, U256::from(amount.0)).expect("it is in memory");
    }

    /// What a contract keeps in a slot.
    pub(crate) fn stored(&mut self, contract: Address, slot: U256) -> U256 {
        self.evm.ctx.journaled_state.database.storage(contract, slot).unwrap_or_default()
    }

    /// How many of a contract's slots are not zero.
    pub(crate) fn slots(&self, contract: Address) -> usize {
        let accounts = &self.evm.ctx.journaled_state.database.cache.accounts;
        accounts.get(&contract).map_or(0, |account| account.storage.values().filter(|word| !word.is_zero()).count())
    }

    /// What an account has outside the market; of the market: what it holds.
    pub(crate) fn wallet(&mut self, account: Address) -> U256 {
        let account = self.evm.ctx.journaled_state.database.load_account(account);
        account.map_or(U256::ZERO, |account| account.info.balance)
    }
}

#[expect(clippy::expect_used, reason = "the builder refuses only what is not set here")]
fn transaction(contract: Address, sender: Address, value: AttoFil, data: Bytes) -> TxEnv {
    TxEnv::builder()
        .caller(sender)
        .kind(TxKind::Call(contract))
        .gas_limit(GAS)
        .gas_price(0)
        .value(U256::from(value.0))
        .data(data)
        .chain_id(None)
        .build()
        .expect("a legacy transaction")
}
