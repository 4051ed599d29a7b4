//! The contracts and their twins side by side.

use std::collections::{BTreeMap, BTreeSet};

use alloy::sol_types::SolCall;
use lota_bridge::{
    StoredDeal,
    evm::{bindings, filecoin_pay as pay, filecoin_pay_deals as contract, granters},
};
use lota_market::{
    Address, AttoFil, Bytes, U256,
    filecoin_pay::{self, FilecoinPay, RailView, rails::Rails},
    filecoin_pay_deals::{Event, FilecoinPayDeals, Order, Rejection},
    model::{self, JobId, JobResult},
    world::{Call, CallError, ContractCommand, ContractEvent, Log as WorldLog},
};

use super::{
    Ask, CALLBACK_GAS, DEALS, GRACE, GRANTER, OrderMutant, PAY, RECENT, Step, contract_of, granter,
    reading::{end_of, kind, read, refusal},
};
use crate::{
    actors::ActorStep,
    beside::{Both, Difference, Stage, name_of, same},
    chain::{CHAIN_ID, CallOutcome, Currency, EPOCH_SECONDS},
    filecoin_pay as stand_in,
    oracle::{Oracle, REFERENCE},
    party::{MARKET, Parties},
    token::TOKEN,
};

/// Every so many steps what seldom changes is compared for everybody.
const ALL_EVERY: usize = 8;

/// What is said by the market and Filecoin Pay only.
mod told {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        struct Result {
            bytes32 output;
            uint32 exitCode;
            uint64 fuelUsed;
            bytes inlineData;
        }
        function onJobResult(bytes32 jobId, Result result) external;
        function onJobFailed(bytes32 jobId, uint8 reason) external;
        function railTerminated(uint256 railId, address terminator, uint256 endEpoch) external;
    }
}

pub(super) struct Comparison<'a> {
    pub(super) stage: Stage<'a>,
    /// What rails are paid in: what collateral is not.
    pub(super) token: Address,
    pub(super) payers: Vec<Address>,
    pub(super) providers: Vec<Address>,
    mutant: Option<OrderMutant>,
    /// Orders that were opened, in order.
    pub(super) known: Vec<Order>,
    /// What a mutant thinks that payers still let the contract lock.
    amiss: BTreeMap<Address, U256>,
    /// What a mutant thinks is open.
    kept: BTreeSet<JobId>,
    steps: usize,
}

impl Both for Comparison<'_> {
    type Step = Step;

    fn perform(&mut self, step: &Step) -> Result<Vec<String>, Difference> {
        self.stage.begin(step.at, step.token.approval);
        let expected = self.expect(step);
        let said = expected.as_deref().unwrap_or_default();
        self.stage.learn(said);
        self.learn(step, said);
        self.stage.instruct(&step.script, &step.token);
        let (at, data) = self.call_data(&step.ask)?;
        let chain = step.foreign_chain.unwrap_or(CHAIN_ID);
        let outcome = match self.stage.chain.execute_at(at, step.sender, step.value, data, step.at, chain) {
            CallOutcome::Done { logs, .. } => Ok(logs.iter().filter_map(read).collect::<Result<Vec<_>, _>>()?),
            CallOutcome::Reverted { data, changed } => {
                same("whether a refusal changes anything", &changed, &false)?;
                Err(refusal(at, step.value, &data))
            }
            CallOutcome::Halted(reason) => Err(reason),
        };
        same("the events, or the refusal", &outcome, &expected)?;
        self.compare(step)?;
        let foreseen = self.probe(step)?;
        self.steps += 1;
        let mut outcomes = match (outcome, &step.ask) {
            (Ok(log), Ask::Command(command)) => {
                let (kind, name) = (format!("{command:?}"), name_of(command));
                let kind = kind.split('(').next().unwrap_or_default();
                self.feats(step, &log).into_iter().chain([format!("{kind}({name}")]).collect()
            }
            (Ok(_), _) => vec!["told".into()],
            (Err(refusal), _) => vec![kind(&refusal)],
        };
        outcomes.push(foreseen);
        Ok(outcomes)
    }
}

impl<'a> Comparison<'a> {
    #[expect(clippy::expect_used, clippy::panic, reason = "what cannot be deployed cannot be compared")]
    pub(super) fn new(cast: &'a Parties, currency: Currency, mutant: Option<OrderMutant>) -> Self {
        let mut stage = Stage::new(cast, currency, true);
        let token = if currency == Currency::Coin { TOKEN } else { Address::ZERO };
        let deployment = contract::Deployment {
            market: MARKET,
            callback_gas: CALLBACK_GAS,
            filecoin_pay: PAY,
            token,
            epoch_seconds: EPOCH_SECONDS,
            grace: GRACE,
        };
        stage.chain.deploy_at(PAY, stand_in::deployment(), |_| {}).expect("it has no constructor");
        if let Err(data) = stage.chain.deploy_at(DEALS, deployment.code(), |_| {}) {
            panic!("FilecoinPayDeals cannot be deployed: {:?}", contract::deployment_fault(&data));
        }
        stage.world.deploy_filecoin_pay(PAY).expect("nobody is there");
        let rails = Rails::new(PAY, token, EPOCH_SECONDS, GRACE);
        stage.world.deploy_filecoin_pay_deals(DEALS, MARKET, CALLBACK_GAS, rails).expect("nobody is there");
        let named = |names: &[&str]| -> Vec<Address> {
            let party = |name: &&str| cast.parties.iter().find(|party| party.name == *name);
            names.iter().filter_map(party).map(|party| party.address).collect()
        };
        let mut both = Self {
            stage,
            token,
            // One who signs what it likes, and the one with code.
            payers: named(&["alice", "bob", "agreeable", "scripted"]),
            // An account that has code as well, and one with a masked id only.
            providers: named(&["bob", "carol", "erin", "scripted", "masked"]),
            mutant,
            known: Vec::new(),
            amiss: BTreeMap::new(),
            kept: BTreeSet::new(),
            steps: 0,
        };
        let (blessing, sponsor) = (both.blessing(), both.sponsor());
        let code = granter::deployment(blessing, token, sponsor);
        both.stage.chain.deploy_at(GRANTER, code, |_| {}).expect("its settings are right");
        both.stage.world.deploy_granter(GRANTER, blessing, granter::twin(token, sponsor)).expect("nobody is there");
        both
    }

    pub(super) fn deals(&self) -> &FilecoinPayDeals {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.stage.world.filecoin_pay_deals(DEALS).expect("is there from the beginning")
    }

    pub(super) fn pay(&self) -> &FilecoinPay {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.stage.world.filecoin_pay(PAY).expect("is there from the beginning")
    }

    pub(super) fn job(&self, order: &Order) -> JobId {
        self.stage.ids.of(&order.terms)
    }

    pub(super) fn is(&self, mutant: OrderMutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn expect(&mut self, step: &Step) -> Result<Vec<WorldLog>, String> {
        let Stage { world, ids, cast, .. } = &mut self.stage;
        let mut oracle = Oracle {
            cast,
            ids,
            now: step.at,
            foreign_chain: step.foreign_chain,
            script: &step.script,
            conduct: &step.token.conduct,
            mutant: None,
            pending: Default::default(),
            actors: &ActorStep::default(),
            recorded: Vec::new(),
        };
        let mut log = Vec::new();
        let outcome = match &step.ask {
            Ask::Command(command) => {
                let (sender, contract, value) = (step.sender, contract_of(command), step.value);
                let call = Call { sender, contract, value, command: command.clone() };
                world.execute(&call, &mut oracle, &mut log)
            }
            Ask::JobEnded { job, reason } => {
                let result = JobResult::default();
                let outcome = reason.map_or(Ok(&result), Err);
                world.tell_job_ended(step.sender, DEALS, *job, outcome, &mut log)
            }
            Ask::RailTerminated { contract, rail, end_epoch } => {
                world.tell_rail_terminated(step.sender, *contract, *rail, *end_epoch, &mut log)
            }
        };
        let Err(error) = outcome else {
            if let Some(mutant) = self.mutant {
                mutant.misjudge(step, &mut log);
            }
            return Ok(log);
        };
        Err(match error {
            CallError::Rejected(rejection) => format!("{:?}", Rejection::Market(rejection)),
            CallError::RejectedByFilecoinPay(rejection) => format!("{:?}", Rejection::FilecoinPay(rejection)),
            CallError::RejectedByFilecoinPayDeals(rejection) => {
                if self.mutant.is_some_and(|mutant| mutant.accepts(step, &rejection)) {
                    return Ok(Vec::new());
                }
                format!("{rejection:?}")
            }
            CallError::RejectedByGranter(rejection) => {
                if self.mutant.is_some_and(|mutant| mutant.grants(&rejection)) {
                    return Ok(Vec::new());
                }
                granter::in_words(&rejection)
            }
            CallError::NotPayable { .. } => String::new(),
            error => error.to_string(),
        })
    }

    /// Notes orders that were opened, and what a mutant thinks.
    fn learn(&mut self, step: &Step, said: &[WorldLog]) {
        let scripts = [&step.script, &step.token.conduct.script];
        let scripted = scripts.into_iter().flat_map(|script| &script.calls).map(|scripted| &scripted.call.command);
        let asked = if let Ask::Command(command) = &step.ask { Some(command) } else { None };
        let mut orders = BTreeMap::new();
        for command in asked.into_iter().chain(scripted) {
            if let ContractCommand::FilecoinPayDeals(command) = command
                && let Some(order) = command.order()
            {
                orders.insert(self.job(order), order.clone());
            }
        }
        for WorldLog { event, .. } in said {
            match event {
                ContractEvent::FilecoinPayDeals(Event::OrderOpened { job, .. }) => {
                    self.known.extend(orders.remove(job));
                }
                ContractEvent::FilecoinPayDeals(Event::RailPaid { rail, amount }) => {
                    if let Some(RailView { from, .. }) = self.pay().rail(*rail) {
                        *self.amiss.entry(from).or_default() += *amount;
                    }
                }
                ContractEvent::FilecoinPay(filecoin_pay::Event::RailOneTimePaymentProcessed { .. }) => {}
                ContractEvent::Market(model::Event::JobCancelled { job, .. }) => {
                    self.kept.insert(*job);
                }
                _ => {}
            }
        }
        if let Some(ContractCommand::FilecoinPay(filecoin_pay::Command::SetOperatorApproval { .. })) = asked {
            self.amiss.remove(&step.sender);
        }
    }

    fn call_data(&self, ask: &Ask) -> Result<(Address, Bytes), Difference> {
        Ok(match ask {
            Ask::Command(ContractCommand::Market(command)) => (MARKET, bindings::call_data(command)),
            Ask::Command(ContractCommand::FilecoinPay(command)) => (PAY, stand_in::call_data(command)),
            Ask::Command(ContractCommand::FilecoinPayDeals(command)) => (DEALS, contract::call_data(command)),
            Ask::Command(ContractCommand::Granter(command)) => (GRANTER, granters::bindings::call_data(command)),
            Ask::Command(_) => return Err(Difference::new("which contract is asked: there is no other here", "", "")),
            Ask::JobEnded { job, reason: Some(reason) } => {
                let call = told::onJobFailedCall { jobId: job.0, reason: u8::from(*reason) };
                (DEALS, call.abi_encode().into())
            }
            Ask::JobEnded { job, reason: None } => {
                let JobResult { output, exit_code, fuel_used, inline_data } = JobResult::default();
                let result = told::Result { output, exitCode: exit_code, fuelUsed: fuel_used, inlineData: inline_data };
                (DEALS, told::onJobResultCall { jobId: job.0, result }.abi_encode().into())
            }
            Ask::RailTerminated { contract, rail, end_epoch } => {
                let call = told::railTerminatedCall { railId: *rail, terminator: Address::ZERO, endEpoch: *end_epoch };
                (*contract, call.abi_encode().into())
            }
        })
    }

    fn compare(&mut self, step: &Step) -> Result<(), Difference> {
        let recent: Vec<Order> = self.known.iter().rev().take(RECENT).cloned().collect();
        let asked = match &step.ask {
            Ask::Command(ContractCommand::FilecoinPayDeals(command)) => command.order(),
            _ => None,
        };
        for order in recent.iter().chain(asked) {
            self.compare_order(order)?;
        }
        let all = self.steps.is_multiple_of(ALL_EVERY);
        let accounts: Vec<Address> =
            self.payers.iter().chain(&self.providers).copied().chain([DEALS, GRANTER, PAY]).collect();
        for account in accounts.iter().copied().filter(|account| all || *account == step.sender || *account == PAY) {
            self.compare_account(account)?;
        }
        for payer in self.payers.clone().into_iter().filter(|payer| all || *payer == step.sender) {
            self.compare_pairs(payer)?;
            self.compare_grant_pairs(payer)?;
        }
        let newest = self.pay().rail_count();
        for rail in newest.saturating_sub(if all { 30 } else { 4 })..=newest {
            self.compare_rail(U256::from(rail))?;
        }
        let outside = [self.stage.cast.scripted().address, MARKET, TOKEN, filecoin_pay::BURN];
        let wallets: Vec<Address> = accounts.into_iter().chain(outside).collect();
        self.stage.compare_wallets(&wallets, &[DEALS, MARKET, PAY])?;
        self.compare_sums()?;
        self.compare_grant_sums()
    }

    fn compare_order(&mut self, order: &Order) -> Result<(), Difference> {
        let job = self.job(order);
        let found = self.stage.chain.view_at(DEALS, &contract::open_order(job));
        let open = self.deals().open_order(job).map(|open| {
            let mut same = order.clone();
            (same.payer, same.provider) = (open.payer, open.provider);
            (same.min_price, same.max_price) = (open.min_price, open.max_price);
            lota_bridge::filecoin_pay_deals::order_digest(&REFERENCE, DEALS, &same)
        });
        let kept = self.is(OrderMutant::KeptOrder) && self.kept.contains(&job);
        same("an open order", &found, &Ok(open.or(kept.then_some(job.0))))?;
        let found = self.stage.chain.view_at(DEALS, &contract::deal_of(job));
        let deal = self.deals().deal(job).map(|deal| contract::Deal {
            payer: deal.payer,
            collateral: deal.collateral,
            price: U256::from(deal.price),
            rail: deal.rail,
        });
        same("a deal that is paid for", &found, &Ok(deal))?;
        let found = self.stage.chain.view_at(MARKET, &bindings::deal_of(job));
        same("a deal", &found, &Ok(StoredDeal::of(job, &self.stage.market().deal(job))))
    }

    fn compare_account(&mut self, account: Address) -> Result<(), Difference> {
        let name = |what: &str| self.stage.cast.name(format_args!("{what} of {account:?}"));
        let names = ["the account at Filecoin Pay", "what is owed", "the balance"].map(name);
        let found = self.stage.chain.view_at(PAY, &pay::account(self.token, account));
        let stored = self.pay().account(self.token, account);
        let stored = pay::StoredAccount {
            funds: stored.funds,
            lockup_current: stored.lockup_current,
            lockup_rate: U256::ZERO,
            lockup_last_settled_at: stored.lockup_last_settled_at,
        };
        same(&*names[0], &found, &Ok(stored))?;
        let found = self.stage.chain.view_at(DEALS, &contract::owed(account));
        same(&*names[1], &found, &Ok(self.deals().owed(account)))?;
        let found = self.stage.chain.view_at(MARKET, &bindings::balance_of(account));
        same(&*names[2], &found, &Ok(self.stage.market().balance(account)))
    }

    fn compare_pairs(&mut self, payer: Address) -> Result<(), Difference> {
        for (operator, to) in [(DEALS, "deals"), (GRANTER, "grants")] {
            let name = self.stage.cast.name(format_args!("what {payer:?} allows for {to}"));
            let found = self.stage.chain.view_at(PAY, &pay::operator_approval(self.token, payer, operator));
            let stored = self.pay().operator_approval(self.token, payer, operator);
            let is_endless = self.is(OrderMutant::EndlessAllowance) && operator == DEALS;
            let endless = if is_endless { self.amiss.get(&payer).copied() } else { None };
            let stored = pay::Approval {
                is_approved: stored.is_approved,
                rate_allowance: stored.rate_allowance,
                lockup_allowance: stored.lockup_allowance.saturating_add(endless.unwrap_or_default()),
                rate_usage: U256::ZERO,
                lockup_usage: stored.lockup_usage,
                max_lockup_period: stored.max_lockup_period,
            };
            same(name, &found, &Ok(stored))?;
        }
        for payee in self.providers.clone() {
            let name = self.stage.cast.name(format_args!("the rail from {payer:?} to {payee:?}"));
            let found = self.stage.chain.view_at(DEALS, &contract::rail_of(payer, payee));
            same(name, &found, &Ok(self.deals().rails().rail_of(payer, payee)))?;
        }
        Ok(())
    }

    fn compare_rail(&mut self, rail: U256) -> Result<(), Difference> {
        let found = self.stage.chain.view_at(PAY, &pay::rail(rail)).ok();
        let stored = self.pay().rail(rail).map(|stored| pay::Rail {
            token: stored.token,
            payer: stored.from,
            payee: stored.to,
            operator: stored.operator,
            validator: stored.validator,
            payment_rate: U256::ZERO,
            lockup_period: stored.lockup_period,
            lockup_fixed: stored.lockup_fixed,
            settled_up_to: stored.settled_up_to,
            end_epoch: stored.end_epoch,
            commission_rate: U256::ZERO,
            service_fee_recipient: Address::ZERO,
        });
        same(format!("rail {rail}"), &found, &stored)?;
        let found = self.stage.chain.view_at(DEALS, &contract::promised(rail));
        let promised = self.deals().rails().promised(rail);
        let (needed, due) = (U256::from(promised.needed), U256::from(promised.due));
        same(format!("what is promised on rail {rail}"), &found, &Ok(contract::Promised { needed, due }))?;
        self.compare_grants_of(rail)
    }

    /// Everything that anybody holds is somebody's, what is promised is locked, and nothing else is stored.
    fn compare_sums(&mut self) -> Result<(), Difference> {
        let (deals, pay, world) = (self.deals(), self.pay(), &self.stage.world);
        let coin = (U256::from(world.wallet(PAY).0), pay.held(Address::ZERO));
        same("what Filecoin Pay holds in the coin", &coin.0, &coin.1)?;
        let tokens = (U256::from(world.token_wallet(TOKEN, PAY).0), pay.held(TOKEN));
        same("what Filecoin Pay holds in the token", &tokens.0, &tokens.1)?;
        let owed: AttoFil = deals.all_owed().map(|(_, amount)| amount).sum();
        same("what the contract has at the market", &self.stage.market().balance(DEALS), &owed)?;
        let prices: U256 = deals.deals().map(|(_, deal)| U256::from(deal.price)).sum();
        let (mut needed, mut due) = (U256::ZERO, U256::ZERO);
        for (rail, promised) in deals.rails().all_promised() {
            needed += U256::from(promised.needed);
            due += U256::from(promised.due);
            let locked = pay.rail(rail).map(|rail| rail.lockup_fixed);
            same(
                "that what is promised is locked",
                &locked.is_none_or(|locked| locked >= U256::from(promised.needed)),
                &true,
            )?;
        }
        same("what is promised", &needed, &(prices + due))?;
        let slots = deals.open_orders().count()
            + 2 * deals.deals().count()
            + deals.all_owed().count()
            + deals.rails().pairs().count()
            + deals.rails().all_promised().count();
        let some = |numbers: &[U256]| numbers.iter().filter(|number| !number.is_zero()).count();
        let of_pay = pay
            .accounts()
            .map(|(_, _, account)| some(&[account.funds, account.lockup_current, account.lockup_last_settled_at]))
            .chain(pay.approvals().map(|(_, approval)| {
                usize::from(approval.is_approved)
                    + some(&[
                        approval.rate_allowance,
                        approval.lockup_allowance,
                        approval.lockup_usage,
                        approval.max_lockup_period,
                    ])
            }))
            .chain(pay.rails().map(|(_, rail)| {
                let accounts = [rail.token, rail.from, rail.to, rail.operator, rail.validator];
                accounts.iter().filter(|account| !account.is_zero()).count()
                    + some(&[rail.lockup_period, rail.lockup_fixed, rail.settled_up_to, rail.end_epoch])
            }))
            .sum::<usize>()
            + usize::from(pay.rail_count() > 0);
        same("how many slots are used", &self.stage.chain.slots(DEALS), &slots)?;
        same("how many slots Filecoin Pay uses", &self.stage.chain.slots(PAY), &of_pay)
    }

    /// What a command came to, beside that it was done.
    fn feats(&self, step: &Step, log: &[WorldLog]) -> Vec<String> {
        let mut feats = granter::feats(self, step, log);
        for WorldLog { event, .. } in log {
            match event {
                ContractEvent::Market(event) => feats.extend(end_of(event).map(|reason| format!("ended: {reason:?}"))),
                ContractEvent::FilecoinPayDeals(Event::PriceFreed { refund, .. }) if *refund != AttoFil::ZERO => {
                    feats.push("a refund".into());
                }
                ContractEvent::FilecoinPayDeals(Event::OrderTaken { .. })
                    if !log
                        .iter()
                        .any(|log| matches!(log.event, ContractEvent::FilecoinPayDeals(Event::RailOpened { .. }))) =>
                {
                    feats.push("a taken order again on its rail".into());
                }
                ContractEvent::FilecoinPayDeals(Event::RailClosing { .. }) => feats.push("a closing rail".into()),
                ContractEvent::FilecoinPay(filecoin_pay::Event::RailOneTimePaymentProcessed { rail, .. }) => {
                    let found = self.pay().rail(*rail);
                    if found.is_some_and(|rail| rail.is_terminated()) {
                        feats.push("a payment on a closing rail".into());
                    }
                    let what = if self.token.is_zero() { "a payment in the coin" } else { "a payment in the token" };
                    feats.push(what.into());
                }
                ContractEvent::FilecoinPay(filecoin_pay::Event::RailLockupModified { .. })
                    if matches!(
                        step.ask,
                        Ask::Command(ContractCommand::FilecoinPayDeals(
                            lota_market::filecoin_pay_deals::Command::Release { .. }
                        ))
                    ) =>
                {
                    feats.push("released".into());
                }
                // What was promised on it and not paid in time is the payer's again.
                ContractEvent::FilecoinPay(filecoin_pay::Event::RailFinalized { rail })
                    if self.deals().rails().promised(*rail).needed != 0 =>
                {
                    feats.push("wound up with money".into());
                }
                _ => {}
            }
        }
        feats
    }
}
