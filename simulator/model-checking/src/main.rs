//! Explores the market's worlds within bounds, and prints what was found.

use std::{io::Write, process::ExitCode, thread::available_parallelism};

use clap::Parser;
use lota_model_checking::{Bounds, Grid, Rule, Scene, check, check_truth};

/// Explores all worlds that parties can reach on the market within bounds; ends with 1 when something does not hold.
#[derive(Parser)]
struct Arguments {
    /// small (seconds), medium (minutes) or large (hours, and gigabytes).
    #[arg(long, default_value = "small")]
    bounds: Bounds,
    /// Explore only the scene of this name.
    #[arg(long)]
    scene: Option<String>,
    /// Threads; as many as there are cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object for each scene and each grid, on a line of its own.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Arguments { bounds, scene, threads, json } = Arguments::parse();
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let mut out = std::io::stdout();
    let mut sound = true;
    let scenes: Vec<Scene> = Scene::all(bounds);
    if let Some(name) = &scene
        && !scenes.iter().any(|known| known.name == name)
    {
        let names: Vec<&str> = scenes.iter().map(|scene| scene.name).collect();
        eprintln!("there is no scene {name:?} within these bounds; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let mut print = |value: serde_json::Value, text: String| {
        // Who closes the pipe has seen enough.
        let _ = if json { writeln!(out, "{value}") } else { writeln!(out, "{text}") };
    };
    for found in scenes.iter().filter(|known| scene.as_deref().is_none_or(|name| name == known.name)) {
        let report = check(found, None, threads);
        sound &= report.broken().next().is_none();
        print(serde_json::to_value(&report).unwrap_or_default(), report.to_string());
    }
    for grid in if scene.is_none() { Grid::all(bounds) } else { Vec::new() } {
        let truth = check_truth(&grid, Rule::SecondPrice);
        sound &= truth.deviation.is_none() && truth.order_matters.is_none();
        print(serde_json::to_value(&truth).unwrap_or_default(), truth.to_string());
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
