//! How much money can have come from one party to another over all ways together.

use std::collections::{BTreeMap, BinaryHeap};

use lota_market::{Address, AttoFil};

use super::Flows;

/// How many ways are taken one after the other, at most: each is a search through all parties.
const MAX_WAYS: usize = 256;

/// What can have come back, over all ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    pub amount: AttoFil,
    /// Whether it is all: there are more ways than are searched.
    pub is_all: bool,
}

/// What one party gave another, of which some is taken already.
struct Edge {
    to: usize,
    left: u128,
}

/// Edges stand in pairs: that after an edge with an even number leads back, and holds what was taken.
#[derive(Default)]
struct Network {
    edges: Vec<Edge>,
    of: Vec<Vec<usize>>,
}

impl Network {
    fn add(&mut self, from: usize, to: usize, amount: u128) {
        for (at, to, left) in [(from, to, amount), (to, from, 0)] {
            self.of[at].push(self.edges.len());
            self.edges.push(Edge { to, left });
        }
    }

    /// The widest way (Dijkstra's algorithm, with the narrowest edge for the length), by its edges from the end on.
    fn widest(&self, from: usize, to: usize) -> Option<(u128, Vec<usize>)> {
        let mut width = vec![0; self.of.len()];
        let mut by = vec![None; self.of.len()];
        width[from] = u128::MAX;
        let mut open = BinaryHeap::from([(u128::MAX, from)]);
        while let Some((wide, at)) = open.pop() {
            if at == to {
                break;
            }
            if wide < width[at] {
                continue;
            }
            for &number in &self.of[at] {
                let edge = &self.edges[number];
                let wide = wide.min(edge.left);
                if wide > width[edge.to] {
                    width[edge.to] = wide;
                    by[edge.to] = Some(number);
                    open.push((wide, edge.to));
                }
            }
        }
        let mut way = Vec::new();
        let mut at = to;
        while at != from {
            let number = by[at]?;
            way.push(number);
            at = self.edges[number ^ 1].to;
        }
        Some((width[to], way))
    }

    fn take(&mut self, amount: u128, way: &[usize]) {
        for &number in way {
            self.edges[number].left -= amount;
            let back = &mut self.edges[number ^ 1].left;
            *back = back.saturating_add(amount);
        }
    }
}

impl Flows {
    /// How much can have come from one party to another, over all ways of at most `hops` steps together; not searched any further than
    /// `enough`.
    ///
    /// Ford and Fulkerson's algorithm with the widest way first, over what is on such ways. Parts of them can make longer ways, too, so it
    /// is never less than what came over those that are short enough, and it may be more.
    #[must_use]
    pub fn total(&self, from: Address, to: Address, hops: usize, enough: AttoFil) -> Total {
        let mut total = Total { amount: AttoFil::ZERO, is_all: true };
        if from == to {
            return total;
        }
        let (mut network, numbers) = self.between(from, to, hops);
        let (Some(&from), Some(&to)) = (numbers.get(&from), numbers.get(&to)) else { return total };
        for _ in 0..MAX_WAYS {
            if total.amount >= enough {
                return total;
            }
            let Some((amount, way)) = network.widest(from, to) else { return total };
            network.take(amount, &way);
            total.amount = AttoFil(total.amount.0.saturating_add(amount));
        }
        total.is_all = total.amount >= enough || network.widest(from, to).is_none();
        total
    }

    /// What is on a way of at most so many steps, and the parties' numbers in it.
    fn between(&self, from: Address, to: Address, hops: usize) -> (Network, BTreeMap<Address, usize>) {
        let edges =
            || self.0.iter().flat_map(|(giver, given)| given.iter().map(|(taker, amount)| (*giver, *taker, *amount)));
        let (mut takers, mut givers) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (giver, taker, _) in edges() {
            takers.entry(giver).or_default().push(taker);
            givers.entry(taker).or_default().push(giver);
        }
        let (after, before) = (steps(from, &takers, hops), steps(to, &givers, hops));
        let mut network = Network::default();
        let mut numbers = BTreeMap::new();
        for (giver, taker, amount) in edges() {
            let (Some(first), Some(last)) = (after.get(&giver), before.get(&taker)) else { continue };
            if first + 1 + last <= hops {
                let [giver, taker] = [giver, taker].map(|party| {
                    *numbers.entry(party).or_insert_with(|| {
                        network.of.push(Vec::new());
                        network.of.len() - 1
                    })
                });
                network.add(giver, taker, amount.0);
            }
        }
        (network, numbers)
    }
}

/// How many steps everybody is away, as far as there.
fn steps(from: Address, next: &BTreeMap<Address, Vec<Address>>, hops: usize) -> BTreeMap<Address, usize> {
    let mut steps = BTreeMap::from([(from, 0)]);
    let mut frontier = vec![from];
    for step in 1..=hops {
        let mut reached = Vec::new();
        for party in frontier.iter().flat_map(|party| next.get(party)).flatten() {
            if !steps.contains_key(party) {
                steps.insert(*party, step);
                reached.push(*party);
            }
        }
        frontier = reached;
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::review::MAX_STEPS;

    const ENDLESS: AttoFil = AttoFil(u128::MAX);

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

    fn all(amount: u128) -> Total {
        Total { amount: AttoFil(amount), is_all: true }
    }

    #[test]
    fn many_narrow_ways_are_one_wide_one() {
        let split: Vec<_> = (10..21).flat_map(|n| [(0, n, 9), (n, 1, 9)]).collect();
        let flows = flows(&split);
        assert_eq!(flows.total(party(0), party(1), MAX_STEPS, ENDLESS), all(99));
        assert_eq!(flows.total(party(0), party(1), MAX_STEPS, AttoFil(20)), all(27), "no further than is enough");
        assert_eq!(flows.total(party(0), party(1), 1, ENDLESS), all(0));
        assert_eq!(flows.total(party(0), party(0), MAX_STEPS, ENDLESS), all(0));
        assert_eq!(flows.total(party(0), party(99), MAX_STEPS, ENDLESS), all(0));
    }

    #[test]
    fn more_ways_than_are_searched_are_said_to_be_more() {
        let mut flows = Flows::default();
        for n in 0..300_u64 {
            let between = Address::left_padding_from(&(n + 1_000).to_be_bytes());
            flows.add(party(0), between, AttoFil(1));
            flows.add(between, party(1), AttoFil(1));
        }
        let total = flows.total(party(0), party(1), MAX_STEPS, ENDLESS);
        assert_eq!(total, Total { amount: AttoFil(256), is_all: false });
        assert!(flows.total(party(0), party(1), MAX_STEPS, AttoFil(256)).is_all);
    }

    #[test]
    fn the_widest_way_does_not_stand_in_the_way_of_others() {
        // The widest way takes from both of two others, and uses up their middles.
        let flows = flows(&[(0, 2, 10), (2, 3, 10), (3, 1, 10), (0, 3, 9), (2, 1, 9)]);
        assert_eq!(flows.total(party(0), party(1), MAX_STEPS, ENDLESS), all(19));
    }

    /// The least that parts two parties, over all ways of parting the others (the max-flow min-cut theorem).
    fn least_cut(flows: &Flows, parties: u8) -> u128 {
        (0_u32..1 << (parties - 2))
            .map(|choice| {
                let here = |party: u8| party == 0 || (party > 1 && choice >> (party - 2) & 1 == 1);
                let mut cut = 0;
                for giver in (0..parties).filter(|giver| here(*giver)) {
                    for taker in (0..parties).filter(|taker| !here(*taker)) {
                        cut += flows.direct(party(giver), party(taker)).0;
                    }
                }
                cut
            })
            .min()
            .unwrap_or_default()
    }

    proptest! {
        #[test]
        fn it_is_the_least_cut(edges in prop::collection::vec((0_u8..7, 0_u8..7, 1_u128..30), 0..30), hops in 1_usize..6) {
            let flows = flows(&edges);
            prop_assert_eq!(flows.total(party(0), party(1), 6, ENDLESS), all(least_cut(&flows, 7)));
            let few = flows.total(party(0), party(1), hops, ENDLESS).amount;
            let widest = flows.widest(party(0), party(1), hops).map_or(AttoFil::ZERO, |way| way.amount);
            prop_assert!(few >= widest);
            prop_assert_eq!(few == AttoFil::ZERO, widest == AttoFil::ZERO);
        }
    }
}
