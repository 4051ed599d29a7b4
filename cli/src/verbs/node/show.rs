//! `lota node show`.

use clap::Args;
use lota_api::{NodeInfo, OfferedResources, Party, Problem};
use serde::Serialize;

use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Column, Table, bold, plural, printable, span},
    units::ByteSize,
};

/// Show the running node and the parties of its market.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota node show --json")]
pub(crate) struct Show {
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Shown {
    node: NodeInfo,
    parties: Vec<Party>,
}

impl Show {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let shown = Shown { node: api.node().await?, parties: api.parties().await? };
        if self.format.json {
            return terminal::print_json(&shown);
        }
        let Shown { node, parties } = shown;
        let mut table = Table::pairs();
        table.row(["node", &printable(&format!("{} (version {})", node.name, node.version))]);
        table.row(["account", &node.party.to_string()]);
        table.row(["runs jobs for others", if node.provider { "yes" } else { "no" }]);
        if let Some(offers) = &node.offers {
            table.row(["at once", &at_once(offers)]);
        }
        table.row([
            "market",
            &format!(
                "{} on chain {}, windows from {}",
                node.market.contract,
                node.market.chain_id,
                span(node.market.min_window.into())
            ),
        ]);
        if let Some(auction) = node.market.auction {
            table.row(["auction", &auction.to_string()]);
        }
        table.row(["newest block", &node.head.to_string()]);
        table.row(["gateway", &printable(&node.gateway)]);
        let blocks = plural(node.store_blocks, "block");
        let store = format!("{} of {} ({blocks})", ByteSize(node.store_bytes), ByteSize(node.store_capacity));
        table.row(["block store", &store]);
        let mut text = table.render();
        text.push_str(&problems(&node.problems));
        if !parties.is_empty() {
            text.push_str(&format!("\n{}\n", bold("Parties that serve content")));
            let mut table = Table::new([Column::Left, Column::Left]).indent(2);
            for party in parties {
                table.row([party.address.to_string(), printable(&party.url)]);
            }
            text.push_str(&table.render());
        }
        terminal::print(&text)
    }
}

/// What the jobs of a provider may take together.
fn at_once(offers: &OfferedResources) -> String {
    let OfferedResources { slots, cpu_millis, memory_bytes, disk_bytes, gpus } = *offers;
    let cpus = match cpu_millis % 1_000 {
        0 => plural(cpu_millis / 1_000, "processor"),
        rest => format!("{}.{rest:03} processors", cpu_millis / 1_000),
    };
    let gpus = if gpus > 0 { format!(", {}", plural(gpus.into(), "graphics processor")) } else { String::new() };
    let (memory, disk) = (ByteSize(memory_bytes), ByteSize(disk_bytes));
    format!("{}, together {cpus}{gpus}, {memory} of memory, {disk} of disk", plural(slots.into(), "job"))
}

/// What keeps the daemon from its work, a line for each.
pub(crate) fn problems(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{} {}\n", terminal::bad("problem"), printable(&problem.message))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_offers_is_told_in_a_line() {
        let offers =
            OfferedResources { slots: 4, cpu_millis: 4_000, memory_bytes: 6 << 30, disk_bytes: 20 << 30, gpus: 0 };
        assert_eq!(at_once(&offers), "4 jobs, together 4 processors, 6 GiB of memory, 20 GiB of disk");
        let small = OfferedResources { slots: 1, cpu_millis: 1_500, gpus: 1, ..offers };
        assert_eq!(
            at_once(&small),
            "1 job, together 1.500 processors, 1 graphics processor, 6 GiB of memory, 20 GiB of disk"
        );
    }
}
