//! Exploring a scene, and what was found.

use std::{collections::HashSet, fmt, time::Instant};

use serde::Serialize;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::{
    lifecycle::{Action, EXIT, Lifecycle, State},
    planted::Planted,
    scene::Scene,
};

/// What was found of one property.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub property: &'static str,
    /// Whether it must hold in all states, or in some.
    pub in_all: bool,
    pub holds: bool,
    /// The steps to a state in which it does not hold; of a property of some states: to one where it does.
    pub steps: Vec<String>,
}

/// What was found in one scene.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub scene: &'static str,
    pub about: &'static str,
    pub jobs: usize,
    /// States that differ.
    pub states: usize,
    /// Steps that were made to find them.
    pub steps: usize,
    /// The longest of the shortest ways to a state, in states.
    pub depth: usize,
    pub seconds: f64,
    pub findings: Vec<Finding>,
}

impl Report {
    /// The properties that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.holds)
    }
}

/// Explores all states of a scene.
///
/// With a fault planted, the search ends with the first property that is seen not to hold.
#[must_use]
pub fn check(scene: &Scene, planted: Option<Planted>, threads: usize) -> Report {
    let begun = Instant::now();
    let finish = if planted.is_some() { HasDiscoveries::AnyFailures } else { HasDiscoveries::All };
    let model = Lifecycle::new(scene.clone(), planted);
    let checker = model.checker().threads(threads.max(1)).finish_when(finish).spawn_bfs().join();
    let mut found = checker.discoveries();
    let failed = checker
        .model()
        .properties()
        .iter()
        .any(|property| property.expectation != Expectation::Sometimes && found.contains_key(property.name));
    // Who stopped early has not seen all ways out.
    if !failed {
        let traps: HashSet<u64> = checker.model().exits().traps().into_iter().collect();
        if !traps.is_empty() {
            let again = checker.model().knowing(traps).checker().finish_when(HasDiscoveries::AnyFailures);
            found.extend(again.spawn_bfs().join().discoveries().remove_entry(EXIT));
        }
    }
    let model = checker.model();
    let findings = model.properties().into_iter().map(|property| {
        let in_all = property.expectation != Expectation::Sometimes;
        let path = found.remove(property.name);
        Finding {
            property: property.name,
            in_all,
            holds: path.is_none() == in_all,
            steps: path.map_or_else(Vec::new, |path| steps(model, path)),
        }
    });
    Report {
        scene: scene.name,
        about: scene.about,
        jobs: scene.jobs.len(),
        findings: findings.collect(),
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

fn steps(model: &Lifecycle, path: Path<State, Action>) -> Vec<String> {
    let steps = path.into_vec().into_iter();
    steps.filter_map(|(state, action)| Some(format!("{} s: {}", state.now, model.format_action(&action?)))).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({}): {} states by {} steps, depth {}, {:.1} s",
            self.scene, self.about, self.states, self.steps, self.depth, self.seconds
        )?;
        for Finding { property, in_all, holds, steps } in &self.findings {
            let verdict = match (in_all, holds) {
                (true, true) => format!("holds in all {} states", self.states),
                (false, true) => format!("is met after {} steps", steps.len()),
                (true, false) => format!("DOES NOT HOLD after:\n    {}", steps.join("\n    ")),
                (false, false) => "IS NEVER MET".into(),
            };
            writeln!(f, "  {property}: {verdict}")?;
        }
        Ok(())
    }
}
