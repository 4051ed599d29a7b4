//! A provider's machine has only so much of everything.

use super::*;

/// The most memory that jobs had together, at any moment, of a provider with this much; and how they ended.
fn peak_memory(total: u64, memory: &[u64]) -> (u64, Vec<Status>) {
    let resources = Resources { memory_bytes: total, ..Resources::UNLIMITED };
    let limited = Offer { slots: 10, resources, ..offer(FIL / 10) };
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(limited))]);
    let jobs: Vec<JobId> = memory
        .iter()
        .enumerate()
        .map(|(salt, memory)| {
            let spec = spec_with_memory(1_000_000, *memory);
            let terms = terms(salt as u64, &spec);
            world.request_with(terms, spec)
        })
        .collect();
    let mut peak = 0;
    for _ in 0..200 {
        let now = world.now;
        for index in 0..world.parties.len() {
            // One step at a time, so that every moment is seen.
            while world.step(index) {
                let locked = jobs.iter().zip(memory).filter(|(job, _)| world.status(**job) == Status::Locked);
                peak = peak.max(locked.map(|(_, memory)| memory).sum());
            }
        }
        world.now = now.after(1);
    }
    (peak, jobs.iter().map(|job| world.status(*job)).collect())
}

#[test]
fn a_provider_never_promises_more_memory_than_it_has_and_still_does_every_job_that_fits() {
    const MIB: u64 = 1 << 20;
    let (peak, ends) = peak_memory(100 * MIB, &[60 * MIB, 60 * MIB, 40 * MIB, 30 * MIB, 100 * MIB, 10 * MIB]);
    assert!(peak <= 100 * MIB, "{peak}");
    assert!(peak > 60 * MIB, "jobs that fit run side by side: {peak}");
    assert!(ends.iter().all(|end| *end == Status::Settled), "{ends:?}");
    let (_, ends) = peak_memory(100 * MIB, &[101 * MIB, 10 * MIB]);
    assert_eq!(ends[1], Status::Settled);
    assert_eq!(ends[0], Status::Cancelled, "what can never fit is refused, and does not hold up the rest");
}

#[test]
fn what_can_never_fit_is_refused_with_numbers() {
    let resources = Resources { memory_bytes: 1 << 20, ..Resources::UNLIMITED };
    let bytes = spec_with_memory(1_000, 2 << 20);
    let parsed = crate::spec::parse(SpecCodec::DagCbor, &bytes).expect("valid");
    let refusal =
        Offer { resources, ..offer(0) }.match_spec(CHEAP, SETTINGS, &terms(0, &bytes), &parsed).expect_err("too large");
    assert_eq!(refusal.to_string(), "the job may use 2097152 bytes of memory; this provider allows 1048576");
}
