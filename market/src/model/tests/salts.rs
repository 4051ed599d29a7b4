//! Lanes of salts, as clients use them.

use alloy_primitives::Bytes;

use super::script::*;
use crate::model::{Command, Event, Lane, Rejection, Terms, salt};

#[test]
fn revoked_salts_are_spent_and_only_those() {
    for lane in [Lane::ZERO, Lane::from(7), Lane::MAX] {
        let mut scene = Scene::new();
        let unused = scene.market().clone();
        scene.act(CLIENT, &Command::Revoke { lane, up_to: 0 }).expect("revokes nothing");
        assert_eq!(*scene.market(), unused);
        scene.news();
        scene.act(CLIENT, &Command::Revoke { lane, up_to: 300 }).expect("revokes");
        assert_eq!(scene.news(), [Event::SaltsRevoked { client: CLIENT, lane, up_to: 300 }]);
        for number in (0..600).chain([u64::MAX]) {
            let market = scene.market();
            assert_eq!(market.is_spent(CLIENT, salt(lane, number)), number < 300, "{number}");
            assert!(!market.is_spent(PROVIDER, salt(lane, number)));
            assert!(!market.is_spent(CLIENT, salt(lane.wrapping_add(Lane::from(1)), number)), "another lane");
        }
        assert_eq!(scene.market().next_salt(CLIENT, lane), salt(lane, 300));
        let moved = scene.market().clone();
        scene.act(CLIENT, &Command::Revoke { lane, up_to: 299 }).expect("says so, and changes nothing");
        assert_eq!(*scene.market(), moved);
    }
}

#[test]
fn each_lane_has_its_own_numbers() {
    let mut scene = Scene::new();
    let open = |lane: u64, number| {
        let terms = Terms { salt: salt(Lane::from(lane), number), ..terms(0) };
        Command::Open { terms, spec: Bytes::new() }
    };
    for lane in [0, 1, u64::MAX] {
        scene.act(CLIENT, &open(lane, 1)).expect("a free number");
        let lane = Lane::from(lane);
        assert_eq!(scene.market().next_salt(CLIENT, lane), salt(lane, 0), "the lowest is free");
    }
    scene.act(CLIENT, &open(1, 0)).expect("a free number");
    assert_eq!(scene.market().next_salt(CLIENT, Lane::from(1)), salt(Lane::from(1), 2));
    let far = salt(Lane::from(1), 66);
    let next = salt(Lane::from(1), 2);
    assert_eq!(scene.act(CLIENT, &open(1, 66)), Err(Rejection::SaltTooFar { client: CLIENT, salt: far, next }));
    scene.act(CLIENT, &open(1, 65)).expect("the last one of the window");
    // The highest number of a lane is never used: its window could not slide past it.
    scene.act(CLIENT, &Command::Revoke { lane: Lane::from(9), up_to: u64::MAX }).expect("revokes all");
    let last = salt(Lane::from(9), u64::MAX);
    let refused = scene.act(CLIENT, &open(9, u64::MAX));
    assert_eq!(refused, Err(Rejection::SaltTooFar { client: CLIENT, salt: last, next: last }));
}
