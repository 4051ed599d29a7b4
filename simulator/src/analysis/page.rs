//! A folder of runs as one HTML file, which needs nothing else: no network, no script.

use std::{collections::BTreeMap, fmt::Write as _, io};

use super::{
    AnalysisError, Folder, Ran,
    plot::{self, Bar, Line, Point, Row, escaped, number},
};
use crate::{experiments::Estimate, runs::Table, summary::Summary, table::Rows};

/// A line of a plot: what it is called, and its value in a run.
type Series<'a> = (String, &'a dyn Fn(&Summary) -> Option<f64>);
/// A column of a table: its title, and its value in a run.
type Column = (&'static str, fn(&Summary) -> f64);

/// The most points of a line over time.
const BINS: usize = 120;
/// The most lines, and rows, of a plot: more cannot be told from each other.
const LINES: usize = 6;
const ROWS: usize = 40;
/// How many standard errors make a 95 % interval of many runs.
const WIDTH: f64 = 1.96;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2733;--paper:#fff;--soft:#5b6875;--grid:#e2e6ea;\
--c0:#0072b2;--c1:#d55e00;--c2:#008f6b;--c3:#a8518a;--c4:#9a7400;--c5:#5a5fc7}\
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--paper:#14191f;--soft:#9aa7b4;--grid:#2b343d;\
--c0:#5ab4f0;--c1:#ff8a4c;--c2:#3fcfa4;--c3:#e08fc4;--c4:#e0b63c;--c5:#a3a7ff}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:780px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;line-height:1.25;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}\
p,dd{overflow-wrap:anywhere}.soft,dt{color:var(--soft)}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dd{margin:0}\
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}.grid{stroke:var(--grid)}\
.line{fill:none;stroke:var(--c);stroke-width:2}.band{fill:var(--c);opacity:.15}.dot,.bar{fill:var(--c)}.faint{fill:var(--c);opacity:.45}\
.whisker{stroke:var(--ink);stroke-width:2}.mean{fill:var(--ink)}\
.legend span{margin-right:1.2rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;background:var(--c)}\
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .9rem .15rem 0;text-align:right;border-bottom:1px solid var(--grid)}\
td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}.wide{overflow-x:auto}";

/// The page of a folder.
///
/// # Errors
/// When its tables cannot be read.
pub fn page(folder: &Folder) -> Result<String, AnalysisError> {
    let report = Report { folder, subsets: subsets(&folder.runs), x: x_axis(folder) };
    report.page().map_err(|problem| AnalysisError::Read { folder: folder.path.clone(), problem })
}

fn subsets(runs: &[Ran]) -> Vec<Vec<&Ran>> {
    let mut all: BTreeMap<u64, Vec<&Ran>> = BTreeMap::new();
    for run in runs {
        all.entry(run.subset).or_default().push(run);
    }
    all.into_values().collect()
}

/// The key of a sweep that makes an axis: the only one, of numbers.
fn x_axis(folder: &Folder) -> Option<&str> {
    match folder.manifest.sweeps.as_slice() {
        [sweep] if sweep.is_number && sweep.values.len() > 1 => Some(&sweep.key),
        _ => None,
    }
}

struct Report<'f> {
    folder: &'f Folder,
    subsets: Vec<Vec<&'f Ran>>,
    x: Option<&'f str>,
}

impl<'f> Report<'f> {
    fn page(&self) -> io::Result<String> {
        let manifest = &self.folder.manifest;
        let title = if manifest.question.is_empty() { &manifest.scenario } else { &manifest.question };
        let title = escaped(title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<h1>{title}</h1>\n"
        );
        page.push_str(&self.facts());
        let mut section = |name: &str, what: &str, body: String| {
            let _ = writeln!(page, "<h2>{name}</h2>\n<p class=\"soft\">{what}</p>\n{body}");
        };
        section(
            "Earnings",
            "What a member of each population has more than at the beginning, less what running jobs cost it: FIL, the mean of each run.",
            self.earnings(),
        );
        section(
            "Welfare",
            "What right results were worth to clients, less what running jobs cost providers, in FIL.",
            self.metric("welfare, FIL", |summary| summary.welfare),
        );
        section(
            "Prices over time",
            "The mean price of the jobs that were settled in each stretch of time, in FIL; bands are from the least to the most of all runs.",
            self.prices()?,
        );
        section(
            "Fraud",
            "Wrong results, the mean of a run: overturned, or paid; and right ones that were overturned.",
            self.fraud(),
        );
        section(
            "Inequality",
            "Gini's coefficient of what providers were paid: 0 when all were paid the same, near 1 when one was paid everything.",
            self.metric("Gini", |summary| summary.gini),
        );
        section("In numbers", "Means over the runs, ± half of the 95 % interval.", self.numbers());
        page.push_str("</body>\n</html>\n");
        Ok(page)
    }

    fn facts(&self) -> String {
        let Folder { manifest, runs, failed, .. } = self.folder;
        let set: Vec<String> = manifest.set.iter().map(|set| format!("{}={}", set.key, set.value)).collect();
        let failed = if *failed > 0 { format!(", and {failed} that failed") } else { String::new() };
        let facts = [
            ("scenario", manifest.scenario.clone()),
            ("set", set.join(" ")),
            ("swept", if manifest.sweeps.is_empty() { String::new() } else { self.folder.swept() }),
            ("runs", format!("{}{failed}", runs.len())),
            ("digest", manifest.digest.clone()),
            ("program", manifest.program.clone()),
        ];
        let facts = facts.iter().filter(|(_, value)| !value.is_empty());
        let facts: String =
            facts.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value))).collect();
        let dots = if self.x.is_some() { "Bands are" } else { "Dots are runs; bars through the means are" };
        format!("<dl>\n{facts}</dl>\n<p class=\"soft\">{dots} 95 % intervals of the mean.</p>\n")
    }

    fn name(&self, runs: &[&Ran]) -> String {
        let label = runs.first().map(|run| self.folder.label(&run.set)).unwrap_or_default();
        if label.is_empty() { "all runs".to_owned() } else { label }
    }

    /// A line for each series over what is swept, or rows where that is no number.
    fn series(&self, x_name: &str, all: &[Series<'_>]) -> String {
        let values = |runs: &[&Ran], of: &dyn Fn(&Summary) -> Option<f64>| -> Vec<f64> {
            runs.iter().filter_map(|run| of(&run.summary)).collect()
        };
        if let Some(key) = self.x {
            let lines = all.iter().take(LINES).map(|(name, of)| {
                let points = self.subsets.iter().filter_map(|runs| {
                    let x = runs.first()?.set.first()?.parse().ok()?;
                    let estimate = Estimate::of(values(runs, *of));
                    let half = if estimate.error.is_finite() { WIDTH * estimate.error } else { 0.0 };
                    Some(Point { x, y: estimate.mean, low: estimate.mean - half, high: estimate.mean + half })
                });
                let mut points: Vec<Point> = points.collect();
                points.sort_by(|a, b| a.x.total_cmp(&b.x));
                Line { name: name.clone(), points }
            });
            return plot::lines(x_name, &lines.collect::<Vec<_>>(), key);
        }
        let mut rows = Vec::new();
        for runs in &self.subsets {
            for (name, of) in all {
                let subset = self.name(runs);
                let name = match (name.as_str(), self.subsets.len()) {
                    ("", _) => subset,
                    (name, 1) => name.to_owned(),
                    (name, _) => format!("{name}, {subset}"),
                };
                let values = values(runs, *of);
                let estimate = Estimate::of(values.iter().copied());
                rows.push(Row { name, mean: estimate.mean, half_width: WIDTH * estimate.error, values });
            }
        }
        let left_out = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        let plot = plot::rows(x_name, &rows, x_name);
        if left_out == 0 { plot } else { format!("{plot}<p class=\"soft\">{left_out} more rows are not drawn.</p>\n") }
    }

    fn metric(&self, name: &str, of: fn(&Summary) -> f64) -> String {
        let of: &dyn Fn(&Summary) -> Option<f64> = &move |summary: &Summary| Some(of(summary));
        self.series(name, &[(String::new(), of)])
    }

    fn earnings(&self) -> String {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for population in self.folder.runs.iter().flat_map(|run| &run.summary.populations) {
            names.insert(&population.name, &population.strategy);
        }
        let profit = |name: &'f str| {
            move |summary: &Summary| summary.populations.iter().find(|it| it.name == name).map(|it| it.mean_profit)
        };
        let profits: Vec<_> = names.keys().map(|name| profit(name)).collect();
        let series: Vec<Series<'_>> = names
            .iter()
            .zip(&profits)
            .map(|((name, strategy), profit)| {
                (format!("{name} ({strategy})"), profit as &dyn Fn(&Summary) -> Option<f64>)
            })
            .collect();
        self.series("profit of each, FIL", &series)
    }

    /// Prices in bins of time: what is held does not depend on how many rows there are.
    fn prices(&self) -> io::Result<String> {
        let shown: Vec<u64> = self.subsets.iter().take(LINES).filter_map(|runs| Some(runs.first()?.subset)).collect();
        let end = self.folder.runs.iter().map(|run| run.summary.seconds).fold(0.0, f64::max).max(1.0);
        let mut bins = vec![[(0_u64, 0.0_f64, f64::INFINITY, f64::NEG_INFINITY); BINS]; shown.len()];
        let mut rows = Rows::open(&self.folder.path, Table::Timesteps.name())?;
        let (subset, time, price) = (rows.column("subset")?, rows.column("timestep")?, rows.column("price_fil")?);
        rows.try_for_each(|row| {
            let row = row?;
            let cell = |at: usize| row.get(at).map_or("", String::as_str);
            let place = cell(subset).parse().ok().and_then(|subset: u64| shown.iter().position(|it| *it == subset));
            let number = |at| cell(at).parse().ok().filter(|number: &f64| number.is_finite());
            if let (Some(place), Some(time), Some(price)) = (place, number(time), number(price)) {
                let at = ((time / end * BINS as f64) as usize).min(BINS - 1);
                if let Some((count, sum, low, high)) = bins.get_mut(place).and_then(|bins| bins.get_mut(at)) {
                    (*count, *sum, *low, *high) = (*count + 1, *sum + price, low.min(price), high.max(price));
                }
            }
            io::Result::Ok(())
        })?;
        let lines: Vec<Line> = bins
            .iter()
            .zip(&self.subsets)
            .map(|(bins, runs)| Line {
                name: if self.subsets.len() > 1 { self.name(runs) } else { String::new() },
                points: (0..)
                    .zip(bins)
                    .filter(|(_, (count, ..))| *count > 0)
                    .map(|(at, &(count, sum, low, high))| {
                        let x = (f64::from(at) + 0.5) / BINS as f64 * end / 60.0;
                        Point { x, y: sum / count as f64, low, high }
                    })
                    .collect(),
            })
            .collect();
        if lines.iter().all(|line| line.points.is_empty()) {
            return Ok("<p>No job was settled, or no timesteps were written.</p>\n".to_owned());
        }
        let more = self.subsets.len().saturating_sub(LINES);
        let more =
            if more == 0 { String::new() } else { format!("<p class=\"soft\">{more} more are not drawn.</p>\n") };
        Ok(plot::lines("price, FIL", &lines, "minutes of virtual time") + &more)
    }

    fn fraud(&self) -> String {
        let mean = |runs: &[&Ran], of: fn(&Summary) -> u64| {
            runs.iter().map(|run| of(&run.summary) as f64).sum::<f64>() / runs.len().max(1) as f64
        };
        let bars: Vec<Bar> = self
            .subsets
            .iter()
            .take(ROWS)
            .map(|runs| Bar {
                name: self.name(runs),
                parts: vec![mean(runs, |it| it.caught), mean(runs, |it| it.missed), mean(runs, |it| it.wronged)],
            })
            .collect();
        if bars.iter().all(|bar| bar.parts.iter().all(|part| *part == 0.0)) {
            return "<p>No wrong result was submitted, and no right one overturned.</p>\n".to_owned();
        }
        plot::bars("fraud", &bars, &["wrong, caught", "wrong, paid", "right, overturned"], "results a run")
    }

    fn numbers(&self) -> String {
        let columns: [Column; 6] = [
            ("settled", |it| it.settled as f64),
            ("slashed", |it| it.slashed as f64),
            ("price, FIL", |it| it.mean_price),
            ("wait, s", |it| it.mean_wait),
            ("welfare, FIL", |it| it.welfare),
            ("Gini", |it| it.gini),
        ];
        let heading: String = columns.iter().map(|(name, _)| format!("<th>{name}</th>")).collect();
        let mut table = format!("<div class=\"wide\"><table>\n<tr><th></th><th>runs</th>{heading}</tr>\n");
        for runs in self.subsets.iter().take(200) {
            let name = self.name(runs);
            let cells: String = columns
                .iter()
                .map(|(_, of)| {
                    let estimate = Estimate::of(runs.iter().map(|run| of(&run.summary)));
                    let half = WIDTH * estimate.error;
                    let half = if half.is_finite() { format!(" ± {}", number(half)) } else { String::new() };
                    format!("<td>{}{half}</td>", number(estimate.mean))
                })
                .collect();
            let _ = writeln!(table, "<tr><td>{}</td><td>{}</td>{cells}</tr>", escaped(&name), runs.len());
        }
        table + "</table></div>\n"
    }
}
