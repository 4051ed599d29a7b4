//! Salts: a window of numbers in each lane, which slides on as they are spent.

use lota_market::{
    Bytes, U256,
    model::{Command, Event, Lane, Rejection, SALT_WINDOW, Terms, salt},
};

use super::{Harness, Party};
use crate::SubmitError;

async fn next(party: &Party, lane: Lane) -> U256 {
    party.transport.next_salt(party.address(), lane).await.expect("the market can be reached")
}

/// Spends a salt with a job that needs no money.
async fn spend(client: &Party, salt: U256) -> Result<(), Rejection> {
    let terms = Terms { salt, min_price: Default::default(), max_price: Default::default(), ..client.terms(0).await };
    let open = Command::Open { terms, spec: Bytes::new() };
    match client.transport.submit(&client.fresh_key(), &open, Default::default()).await {
        Ok(_) => Ok(()),
        Err(SubmitError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("the job was not opened: {error}"),
    }
}

/// A hole holds the window back, and filling it lets the window slide past all that was spent ahead.
pub async fn salts_slide_past_what_is_spent(harness: &impl Harness) {
    let party = Party::connect(harness, "client").await;
    let client = party.address();
    assert_eq!(next(&party, Lane::ZERO).await, U256::ZERO);
    for number in [1, 2, SALT_WINDOW - 1] {
        spend(&party, U256::from(number)).await.expect("within the window");
    }
    assert_eq!(next(&party, Lane::ZERO).await, U256::ZERO);
    let too_far = U256::from(SALT_WINDOW);
    let refused = Rejection::SaltTooFar { client, salt: too_far, next: U256::ZERO };
    assert_eq!(spend(&party, too_far).await, Err(refused));
    spend(&party, U256::ZERO).await.expect("the lowest");
    assert_eq!(next(&party, Lane::ZERO).await, U256::from(3));
    spend(&party, too_far).await.expect("the window has moved");
    for (number, spent) in [(2, true), (3, false), (SALT_WINDOW - 1, true), (SALT_WINDOW + 1, false)] {
        assert_eq!(party.transport.is_spent(client, U256::from(number)).await, Ok(spent), "{number}");
    }
}

/// What is revoked is spent, and the window is above it; it never moves back.
pub async fn a_revoked_salt_opens_nothing(harness: &impl Harness) {
    let party = Party::connect(harness, "client").await;
    let client = party.address();
    for (up_to, wanted) in [(100, 100), (7, 100)] {
        let landed = party.send(Command::Revoke { lane: Lane::ZERO, up_to }).await;
        assert_eq!(landed.events, [Event::SaltsRevoked { client, lane: Lane::ZERO, up_to }]);
        assert_eq!(next(&party, Lane::ZERO).await, U256::from(wanted));
    }
    let spent = Rejection::SaltSpent { client, salt: U256::from(99) };
    assert_eq!(spend(&party, U256::from(99)).await, Err(spent));
    spend(&party, U256::from(100)).await.expect("the lowest");
}

/// Several machines of one key take a lane each.
pub async fn lanes_do_not_concern_each_other(harness: &impl Harness) {
    let party = Party::connect(harness, "client").await;
    let lane = Lane::MAX;
    party.send(Command::Revoke { lane, up_to: 5 }).await;
    spend(&party, salt(lane, 5)).await.expect("the lowest of its lane");
    assert_eq!(next(&party, lane).await, salt(lane, 6));
    assert_eq!(next(&party, Lane::ZERO).await, U256::ZERO);
    spend(&party, U256::ZERO).await.expect("the lowest of the other lane");
}
