//! What runs came to, for people and for programs.

use anyhow::anyhow;
use lota_simulator::{runs::Run, summary::Summary};
use serde::Serialize;

use crate::{
    flags::Format,
    terminal::{self, Column, Table, bold, dim, plural},
};

#[derive(Serialize)]
struct Shown<'a> {
    subset: u64,
    run: u64,
    seed: u64,
    set: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints the runs: one in full, several as a table.
///
/// # Errors
/// When stdout cannot be written; when a run failed, after the others were printed.
pub(super) fn print(runs: &[Run], format: Format) -> anyhow::Result<()> {
    if format.json {
        let shown: Vec<Shown<'_>> = runs.iter().map(shown).collect();
        terminal::print_json(&shown)?;
    } else if let [Run { result: Ok(summary), seed, .. }] = runs {
        terminal::print(&one(summary, *seed))?;
    } else {
        terminal::print(&table(runs))?;
    }
    let failed: Vec<&Run> = runs.iter().filter(|run| run.result.is_err()).collect();
    let Some(Run { seed, result: Err(error), .. }) = failed.first() else { return Ok(()) };
    Err(anyhow!("{} failed, the first one with seed {seed}: {error}", plural(failed.len() as u64, "run")))
}

fn shown(run: &Run) -> Shown<'_> {
    let set = run.set.iter().map(|set| (set.key.clone(), serde_json::to_value(&set.value).unwrap_or_default()));
    let (summary, error) = match &run.result {
        Ok(summary) => (Some(summary), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Shown { subset: run.subset, run: run.run, seed: run.seed, set: set.collect(), summary, error }
}

fn one(summary: &Summary, seed: u64) -> String {
    let mut table = Table::pairs();
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("tasks", format!("{} in {} of virtual time", summary.tasks, terminal::span(summary.seconds as u64)));
    row("jobs", ends(summary));
    row("price", format!("{:.4} FIL on average, {} in all", summary.mean_price, summary.paid));
    row("wait", format!("{:.1} s on average from request to payment", summary.mean_wait));
    row(
        "welfare",
        format!(
            "{:.4} FIL: what right results were worth, less {:.4} FIL that running cost",
            summary.welfare, summary.cost
        ),
    );
    if summary.wrong > 0 || summary.wronged > 0 {
        let Summary { wrong, caught, missed, wronged, .. } = summary;
        row("wrong results", format!("{wrong}: {caught} caught, {missed} paid; {wronged} right ones overturned"));
    }
    if summary.burned.0 > 0 {
        row("burned", summary.burned.to_string());
    }
    if summary.blocked > 0 {
        row("blocked", format!("{} could not ask for more", plural(summary.blocked, "client")));
    }
    row("inequality", format!("{:.3} (Gini, of what providers earned)", summary.gini));
    row("events", format!("{} of {} commands, {} refused", summary.events, summary.commands, summary.refused));
    row("seed, digest", format!("{seed}, {}", summary.digest));
    let mut populations = Table::new([Column::Left, Column::Right, Column::Right, Column::Right, Column::Right]);
    populations = populations.heading(&["population", "parties", "jobs", "profit each, FIL", "slashed"]);
    for population in &summary.populations {
        populations.row([
            bold(&population.name).to_string(),
            population.parties.to_string(),
            population.jobs.to_string(),
            format!("{:.4}", population.mean_profit),
            population.slashed.to_string(),
        ]);
    }
    format!("{}\n{}", table.render(), populations.render())
}

fn ends(summary: &Summary) -> String {
    let parts = [
        (summary.settled, "settled"),
        (summary.slashed, "slashed"),
        (summary.cancelled, "cancelled"),
        (summary.voided, "void"),
        (summary.unfinished, "unfinished"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    format!("{} opened: {}", summary.opened, if parts.is_empty() { "none ended".to_owned() } else { parts.join(", ") })
}

fn table(runs: &[Run]) -> String {
    let swept: Vec<&str> =
        runs.first().map(|run| run.set.iter().map(|set| set.key.as_str()).collect()).unwrap_or_default();
    let names = ["settled", "slashed", "price", "wait, s", "welfare", "missed", "Gini", "digest"];
    let heading: Vec<&str> = ["seed"].into_iter().chain(swept.iter().copied()).chain(names).collect();
    let mut table = Table::new(vec![Column::Right; heading.len()]).heading(&heading);
    for run in runs {
        let mut cells = vec![run.seed.to_string()];
        cells.extend(run.set.iter().map(|set| set.value.to_string()));
        match &run.result {
            Ok(summary) => cells.extend([
                summary.settled.to_string(),
                summary.slashed.to_string(),
                format!("{:.4}", summary.mean_price),
                format!("{:.1}", summary.mean_wait),
                format!("{:.4}", summary.welfare),
                summary.missed.to_string(),
                format!("{:.3}", summary.gini),
                dim(&summary.digest[..summary.digest.len().min(12)]).to_string(),
            ]),
            Err(_) => cells.push(terminal::bad("failed").to_string()),
        }
        table.row(cells);
    }
    table.render()
}
