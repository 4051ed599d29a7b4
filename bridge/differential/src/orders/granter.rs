//! `FilecoinPayGranter` beside the deals: one payer sponsors grants, and the one with code is the blessing that asks for them, so that grants
//! are made from within payments, too.

use lota_bridge::evm::{Granter as Deployed, granters};
use lota_market::{
    Address, Bytes, U256,
    filecoin_pay::{
        self,
        rails::{Event as RailEvent, Promised, Rails, Rejection as RailRejection},
    },
    granter::{Event, Granter, Kind, Rejection},
    world::{ContractCommand, ContractEvent, Log as WorldLog, Script},
};

use super::{Ask, GRACE, GRANTER, OrderMutant, PAY, Step, comparison::Comparison};
use crate::{
    actors::ActorStep,
    beside::{Difference, same},
    chain::EPOCH_SECONDS,
    filecoin_pay as stand_in,
    oracle::Oracle,
};

/// Whether something could be granted: `checkGrant`, asked of both sides after a step.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) provider: Address,
    pub(super) recipient: Bytes,
    pub(super) amount: U256,
}

/// The bytecode that deploys it.
pub(super) fn deployment(blessing: Address, token: Address, sponsor: Address) -> Bytes {
    Deployed::FilecoinPay { filecoin_pay: PAY, token, sponsor, epoch_seconds: EPOCH_SECONDS, grace: GRACE }
        .deployment(blessing)
}

/// Its twin.
pub(super) fn twin(token: Address, sponsor: Address) -> Kind {
    Kind::FilecoinPay { sponsor, rails: Box::new(Rails::new(PAY, token, EPOCH_SECONDS, GRACE)) }
}

/// What it refuses, as the twin says it; `None` when nobody here refuses so.
pub(super) fn refusal(data: &[u8]) -> Option<String> {
    let of_pay = || stand_in::revert(data).map(|rejection| Rejection::Rails(RailRejection::FilecoinPay(rejection)));
    granters::bindings::revert(data).ok().or_else(of_pay).map(|rejection| in_words(&rejection))
}

/// The same of the twin.
pub(super) fn in_words(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Rails(rejection) => format!("granter: {rejection:?}"),
        rejection => format!("granter: {rejection:?}"),
    }
}

/// What a step that it was part of came to.
pub(super) fn feats(both: &Comparison<'_>, step: &Step, log: &[WorldLog]) -> Vec<String> {
    let is_asked = matches!(step.ask, Ask::Command(ContractCommand::Granter(_)));
    let opens =
        |log: &WorldLog| matches!(log.event, ContractEvent::Granter(Event::Rails(RailEvent::RailOpened { .. })));
    let feat = |WorldLog { event, .. }: &WorldLog| match event {
        ContractEvent::Granter(Event::GrantLocked { .. }) if !is_asked => Some("a grant from within a payment"),
        ContractEvent::Granter(Event::GrantLocked { .. }) if log.iter().any(opens) => Some("a grant"),
        ContractEvent::Granter(Event::GrantLocked { .. }) => Some("a grant again on its rail"),
        ContractEvent::Granter(Event::Rails(RailEvent::RailClosing { .. })) => Some("a closing rail of grants"),
        ContractEvent::Granter(Event::Rails(RailEvent::RailPaid { rail, .. })) => {
            let closes = both.pay().rail(*rail).is_some_and(|rail| rail.is_terminated());
            Some(if closes { "grants paid on a closing rail" } else { "grants paid" })
        }
        // What was not paid in time is the sponsor's again.
        ContractEvent::FilecoinPay(filecoin_pay::Event::RailFinalized { rail })
            if both.grant_rails().promised(*rail).needed != 0 =>
        {
            Some("wound up with grants")
        }
        _ => None,
    };
    log.iter().filter_map(feat).map(str::to_owned).collect()
}

impl Comparison<'_> {
    /// Who asks for grants.
    pub(super) fn blessing(&self) -> Address {
        self.stage.cast.scripted().address
    }

    /// Who pays for them.
    pub(super) fn sponsor(&self) -> Address {
        self.payers[1]
    }

    pub(super) fn granter(&self) -> &Granter {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.stage.world.granter(GRANTER).expect("is there from the beginning")
    }

    pub(super) fn grant_rails(&self) -> &Rails {
        #[expect(clippy::expect_used, reason = "`new` puts one there that has some")]
        self.granter().rails().expect("it pays over Filecoin Pay")
    }

    /// What it has promised on a rail.
    pub(super) fn compare_grants_of(&mut self, rail: U256) -> Result<(), Difference> {
        let found = self.stage.chain.view_at(GRANTER, &granters::bindings::promised(rail));
        let Promised { needed, due } = self.grant_rails().promised(rail);
        let due = if self.is(OrderMutant::GrantNotDue) { 0 } else { due };
        same(format!("what is granted on rail {rail}"), &found, &Ok((U256::from(needed), U256::from(due))))
    }

    /// On which rails it pays whom.
    pub(super) fn compare_grant_pairs(&mut self, payer: Address) -> Result<(), Difference> {
        let payees = self.grant_rails().pairs().filter(|pair| pair.0 == payer).map(|pair| pair.1);
        for payee in payees.chain(self.providers.clone()).collect::<Vec<_>>() {
            let name = self.stage.cast.name(format_args!("the rail of grants from {payer:?} to {payee:?}"));
            let found = self.stage.chain.view_at(GRANTER, &granters::bindings::rail_of(payer, payee));
            same(name, &found, &Ok(self.grant_rails().rail_of(payer, payee).unwrap_or_default()))?;
        }
        Ok(())
    }

    /// All that is granted is due, and locked until its rail has ended; nothing else is stored.
    pub(super) fn compare_grant_sums(&mut self) -> Result<(), Difference> {
        let rails = self.grant_rails();
        for (rail, Promised { needed, due }) in rails.all_promised() {
            same(format!("what is due of the grants on rail {rail}"), &due, &needed)?;
            let locked = self.pay().rail(rail).map(|rail| rail.lockup_fixed);
            let holds = locked.is_none_or(|locked| locked >= U256::from(needed));
            same(format!("that the grants on rail {rail} are locked"), &holds, &true)?;
        }
        let slots = rails.pairs().count() + rails.all_promised().count();
        same("how many slots the granter uses", &self.stage.chain.slots(GRANTER), &slots)
    }

    /// What both sides say could be granted; says what it came to.
    pub(super) fn probe(&mut self, step: &Step) -> Result<String, Difference> {
        let Probe { provider, recipient, amount } = &step.probe;
        let data = granters::bindings::check_grant(*provider, recipient, *amount);
        let found = self.stage.chain.ask(GRANTER, data);
        let found = found.map_err(|data| refusal(&data).unwrap_or_else(|| data.to_string()));
        let (script, conduct) = (Script::default(), Default::default());
        let oracle = Oracle {
            cast: self.stage.cast,
            ids: &self.stage.ids,
            now: step.at,
            foreign_chain: step.foreign_chain,
            script: &script,
            conduct: &conduct,
            mutant: None,
            pending: Default::default(),
            actors: &ActorStep::default(),
            recorded: Vec::new(),
        };
        let expected = self.stage.world.check_grant(GRANTER, *provider, recipient, *amount, &oracle);
        let expected = expected.map(|expected| expected.map_err(|rejection| in_words(&rejection)));
        let name = self.stage.cast.name(format_args!("whether {amount} can be granted to {recipient:?}"));
        same(name, &Some(found), &expected)?;
        Ok(match expected {
            Some(Err(refusal)) => kind(&refusal).map_or(refusal, |kind| format!("foreseen: {kind}")),
            _ => "foreseen: a grant".to_owned(),
        })
    }
}

/// A refusal of the granter by its name.
pub(super) fn kind(refusal: &str) -> Option<String> {
    let refusal = refusal.strip_prefix("granter: ")?;
    let (of, rest) = refusal.strip_prefix("FilecoinPay(").map_or(("", refusal), |rest| ("FilecoinPay(", rest));
    Some(format!("granter refused: {of}{}", rest.split(['(', ' ', '{', ')']).next().unwrap_or_default()))
}
