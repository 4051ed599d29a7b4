//! What is impossible in a scenario although it is well written.

use lota_market::{AttoFil, model::MAX_AMOUNT_QUANTA, money::GWEI};

use super::{Amount, ClientKind, Clients, JobSettings, Mediation, ProviderKind, Providers, Scenario};
use crate::distribution::Distribution;

/// The most accounts of all populations together, those of sybils and shills among them: some 20 GB.
const MAX_ACCOUNTS: u64 = 10_000_000;
/// The longest name of a population, in bytes.
const MAX_NAME: usize = 64;
/// The most seconds, and the most of everything that is a plain number.
const MAX_NUMBER: f64 = 1e9;
/// The most FIL that a job may cost: what a price can be.
fn max_price() -> f64 {
    Amount::to_fil(limit())
}

/// What no price reaches.
fn limit() -> AttoFil {
    AttoFil(u128::from(MAX_AMOUNT_QUANTA) * GWEI)
}

/// A key, and what is wrong there.
type Fault = (String, String);

/// Finds the first thing that is impossible.
pub(super) fn check(scenario: &Scenario) -> Result<(), Fault> {
    let Scenario { clients, providers, .. } = scenario;
    if scenario.seeds == 0 {
        return fault("seeds", "no run was asked for; write 1 or more");
    }
    if scenario.until == 0 || scenario.until as f64 > MAX_NUMBER {
        return fault("until", format!("{} s is not from 1 s to {MAX_NUMBER} s", scenario.until));
    }
    check_chain(scenario)?;
    check_job(&scenario.job, scenario.mediation.is_some(), scenario.chain.block_time)?;
    if let Some(mediation) = &scenario.mediation {
        check_mediation(mediation, &scenario.job)?;
    }
    if clients.is_empty() {
        return fault("clients", "there are no clients; write a table [clients.NAME]");
    }
    for (kind, name) in
        clients.keys().map(|name| ("clients", name)).chain(providers.keys().map(|name| ("providers", name)))
    {
        check_name(kind, name)?;
    }
    for (name, population) in clients {
        check_clients(population, scenario).map_err(|(key, problem)| (format!("clients.{name}.{key}"), problem))?;
    }
    for (name, population) in providers {
        check_providers(population).map_err(|(key, problem)| (format!("providers.{name}.{key}"), problem))?;
    }
    check_accounts(scenario)?;
    check_money(scenario)
}

/// Names go into tables, pages and keys of flags as they are.
fn check_name(kind: &str, name: &str) -> Result<(), Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    let problem = format!("a population's name is 1 to {MAX_NAME} letters, digits, `-` and `_`");
    fault(format!("{kind}.{}", name.chars().take(MAX_NAME).collect::<String>()), problem)
}

/// All parties must fit into memory, and a client may be several.
fn check_accounts(scenario: &Scenario) -> Result<(), Fault> {
    let of_clients = |it: &Clients| u64::from(it.count) * (u64::from(it.identities()) + u64::from(it.shills()));
    let clients = scenario.clients.iter().map(|(name, it)| ("clients", name, of_clients(it)));
    let providers = scenario.providers.iter().map(|(name, it)| ("providers", name, u64::from(it.count)));
    let mut all = 0_u64;
    for (kind, name, accounts) in clients.chain(providers) {
        all = all.saturating_add(accounts);
        if all > MAX_ACCOUNTS {
            let problem = format!("with it there are {all} accounts; at most {MAX_ACCOUNTS} are simulated");
            return fault(format!("{kind}.{name}.count"), problem);
        }
    }
    Ok(())
}

fn fault<T>(key: impl Into<String>, problem: impl Into<String>) -> Result<T, Fault> {
    Err((key.into(), problem.into()))
}

fn distribution(key: &str, it: &Distribution, most: f64) -> Result<(), Fault> {
    it.fault(most).map_or(Ok(()), |problem| fault(key, problem))
}

fn check_chain(scenario: &Scenario) -> Result<(), Fault> {
    let chain = &scenario.chain;
    distribution("chain.latency", &chain.latency, MAX_NUMBER)?;
    if chain.block_time > 86_400 {
        return fault("chain.block_time", format!("{} s is longer than a day", chain.block_time));
    }
    if chain.final_blocks > 0 && chain.block_time == 0 {
        return fault(
            "chain.final_blocks",
            "blocks that come with each command are final at once; set chain.block_time",
        );
    }
    if chain.min_window == 0 || chain.min_window > 90 * 86_400 {
        return fault("chain.min_window", format!("{} s is not from 1 s to 90 days", chain.min_window));
    }
    Ok(())
}

fn check_job(job: &JobSettings, is_mediated: bool, block_time: u64) -> Result<(), Fault> {
    distribution("job.gigafuel", &job.gigafuel, 1e9)?;
    for (key, amount) in
        [("job.min_price", job.min_price), ("job.max_price", job.max_price), ("job.collateral", job.collateral)]
    {
        if amount.0 >= limit() {
            return fault(key, format!("{} is too much: amounts of a job are below {}", amount.0, limit()));
        }
    }
    if job.min_price > job.max_price {
        return fault("job.min_price", format!("{} is above the highest price, {}", job.min_price.0, job.max_price.0));
    }
    let windows = [("job.ramp_for", job.ramp_for), ("job.lock_for", job.lock_for)];
    for (key, seconds) in windows {
        if seconds == 0 || seconds > 364 * 86_400 {
            return fault(key, format!("{seconds} s is not from 1 s to 364 days"));
        }
    }
    let mut windows = vec![("job.run_for", job.run_for)];
    if is_mediated {
        windows.extend([("job.review_for", job.review_for), ("job.rule_for", job.rule_for)]);
    }
    // What providers need to be safe.
    let least = block_time.saturating_mul(4).saturating_add(2);
    for (key, seconds) in windows {
        if u64::from(seconds) < least {
            let problem =
                format!("{seconds} s: providers refuse less than {least} s here: two more than four blocks take");
            return fault(key, problem);
        }
        if seconds > 90 * 86_400 {
            return fault(key, format!("{seconds} s is longer than 90 days"));
        }
    }
    if job.replicas == 0 || job.replicas > 1_000 {
        return fault("job.replicas", format!("{} is not from 1 to 1000", job.replicas));
    }
    if let Some(auction) = &job.auction {
        if job.min_price == job.max_price {
            return fault("job.min_price", "an auction needs a range of prices; make it less than the highest price");
        }
        for (key, seconds) in [
            ("job.auction.seal_for", auction.seal_for),
            ("job.auction.reveal_for", auction.reveal_for),
            ("job.auction.award_for", auction.award_for),
        ] {
            if seconds == 0 || seconds > 90 * 86_400 {
                return fault(key, format!("{seconds} s is not from 1 s to 90 days"));
            }
        }
    }
    Ok(())
}

fn check_mediation(mediation: &Mediation, job: &JobSettings) -> Result<(), Fault> {
    probability("mediation.audit", mediation.audit)?;
    probability("mediation.error", mediation.error)?;
    if mediation.panel.is_multiple_of(2) || mediation.panel > 1_001 {
        return fault("mediation.panel", format!("{} seats; write an odd number up to 1001", mediation.panel));
    }
    if !(0.0..=MAX_NUMBER).contains(&mediation.dispute_after) {
        return fault("mediation.dispute_after", format!("{} is no number of seconds", mediation.dispute_after));
    }
    if !mediation.rule_after.is_finite() || mediation.rule_after < 0.0 {
        return fault("mediation.rule_after", format!("{} is no number of seconds", mediation.rule_after));
    }
    if mediation.rule_after >= f64::from(job.rule_for) {
        let problem = format!("{} s is not within job.rule_for, {} s", mediation.rule_after, job.rule_for);
        return fault("mediation.rule_after", problem);
    }
    Ok(())
}

fn probability(key: &str, number: f64) -> Result<(), Fault> {
    if (0.0..=1.0).contains(&number) { Ok(()) } else { fault(key, format!("{number} is not from 0 to 1")) }
}

fn count(number: u32) -> Result<(), Fault> {
    match number {
        0 => fault("count", "the population is empty; write 1 or more, or leave it out"),
        _ => Ok(()),
    }
}

/// Refuses a key of another strategy.
fn only_of(key: &str, is_set: bool, is_its: bool, strategy: &str) -> Result<(), Fault> {
    if is_set && !is_its {
        return fault(
            key,
            format!("only the strategy `{strategy}` has this; leave it out, or set strategy = \"{strategy}\""),
        );
    }
    Ok(())
}

fn check_clients(population: &Clients, scenario: &Scenario) -> Result<(), Fault> {
    count(population.count)?;
    distribution("interval", &population.interval, MAX_NUMBER)?;
    distribution("verify", &population.verify, MAX_NUMBER)?;
    if let Some(value) = &population.value {
        distribution("value", value, max_price())?;
    }
    if population.concurrency == Some(0) {
        return fault("concurrency", "it could never ask for anything; write 1 or more");
    }
    let kind = population.strategy;
    only_of("identities", population.identities.is_some(), kind == ClientKind::Sybil, "sybil")?;
    only_of("shills", population.shills.is_some(), kind == ClientKind::Shill, "shill")?;
    if population.identities.is_some_and(|number| number == 0 || number > 1_000) {
        return fault("identities", "write a number from 1 to 1000");
    }
    if population.shills.is_some_and(|number| number == 0 || number > 1_000) {
        return fault("shills", "write a number from 1 to 1000");
    }
    if kind == ClientKind::Shill && scenario.job.auction.is_none() {
        return fault("strategy", "there are no bids to shill; add [job.auction]");
    }
    if population.jobs.saturating_mul(population.count.into()).saturating_mul(scenario.job.replicas.into())
        > 10_u64.pow(12)
    {
        return fault("jobs", "the population asks for more than 10^12 jobs");
    }
    Ok(())
}

fn check_providers(population: &Providers) -> Result<(), Fault> {
    count(population.count)?;
    distribution("cost", &population.cost, max_price())?;
    distribution("cost_per_gigafuel", &population.cost_per_gigafuel, max_price())?;
    distribution("speed", &population.speed, MAX_NUMBER)?;
    if matches!(population.speed, Distribution::Fixed(0.0)) {
        return fault("speed", "it would never finish; write a number above 0");
    }
    distribution("slots", &population.slots, MAX_NUMBER)?;
    distribution("fetch", &population.fetch, MAX_NUMBER)?;
    distribution("publish", &population.publish, MAX_NUMBER)?;
    distribution("failure", &population.failure, 1.0)?;
    if let Some(latency) = &population.latency {
        distribution("latency", latency, MAX_NUMBER)?;
    }
    let kind = population.strategy;
    only_of("guess", population.guess.is_some(), kind == ProviderKind::Lazy, "lazy")?;
    only_of("effort", population.effort.is_some(), kind == ProviderKind::Lazy, "lazy")?;
    only_of("program", population.program.is_some(), kind == ProviderKind::Program, "program")?;
    only_of("undercut", population.undercut.is_some(), kind == ProviderKind::Underbidder, "underbidder")?;
    for (key, number) in [("guess", population.guess), ("effort", population.effort)] {
        number.map_or(Ok(()), |number| probability(key, number))?;
    }
    if let Some(share) = population.undercut
        && !(0.0..=1_000.0).contains(&share)
    {
        return fault("undercut", format!("{share} is not from 0 to 1000"));
    }
    if kind == ProviderKind::Flaky && population.failure == Distribution::Fixed(0.0) {
        return fault("strategy", "runs of a flaky provider fail; say how likely with failure = 0.3");
    }
    if let Some(seconds) = population.resume_after
        && !(0.0..=MAX_NUMBER).contains(&seconds)
    {
        return fault("resume_after", format!("{seconds} is no number of seconds"));
    }
    Ok(())
}

/// All money must be countable: a provider has as much outside of the market as in it.
fn check_money(scenario: &Scenario) -> Result<(), Fault> {
    let mut all = 0_u128;
    let populations = scenario.clients.iter().map(|(name, it)| ("clients", name, it.count, it.balance, 2));
    let providers = scenario.providers.iter().map(|(name, it)| ("providers", name, it.count, it.balance, 2));
    for (kind, name, count, balance, times) in populations.chain(providers) {
        let sum = balance.0.0.checked_mul(u128::from(count) * times).and_then(|sum| all.checked_add(sum));
        match sum.filter(|sum| *sum < 1 << 126) {
            Some(sum) => all = sum,
            None => {
                let problem = format!("{count} times {} is more money than can be counted; write less", balance.0);
                return fault(format!("{kind}.{name}.balance"), problem);
            }
        }
    }
    Ok(())
}
