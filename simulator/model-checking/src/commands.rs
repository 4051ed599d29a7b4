//! What everybody may try in a world: every command, also by those whom it does not belong to.

use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    auction::{self, Bid},
    model::{BatchEntry, Command, JobResult, Lane, Receipt, Status, Terms, Verdict},
    world::{Call, ContractCommand, World},
};

use crate::scene::{AUCTION, Callbacks, EVERYBODY, MARKET, PROVIDERS, Scene, commitment, signature_of};

/// A call that somebody may try, and what clients' code does then.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub call: Call,
    pub callbacks: Callbacks,
}

/// Everything that anybody may try.
#[must_use]
pub fn attempts(scene: &Scene, world: &World) -> Vec<Attempt> {
    let mut list = List { scene, found: Vec::with_capacity(256) };
    for sender in EVERYBODY {
        for index in 0..scene.jobs.len() {
            list.openings(sender, index);
            list.life(world, sender, index);
            list.auction(sender, index);
        }
        if scene.withdrawals {
            list.withdrawals(world, sender);
        }
    }
    list.found
}

struct List<'a> {
    scene: &'a Scene,
    found: Vec<Attempt>,
}

impl List<'_> {
    fn push(&mut self, sender: Address, value: AttoFil, command: impl Into<ContractCommand>) {
        let command = command.into();
        let contract = if command_is_auctions(&command) { AUCTION } else { MARKET };
        self.found.push(Attempt { call: Call { sender, contract, value, command }, callbacks: Callbacks::Return });
    }

    fn market(&mut self, sender: Address, command: Command) {
        self.push(sender, AttoFil::ZERO, command);
    }

    /// A command that may end a job: clients' code may take part.
    fn ending(&mut self, sender: Address, terms: &Terms, command: Command) {
        if terms.callback_gas > 0 {
            self.market(sender, command.clone());
            if let Some(last) = self.found.last_mut() {
                last.callbacks = Callbacks::Fail;
            }
        }
        self.market(sender, command);
    }

    fn openings(&mut self, sender: Address, index: usize) {
        let terms = &self.scene.jobs[index];
        let open = || Command::Open { terms: terms.clone(), spec: Bytes::new() };
        self.market(sender, open());
        if self.scene.purse > 0 {
            self.push(sender, terms.max_price, open());
        }
        if !self.scene.signatures {
            return;
        }
        // A signature of the client's, and one of the sender's own.
        for signature in [signature_of(terms.client), signature_of(sender)] {
            let (terms, spec) = (terms.clone(), Bytes::new());
            self.market(
                sender,
                Command::OpenSigned { terms: terms.clone(), spec: spec.clone(), signature: signature.clone() },
            );
            self.market(
                sender,
                Command::OpenSignedAndLock { terms: terms.clone(), spec, signature: signature.clone() },
            );
            let receipt = Receipt { provider: PROVIDERS[0], price: terms.min_price, result: JobResult::default() };
            let entry = BatchEntry { terms, receipt, until: Time(1), signature };
            self.market(sender, Command::SettleBatch { entries: vec![entry.clone()] });
            self.market(sender, Command::SettleBatch { entries: vec![entry.clone(), entry] });
        }
        let signed = |terms: &Terms| Command::OpenSigned {
            terms: terms.clone(),
            spec: Bytes::new(),
            signature: signature_of(terms.client),
        };
        if sender == terms.client {
            // Strangers may revoke their own salts, which only makes more states of the same.
            self.market(sender, Command::Revoke { lane: Lane::ZERO, up_to: 1 });
            let cancel = Command::Cancel { terms: terms.clone() };
            self.market(sender, Command::Multicall { calls: vec![open(), cancel, open()] });
        }
        let other = &self.scene.jobs[(index + 1) % self.scene.jobs.len()];
        self.market(sender, Command::Multicall { calls: vec![signed(terms), signed(other)] });
        self.market(
            sender,
            Command::Multicall {
                calls: vec![
                    Command::OpenSignedAndLock {
                        terms: terms.clone(),
                        spec: Bytes::new(),
                        signature: signature_of(terms.client),
                    },
                    Command::SubmitResult { terms: terms.clone(), result: JobResult::default() },
                ],
            },
        );
    }

    fn life(&mut self, world: &World, sender: Address, index: usize) {
        let terms = &self.scene.jobs[index];
        let deal = world.market(MARKET).map(|market| market.deal(Scene::job(index)));
        let Some(deal) = deal else { return };
        if deal.status == Status::None {
            // Nothing is known of it: one command of each kind of look-up is enough.
            self.market(sender, Command::Expire { terms: terms.clone() });
            self.market(sender, Command::Lock { terms: terms.clone() });
            return;
        }
        let own = || terms.clone();
        let result = JobResult { exit_code: 7, ..JobResult::default() };
        self.market(sender, Command::Lock { terms: own() });
        self.market(sender, Command::Dispute { terms: own() });
        self.market(sender, Command::Award { terms: own(), provider: sender, price: terms.min_price });
        self.ending(sender, terms, Command::Cancel { terms: own() });
        self.ending(sender, terms, Command::Expire { terms: own() });
        self.ending(sender, terms, Command::GiveUp { terms: own() });
        self.ending(sender, terms, Command::SubmitResult { terms: own(), result });
        let true_receipt = deal.receipt.cloned().unwrap_or_default();
        let forged = Receipt { provider: sender, price: terms.max_price, ..true_receipt.clone() };
        for receipt in [true_receipt, forged] {
            let receipt = || receipt.clone();
            self.ending(sender, terms, Command::Accept { terms: own(), receipt: receipt() });
            self.ending(sender, terms, Command::Settle { terms: own(), receipt: receipt() });
            self.ending(sender, terms, Command::Lapse { terms: own(), receipt: receipt() });
            self.ending(sender, terms, Command::RetryCallback { terms: own(), receipt: receipt() });
            for verdict in [Verdict::Upheld, Verdict::Overturned, Verdict::Void] {
                self.ending(sender, terms, Command::Rule { terms: own(), receipt: receipt(), verdict });
            }
        }
    }

    fn auction(&mut self, sender: Address, index: usize) {
        let terms = &self.scene.jobs[index];
        if terms.matcher != AUCTION {
            return;
        }
        let own = || terms.clone();
        for price in self.scene.bids.iter().copied() {
            let bid = Bid { job: Scene::job(index), bidder: sender, price, nonce: B256::ZERO };
            self.auctions(sender, auction::Command::Commit { terms: own(), commitment: commitment(&bid) });
            self.auctions(sender, auction::Command::Reveal { terms: own(), price, nonce: bid.nonce });
        }
        self.auctions(sender, auction::Command::Award { terms: own() });
        self.auctions(sender, auction::Command::Cancel { terms: own() });
        self.auctions(sender, auction::Command::Release { terms: own() });
        self.auctions(sender, auction::Command::Sweep { terms: own(), bidders: PROVIDERS.to_vec() });
        if terms.callback_gas > 0
            && let Some(last) = self.found.iter().rposition(|attempt| {
                matches!(&attempt.call.command, ContractCommand::Auction(auction::Command::Cancel { .. }))
            })
        {
            let failing = Attempt { callbacks: Callbacks::Fail, ..self.found[last].clone() };
            self.found.push(failing);
        }
    }

    fn auctions(&mut self, sender: Address, command: auction::Command) {
        self.push(sender, AttoFil::ZERO, command);
    }

    /// All that somebody has, and more.
    fn withdrawals(&mut self, world: &World, sender: Address) {
        let market = world.market(MARKET).map_or(AttoFil::ZERO, |market| market.balance(sender));
        let auction = world.auction(AUCTION).map_or(AttoFil::ZERO, |auction| auction.balance(sender));
        for more in [0, 1] {
            if market.0 + more > 0 {
                self.market(sender, Command::Withdraw { to: sender, amount: AttoFil(market.0 + more) });
            }
            if auction.0 + more > 0 {
                self.auctions(sender, auction::Command::Withdraw { to: sender, amount: AttoFil(auction.0 + more) });
            }
        }
    }
}

const fn command_is_auctions(command: &ContractCommand) -> bool {
    matches!(command, ContractCommand::Auction(_))
}
