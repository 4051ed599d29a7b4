//! Settings that are amounts, and may not be nothing.

use crate::{failure::Usage, settings::Node, units::ByteSize};

/// A node that may use nothing of what it needs would refuse every job, and say so to nobody.
pub(super) fn check(node: &Node) -> Result<(), Usage> {
    let is_nothing = |amount: Option<ByteSize>| amount.is_some_and(|amount| amount.0 == 0);
    let jobs = [
        ("slots", node.slots == Some(0)),
        ("cpus", node.cpus.is_some_and(|cpus| cpus.0 == 0)),
        ("memory", is_nothing(node.memory)),
        ("disk", is_nothing(node.disk)),
    ];
    match jobs.iter().find(|(_, is_nothing)| *is_nothing && node.provider) {
        Some((key, _)) => Err(Usage(format!(
            "setting `node.{key}`: with 0 it could run no job; name more, leave it out, or say `--client-only` (`node.provider = false`)"
        ))),
        None if node.store_capacity.0 == 0 => Err(Usage(
            "setting `node.store_capacity`: with 0 it could keep no content; name more, such as 10 GiB".to_owned(),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_could_run_nothing_is_told() {
        let node = Node::default();
        check(&node).expect("defaults");
        for (key, wrong) in [
            ("slots", Node { slots: Some(0), ..node.clone() }),
            ("memory", Node { memory: Some(ByteSize(0)), ..node.clone() }),
            ("disk", Node { disk: Some(ByteSize(0)), ..node.clone() }),
        ] {
            let Usage(error) = check(&wrong).expect_err(key);
            assert!(error.contains(&format!("`node.{key}`")), "{error}");
            check(&Node { provider: false, ..wrong }).expect("a client needs none");
        }
        check(&Node { store_capacity: ByteSize(0), provider: false, ..node }).expect_err("no content");
    }
}
