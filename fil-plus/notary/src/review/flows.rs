//! Money between parties, and the widest way that it can have taken.

use std::collections::BTreeMap;

use lota_market::{Address, AttoFil};

/// The longest way that money is followed, in steps.
pub const MAX_STEPS: usize = 5;

/// What parties gave each other in all.
#[derive(Clone, Debug, Default)]
pub struct Flows(pub(super) BTreeMap<Address, BTreeMap<Address, AttoFil>>);

/// A way that money can have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Who had it, one after the other, both ends included.
    pub parties: Vec<Address>,
    /// The least that any of them gave to the next.
    pub amount: AttoFil,
}

impl Flows {
    /// Adds what one party gave to another; what one gives to oneself is nothing.
    pub fn add(&mut self, from: Address, to: Address, amount: AttoFil) {
        if from != to && amount != AttoFil::ZERO {
            let sum = self.0.entry(from).or_default().entry(to).or_default();
            *sum = AttoFil(sum.0.saturating_add(amount.0));
        }
    }

    /// What `from` gave to `to` itself.
    #[must_use]
    pub fn direct(&self, from: Address, to: Address) -> AttoFil {
        self.0.get(&from).and_then(|given| given.get(&to)).copied().unwrap_or_default()
    }

    /// The way of at most `hops` steps that most can have taken; of equally wide ones, the shortest.
    ///
    /// For each number of steps the widest way to each party: a way that visits somebody twice is never wider than the shorter one
    /// without the detour, which was found before.
    #[must_use]
    pub fn widest(&self, from: Address, to: Address, hops: usize) -> Option<Way> {
        let mut reached = BTreeMap::from([(from, AttoFil(u128::MAX))]);
        // For each number of steps: by whom each was reached.
        let mut by: Vec<BTreeMap<Address, Address>> = Vec::new();
        let mut best: Option<(AttoFil, usize)> = None;
        for step in 0..hops {
            let mut next = BTreeMap::<Address, AttoFil>::new();
            let mut givers = BTreeMap::new();
            for (&giver, &width) in reached.iter().filter(|(party, _)| **party != to) {
                for (&taker, &given) in self.0.get(&giver).into_iter().flatten() {
                    let width = width.min(given);
                    if taker != from && next.get(&taker).is_none_or(|known| *known < width) {
                        next.insert(taker, width);
                        givers.insert(taker, giver);
                    }
                }
            }
            by.push(givers);
            if let Some(&width) = next.get(&to)
                && best.is_none_or(|(known, _)| known < width)
            {
                best = Some((width, step));
            }
            if next.is_empty() {
                break;
            }
            reached = next;
        }
        let (amount, last) = best?;
        let mut parties = vec![to];
        for givers in by[..=last].iter().rev() {
            let giver = parties.last().and_then(|party| givers.get(party))?;
            parties.push(*giver);
        }
        parties.reverse();
        Some(Way { parties, amount })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn party(number: u8) -> Address {
        Address::with_last_byte(number)
    }

    fn flows(edges: &[(u8, u8, u128)]) -> Flows {
        let mut flows = Flows::default();
        for &(from, to, amount) in edges {
            flows.add(party(from), party(to), AttoFil(amount));
        }
        flows
    }

    #[test]
    fn the_widest_way_wins_and_of_equal_ones_the_shortest() {
        let flows = flows(&[(1, 2, 5), (1, 3, 50), (3, 2, 40), (3, 4, 45), (4, 2, 40)]);
        let way = flows.widest(party(1), party(2), 4).expect("a way");
        assert_eq!(way, Way { parties: vec![party(1), party(3), party(2)], amount: AttoFil(40) });
        assert_eq!(flows.widest(party(1), party(2), 1).expect("a way").amount, AttoFil(5));
        assert_eq!(flows.widest(party(2), party(1), 4), None);
    }

    #[test]
    fn what_one_gives_oneself_is_nothing_and_sums_stop_at_the_largest() {
        let flows = flows(&[(1, 1, 9), (1, 2, u128::MAX), (1, 2, 1)]);
        assert_eq!(flows.direct(party(1), party(1)), AttoFil::ZERO);
        assert_eq!(flows.direct(party(1), party(2)), AttoFil(u128::MAX));
    }

    /// All simple ways, by hand.
    fn by_hand(flows: &Flows, at: Address, to: Address, hops: usize, seen: &mut BTreeSet<Address>) -> Option<u128> {
        if at == to {
            return Some(u128::MAX);
        }
        if hops == 0 {
            return None;
        }
        seen.insert(at);
        let mut best = None;
        for (&next, &given) in flows.0.get(&at).into_iter().flatten() {
            if !seen.contains(&next)
                && let Some(rest) = by_hand(flows, next, to, hops - 1, seen)
            {
                best = best.max(Some(rest.min(given.0)));
            }
        }
        seen.remove(&at);
        best
    }

    proptest! {
        #[test]
        fn no_simple_way_is_wider(edges in prop::collection::vec((0_u8..7, 0_u8..7, 1_u128..30), 0..25), hops in 1_usize..6) {
            let flows = flows(&edges);
            let way = flows.widest(party(0), party(1), hops);
            prop_assert_eq!(way.as_ref().map(|way| way.amount.0), by_hand(&flows, party(0), party(1), hops, &mut BTreeSet::new()));
            if let Some(way) = way {
                let parties: BTreeSet<_> = way.parties.iter().collect();
                prop_assert_eq!(parties.len(), way.parties.len(), "nobody twice");
                prop_assert!(way.parties.len() <= hops + 1);
                let least = way.parties.windows(2).map(|pair| flows.direct(pair[0], pair[1])).min();
                prop_assert_eq!(least, Some(way.amount));
            }
        }
    }
}
