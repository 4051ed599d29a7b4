//! Clients that cost this party gas for nothing: their callbacks fail, or they cancel auctions that it was about to bid in.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// After so many times it has no more to do with them: a callback that works when it is tried out and fails when it is paid for is
/// meant to, and so is an auction that is cancelled again when bidders have brought money for it.
const DROPPED_AFTER: u32 = 2;
/// Of how many clients it is remembered. Of more, those with the fewest times are forgotten; one that is dropped never is.
const MOST: usize = 1_024;

/// How often clients cost this party gas for nothing, in one of these ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CostlyClients(BTreeMap<Address, u32>);

impl CostlyClients {
    /// Once more.
    pub(super) fn count(&mut self, client: Address) {
        let failures = self.0.entry(client).or_default();
        *failures = failures.saturating_add(1);
        if self.0.len() > MOST {
            let others = self.0.iter().filter(|(who, failures)| **who != client && **failures < DROPPED_AFTER);
            let forgotten = others.min_by_key(|(_, failures)| **failures).map_or(client, |(who, _)| *who);
            self.0.remove(&forgotten);
        }
    }

    /// How often, if that is too often.
    pub(super) fn dropped(&self, client: Address) -> Option<u32> {
        self.0.get(&client).copied().filter(|failures| *failures >= DROPPED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_clients_there_are_the_worst_are_remembered() {
        let client = |number: usize| Address::left_padding_from(&number.to_be_bytes());
        let mut costly = CostlyClients::default();
        assert_eq!(costly.dropped(client(0)), None);
        costly.count(client(0));
        assert_eq!(costly.dropped(client(0)), None, "once may be bad luck");
        costly.count(client(0));
        for number in 1..=3 * MOST {
            costly.count(client(number));
        }
        assert_eq!((costly.0.len(), costly.dropped(client(0))), (MOST, Some(2)));
        // Nor can a crowd of dropped ones, and one more, make it forget one of them.
        for number in (1..MOST).flat_map(|number| [number, number]) {
            costly.count(client(number));
        }
        costly.count(client(4 * MOST));
        assert!((0..MOST).all(|number| costly.dropped(client(number)).is_some()));
    }
}
