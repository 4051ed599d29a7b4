//! The ledger: who has how much where, and why every amount moved. What the contracts say is folded by [`lota_market::movements`]; what
//! comes out is an audit of them: [`Ledger::check`] compares it with what they hold.

mod csv;

use lota_market::{
    Address, AttoFil,
    movements::{Accounts, Holdings, Movement, Pocket},
    world::Log,
};

use crate::{
    chain::{AUCTION, Chain},
    queue::VirtualTime,
    state::State,
    summary::kept,
};

pub use csv::CsvSink;

/// Takes every movement as it happens. `()` takes none, and costs nothing.
pub trait Sink {
    /// One more movement.
    ///
    /// # Errors
    /// When it cannot be written; then the simulation ends.
    fn movement(&mut self, time: VirtualTime, movement: &Movement) -> std::io::Result<()>;

    /// How often the market's state is wanted, in virtual time; `None`: never.
    fn every(&self) -> Option<VirtualTime> {
        None
    }

    /// The market's state at one of these moments.
    ///
    /// # Errors
    /// When it cannot be written; then the simulation ends.
    fn state(&mut self, _: &State) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for () {
    fn movement(&mut self, _: VirtualTime, _: &Movement) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Vec<Movement> {
    fn movement(&mut self, _: VirtualTime, movement: &Movement) -> std::io::Result<()> {
        self.push(*movement);
        Ok(())
    }
}

/// Who has how much where.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Accounts,
    minted: AttoFil,
    burned: AttoFil,
    /// What moved by the events that are taken in; kept for its memory.
    moved: Vec<Movement>,
}

impl Ledger {
    /// What somebody has.
    #[must_use]
    pub fn of(&self, account: Address) -> Holdings {
        self.accounts.of(account)
    }

    /// What was burned.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.burned
    }

    /// Money was made in somebody's wallet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn minted(
        &mut self,
        time: VirtualTime,
        account: Address,
        amount: AttoFil,
        sink: &mut dyn Sink,
    ) -> std::io::Result<()> {
        self.minted = AttoFil(self.minted.0.saturating_add(amount.0));
        self.accounts.minted(account, amount, &mut self.moved);
        self.tell(time, sink)
    }

    /// Takes in what the contracts said of one command.
    ///
    /// # Errors
    /// When a movement cannot be written.
    pub fn take_in(&mut self, time: VirtualTime, log: &[Log], sink: &mut dyn Sink) -> std::io::Result<()> {
        for said in log {
            self.accounts.take(said, &mut self.moved);
        }
        self.tell(time, sink)
    }

    fn tell(&mut self, time: VirtualTime, sink: &mut dyn Sink) -> std::io::Result<()> {
        for movement in self.moved.drain(..) {
            if movement.to.pocket == Pocket::Burned {
                self.burned = AttoFil(self.burned.0.saturating_add(movement.amount.0));
            }
            sink.movement(time, &movement)?;
        }
        Ok(())
    }

    /// Compares all of this with what wallets and contracts hold.
    ///
    /// # Errors
    /// The first difference: then the contracts have said something else than they did.
    pub fn check(&self, chain: &Chain) -> Result<(), String> {
        let (world, market, auction) = (chain.world(), chain.market(), chain.auction());
        let same = |what: &str, here: AttoFil, there: AttoFil| {
            if here == there { Ok(()) } else { Err(format!("{what}: the ledger has {here}, the chain {there}")) }
        };
        let (mut escrow, mut collateral, mut burned, mut all) = (0_u128, 0_u128, 0_u128, 0_u128);
        for (account, holdings) in self.accounts.all() {
            // The collateral of an award goes through the auction's own hands, and stays in none of them.
            let wallet = if account == AUCTION { AttoFil::ZERO } else { world.wallet(account) };
            same(&format!("wallet of {account}"), holdings.wallet, wallet)?;
            same(&format!("balance of {account}"), holdings.market, market.balance(account))?;
            same(&format!("auction account of {account}"), holdings.auction, auction.balance(account))?;
            escrow += holdings.escrow.0;
            collateral += holdings.collateral.0;
            burned += holdings.burned.0;
            all += kept(&holdings).0;
        }
        same("escrow", AttoFil(escrow), market.escrowed())?;
        same("collateral", AttoFil(collateral), market.collateral())?;
        same("burned", AttoFil(burned), AttoFil(market.burned().0.saturating_add(auction.burned().0)))?;
        same("all money", AttoFil(all + burned), world.minted())?;
        same("minted", self.minted, world.minted())
    }
}
