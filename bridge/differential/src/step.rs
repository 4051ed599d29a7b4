//! One command at one moment, and what can be found in it.

use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    model::{BatchEntry, Command, Receipt, Terms, salt},
    world::{Call, ContractCommand, Script, ScriptedCall},
};

use crate::{party::Parties, token::TokenStep};

/// One transaction.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Time,
    /// The chain's id, when it is not the one of the deployment.
    pub(crate) foreign_chain: Option<u64>,
    pub(crate) sender: Address,
    pub(crate) value: AttoFil,
    pub(crate) command: Command,
    /// What [`Behaviour::Scripted`](crate::party::Behaviour::Scripted) does whenever it is called.
    pub(crate) script: Script,
    /// What the token does, where there is one.
    pub(crate) token: TokenStep,
}

impl Step {
    /// A step with nothing special about it.
    pub(crate) fn of(at: Time, sender: Address, value: AttoFil, command: Command) -> Self {
        let (script, token) = (Script::default(), TokenStep::default());
        Self { at, foreign_chain: None, sender, value, command, script, token }
    }

    /// One readable line.
    pub(crate) fn describe(&self, cast: &Parties) -> String {
        let chain = self.foreign_chain.map(|chain| format!(" on chain {chain}")).unwrap_or_default();
        let value = if self.value == AttoFil::ZERO { String::new() } else { format!(" with {}", self.value) };
        let mut command = cast.name(&self.command);
        const LONGEST: usize = 2_000;
        if let Some((end, _)) = command.char_indices().nth(LONGEST) {
            command.truncate(end);
            command.push_str(" ...");
        }
        let script = if self.script == Script::default() {
            String::new()
        } else {
            let calls = self.script.calls.iter().map(|ScriptedCall { call, may_fail }| {
                let Call { value, command, .. } = call;
                format!("{}{} with {value}", if *may_fail { "perhaps " } else { "" }, cast.name(command))
            });
            let calls: Vec<String> = calls.collect();
            format!("; scripted: [{}], then {:?}", calls.join(", "), self.script.end)
        };
        let token = if self.token == TokenStep::default() {
            String::new()
        } else {
            format!("; token: {}", cast.name(&self.token))
        };
        format!("at {}{chain}, {}{value}: {command}{script}{token}", self.at.0, cast.name(self.sender))
    }
}

/// The terms of a command that concerns one job.
pub(crate) fn terms_of(command: &mut Command) -> Option<&mut Terms> {
    match command {
        Command::Open { terms, .. }
        | Command::OpenSigned { terms, .. }
        | Command::OpenSignedAndLock { terms, .. }
        | Command::Lock { terms }
        | Command::Award { terms, .. }
        | Command::Cancel { terms }
        | Command::Expire { terms }
        | Command::GiveUp { terms }
        | Command::SubmitResult { terms, .. }
        | Command::Accept { terms, .. }
        | Command::Settle { terms, .. }
        | Command::Dispute { terms }
        | Command::Rule { terms, .. }
        | Command::Lapse { terms, .. }
        | Command::RetryCallback { terms, .. } => Some(terms),
        Command::SettleBatch { entries } => entries.first_mut().map(|entry| &mut entry.terms),
        _ => None,
    }
}

pub(crate) fn receipt_of(command: &mut Command) -> Option<&mut Receipt> {
    match command {
        Command::Accept { receipt, .. }
        | Command::Settle { receipt, .. }
        | Command::Rule { receipt, .. }
        | Command::Lapse { receipt, .. }
        | Command::RetryCallback { receipt, .. } => Some(receipt),
        Command::SettleBatch { entries } => entries.last_mut().map(|entry| &mut entry.receipt),
        _ => None,
    }
}

pub(crate) fn spec_of(command: &mut Command) -> Option<&mut Bytes> {
    match command {
        Command::Open { spec, .. }
        | Command::OpenSigned { spec, .. }
        | Command::OpenSignedAndLock { spec, .. }
        | Command::PublishSpec { spec } => Some(spec),
        _ => None,
    }
}

pub(crate) fn signature_of(command: &mut Command) -> Option<&mut Bytes> {
    match command {
        Command::OpenSigned { signature, .. } | Command::OpenSignedAndLock { signature, .. } => Some(signature),
        Command::SettleBatch { entries } => entries.last_mut().map(|entry| &mut entry.signature),
        _ => None,
    }
}

/// The amount of a command that moves money in or out.
pub(crate) fn amount_of(command: &mut Command) -> Option<&mut AttoFil> {
    match command {
        Command::Withdraw { amount, .. }
        | Command::DepositToken { amount, .. }
        | Command::DepositTokenWithPermit { amount, .. }
        | Command::DepositTokenWithAuthorization { amount, .. } => Some(amount),
        Command::Multicall { calls } => calls.iter_mut().find_map(amount_of),
        _ => None,
    }
}

/// What a command may have changed.
#[derive(Default)]
pub(crate) struct Touched<'c> {
    pub(crate) terms: Vec<&'c Terms>,
    pub(crate) accounts: Vec<Address>,
    pub(crate) salts: Vec<(Address, U256)>,
}

impl<'c> Touched<'c> {
    pub(crate) fn by(step: &'c Step) -> Self {
        let mut touched = Self { accounts: vec![step.sender], ..Self::default() };
        touched.add(step.sender, &step.command);
        for ScriptedCall { call: Call { sender, command, .. }, .. } in &step.script.calls {
            touched.accounts.push(*sender);
            if let ContractCommand::Market(command) = command {
                touched.add(*sender, command);
            }
        }
        touched.accounts.sort_unstable();
        touched.accounts.dedup();
        touched
    }

    fn add(&mut self, sender: Address, command: &'c Command) {
        match command {
            Command::Deposit { account }
            | Command::DepositToken { account, .. }
            | Command::DepositTokenWithPermit { account, .. }
            | Command::DepositTokenWithAuthorization { from: account, .. } => self.accounts.push(*account),
            Command::Withdraw { to, .. } => self.accounts.push(*to),
            Command::Revoke { lane, up_to } => {
                self.salts.extend([up_to.saturating_sub(1), *up_to].map(|number| (sender, salt(*lane, number))));
            }
            Command::Open { terms, .. }
            | Command::OpenSigned { terms, .. }
            | Command::OpenSignedAndLock { terms, .. }
            | Command::Lock { terms }
            | Command::Cancel { terms }
            | Command::Expire { terms }
            | Command::GiveUp { terms }
            | Command::SubmitResult { terms, .. }
            | Command::Dispute { terms } => self.add_terms(terms),
            Command::Award { terms, provider, .. } => {
                self.add_terms(terms);
                self.accounts.push(*provider);
            }
            Command::Accept { terms, receipt }
            | Command::Settle { terms, receipt }
            | Command::Rule { terms, receipt, .. }
            | Command::Lapse { terms, receipt }
            | Command::RetryCallback { terms, receipt } => {
                self.add_terms(terms);
                self.accounts.push(receipt.provider);
            }
            Command::SettleBatch { entries } => {
                for BatchEntry { terms, receipt, .. } in entries {
                    self.add_terms(terms);
                    self.accounts.push(receipt.provider);
                }
            }
            Command::Multicall { calls } => calls.iter().for_each(|call| self.add(sender, call)),
            Command::PublishSpec { .. } | Command::Announce { .. } => {}
        }
    }

    fn add_terms(&mut self, terms: &'c Terms) {
        self.terms.push(terms);
        self.salts.push((terms.client, terms.salt));
        self.accounts.extend([terms.client, terms.matcher, terms.arbiter]);
    }
}
