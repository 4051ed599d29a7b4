//! The demo, told to a person.

use std::fmt::Write as _;

use lota_market::{AttoFil, model::Status};

use super::{
    accounts::Money,
    output::Output,
    parties::{ASKER, Parties, Person},
    plan::{Job, Order},
    question::Asked,
    report::Report,
};
use crate::{
    host::Wealth,
    terminal::{self, Column, Table, bad, bold, dim, good, printable, short_address, short_id},
    units::{ByteSize, Count},
};

/// Who takes part.
pub(super) fn parties(parties: &Parties, before: &Wealth) -> String {
    let mut text = format!(
        "{}\n\nTwo people have work, three providers have computers. The market holds money for them.\n\n",
        bold("1. Who takes part")
    );
    let mut table = Table::new([Column::Left, Column::Left, Column::Left, Column::Right, Column::Left])
        .heading(&["NAME", "ROLE", "ACCOUNT", "MONEY", "ASKS"])
        .indent(2);
    for (person, balance) in parties.people.iter().zip(&before.accounts) {
        table.row([
            person.name.to_owned(),
            if person.offer.is_some() { "provider" } else { "client" }.to_owned(),
            short_address(person.account.address()),
            balance.to_string(),
            asks(person),
        ]);
    }
    if let (Some(asker), Some(balance)) = (&parties.asker, before.accounts.get(parties.people.len())) {
        table.row([
            ASKER.to_owned(),
            "has a contract".to_owned(),
            short_address(asker.account()),
            balance.to_string(),
            String::new(),
        ]);
    }
    text.push_str(&table.render());
    if let Some(chain) = parties.venue.describe() {
        let _ = writeln!(text, "\n  {chain}");
    }
    text
}

fn asks(person: &Person) -> String {
    person.offer.as_ref().map_or_else(String::new, |offer| {
        format!(
            "{} a job, {} for 10^9 fuel; up to {} of memory",
            offer.pricing.base,
            offer.pricing.per_gigafuel,
            ByteSize(offer.max_memory)
        )
    })
}

/// What was asked for.
pub(super) fn requests(orders: &[Order]) -> String {
    let mut text = format!(
        "\n{}\n\nThe program is a word count, compiled from Rust to WebAssembly. Each client keeps program and texts\n\
         in its own block store, puts the highest price in escrow, and offers a price that rises from second\n\
         to second.\n\n",
        bold("2. What is asked for")
    );
    let mut table = Table::new([Column::Left, Column::Left, Column::Left, Column::Right])
        .heading(&["JOB", "CLIENT", "WANTS TO", "ESCROW"])
        .indent(2);
    for order in orders {
        table.row([
            short_id(order.opened.id),
            order.client.to_owned(),
            order.what.to_owned(),
            order.opened.max_price.to_string(),
        ]);
    }
    text.push_str(&table.render());
    if let Some(order) = orders.first() {
        let _ = write!(
            text,
            "\n  program {}\n  texts   {}\n",
            dim(&order.module.to_string()),
            dim(&order.input.to_string())
        );
    }
    text
}

/// What became of the jobs: who took and refused them, what happened.
pub(super) fn jobs(parties: &Parties, jobs: &[Job]) -> String {
    let mut text = format!(
        "\n{}\n\nProviders fetch program and texts and check them before they bind themselves. The first whose price\n\
         is reached locks the job with collateral of its own.\n",
        bold("3. Who does it")
    );
    for job in jobs {
        let summary = &job.detail.summary;
        let outcome = match (summary.status, summary.provider, summary.price) {
            (Status::Settled, Some(provider), Some(price)) => {
                good(&format!("{} was paid {price}", parties.name_of(provider)))
            }
            (Status::Slashed, Some(provider), _) => bad(&format!(
                "{} was too slow and lost its collateral of {}",
                parties.name_of(provider),
                job.detail.terms.collateral
            )),
            (status, ..) => bad(terminal::status_name(status)),
        };
        let _ = writeln!(text, "\n  {} {}: {outcome}", bold(&short_id(summary.id)), job.client);
        let mut table = Table::new([Column::Left, Column::Left, Column::Left]).indent(4);
        for decision in &job.detail.decisions {
            table.row([parties.name_of(decision.provider), decision.decision.to_string(), printable(&decision.reason)]);
        }
        text.push_str(&table.render());
        let first = job.detail.events.first().map(|event| event.time);
        let mut table = Table::new([Column::Right, Column::Left, Column::Left]).indent(4);
        for event in &job.detail.events {
            let seconds = first.map_or(0, |first| event.time.duration_since(first).as_secs());
            table.row([format!("+{seconds}s"), printable(&event.name), named(parties, &printable(&event.text))]);
        }
        text.push_str(&table.render());
    }
    text
}

/// The text with the names of those whose addresses it holds.
fn named(parties: &Parties, text: &str) -> String {
    parties
        .people
        .iter()
        .fold(text.to_owned(), |text, person| text.replace(&person.account.address().to_string(), person.name))
}

/// What came out.
pub(super) fn outputs(jobs: &[Job], outputs: &[Option<Output>], asked: Option<&Asked>) -> String {
    let mut text = format!(
        "\n{}\n\nThe clients fetched the outputs over HTTP from the providers' gateways, checked every block against its\n\
         CID. So did this demo just now, and it counted the words itself, too.\n",
        bold("4. What comes out")
    );
    for (job, output) in jobs.iter().zip(outputs) {
        let Some(output) = output else { continue };
        let agrees = job.expected.as_ref().is_some_and(|expected| expected.counts == output.counts);
        let verdict = if agrees { good("the same as the demo's own count") } else { bad("NOT what the demo counted") };
        let read = bytes_of(&output.stdout).map_or_else(String::new, |bytes| format!(" in {}", ByteSize(bytes)));
        let _ = writeln!(
            text,
            "\n  {} {}\n    {} from {}\n    {} words{read}, {verdict}",
            bold(&short_id(job.detail.summary.id)),
            dim(&printable(&output.cid)),
            ByteSize(output.bytes),
            printable(&output.gateway),
            Count(job.expected.as_ref().map_or(0, |expected| expected.words)),
        );
        let commonest: Vec<String> =
            output.counts.lines().take(8).map(|line| printable(&line.replacen('\t', " ", 1))).collect();
        let _ = writeln!(text, "    {}", dim(&commonest.join(", ")));
    }
    if let Some(asked) = asked {
        let verdict =
            if asked.answer == asked.expected { good("as the demo counted") } else { bad("NOT what the demo counted") };
        let _ = writeln!(
            text,
            "\n  The contract {} was asked: how often does `{}` occur? The market called it back, and it\n  keeps the answer: {}, {verdict}.",
            short_address(asked.contract),
            asked.question,
            bold(printable(asked.answer.trim_end()).as_ref()),
        );
    }
    text
}

/// The bytes that the program says it read, if it says so.
fn bytes_of(stdout: &str) -> Option<u64> {
    stdout.lines().find_map(|line| line.strip_prefix("bytes\t")?.parse().ok())
}

/// Where the money went.
pub(super) fn money(money: &Money) -> String {
    let mut text = format!("\n{}\n\n", bold("5. Where the money went"));
    let mut table = Table::new([Column::Left, Column::Right, Column::Right, Column::Right, Column::Right])
        .heading(&["NAME", "BEFORE", "EARNED", "SPENT", "AFTER"])
        .indent(2);
    let some =
        |amount: AttoFil, sign: &str| if amount == AttoFil::ZERO { String::new() } else { format!("{sign}{amount}") };
    for change in &money.accounts {
        table.row([
            change.name.to_owned(),
            change.before.to_string(),
            some(change.earned, "+"),
            some([change.spent, change.gas].into_iter().sum(), "-"),
            change.after.to_string(),
        ]);
    }
    table.row(["burned".to_owned(), String::new(), some(money.burned, "+"), String::new(), money.burned.to_string()]);
    let sum = [money.after, money.burned, money.gas].into_iter().sum::<AttoFil>();
    if money.gas != AttoFil::ZERO {
        table.row(["gas".to_owned(), String::new(), some(money.gas, "+"), String::new(), money.gas.to_string()]);
    }
    table.row([bold("all"), money.before.to_string(), String::new(), String::new(), sum.to_string()]);
    text.push_str(&table.render());
    let verdict = if money.accounted {
        good("All money is accounted for, to the last attoFIL.")
    } else {
        bad("Money is NOT accounted for.")
    };
    let _ = writeln!(text, "\n  {verdict}");
    text
}

/// The end.
pub(super) fn end(report: &Report) -> String {
    let held = report.checks.iter().filter(|check| check.ok).count();
    let mut text = format!("\n{held} of {} checks hold, after {:.1} s.\n", report.checks.len(), report.seconds);
    for check in report.checks.iter().filter(|check| !check.ok) {
        let _ = writeln!(text, "  {} {}", bad("NOT:"), check.what);
    }
    if report.ok {
        text.push_str("\nNow a market of your own: `lota devnet` in one terminal, and in another what it says.\n");
    }
    text
}
