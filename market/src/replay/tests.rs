//! What the world says replays, whatever random commands made it say it; what it cannot say is named.
//!
//! `simulator/model-checking/tests/replay.rs` tampers with the records of auctions, batches and callbacks, too.

use alloy_primitives::{Address, B256, Bytes};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::*;
use crate::{
    model::tests::{
        random::{ACCOUNTS, Job, OUTSIDER, Op, SETTINGS, account, endowment, ops, pools, steps_forward},
        script::{MARKET, Outside as Players, TOKEN, digest, job_of},
    },
    world::Contract,
};

/// The hashes of the random tests.
struct MadeUp;

impl Oracle for MadeUp {
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        job_of(terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }
}

fn deployment(is_token: bool) -> Deployment {
    let asset = if is_token { TOKEN } else { Address::ZERO };
    Deployment { market: MARKET, settings: Settings { asset, ..SETTINGS }, auction: None }
}

/// What a market says to random commands, and what it is afterwards.
fn recorded(pool: &[Job], ops: &[Op], is_token: bool) -> (Vec<Recorded>, World) {
    let mut world = World::new();
    world.deploy_token(TOKEN).expect("nothing is there");
    let market = Market::new(deployment(is_token).settings);
    world.deploy(MARKET, Contract::Market(market)).expect("sound settings");
    let mut env = Players::default();
    let mut record = Vec::new();
    let mut send = |world: &mut World, env: &mut Players, sender, value, command: &Command| {
        let _ = world.mint(sender, value);
        if let Command::DepositToken { amount, .. } | Command::DepositTokenWithPermit { amount, .. } = command {
            let _ = world.mint_token(TOKEN, sender, *amount);
            world.approve(TOKEN, sender, MARKET, *amount);
        }
        let mut log = Vec::new();
        let block = record.last().map_or(0, |last: &Recorded| last.block + 1);
        // What is refused says nothing.
        let _ = world.execute_on_market(sender, MARKET, value, command, env, &mut log);
        record.extend(log.into_iter().zip(0..).map(|(log, index)| Recorded {
            block,
            index,
            time: env.now,
            transaction: digest(&block),
            log,
        }));
    };
    for n in 0..ACCOUNTS {
        let (account, amount) = (account(n), endowment(n));
        let deposit = if is_token { Command::DepositToken { account, amount } } else { Command::Deposit { account } };
        let value = if is_token { AttoFil::ZERO } else { amount };
        send(&mut world, &mut env, OUTSIDER, value, &deposit);
    }
    for op in ops {
        let market = world.market(MARKET).expect("is there");
        env.now = op.time(market, pool, env.now);
        (env.payouts, env.callbacks, env.code) = (op.payouts, op.callbacks, op.code);
        let sent = op.sent(market, pool, env.now);
        send(&mut world, &mut env, sent.sender, sent.value, &sent.command);
    }
    (record, world)
}

fn replayed(record: &[Recorded], is_token: bool) -> (Replay<MadeUp>, Result<(), Divergence>) {
    let mut replay = Replay::new(deployment(is_token), MadeUp).expect("it can be deployed");
    let outcome = record.iter().try_for_each(|event| replay.apply(event)).and_then(|()| replay.finish());
    (replay, outcome)
}

proptest! {
    #[test]
    fn what_a_market_says_replays_and_comes_to_the_same_books(
        pool in pools(),
        ops in prop::collection::vec(prop_oneof![1 => ops(), 2 => steps_forward()], 1..60),
        is_token in any::<bool>(),
    ) {
        let (record, world) = recorded(&pool, &ops, is_token);
        let (replay, outcome) = replayed(&record, is_token);
        if let Err(divergence) = outcome {
            return Err(TestCaseError::fail(divergence.to_string()));
        }
        let (found, wanted) = (replay.market(), world.market(MARKET).expect("is there"));
        prop_assert_eq!(found.balances().collect::<Vec<_>>(), wanted.balances().collect::<Vec<_>>());
        prop_assert_eq!(found.deals().collect::<Vec<_>>(), wanted.deals().collect::<Vec<_>>());
        prop_assert_eq!(found, wanted, "and everything else, salts too");
        prop_assert_eq!(replay.tally().events as usize, record.len());
    }
}
