//! `lota node show`.

use clap::Args;
use lota_api::{NodeInfo, OfferedResources, OrdersInfo, Paid, Party, Problem};
use lota_market::AttoFil;
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
        if let Some(orders) = &node.orders {
            text.push_str(&format!("\n{}\n{}", bold("Orders paid over Filecoin Pay"), orders_text(orders)));
        }
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

/// What a provider has of orders.
fn orders_text(orders: &OrdersInfo) -> String {
    let show = |amount| orders.unit.show(amount);
    let row = |paid: &Paid| [show(paid.gross), show(paid.fee), show(paid.net)];
    let mut table = Table::new([Column::Left, Column::Right, Column::Right, Column::Right, Column::Left]).indent(2);
    table = table.heading(&["", "PAID", "FEE", "TO THE PROVIDER", ""]);
    let line = |name: &str, paid: &Paid, note: String| {
        let [gross, fee, net] = row(paid);
        [name.to_owned(), gross, fee, net, note]
    };
    let last = orders.last_collected.map_or_else(String::new, |last| format!("last at {last}"));
    table.row(line("collected", &orders.collected, last));
    table.row(line("due", &orders.due, String::new()));
    if orders.lost > AttoFil::ZERO {
        let why = "payers ended their rails before it was collected".to_owned();
        table.row(["lost".to_owned(), show(orders.lost), String::new(), String::new(), why]);
    }
    for rail in &orders.rails {
        let end = rail.end.map(|end| format!("to be paid before block {end}"));
        let notes: Vec<String> = end.into_iter().chain(rail.why_not.as_deref().map(printable)).collect();
        table.row(line(&format!("  on rail {}", printable(&rail.rail)), &rail.due, notes.join("; ")));
    }
    table.render()
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
    use lota_api::DueOnRail;
    use lota_market::{Address, asset::Asset};

    use super::*;

    #[test]
    fn what_orders_paid_is_told_exactly_and_what_is_due_with_the_reason() {
        console::set_colors_enabled(false);
        let paid =
            |gross: u128, fee: u128| Paid { gross: AttoFil(gross), fee: AttoFil(fee), net: AttoFil(gross - fee) };
        let rail = DueOnRail {
            rail: "7".to_owned(),
            payer: Address::ZERO,
            due: paid(101, 1),
            since: None,
            end: Some(99),
            why_not: Some("no\u{1b}".to_owned()),
        };
        let orders = OrdersInfo {
            contract: Address::ZERO,
            unit: Asset::token("USDFC", 6),
            due: paid(101, 1),
            collected: paid(1_000_000, 5_000),
            lost: AttoFil::ZERO,
            last_collected: None,
            rails: vec![rail],
        };
        let text = orders_text(&orders);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "collected 1 USDFC 0.005 USDFC 0.995 USDFC");
        assert_eq!(lines[2], "due 0.000101 USDFC 0.000001 USDFC 0.0001 USDFC");
        assert_eq!(
            lines[3],
            "on rail 7 0.000101 USDFC 0.000001 USDFC 0.0001 USDFC to be paid before block 99; no\\u{1b}"
        );
    }

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
