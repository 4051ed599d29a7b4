//! A provider's machine has only so much of everything.

use proptest::prelude::*;

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

/// A job that takes this much memory and writes so much.
fn spec_of(memory: u64, output: u64) -> Bytes {
    let module: Link = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().expect("a CID");
    let limits = Limits { fuel: 1_000_000, memory, output, entries: 10, wall: 5, ..Limits::LEAST };
    JobSpec::wasm(module, limits).validate().expect("valid").to_dag_cbor().into()
}

/// What jobs that a provider has locked now take together, and how many there are.
fn locked(world: &World, jobs: &[(JobId, Bytes)]) -> (u32, Resources) {
    let mut sum = Resources::default();
    let mut count = 0;
    for (_, bytes) in jobs.iter().filter(|(job, _)| world.status(*job) == Status::Locked) {
        let needs = Resources::of(&crate::spec::parse(SpecCodec::DagCbor, bytes).expect("valid"));
        sum.cpu_millis += needs.cpu_millis;
        sum.memory_bytes += needs.memory_bytes;
        sum.disk_bytes += needs.disk_bytes;
        count += 1;
    }
    (count, sum)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, source_file: Some(file!()), ..ProptestConfig::default() })]

    /// Whatever jobs come, and whenever the provider's node is killed: of nothing that it has is more promised than there is, and every
    /// job that can fit is done.
    #[test]
    fn no_machine_is_over_committed_and_every_job_that_fits_is_done(
        sizes in proptest::collection::vec((1u64..=12, 1u64..=12), 1..16),
        (slots, cpus, memory, disk) in (1u32..5, 1u64..5, 4u64..=12, 4u64..=12),
        crashes in proptest::collection::btree_set(0usize..400, 0..4),
    ) {
        const MIB: u64 = 1 << 20;
        let total =
            Resources { cpu_millis: 1_000 * cpus, memory_bytes: memory * MIB, disk_bytes: disk * MIB, gpus: 0 };
        let limited = Offer { slots, resources: total, ..offer(FIL / 10) };
        let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(limited))]);
        let jobs: Vec<(JobId, Bytes)> = sizes
            .iter()
            .enumerate()
            .map(|(salt, (memory, output))| {
                let spec = spec_of(memory * MIB, output * MIB);
                let terms = Terms { run_for: 100, ..terms(salt as u64, &spec) };
                (world.request_with(terms, spec.clone()), spec)
            })
            .collect();
        let mut steps = 0;
        for _ in 0..200 {
            for index in 0..world.parties.len() {
                while world.step(index) {
                    let (count, taken) = locked(&world, &jobs);
                    prop_assert!(count <= slots, "{count} jobs at once");
                    prop_assert_eq!(total.lacks(&taken), None);
                    if crashes.contains(&steps) {
                        let now = world.now;
                        world.party(CHEAP).crash(now);
                    }
                    steps += 1;
                }
            }
            world.second();
        }
        for ((job, _), (needs_memory, needs_disk)) in jobs.iter().zip(&sizes) {
            let fits = *needs_memory <= memory && *needs_disk <= disk;
            let wanted = if fits { Status::Settled } else { Status::Cancelled };
            prop_assert_eq!(world.status(*job), wanted, "{} and {} MiB", needs_memory, needs_disk);
        }
    }
}

#[test]
fn a_client_with_many_jobs_does_not_keep_another_waiting() {
    const OTHER: Address = Address::repeat_byte(0xC2);
    let limited = Offer { slots: 2, ..offer(FIL / 10) };
    let mut world =
        World::new(vec![Party::new(CLIENT, None), Party::new(OTHER, None), Party::new(CHEAP, Some(limited))]);
    for salt in 0..30 {
        world.request(salt);
    }
    world.run(1);
    let spec = spec(1_000_000);
    let terms = Terms { client: OTHER, ..terms(0, &spec) };
    let (id, value, now) = (id_of(&terms), terms.max_price, world.now);
    let request = Request { id, terms, spec, value };
    world.party(OTHER).input(Input::Request(Box::new(request)), now);
    world.run(100);
    let locks: Vec<JobId> = world
        .log
        .iter()
        .filter_map(|(_, _, event)| if let Event::JobLocked { job, .. } = event { Some(*job) } else { None })
        .collect();
    assert_eq!(locks.len(), 31, "every job is done");
    let place = locks.iter().position(|job| *job == id).expect("it is among them");
    assert!(place <= 2, "it came last, and waits for one slot at most: {place} went first");
}

#[test]
fn a_client_who_fills_half_of_the_places_leaves_the_rest_to_others() {
    let mut agent = Agent::new(CHEAP, SETTINGS, Some(offer(FIL / 10)));
    let spec = spec(1_000_000);
    let mut is_refused = |client, salt| {
        let terms = Terms { client, ..terms(salt, &spec) };
        let job = id_of(&terms);
        let event = Event::JobOpened { job, terms, spec: spec.clone() };
        let _ = agent.handle(Input::Event { block: 1, time: Time(START), event: &event }, Time(START));
        let work = agent.job(job).and_then(|job| job.work.clone()).expect("it was looked at");
        // Refused ones leave when they are stored, as in a node.
        agent.take_changes();
        matches!(work.decision, Decision::Refused(Refusal::Busy(_)))
    };
    let refused = (0..MAX_CONSIDERED as u64).filter(|salt| is_refused(CLIENT, *salt)).count();
    assert_eq!(refused, MAX_CONSIDERED / 2);
    let other = Address::repeat_byte(0xC2);
    let refused = (0..600).filter(|salt| is_refused(other, *salt)).count();
    assert_eq!(refused, 600 - MAX_CONSIDERED / 8, "nor may that one take all that is left");
    assert!(is_refused(CLIENT, u64::MAX));
}
