//! Databases of yesterday: what a node did since then is on the chain, and is not done again.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    kills::Who,
    market::{Kind, Market},
    party::copy,
    wire::{Moment, Trap},
};

impl Market {
    fn backup(&mut self, who: Who, name: &str) -> PathBuf {
        let party = self.party(who);
        let to = party.home.place(name);
        copy(&party.folder(), &to);
        to
    }

    /// Kills a node, and has it begin again from a backup.
    fn restore(&mut self, who: Who, backup: &Path) {
        let party = self.party(who);
        party.kill();
        std::fs::remove_dir_all(party.folder()).expect("removed");
        copy(backup, &party.folder());
        party.start();
        party.wait();
        *self.figures.others.entry("restored backups").or_default() += 1;
    }

    fn does(&mut self, kind: Kind) {
        let number = self.ask(kind);
        let begun = Instant::now();
        while !self.is_done(number) {
            self.give_up_after(begun, number);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The backup is of the moment in which a transaction was signed, and either sent or not.
fn of_the_moment(market: &mut Market, who: Who, moment: Moment, nth: u64) {
    let victim = market.party(who).id();
    market.party(who).wire.set(Trap { method: "eth_sendRawTransaction", moment, nth, victim });
    let number = market.ask(Kind::Echo);
    let begun = Instant::now();
    while !market.party(who).wire.has_sprung() {
        market.give_up_after(begun, number);
        thread::sleep(Duration::from_millis(10));
    }
    market.party(who).wire.take();
    market.figures.kills += 1;
    market.party(who).kill();
    let backup = market.backup(who, "backup");
    market.party(who).start();
    while !market.is_done(number) {
        market.give_up_after(begun, number);
        thread::sleep(Duration::from_millis(50));
    }
    // What takes nonces that the backup holds to be free.
    market.does(Kind::Fetch);
    market.restore(who, &backup);
    std::fs::remove_dir_all(&backup).expect("removed");
    market.does(Kind::Echo);
}

#[test]
fn a_database_of_yesterday_signs_nothing_twice() {
    let Some(mut market) = Market::open(false) else { return };
    market.does(Kind::Echo);
    for who in [Who::Provider, Who::Client] {
        market.party(who).kill();
        let old = market.backup(who, "old");
        market.party(who).start();
        market.party(who).wait();
        for (moment, nth) in [(Moment::Before, 1), (Moment::After, 1), (Moment::Before, 2), (Moment::After, 2)] {
            if who == Who::Provider || nth == 1 {
                of_the_moment(&mut market, who, moment, nth);
            }
        }
        market.restore(who, &old);
        market.does(Kind::Busy);
    }
    market.audit();
    market.figures.print("databases of yesterday");
}
