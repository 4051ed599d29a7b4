//! Every experiment finds what was published.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use lota_simulator::{Seed, experiments::experiments};

#[test]
fn every_experiment_finds_what_was_published() {
    let mut wrong = Vec::new();
    for experiment in experiments() {
        for measure in experiment.measures {
            let estimate = (measure.run)(experiment.runs, Seed(1));
            let published = measure.published.value;
            println!(
                "{}: {}: {:.4} +- {:.4}, published {published:.4}",
                experiment.name,
                measure.name,
                estimate.mean,
                estimate.half_width()
            );
            // An interval in which everything lies says nothing.
            let is_narrow = estimate.half_width() <= (0.12 * published.abs()).max(0.01);
            if !measure.agrees(&estimate) || !is_narrow {
                wrong.push((experiment.name, measure.name, estimate, published));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the tests compare with would be found, were it another number by a few percent.
#[test]
fn an_experiment_does_not_find_what_was_not_published() {
    let experiment = experiments().iter().find(|experiment| experiment.name == "majority").expect("there is one");
    let mut measure = experiment.measures[0];
    let estimate = (measure.run)(experiment.runs, Seed(1));
    assert!(measure.agrees(&estimate));
    measure.published.value *= 1.1;
    assert!(!measure.agrees(&estimate));
}
